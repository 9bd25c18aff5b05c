//! Registers of devices in mapped device memory: [`Registers`], one block, and
//! [`RegisterArray`], blocks at equal distances. What blocks are made of is told in
//! [`base::registers`].

use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;

use base::registers::RegisterBlock;

use super::{DeviceMapError, IoMem};

/// The block `L` somewhere in device memory, which stays mapped as long as this lives.
pub struct Registers<L> {
    array: RegisterArray<L>,
}

impl<L: RegisterBlock> Registers<L> {
    /// The block at `offset` bytes into `memory`.
    ///
    /// # Errors
    /// `BadRange` if it does not lie in there, or is not aligned as its registers must be.
    pub fn new(memory: &Arc<IoMem>, offset: usize) -> Result<Self, DeviceMapError> {
        Ok(Self { array: RegisterArray::new(memory, offset, size_of::<L>(), 1)? })
    }
}

impl<L: RegisterBlock> Deref for Registers<L> {
    type Target = L;

    fn deref(&self) -> &L {
        // SAFETY: the first of one block, which `new` has checked.
        unsafe { self.array.block(0) }
    }
}

impl<L> Clone for Registers<L> {
    fn clone(&self) -> Self {
        Self { array: self.array.clone() }
    }
}

impl<L: RegisterBlock + fmt::Debug> fmt::Debug for Registers<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Blocks `L` at equal distances in device memory, such as the entries of an MSI-X table.
pub struct RegisterArray<L> {
    memory: Arc<IoMem>,
    /// Of the first one, from the start of the memory, in bytes; as the distance.
    offset: usize,
    stride: usize,
    count: usize,
    layout: PhantomData<fn() -> L>,
}

impl<L: RegisterBlock> RegisterArray<L> {
    /// `count` blocks, the first at `offset` bytes into `memory`, each `stride` bytes behind
    /// the one before.
    ///
    /// # Errors
    /// `BadRange` if they do not all lie in there, or are not aligned as their registers must
    /// be, or overlap.
    pub fn new(
        memory: &Arc<IoMem>,
        offset: usize,
        stride: usize,
        count: usize,
    ) -> Result<Self, DeviceMapError> {
        let last = count.checked_sub(1).and_then(|count| count.checked_mul(stride));
        let end = last
            .and_then(|last| last.checked_add(size_of::<L>())?.checked_add(offset))
            .filter(|&end| end <= memory.len());
        let align = align_of::<L>();
        let is_aligned = stride.is_multiple_of(align)
            && (memory.address().as_u64() as usize).wrapping_add(offset).is_multiple_of(align);
        if end.is_none() || !is_aligned || (count > 1 && stride < size_of::<L>()) {
            return Err(DeviceMapError::BadRange);
        }
        Ok(Self { memory: memory.clone(), offset, stride, count, layout: PhantomData })
    }

    /// # Safety
    /// `index` is less than `count`.
    unsafe fn block(&self, index: usize) -> &L {
        let start = self.memory.address().as_ptr::<u8>();
        // SAFETY: `new` has checked that the block lies in the mapped memory, aligned;
        // it is made of cells, of which any bytes are valid and which may change at any
        // time; the memory stays mapped as long as `self` is borrowed.
        unsafe { &*start.add(self.offset + index * self.stride).cast::<L>() }
    }

    /// The block with that number; `None` past the end.
    pub fn at(&self, index: usize) -> Option<&L> {
        // SAFETY: it is one of them.
        (index < self.count).then(|| unsafe { self.block(index) })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none; there always are.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<L> Clone for RegisterArray<L> {
    fn clone(&self) -> Self {
        Self { memory: self.memory.clone(), ..*self }
    }
}

impl<L> fmt::Debug for RegisterArray<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} blocks at {:#x} in {:?}", self.count, self.offset, self.memory)
    }
}

#[cfg(not(test))]
#[base::kernel_test]
fn register_blocks_stay_in_their_memory() {
    use base::registers::{ReadOnly, ReadWrite};
    base::registers! {
        struct Entry: 8 bytes {
            0 => first: ReadOnly<u32>,
            4 => second: ReadWrite<u32>,
        }
    }
    // The local APIC's identification and version, at 0x20 and 0x30 (Intel SDM vol. 3, 11.4.1).
    let memory = Arc::new(IoMem::map(0xfee0_0000, 0x1000).expect("the local APIC's page"));
    let array = RegisterArray::<Entry>::new(&memory, 0x20, 16, 2).expect("two blocks");
    if arch::irqchip::lapic::mode() == arch::irqchip::lapic::Mode::XApic {
        let version = array.at(1).expect("the second").first.read();
        assert!((0x10..=0x15).contains(&(version & 0xff)), "{version:#x}");
    }
    assert!(array.at(2).is_none() && array.len() == 2);
    let bad = |offset, stride, count| {
        RegisterArray::<Entry>::new(&memory, offset, stride, count).err()
            == Some(DeviceMapError::BadRange)
    };
    assert!(bad(0xffc, 8, 1) && bad(0, 8, 513) && bad(2, 8, 1) && bad(0, 4, 2) && bad(0, 8, 0));
    assert!(bad(usize::MAX - 3, 8, 2) && bad(0, usize::MAX & !7, 3));
    assert!(Registers::<Entry>::new(&memory, 0x1000).is_err());
    let last = Registers::<Entry>::new(&memory, 0xff8);
    drop(memory);
    assert!(last.is_ok_and(|last| core::ptr::from_ref(&*last) as usize & 0xfff == 0xff8));
}
