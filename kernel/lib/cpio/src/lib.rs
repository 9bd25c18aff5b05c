//! Floor 0: newc cpio archives as a sequence of files.
//!
//! [`Archive`] goes through an initramfs as Linux does (`init/initramfs.c`,
//! Documentation/driver-api/early-userspace/buffer-format.rst): several archives
//! one behind the other with zeros between them, each of entries in the newc
//! format, with or without checksums, ended by `TRAILER!!!`. Nothing is copied:
//! an [`Entry`] borrows its path and data.
//!
//! Files: `archive.rs` the walk, `entry.rs` an entry and its header, `error.rs`
//! the errors. Used to fill the root file system (`kernel/fs`).
//!
//! ```
//! # fn show(initramfs: &[u8]) -> Result<(), cpio::CpioError> {
//! for entry in cpio::Archive::new(initramfs).entries() {
//!     let entry = entry?;
//!     println!("{:o} {} {} bytes", entry.mode, entry.path.escape_ascii(), entry.data.len());
//! }
//! # Ok(())
//! # }
//! # show(&[0; 512]).unwrap();
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

mod archive;
mod entry;
mod error;

pub use archive::{Archive, Entries};
pub use entry::{Entry, LinkKey, MAX_NAME_LEN};
pub use error::{Compression, CpioError};
