//! Floor 0: the record locks of a file (fcntl(2), "Advisory record locking").
//!
//! [`RecordLocks`] holds the [`Record`]s of one file: who locked which [`Bytes`] of it, and
//! in which [`Mode`]. What one owner locks replaces what it had there before: its records never
//! overlap, are split where only a part changes, and merged where they go on in the same mode.
//! Records of different owners may overlap, unless one of them is exclusive: that is what
//! [`RecordLocks::conflict`] finds, before [`RecordLocks::set`] is called.
//!
//! It never allocates but in [`RecordLocks::reserve`]: a change that needs more records than
//! there is room for fails with [`NoRoom`], and then nothing has changed.
//!
//! Files: `bytes.rs` ranges, from what a program says; `records.rs` the records. Used by the file
//! locks of `kernel/fs`.
//!
//! ```
//! use record_locks::{Bytes, Mode, Owner, RecordLocks};
//!
//! let [one, other] = [1, 2].map(|number| Owner { number, pid: Some(100 + number as u32) });
//! let bytes = |start, len| Bytes::new(0, start, len).expect("small numbers");
//! let mut locks = RecordLocks::new();
//! locks.reserve(4).expect("memory");
//! locks.set(one, bytes(0, 100), Some(Mode::Exclusive), 1000)?;
//! locks.set(one, bytes(40, 20), None, 1000)?;
//! assert_eq!(locks.conflict(other.number, bytes(45, 10), Mode::Exclusive), None);
//! let found = locks.conflict(other.number, bytes(45, 0), Mode::Shared).expect("the rest");
//! assert_eq!((found.owner.pid, found.bytes.first(), found.bytes.last()), (Some(101), 60, 99));
//! # Ok::<(), record_locks::NoRoom>(())
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;

mod bytes;
mod records;
#[cfg(test)]
mod tests;

pub use bytes::{Bytes, BytesError};
pub use records::{Mode, NoRoom, Owner, Record, RecordLocks};
