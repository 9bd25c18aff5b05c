//! Page-table entries (Intel SDM volume 3, section 4.5; AMD APM volume 2, section 5.3).
//!
//! Entries are read and written as single 64-bit atomics: another CPU's page walker
//! sets accessed and dirty bits while the kernel looks.

use core::sync::atomic::{AtomicU64, Ordering};

use bitflags::bitflags;

use super::addr::PhysAddr;

bitflags! {
    /// The bits of an entry beside its address.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct EntryFlags: u64 {
        /// The CPU uses the entry.
        const PRESENT = 1 << 0;
        /// Writes allowed.
        const WRITABLE = 1 << 1;
        /// User mode allowed.
        const USER = 1 << 2;
        /// Write-through; with NO_CACHE the uncacheable type of the reset PAT.
        const WRITE_THROUGH = 1 << 3;
        /// Cache disabled.
        const NO_CACHE = 1 << 4;
        /// Set by the CPU on use.
        const ACCESSED = 1 << 5;
        /// Set by the CPU on write; leaf entries only.
        const DIRTY = 1 << 6;
        /// A 2 MiB or 1 GiB leaf at level 2 or 3. (At level 1 the bit is PAT.)
        const HUGE = 1 << 7;
        /// Kept in the TLB across a change of address space.
        const GLOBAL = 1 << 8;
        /// Software's own bit, in a leaf that is not present: the page keeps its frame
        /// but nobody may touch it (mprotect with `PROT_NONE`).
        const PROT_NONE = 1 << 9;
        /// Software's own bit, in a leaf: the entry holds no reference to its frame, which
        /// is there for ever.
        const BORROWED = 1 << 10;
        /// Not executable.
        const NO_EXECUTE = 1 << 63;
    }
}

/// Which bits of an entry hold the physical address.
pub const ADDRESS_MASK: u64 = 0x000f_ffff_ffff_f000;

/// One entry, by value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub struct Entry(u64);

impl Entry {
    /// An entry that maps nothing.
    pub const EMPTY: Self = Self(0);

    /// An entry for `address` (4 KiB-aligned) with `flags`.
    pub const fn new(address: PhysAddr, flags: EntryFlags) -> Self {
        debug_assert!(address.as_u64() & !ADDRESS_MASK == 0);
        Self(address.as_u64() | flags.bits())
    }

    /// The raw bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The flags; unknown bits are left out.
    pub const fn flags(self) -> EntryFlags {
        EntryFlags::from_bits_truncate(self.0)
    }

    /// The address of a frame or of the next table.
    pub const fn address(self) -> PhysAddr {
        PhysAddr::new(self.0 & ADDRESS_MASK)
    }

    /// Whether the CPU uses the entry.
    pub const fn is_present(self) -> bool {
        self.0 & EntryFlags::PRESENT.bits() != 0
    }

    /// Whether the entry leads to a frame, be it for nobody to touch.
    pub const fn is_used(self) -> bool {
        self.0 & EntryFlags::PRESENT.union(EntryFlags::PROT_NONE).bits() != 0
    }

    /// Whether this entry of a table of `level` maps memory itself.
    pub const fn is_leaf(self, level: u8) -> bool {
        level == 1 || self.0 & EntryFlags::HUGE.bits() != 0
    }
}

/// An entry in a table, shared with the CPUs' page walkers.
#[repr(transparent)]
pub struct EntrySlot(AtomicU64);

impl EntrySlot {
    /// The entry as it is now.
    pub fn load(&self) -> Entry {
        Entry(self.0.load(Ordering::Acquire))
    }

    /// Replaces the entry. Release order: what the entry maps is visible before it.
    pub fn store(&self, entry: Entry) {
        self.0.store(entry.0, Ordering::Release);
    }

    /// Replaces the entry and returns the old one with the accessed and dirty bits
    /// that the CPU had set until then.
    pub fn swap(&self, entry: Entry) -> Entry {
        Entry(self.0.swap(entry.0, Ordering::AcqRel))
    }
}
