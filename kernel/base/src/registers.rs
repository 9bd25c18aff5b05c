//! Registers of devices, by type: what a register is in memory ([`ReadOnly`], [`WriteOnly`],
//! [`ReadWrite`], [`ReadEffect`]), blocks of them ([`registers!`](crate::registers!)), and fields
//! of bits ([`Bits`]). Flags of one bit are `bitflags`.
//!
//! A block is a `#[repr(C)]` struct of cells, checked against the offsets of the
//! specification. Nobody makes one: a reference to it comes from mapped device memory
//! (`memory::kernel_space::Registers`). Each access is one volatile load or store of the
//! cell's width, through a raw pointer; the compiler makes no others, since a cell is an
//! `UnsafeCell`. What is behind I/O ports is in [`port`].
//!
//! ```ignore
//! registers! {
//!     /// The capability registers of an xHCI controller (xHCI 1.2, section 5.3).
//!     pub struct Capability: 0x20 bytes {
//!         0x00 => pub length: ReadOnly<u8>,
//!         0x02 => pub version: ReadOnly<u16>,
//!         0x04 => pub parameters: [ReadOnly<u32>; 3],
//!         0x10 => reserved: Reserved<16>,
//!     }
//! }
//! ```

pub mod port;

use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{BitAnd, BitOr, Not, Shl, Shr, Sub};

mod sealed {
    pub trait Sealed {}
}

/// A width that the CPU reads and writes at once.
pub trait Width: Copy + sealed::Sealed {}

macro_rules! widths {
    ($($width:ty)*) => {$(
        impl sealed::Sealed for $width {}
        impl Width for $width {}
    )*};
}
widths!(u8 u16 u32 u64);

/// A type that device memory may be seen as.
///
/// # Safety
/// The type has a fixed layout, consists of the cells of this module alone, and is valid
/// whatever the bytes are.
pub unsafe trait RegisterBlock {}

// SAFETY: an array of what may be seen so.
unsafe impl<T: RegisterBlock, const N: usize> RegisterBlock for [T; N] {}

macro_rules! cells {
    ($($(#[$meta:meta])* $name:ident)*) => {$(
        $(#[$meta])*
        #[repr(transparent)]
        pub struct $name<T: Width>(UnsafeCell<T>);

        // SAFETY: one cell of a width, of which any value is valid.
        unsafe impl<T: Width> RegisterBlock for $name<T> {}
        // SAFETY: an access is one instruction, and a register's owner is its device: what
        // accesses by several CPUs mean is for its driver to order.
        unsafe impl<T: Width> Sync for $name<T> {}

        impl<T: Width> fmt::Debug for $name<T> {
            /// Without reading: that may have effects.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}

cells! {
    /// A register that can be read, without further effect.
    ReadOnly
    /// A register that can be written; what a read would give means nothing.
    WriteOnly
    /// A register that can be read and written; a read has no effect.
    ReadWrite
    /// A register whose reads have an effect, such as to clear what they tell.
    ReadEffect
}

fn load<T: Width>(cell: &UnsafeCell<T>) -> T {
    // SAFETY: the cell stands in mapped memory, aligned, as long as the reference lives.
    unsafe { cell.get().read_volatile() }
}

fn store<T: Width>(cell: &UnsafeCell<T>, value: T) {
    // SAFETY: as `load`.
    unsafe { cell.get().write_volatile(value) }
}

impl<T: Width> ReadOnly<T> {
    /// Its value now.
    #[inline]
    pub fn read(&self) -> T {
        load(&self.0)
    }
}

impl<T: Width> WriteOnly<T> {
    /// Writes it.
    #[inline]
    pub fn write(&self, value: T) {
        store(&self.0, value);
    }
}

impl<T: Width> ReadWrite<T> {
    /// Its value now.
    #[inline]
    pub fn read(&self) -> T {
        load(&self.0)
    }

    /// Writes it.
    #[inline]
    pub fn write(&self, value: T) {
        store(&self.0, value);
    }

    /// Reads it and writes what `change` makes of it: two accesses, between which others may
    /// come.
    #[inline]
    pub fn update(&self, change: impl FnOnce(T) -> T) {
        self.write(change(self.read()));
    }
}

impl<T: Width> ReadEffect<T> {
    /// Reads it, with the effect that has.
    #[inline]
    pub fn take(&self) -> T {
        load(&self.0)
    }
}

/// Bytes that are not to be touched.
#[repr(transparent)]
pub struct Reserved<const BYTES: usize>([UnsafeCell<u8>; BYTES]);

// SAFETY: bytes, which nobody looks at.
unsafe impl<const BYTES: usize> RegisterBlock for Reserved<BYTES> {}
// SAFETY: nobody looks at them.
unsafe impl<const BYTES: usize> Sync for Reserved<BYTES> {}

impl<const BYTES: usize> fmt::Debug for Reserved<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BYTES} bytes")
    }
}

/// Declares blocks of registers, with the offset of each and the bytes of all as the
/// specification has them; a wrong one does not compile. A field may be another block or an
/// array. Trusted code: it says that the struct is made of cells, and has the compiler check
/// that.
#[macro_export]
macro_rules! registers {
    ($(
        $(#[$meta:meta])*
        $vis:vis struct $name:ident: $bytes:literal bytes {
            $($(#[$field_meta:meta])* $offset:literal => $field_vis:vis $field:ident: $type:ty),+ $(,)?
        }
    )+) => {$(
        $(#[$meta])*
        #[repr(C)]
        #[derive(Debug)]
        $vis struct $name { $($(#[$field_meta])* $field_vis $field: $type),+ }

        const _: () = {
            assert!(::core::mem::size_of::<$name>() == $bytes, "the size of the block");
            $(assert!(
                ::core::mem::offset_of!($name, $field) == $offset,
                concat!("the offset of ", stringify!($field))
            );)+
            const fn is_cell<T: $crate::registers::RegisterBlock>() {}
            $(is_cell::<$type>();)+
        };

        // SAFETY: `repr(C)`, and each field is a cell, a block or an array of these, as was
        // checked just above.
        unsafe impl $crate::registers::RegisterBlock for $name {}
    )+};
}

/// A field of bits in a register of width `T`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits<T> {
    first: u32,
    count: u32,
    width: PhantomData<T>,
}

impl<T> Bits<T>
where
    T: Width
        + From<u8>
        + BitAnd<Output = T>
        + BitOr<Output = T>
        + Not<Output = T>
        + Shl<u32, Output = T>
        + Shr<u32, Output = T>
        + Sub<Output = T>,
{
    /// The `count` bits from bit `first` on. In a constant a field that does not fit does not
    /// compile.
    ///
    /// # Panics
    /// If it is empty or does not fit.
    pub const fn new(first: u32, count: u32) -> Self {
        assert!(count > 0 && first + count <= 8 * size_of::<T>() as u32, "no such bits");
        Self { first, count, width: PhantomData }
    }

    fn mask(self) -> T {
        let all = !T::from(0);
        (all >> (8 * size_of::<T>() as u32 - self.count)) << self.first
    }

    /// The field's value in `register`.
    pub fn of(self, register: T) -> T {
        (register & self.mask()) >> self.first
    }

    /// `register` with the field set to `value`, of which bits that do not fit are cut off.
    #[must_use]
    pub fn put(self, register: T, value: T) -> T {
        (register & !self.mask()) | ((value << self.first) & self.mask())
    }
}

#[cfg(not(test))]
mod tests {
    use super::*;

    registers! {
        struct Inner: 8 bytes {
            0 => low: ReadWrite<u32>,
            4 => high: ReadOnly<u32>,
        }
        struct Outer: 0x20 bytes {
            0x00 => kind: ReadOnly<u8>,
            0x01 => gap: Reserved<3>,
            0x04 => command: WriteOnly<u32>,
            0x08 => inner: [Inner; 2],
            0x18 => status: ReadEffect<u64>,
        }
    }

    #[macros::kernel_test]
    fn cells_are_where_the_specification_has_them() {
        let mut memory = [0u64; 4];
        for (index, word) in (0..).zip(&mut memory) {
            *word = 0x1111_1111_1111_1111 * (index + 1);
        }
        let pointer = memory.as_mut_ptr();
        // SAFETY: 32 bytes, aligned to 8, which are borrowed as long as `block` is used.
        let block = unsafe { &*pointer.cast::<Outer>() };
        assert_eq!((block.kind.read(), block.status.take()), (0x11, 0x4444_4444_4444_4444));
        block.command.write(0xabcd_ef01);
        let [first, second] = &block.inner;
        first.low.update(|value| value + 1);
        assert_eq!((first.low.read(), first.high.read()), (0x2222_2223, 0x2222_2222));
        second.low.write(7);
        let after = [0xabcd_ef01_1111_1111, 0x2222_2222_2222_2223, 0x3333_3333_0000_0007];
        assert_eq!(memory[..3], after);
    }

    #[macros::kernel_test]
    fn fields_of_bits() {
        const SLOTS: Bits<u32> = Bits::new(4, 5);
        assert_eq!(SLOTS.of(0x1f3), 0x1f);
        assert_eq!(SLOTS.put(0xffff_ffff, 2), 0xffff_fe2f);
        assert_eq!(SLOTS.put(0, 0x23), 0x30);
        const ALL: Bits<u64> = Bits::new(0, 64);
        assert_eq!(ALL.put(5, u64::MAX), u64::MAX);
    }
}
