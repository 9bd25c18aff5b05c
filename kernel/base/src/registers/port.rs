//! Registers behind I/O ports: [`PortRegister`], the offset of one in a claimed range, with
//! its width and what may be done with it.
//!
//! ```ignore
//! const LINE_STATUS: PortRegister<u8, Readable> = PortRegister::new(5);
//! let status = LINE_STATUS.read(&ports);
//! ```

use core::marker::PhantomData;

use super::Width;
use crate::io_ports::IoPorts;

/// The register can be read.
#[derive(Clone, Copy, Debug)]
pub enum Readable {}
/// The register can be written.
#[derive(Clone, Copy, Debug)]
pub enum Writable {}
/// The register can be read and written.
#[derive(Clone, Copy, Debug)]
pub enum ReadableWritable {}

/// What may be done with a register.
pub trait Access {}
/// It can be read.
pub trait CanRead: Access {}
/// It can be written.
pub trait CanWrite: Access {}

impl Access for Readable {}
impl Access for Writable {}
impl Access for ReadableWritable {}
impl CanRead for Readable {}
impl CanRead for ReadableWritable {}
impl CanWrite for Writable {}
impl CanWrite for ReadableWritable {}

/// A width of port accesses.
pub trait PortWidth: Width {
    /// Reads the port at `offset` of a claimed range.
    fn read(ports: &IoPorts, offset: u16) -> Self;
    /// Writes it.
    fn write(ports: &IoPorts, offset: u16, value: Self);
}

impl PortWidth for u8 {
    fn read(ports: &IoPorts, offset: u16) -> Self {
        ports.read(offset)
    }
    fn write(ports: &IoPorts, offset: u16, value: Self) {
        ports.write(offset, value);
    }
}

impl PortWidth for u16 {
    fn read(ports: &IoPorts, offset: u16) -> Self {
        ports.read_u16(offset)
    }
    fn write(ports: &IoPorts, offset: u16, value: Self) {
        ports.write_u16(offset, value);
    }
}

impl PortWidth for u32 {
    fn read(ports: &IoPorts, offset: u16) -> Self {
        ports.read_u32(offset)
    }
    fn write(ports: &IoPorts, offset: u16, value: Self) {
        ports.write_u32(offset, value);
    }
}

/// A register of width `T` at an offset into a range of ports.
#[derive(Clone, Copy, Debug)]
pub struct PortRegister<T, A> {
    offset: u16,
    kind: PhantomData<(T, A)>,
}

impl<T: PortWidth, A: Access> PortRegister<T, A> {
    /// The register at `offset`.
    pub const fn new(offset: u16) -> Self {
        Self { offset, kind: PhantomData }
    }

    /// Its value now.
    ///
    /// # Panics
    /// If it lies outside of `ports`.
    pub fn read(self, ports: &IoPorts) -> T
    where
        A: CanRead,
    {
        T::read(ports, self.offset)
    }

    /// Writes it.
    ///
    /// # Panics
    /// If it lies outside of `ports`.
    pub fn write(self, ports: &IoPorts, value: T)
    where
        A: CanWrite,
    {
        T::write(ports, self.offset, value);
    }
}
