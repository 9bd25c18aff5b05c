//! Floor 0: the kernel command line and the words of shell commands.
//!
//! GRUB hands the kernel one string. [`unquote`] takes off the quoting that
//! GRUB's loader adds when the whole line was one argument; [`BootArgs`] splits
//! the line into settings (`loglevel=info root=/dev/vda`) and the text of the
//! kernel-shell commands behind them. [`split_commands`] and [`split_words`]
//! are the quoting rules of the kernel shell itself, which the settings share.
//!
//! ```
//! let line = boot_args::unquote(r#""loglevel=debug exec /bin/primes 15000; exit 0""#);
//! let args = boot_args::BootArgs::parse(&line);
//! assert_eq!(args.get("loglevel"), Some("debug"));
//! let commands = boot_args::split_commands(args.commands())?;
//! assert_eq!(commands, ["exec /bin/primes 15000", "exit 0"]);
//! assert_eq!(boot_args::split_words(commands[0])?, ["exec", "/bin/primes", "15000"]);
//! # Ok::<(), boot_args::ParseError>(())
//! ```
//!
//! Files: `settings.rs` the line as a whole, `grub.rs` GRUB's quoting,
//! `words.rs` commands and words, `scanner.rs` the quoting rules.
//! Used by the boot story and the kernel shell (`kernel/main`).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;

mod grub;
mod scanner;
mod settings;
mod words;

pub use grub::unquote;
pub use scanner::ParseError;
pub use settings::BootArgs;
pub use words::{split_commands, split_words};
