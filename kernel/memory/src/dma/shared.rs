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
        #[track_caller]
        fn $at(&self, offset: usize) -> &$cell {
            self.check(offset, size_of::<$cell>());
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

    /// Stores 64 bits to `offset`, in bytes, and 64 bits behind them: each as a whole.
    ///
    /// # Panics
    /// If they are not all inside, or the offset is no multiple of 16.
    #[inline]
    #[track_caller]
    pub fn store64_pair(&self, offset: usize, [first, second]: [u64; 2]) {
        let pair = self.pair(offset);
        pair[0].store(first.to_le(), Ordering::Relaxed);
        pair[1].store(second.to_le(), Ordering::Relaxed);
    }

    #[inline]
    #[track_caller]
    fn pair(&self, offset: usize) -> &[AtomicU64; 2] {
        self.check(offset, 16);
        let start = self.0.address.to_physmap().as_mut_ptr::<u8>();
        // SAFETY: as for single cells; an array of two cells lies as they do.
        unsafe { &*start.add(offset).cast::<[AtomicU64; 2]>() }
    }

    /// # Panics
    /// If `bytes`, a power of two, are not all inside at `offset`, or that is no multiple of them.
    #[inline]
    #[track_caller]
    fn check(&self, offset: usize, bytes: usize) {
        let is_inside = self.len() >= bytes && offset <= self.len() - bytes;
        assert!(
            is_inside && offset & (bytes - 1) == 0,
            "no {bytes} bytes at {offset:#x} of {:#x}",
            self.len()
        );
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
        memory.store64_pair(16, [1, 2]);
        assert_eq!([8, 16, 24, 32].map(|at| memory.load64(at))[1..3], [1, 2]);
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
