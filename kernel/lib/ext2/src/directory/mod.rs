//! Directories: files of entries (`layout/dirent.rs`).
//!
//! An entry stays where it is as long as it is there. So a place in a directory, bytes from
//! its start, is a cursor that stays good under all changes.
//!
//! Files: `entry.rs` the entries of a block, `lookup.rs` names are looked for, `read.rs` they
//! are told one after the other, `change.rs` entries come and go, `room.rs` where there is
//! room for one, `index.rs` an index in memory for directories of many blocks, `indexed.rs`
//! names and room found by it.

mod change;
mod entry;
mod index;
mod indexed;
mod lookup;
mod read;
mod room;

pub use lookup::Found;
pub use read::DirectoryEntry;

pub(crate) use change::NewEntry;
pub(crate) use index::Indices;
pub(crate) use lookup::{Directory, Slot, check_name};
pub(crate) use room::Room;
