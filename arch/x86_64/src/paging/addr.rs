//! Addresses as types: [`PhysAddr`] and [`VirtAddr`], page arithmetic and the
//! kernel's address map.

use core::fmt;

/// Bytes in a small page and in a physical frame.
pub const PAGE_SIZE: u64 = 4096;
/// Binary logarithm of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;

/// Lowest address a user program may map. Page 0 and its neighbours stay empty, so
/// that a null pointer with a small offset faults.
pub const USER_START: u64 = 0x1_0000;
/// End (exclusive) of user addresses. The last page below the hole is left out: a
/// `syscall` there would leave a return address that is not canonical.
pub const USER_END: u64 = 0x7fff_ffff_f000;
/// Where all physical memory is mapped, no-execute.
pub const PHYSMAP_BASE: u64 = 0xffff_8000_0000_0000;
/// Kernel virtual allocations and device memory: start of a 512 GiB slot.
pub const VMALLOC_BASE: u64 = 0xffff_c000_0000_0000;
/// Kernel stacks, each with a guard page: start of a 512 GiB slot.
pub const STACKS_BASE: u64 = 0xffff_d000_0000_0000;
/// Per-frame metadata: start of a 512 GiB slot.
pub const FRAME_METADATA_BASE: u64 = 0xffff_e000_0000_0000;
/// Address of physical byte 0 in the mapping of the kernel image.
pub const IMAGE_BASE: u64 = 0xffff_ffff_8000_0000;
/// Bytes that one top-level table entry covers.
pub const TOP_LEVEL_SLOT: u64 = 512 << 30;

/// A physical address, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct PhysAddr(u64);

impl PhysAddr {
    /// The address `value`. Bits 52 and up must be clear (checked in debug builds).
    pub const fn new(value: u64) -> Self {
        debug_assert!(value >> 52 == 0);
        Self(value)
    }

    /// The address of frame number `frame`.
    pub const fn from_frame(frame: usize) -> Self {
        Self::new((frame as u64) << PAGE_SHIFT)
    }

    /// The address as a number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Number of the frame that holds this byte.
    pub const fn frame(self) -> usize {
        (self.0 >> PAGE_SHIFT) as usize
    }

    /// Rounded down to a multiple of `align`, a power of two.
    pub const fn align_down(self, align: u64) -> Self {
        Self(self.0 & !(align - 1))
    }

    /// Rounded up to a multiple of `align`, a power of two.
    pub const fn align_up(self, align: u64) -> Self {
        Self((self.0 + align - 1) & !(align - 1))
    }

    /// Whether it is a multiple of `align`, a power of two.
    pub const fn is_aligned(self, align: u64) -> bool {
        self.0 & (align - 1) == 0
    }

    /// Where the physical map shows this byte.
    pub const fn to_physmap(self) -> VirtAddr {
        VirtAddr(PHYSMAP_BASE + self.0)
    }

    /// This address plus `bytes`.
    pub const fn offset(self, bytes: u64) -> Self {
        Self::new(self.0 + bytes)
    }
}

impl fmt::Debug for PhysAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for PhysAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A virtual address, in bytes. It need not be canonical: see [`VirtAddr::is_canonical`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct VirtAddr(u64);

impl VirtAddr {
    /// The address `value`.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The address of the object that `pointer` names.
    pub fn from_ptr<T: ?Sized>(pointer: *const T) -> Self {
        Self(pointer.cast::<u8>() as u64)
    }

    /// The address as a number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// As a pointer. Dereferencing it is the caller's argument.
    pub const fn as_ptr<T>(self) -> *const T {
        self.0 as *const T
    }

    /// As a mutable pointer. Dereferencing it is the caller's argument.
    pub const fn as_mut_ptr<T>(self) -> *mut T {
        self.0 as *mut T
    }

    /// Whether bits 63 to 47 are equal, as four-level paging demands.
    pub const fn is_canonical(self) -> bool {
        let top = self.0 >> 47;
        top == 0 || top == 0x1_ffff
    }

    /// Whether the address lies in the part of a map that user programs may use.
    pub const fn is_user(self) -> bool {
        self.0 < USER_END
    }

    /// Rounded down to a multiple of `align`, a power of two.
    pub const fn align_down(self, align: u64) -> Self {
        Self(self.0 & !(align - 1))
    }

    /// Rounded up to a multiple of `align`, a power of two; wraps at the top.
    pub const fn align_up(self, align: u64) -> Self {
        Self(self.0.wrapping_add(align - 1) & !(align - 1))
    }

    /// Whether it is a multiple of `align`, a power of two.
    pub const fn is_aligned(self, align: u64) -> bool {
        self.0 & (align - 1) == 0
    }

    /// This address plus `bytes`, wrapping.
    pub const fn offset(self, bytes: u64) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    /// Index into the table of `level` (4 is the top, 1 the last).
    pub const fn table_index(self, level: u8) -> usize {
        (self.0 >> (PAGE_SHIFT + 9 * (level as u32 - 1))) as usize & 0x1ff
    }
}

impl fmt::Debug for VirtAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for VirtAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}
