//! Floor 0: terminal input, line editing, history, completion.
//!
//! Bytes from a terminal go into an [`Editor`], which decodes them to [`Key`]s, edits one
//! line, and says in a [`Reaction`] what the caller has to do. What the screen shows of
//! the line is a [`View`]: a value of fixed size, drawn in one row of the terminal without
//! allocating, so that whoever writes to the same terminal can take the line off the
//! screen and put it back (`base::console`). A [`Completer`] offers what Tab completes.
//!
//! ```
//! use line_editor::{Editor, NoCompletion, Prompt, Reaction};
//!
//! let mut editor = Editor::new(1000, 50);
//! editor.start(Prompt { style: "\x1b[32m", text: "> " });
//! let mut reaction = Reaction::None;
//! for byte in *b"ehco\x1b[D\x1b[D\x14\x05\r" {
//!     reaction = editor.feed(byte, &mut NoCompletion);
//! }
//! assert_eq!(reaction, Reaction::Line("echo".into()));
//! ```
//!
//! Files: `key.rs` bytes to keys, `buffer.rs` the line and its cursor, `history.rs` older
//! lines, `completion.rs` what Tab does, `editor.rs` all of them together, `view.rs` what
//! the screen shows. Used by the kernel shell (`kernel/main`).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;

mod buffer;
mod completion;
mod editor;
mod history;
mod key;
mod view;

pub use buffer::Buffer;
pub use completion::{Candidate, Columns, Completer, Completions, NoCompletion};
pub use editor::{Editor, Prompt, Reaction};
pub use history::History;
pub use key::{Decoder, Key};
pub use view::{MAX_COLUMNS, View};
