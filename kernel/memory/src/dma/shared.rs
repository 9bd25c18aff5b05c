//! Memory that the CPU and a device both read and write at any time, such as the rings of a
//! queue: [`SharedDma`].
//!
//! It has no `&[u8]`, which would promise that nothing changes underneath. Each load and store
//! is one relaxed atomic access of its width; the order among them is made by the user, with
//! [`core::sync::atomic::fence`].

use core::fmt;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use arch::paging::PhysAddr;

use super::{DmaBuffer, DmaPool};
use crate::OutOfMemory;

/// Memory for both sides. All its bytes are zero at first.
pub struct SharedDma(DmaBuffer);

impl fmt::Debug for SharedDma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} shared bytes at {}", self.len(), self.address())
    }
}

impl DmaPool {
    /// As [`DmaPool::allocate`], for both sides at once.
    ///
    /// # Errors
    /// [`OutOfMemory`], also for 0 bytes.
    pub fn allocate_shared(&'static self, bytes: usize) -> Result<SharedDma, OutOfMemory> {
        self.allocate(bytes).map(SharedDma)
    }
}

macro_rules! accesses {
    ($($cell:ident $type:ident $at:ident $load:ident $store:ident $bits:literal;)*) => {$(
        #[inline]
        fn $at(&self, offset: usize) -> &$cell {
            const BYTES: usize = size_of::<$cell>();
            let is_inside = offset.checked_add(BYTES).is_some_and(|end| end <= self.len());
            assert!(
                is_inside && offset.is_multiple_of(BYTES),
                "no {BYTES} bytes at {offset:#x} of {:#x}",
                self.len()
            );
            let start = self.0.address.to_physmap().as_mut_ptr::<u8>();
            // SAFETY: the bytes lie in the buffer, as was just checked, and stay there as long
            // as `self` is borrowed. Buffers are aligned to their size rounded up to a power of
            // two, or to a page, and the offset to the cell's size. All other code reaches them
            // by such cells only: there is no other way to a `SharedDma`'s bytes.
            unsafe { $cell::from_ptr(start.add(offset).cast()) }
        }

        #[doc = concat!("Loads ", $bits, " bits from `offset`, in bytes.")]
        ///
        /// # Panics
        /// If they are not all inside, or the offset is no multiple of their size.
        #[inline]
        #[track_caller]
        pub fn $load(&self, offset: usize) -> $type {
            $type::from_le(self.$at(offset).load(Ordering::Relaxed))
        }

        #[doc = concat!("Stores ", $bits, " bits to `offset`, in bytes.")]
        ///
        /// # Panics
        /// If they are not all inside, or the offset is no multiple of their size.
        #[inline]
        #[track_caller]
        pub fn $store(&self, offset: usize, value: $type) {
            self.$at(offset).store(value.to_le(), Ordering::Relaxed);
        }
    )*};
}

impl SharedDma {
    /// What the device is told.
    pub fn address(&self) -> PhysAddr {
        self.0.address()
    }

    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no bytes; it always has.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    accesses! {
        AtomicU8 u8 at8 load8 store8 8;
        AtomicU16 u16 at16 load16 store16 16;
        AtomicU32 u32 at32 load32 store32 32;
        AtomicU64 u64 at64 load64 store64 64;
    }
}

#[cfg(not(test))]
mod tests {
    use super::*;

    static POOL: DmaPool = DmaPool::new();

    #[base::kernel_test]
    fn shared_memory_holds_what_is_stored() {
        let memory = POOL.allocate_shared(40).expect("memory at boot");
        assert_eq!((memory.len(), memory.load64(32)), (40, 0));
        memory.store64(8, 0x1122_3344_5566_7788);
        assert_eq!((memory.load32(8), memory.load32(12)), (0x5566_7788, 0x1122_3344));
        memory.store16(10, 0xabcd);
        memory.store8(15, 0xff);
        memory.store32(36, 0x0102_0304);
        assert_eq!((memory.load64(8), memory.load8(39)), (0xff22_3344_abcd_7788, 1));
        assert_eq!((memory.load16(38), memory.load64(0)), (0x0102, 0));
    }

    #[base::kernel_test(should_panic = "no 8 bytes at 0x28 of 0x28")]
    fn shared_memory_ends_where_it_ends() {
        POOL.allocate_shared(40).expect("memory at boot").load64(40);
    }

    #[base::kernel_test(should_panic = "no 4 bytes at 0x24 of 0x27")]
    fn shared_memory_ends_within_a_word() {
        POOL.allocate_shared(39).expect("memory at boot").store32(36, 1);
    }

    #[base::kernel_test(should_panic = "no 4 bytes at 0x2 of 0x28")]
    fn shared_memory_is_accessed_aligned() {
        POOL.allocate_shared(40).expect("memory at boot").load32(2);
    }
}
