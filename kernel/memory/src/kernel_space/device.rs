//! Device memory: [`IoMem`], a mapped range of registers.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use arch::paging::{
    EntryFlags, PAGE_SIZE, PageSize, PhysAddr, TOP_LEVEL_SLOT, VMALLOC_BASE, VirtAddr,
};

use super::{TABLES, TableFrames};
use crate::OutOfMemory;
use crate::frames::{FrameUse, RegionKind, regions};
use crate::shootdown;

/// Next free address of the region for device memory. A range that was unmapped is not
/// used again: the region is 256 GiB, and a stale TLB entry can then do no harm.
static NEXT: AtomicU64 = AtomicU64::new(VMALLOC_BASE);

/// Why device memory could not be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceMapError {
    /// No memory for tables, or no addresses left.
    OutOfMemory,
    /// The range is empty, wraps, or lies beyond what the CPU can address.
    BadRange,
    /// The range is RAM that the kernel hands out.
    IsRam,
}

impl fmt::Display for DeviceMapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfMemory => "out of memory",
            Self::BadRange => "not a range of physical addresses",
            Self::IsRam => "the range is RAM",
        })
    }
}

impl From<OutOfMemory> for DeviceMapError {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

/// A range of device registers, mapped uncacheable. Unmapped on drop.
#[derive(Debug)]
pub struct IoMem {
    address: VirtAddr,
    bytes: usize,
}

impl IoMem {
    /// Maps `bytes` bytes at physical address `start`.
    ///
    /// # Errors
    /// As [`DeviceMapError`] says.
    pub fn map(start: u64, bytes: usize) -> Result<Self, DeviceMapError> {
        Self::map_as(start, bytes, EntryFlags::WRITABLE)
    }

    /// Maps `bytes` bytes at physical address `start`; writes fault.
    ///
    /// # Errors
    /// As [`DeviceMapError`] says.
    pub fn map_read_only(start: u64, bytes: usize) -> Result<Self, DeviceMapError> {
        Self::map_as(start, bytes, EntryFlags::empty())
    }

    fn map_as(start: u64, bytes: usize, rights: EntryFlags) -> Result<Self, DeviceMapError> {
        let end = start.checked_add(bytes as u64).filter(|end| end >> 52 == 0 && bytes > 0);
        let end = end.ok_or(DeviceMapError::BadRange)?;
        let mut is_ram = false;
        regions(|region| {
            is_ram |= region.kind == RegionKind::Usable && start < region.end && region.start < end;
        });
        if is_ram {
            return Err(DeviceMapError::IsRam);
        }
        let first = PhysAddr::new(start).align_down(PAGE_SIZE);
        let pages = (PhysAddr::new(end).align_up(PAGE_SIZE).as_u64() - first.as_u64()) / PAGE_SIZE;
        // One page stays unmapped behind each range.
        let step = (pages + 1) * PAGE_SIZE;
        let room = |next: u64| {
            next.checked_add(step).filter(|&next| next <= VMALLOC_BASE + TOP_LEVEL_SLOT / 2)
        };
        let base = NEXT
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room)
            .map_err(|_| DeviceMapError::OutOfMemory)?;
        let flags = rights
            | EntryFlags::NO_EXECUTE
            | EntryFlags::GLOBAL
            | EntryFlags::NO_CACHE
            | EntryFlags::WRITE_THROUGH;
        let mut tables = TABLES.lock();
        let tables = tables.as_mut().ok_or(DeviceMapError::OutOfMemory)?;
        for page in 0..pages {
            let to = VirtAddr::new(base + page * PAGE_SIZE);
            let from = first.offset(page * PAGE_SIZE);
            if let Err(error) = tables.map(
                to,
                from,
                PageSize::Small,
                flags,
                &mut TableFrames(FrameUse::KernelTable),
            ) {
                for done in 0..page {
                    if let Ok((_, flush)) = tables.unmap(VirtAddr::new(base + done * PAGE_SIZE)) {
                        flush.ignore(); // nobody has touched them, or will
                    }
                }
                return Err(OutOfMemory::from(error).into());
            }
        }
        Ok(Self { address: VirtAddr::new(base + (start & (PAGE_SIZE - 1))), bytes })
    }

    /// Bytes in the range.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether the range is empty; it never is.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Virtual address of the first byte. The range stays mapped while `self` lives, or
    /// for good after [`core::mem::forget`].
    pub fn address(&self) -> VirtAddr {
        self.address
    }
}

impl Drop for IoMem {
    fn drop(&mut self) {
        let first = self.address.align_down(PAGE_SIZE);
        let pages =
            (self.address.as_u64() + self.bytes as u64 - first.as_u64()).div_ceil(PAGE_SIZE);
        if let Some(tables) = TABLES.lock().as_mut() {
            for page in 0..pages {
                if let Ok((_, flush)) = tables.unmap(first.offset(page * PAGE_SIZE)) {
                    flush.ignore(); // all at once, below
                }
            }
        }
        shootdown::kernel_range(first, pages);
    }
}

#[base::kernel_test]
fn bad_device_ranges_are_refused() {
    assert_eq!(IoMem::map(0x20_0000, 4096).err(), Some(DeviceMapError::IsRam));
    assert_eq!(IoMem::map(0xfee0_0000, 0).err(), Some(DeviceMapError::BadRange));
    assert_eq!(IoMem::map(u64::MAX - 10, 4096).err(), Some(DeviceMapError::BadRange));
    let page = IoMem::map(0xfee0_0ff0, 0x20).expect("the local APIC's page and the next");
    assert_eq!(page.address().as_u64() & 0xfff, 0xff0);
    let address = page.address();
    drop(page);
    assert_eq!(TABLES.lock().as_ref().and_then(|tables| tables.lookup(address)), None);
}
