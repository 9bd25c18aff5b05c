//! Floor 5: address spaces of user programs.
//!
//! An [`AddressSpace`] is a map of VMAs ([`Vma`], kept in order by [`VmaMap`]) and the page
//! tables that it fills on demand. A VMA says what a range of addresses is for: zeros, or
//! the bytes of a [`MemoryObject`]. Pages come with the first touch, in
//! [`AddressSpace::fault`].
//!
//! Files: `space.rs` the address space, `fault.rs` page faults, `file_fault.rs` those of
//! files, `change.rs`, `remap.rs` and
//! `advise.rs` the calls that change it or ask (mmap, munmap, mprotect, brk; mremap; madvise,
//! mincore, msync), `fork.rs` the copy for a child, `map.rs`, `vma.rs` and `area.rs` the map,
//! `object.rs` where bytes come from, `shared.rs` anonymous memory that is shared, `layout.rs`
//! who lies where, `reverse.rs` the way from a file to those who map it, `maps.rs` how it is shown. In `cache/` is the page cache.
//!
//! Locks: the map is behind a lock that sleeps, read by faults, written by what changes the
//! map; the page tables have their own spin lock below it (`memory::user`), and a shared object
//! a mutex between both. Filling a page may sleep.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;

base::module!();

mod advise;
mod area;
pub mod cache;
mod change;
mod fault;
mod file_fault;
mod fork;
pub mod layout;
mod map;
mod maps;
mod object;
mod remap;
mod reverse;
mod shared;
mod space;
#[cfg(not(test))]
mod tests;
mod vma;

pub use change::{MapRequest, Placement};
pub use fault::{Fault, FaultKind};
pub use layout::Layout;
pub use map::VmaMap;
pub use object::{MemoryObject, ObjectError, StaticBytes};
pub use remap::RemapRequest;
pub use reverse::{forget_all_ended, unmap_idle};
pub use shared::SharedMemory;
pub use space::{AddressSpace, address_spaces};
pub use vma::{Backing, Vma, VmaFlags};

pub use memory::user::Access;

/// Bytes of a page.
pub const PAGE: u64 = arch::paging::PAGE_SIZE;
