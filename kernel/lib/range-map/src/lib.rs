//! Floor 0: an ordered map of address ranges that do not overlap.
//!
//! [`RangeMap`] holds [`Area`]s by rising address, merges neighbours that go on what the
//! other is, and splits what is changed in part. It finds free ranges from either end.
//! Every growth can fail with [`NoMemory`], and then nothing has changed.
//!
//! It is a B-tree of two levels: a vector of chunks, each a vector of at most
//! [`Area::PER_CHUNK`] areas (half a page) with the largest gap between them. A program
//! with some tens of areas has one chunk; with 65,530 areas a change moves half a page of
//! areas and the search for a gap passes over whole chunks.
//!
//! Files: `map.rs` the map and looking things up, `gap.rs` the search for free ranges,
//! `change.rs` what changes areas, `room.rs` memory and places for new ones, `chunk.rs` a
//! chunk. Used by the address spaces of programs (`kernel/vm`).
//!
//! ```
//! use range_map::{Area, RangeMap};
//!
//! struct Named(u64, u64, &'static str);
//! impl Area for Named {
//!     fn start(&self) -> u64 { self.0 }
//!     fn end(&self) -> u64 { self.1 }
//!     fn set_start(&mut self, start: u64) { self.0 = start }
//!     fn set_end(&mut self, end: u64) { self.1 = end }
//!     fn split_off(&mut self, at: u64) -> Self {
//!         let upper = Self(at, self.1, self.2);
//!         self.1 = at;
//!         upper
//!     }
//!     fn can_absorb(&self, next: &Self) -> bool { self.1 == next.0 && self.2 == next.2 }
//! }
//!
//! let mut map = RangeMap::new(65_530, || true);
//! map.insert(Named(10, 20, "a"))?;
//! map.insert(Named(20, 30, "a"))?;
//! map.change(12..14, |area| area.2 = "b")?;
//! let found: Vec<_> = map.iter().map(|area| (area.0, area.1, area.2)).collect();
//! assert_eq!(found, [(10, 12, "a"), (12, 14, "b"), (14, 30, "a")]);
//! assert_eq!(map.find_gap(8, 4, 0..32, true), Some(0));
//! # Ok::<(), range_map::NoMemory>(())
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod change;
mod chunk;
mod gap;
mod map;
mod room;
#[cfg(test)]
mod tests;

pub use map::RangeMap;

/// A range of addresses, not empty, with what belongs to it.
pub trait Area: Sized {
    /// Most areas of one chunk, at least 4: as many as fit in half a page, which is quickly
    /// moved and looked through.
    const PER_CHUNK: usize = {
        let fit = 2048 / (if size_of::<Self>() == 0 { 1 } else { size_of::<Self>() });
        if fit < 4 { 4 } else { fit }
    };

    /// The first address.
    fn start(&self) -> u64;

    /// The address behind the last one.
    fn end(&self) -> u64;

    /// Moves the first address; what belongs to the other addresses stays.
    fn set_start(&mut self, start: u64);

    /// Moves the end; what belongs to the other addresses stays.
    fn set_end(&mut self, end: u64);

    /// Cuts at `at`, which is strictly inside; returns the upper part.
    fn split_off(&mut self, at: u64) -> Self;

    /// Whether `next` begins where this one ends and is the same in all that matters:
    /// then this one with `next`'s end says what both said.
    fn can_absorb(&self, next: &Self) -> bool;

    /// Bytes below the start that a search for free addresses leaves free, as far down as
    /// the next area.
    fn guard_below(&self) -> u64 {
        0
    }
}

/// There is no memory for a further area, or there are as many as there may be. Nothing
/// has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

impl core::fmt::Display for NoMemory {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("no memory for a further range")
    }
}

impl core::error::Error for NoMemory {}
