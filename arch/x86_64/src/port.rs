//! Port I/O: [`Port`], one I/O port of a fixed width.

use core::arch::asm;
use core::marker::PhantomData;

mod sealed {
    pub trait Sealed {}
}

/// A width that the `in` and `out` instructions have: `u8`, `u16`, `u32`.
pub trait PortWidth: sealed::Sealed + Copy {
    /// Reads from `port`.
    ///
    /// # Safety
    /// As [`Port::new`].
    unsafe fn read(port: u16) -> Self;
    /// Writes to `port`.
    ///
    /// # Safety
    /// As [`Port::new`].
    unsafe fn write(port: u16, value: Self);
}

macro_rules! port_width {
    ($type:ty, $register:tt) => {
        impl sealed::Sealed for $type {}
        impl PortWidth for $type {
            unsafe fn read(port: u16) -> Self {
                let value;
                // SAFETY: the caller owns the port; the instruction itself touches
                // no memory.
                unsafe {
                    asm!(concat!("in ", $register, ", dx"), out($register) value, in("dx") port,
                        options(nomem, nostack, preserves_flags));
                }
                value
            }
            unsafe fn write(port: u16, value: Self) {
                // SAFETY: the caller owns the port and answers for what the device
                // then does.
                unsafe {
                    asm!(concat!("out dx, ", $register), in("dx") port, in($register) value,
                        options(nostack, preserves_flags));
                }
            }
        }
    };
}

port_width!(u8, "al");
port_width!(u16, "ax");
port_width!(u32, "eax");

/// One I/O port.
#[derive(Clone, Copy, Debug)]
pub struct Port<T: PortWidth> {
    number: u16,
    width: PhantomData<T>,
}

impl<T: PortWidth> Port<T> {
    /// The port `number`.
    ///
    /// # Safety
    /// The caller must own the device behind the port, and no access through this
    /// value may make that device break memory safety (by DMA, a reset, …).
    pub const unsafe fn new(number: u16) -> Self {
        Self { number, width: PhantomData }
    }

    /// Reads the port; the device may change by it.
    pub fn read(&self) -> T {
        // SAFETY: `new`'s caller owns the device.
        unsafe { T::read(self.number) }
    }

    /// Writes the port.
    pub fn write(&self, value: T) {
        // SAFETY: `new`'s caller owns the device.
        unsafe { T::write(self.number, value) }
    }
}
