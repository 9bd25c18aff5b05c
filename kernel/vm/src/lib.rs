//! Floor 5: address spaces of user programs.
//!
//! An [`AddressSpace`] is a map of VMAs ([`Vma`], kept in order by [`VmaMap`]) and the page
//! tables that it fills on demand. A VMA says what a range of addresses is for: zeros, or
//! the bytes of a [`MemoryObject`]. Pages come with the first touch, in
//! [`AddressSpace::fault`].
//!
//! Files: `space.rs` the address space and its faults, `change.rs` the calls that change
//! it (mmap, munmap, mprotect, mremap, madvise, brk), `map.rs` and `vma.rs` the map,
//! `object.rs` where bytes come from, `layout.rs` who lies where.
//!
//! Locks: the map is behind a mutex that sleeps, taken by every method; the page tables
//! have their own spin lock below it (`memory::user`). Filling a page may sleep.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;

mod change;
mod fork;
pub mod layout;
mod map;
mod object;
mod space;
mod vma;

pub use change::{MapRequest, Placement, RemapRequest};
pub use map::VmaMap;
pub use object::{MemoryObject, ObjectError, StaticBytes};
pub use space::{AddressSpace, Fault, FaultKind, address_spaces};
pub use vma::{Backing, Vma};

pub use memory::user::Access;

/// Bytes of a page.
pub const PAGE: u64 = arch::paging::PAGE_SIZE;
