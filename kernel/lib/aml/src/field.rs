//! Fields: bits of a region of registers, or of a buffer (ACPI 6.5, sections 19.6.48 and
//! 19.6.114).

use crate::machine::Machine;
use crate::namespace::{Kind, NodeId};
use crate::value::Place;
use crate::{Aml, Error, Value};

/// What a region's addresses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// Physical memory.
    Memory,
    /// I/O ports.
    Io,
    /// The configuration space of a PCI function.
    PciConfig,
    /// Something else: an embedded controller, a bus of small devices.
    Other(u8),
}

impl Space {
    pub(crate) fn new(number: u64) -> Self {
        match number {
            0 => Self::Memory,
            1 => Self::Io,
            2 => Self::PciConfig,
            other => Self::Other(u8::try_from(other).unwrap_or(u8::MAX)),
        }
    }
}

/// A PCI function directly on a root bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciPlace {
    /// The segment (`_SEG`).
    pub segment: u16,
    /// The root bus (`_BBN`).
    pub bus: u8,
    /// Device on it.
    pub device: u8,
    /// Function of that.
    pub function: u8,
}

/// The machine, as far as AML may look at it. Whoever lets a register be read knows that this
/// changes nothing; `None`: it may not be read.
pub trait Host {
    /// The `bytes` bytes (1, 2, 4 or 8) at a physical address.
    fn read_memory(&mut self, address: u64, bytes: usize) -> Option<u64>;
    /// The register of `bytes` bytes (1, 2 or 4) at `offset` into a configuration space.
    fn read_pci(&mut self, place: PciPlace, offset: u16, bytes: usize) -> Option<u64>;
}

/// A machine that nothing is read of.
#[derive(Clone, Copy, Debug)]
pub struct NoHost;

impl Host for NoHost {
    fn read_memory(&mut self, _: u64, _: usize) -> Option<u64> {
        None
    }

    fn read_pci(&mut self, _: PciPlace, _: u16, _: usize) -> Option<u64> {
        None
    }
}

/// A region of registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    pub(crate) space: Space,
    pub(crate) start: u64,
    pub(crate) bytes: u64,
    /// What it is in: the PCI function, for configuration space.
    pub(crate) device: NodeId,
}

/// Bits of a region.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) region: NodeId,
    pub(crate) first: usize,
    pub(crate) count: usize,
    /// How it is accessed: 0 any, 1 bytes, 2 words, 3 double words, 4 quad words.
    pub(crate) access: u8,
}

/// Bits of a buffer.
#[derive(Clone, Debug)]
pub(crate) struct BufferField {
    pub(crate) buffer: Place,
    pub(crate) first: usize,
    pub(crate) count: usize,
}

/// The lowest `count` bits, up to 64.
fn mask(count: usize) -> u64 {
    u64::MAX.checked_shr(64 - count.clamp(1, 64) as u32).unwrap_or(u64::MAX)
}

impl Aml {
    /// The integer that an object is, without running anything.
    fn constant(&self, scope: NodeId, name: [u8; 4]) -> Option<u64> {
        let node = self.space.child(scope, name)?;
        match &self.space.get(node)?.kind {
            Kind::Value(Value::Integer(value)) => Some(*value),
            _ => None,
        }
    }

    /// The PCI function that the device `node` is, if it stands directly on a root bus and
    /// says where by constants.
    fn pci_place(&self, node: NodeId) -> Option<PciPlace> {
        let address = self.constant(node, *b"_ADR")?;
        let root = self.space.parent(node);
        // A host bridge has an id, and what is behind another bridge has none.
        self.space.child(root, *b"_HID")?;
        Some(PciPlace {
            segment: self.constant(root, *b"_SEG").unwrap_or(0) as u16,
            bus: self.constant(root, *b"_BBN").unwrap_or(0) as u8,
            device: (address >> 16) as u8 & 31,
            function: address as u8 & 7,
        })
    }
}

impl Machine<'_> {
    pub(crate) fn read_field(&mut self, node: NodeId) -> Result<u64, Error> {
        let Some(Kind::Field(field)) = self.aml.space.get(node).map(|node| &node.kind) else {
            return Err(Error::BadType);
        };
        let field = *field;
        let region = match self.aml.space.get(field.region).map(|node| &node.kind) {
            Some(Kind::Region(region)) => *region,
            _ => return Err(Error::NotReadable),
        };
        if field.count == 0 || field.count > 64 {
            return Err(Error::NotReadable);
        }
        let width = match field.access {
            0 | 1 => 1,
            2 => 2,
            3 => 4,
            4 if region.space == Space::Memory => 8,
            _ => return Err(Error::NotReadable),
        };
        let bits = width * 8;
        let end = field.first.checked_add(field.count).ok_or(Error::BadIndex)?;
        let mut value = 0u64;
        for unit in field.first / bits..end.div_ceil(bits) {
            let offset = (unit * width) as u64;
            if offset + width as u64 > region.bytes {
                return Err(Error::BadIndex);
            }
            let part = self.read_region(&region, offset, width)?;
            // Where the unit begins, seen from the field.
            let at = unit as i128 * bits as i128 - field.first as i128;
            value |= match u32::try_from(at.unsigned_abs()) {
                Ok(shift) if at >= 0 => part.checked_shl(shift).unwrap_or(0),
                Ok(shift) => part.checked_shr(shift).unwrap_or(0),
                Err(_) => 0,
            };
        }
        Ok(value & mask(field.count))
    }

    fn read_region(&mut self, region: &Region, offset: u64, bytes: usize) -> Result<u64, Error> {
        let address = region.start.checked_add(offset).ok_or(Error::BadIndex)?;
        let read = match region.space {
            Space::Memory => self.host.read_memory(address, bytes),
            Space::PciConfig => {
                let place = self.aml.pci_place(region.device).ok_or(Error::NotReadable)?;
                let offset = u16::try_from(address).map_err(|_| Error::BadIndex)?;
                self.host.read_pci(place, offset, bytes)
            }
            // Reading them may have effects.
            Space::Io | Space::Other(_) => None,
        };
        read.map(|value| value & mask(bytes * 8)).ok_or(Error::NotReadable)
    }

    /// Whether a field is of the I/O port 0x80, where firmware shows how far it has come:
    /// many a `_PIC` does.
    pub(crate) fn is_of_diagnostic_port(&self, node: NodeId) -> bool {
        let Some(Kind::Field(field)) = self.aml.space.get(node).map(|node| &node.kind) else {
            return false;
        };
        match self.aml.space.get(field.region).map(|node| &node.kind) {
            Some(Kind::Region(region)) => {
                (region.space, region.start, region.bytes) == (Space::Io, 0x80, 1)
            }
            _ => false,
        }
    }

    fn buffer_field(&self, node: NodeId) -> Result<BufferField, Error> {
        match self.aml.space.get(node).map(|node| &node.kind) {
            Some(Kind::BufferField(field)) if (1..=64).contains(&field.count) => Ok(field.clone()),
            _ => Err(Error::NotReadable),
        }
    }

    pub(crate) fn read_buffer_field(&mut self, node: NodeId) -> Result<u64, Error> {
        let BufferField { buffer, first, count } = self.buffer_field(node)?;
        let Value::Buffer(bytes) = self.load(&buffer)? else { return Err(Error::BadType) };
        let mut value = 0;
        for bit in 0..count {
            let at = first.checked_add(bit).ok_or(Error::BadIndex)?;
            let byte = bytes.get(at / 8).ok_or(Error::BadIndex)?;
            value |= u64::from(byte >> (at % 8) & 1) << bit;
        }
        Ok(value)
    }

    pub(crate) fn write_buffer_field(&mut self, node: NodeId, value: u64) -> Result<(), Error> {
        let BufferField { buffer, first, count } = self.buffer_field(node)?;
        let Value::Buffer(mut bytes) = self.load(&buffer)? else { return Err(Error::BadType) };
        for bit in 0..count {
            let at = first.checked_add(bit).ok_or(Error::BadIndex)?;
            let byte = bytes.get_mut(at / 8).ok_or(Error::BadIndex)?;
            *byte = *byte & !(1 << (at % 8)) | ((value >> bit & 1) as u8) << (at % 8);
        }
        self.store(&buffer, Value::Buffer(bytes))
    }
}
