//! Operators that make objects (ACPI 6.5, sections 20.2.5.1 and 20.2.5.2).

use alloc::vec::Vec;

use crate::Error;
use crate::call::{Taken, value};
use crate::error::push;
use crate::field::{BufferField, Field, Region, Space};
use crate::machine::Machine;
use crate::namespace::{Kind, Method, NodeId};
use crate::operand::op;
use crate::stream::{Path, Segment};
use crate::value::Place;

/// The next operand, a name.
fn path(taken: &mut impl Iterator<Item = Taken>) -> Result<Path, Error> {
    match taken.next() {
        Some(Taken::Path(path)) => Ok(path),
        _ => Err(Error::Malformed),
    }
}

fn place(taken: &mut impl Iterator<Item = Taken>) -> Result<Place, Error> {
    match taken.next() {
        Some(Taken::Place(place)) => Ok(place),
        _ => Err(Error::BadType),
    }
}

/// An element of the list of a field.
enum Unit {
    /// A field of so many bits.
    Named(Segment, usize),
    /// Bits that are passed over.
    Gap(usize),
    /// Bytes of an access, from here on; 0: any.
    Access(u8),
}

impl Machine<'_> {
    fn add(&mut self, path: &Path, kind: Kind) -> Result<NodeId, Error> {
        let scope = self.current()?.scope;
        let (parent, name) = self.aml.space.place_for(scope, path)?;
        self.aml.space.add(parent, name, kind)
    }

    /// Makes an object by an operator with fixed operands.
    pub(crate) fn make(
        &mut self,
        code: u16,
        taken: &mut impl Iterator<Item = Taken>,
    ) -> Result<(), Error> {
        match code {
            op::NAME => {
                let (path, value) = (path(taken)?, value(taken)?);
                self.add(&path, Kind::Value(value))?;
            }
            op::ALIAS => {
                let (Place::Object(of), path) = (place(taken)?, path(taken)?) else {
                    return Err(Error::BadType);
                };
                self.add(&path, Kind::Alias(of))?;
            }
            // It is in another table, or is not there: whoever needs it will see.
            op::EXTERNAL => {}
            op::MUTEX | op::EVENT => {
                let path = path(taken)?;
                self.add(&path, Kind::Opaque)?;
            }
            op::REGION => {
                let path = path(taken)?;
                let space = Space::new(self.integer(taken)?);
                let (start, bytes) = (self.integer(taken)?, self.integer(taken)?);
                let device = self.current()?.scope;
                self.add(&path, Kind::Region(Region { space, start, bytes, device }))?;
            }
            op::DATA_REGION => {
                let path = path(taken)?;
                self.add(&path, Kind::Opaque)?;
            }
            op::CREATE_BIT
            | op::CREATE_BYTE
            | op::CREATE_WORD
            | op::CREATE_DOUBLE_WORD
            | op::CREATE_QUAD_WORD
            | op::CREATE_FIELD => self.make_buffer_field(code, taken)?,
            _ => return Err(Error::Unsupported(code)),
        }
        Ok(())
    }

    fn make_buffer_field(
        &mut self,
        code: u16,
        taken: &mut impl Iterator<Item = Taken>,
    ) -> Result<(), Error> {
        let buffer = place(taken)?;
        let index = self.integer(taken)?;
        let bytes = |count: u64| Some((index.checked_mul(8)?, count * 8));
        let field = match code {
            op::CREATE_BIT => Some((index, 1)),
            op::CREATE_BYTE => bytes(1),
            op::CREATE_WORD => bytes(2),
            op::CREATE_DOUBLE_WORD => bytes(4),
            op::CREATE_QUAD_WORD => bytes(8),
            _ => Some((index, self.integer(taken)?)),
        };
        let (first, count) = field.ok_or(Error::BadIndex)?;
        let (Ok(first), Ok(count)) = (usize::try_from(first), usize::try_from(count)) else {
            return Err(Error::BadIndex);
        };
        let path = path(taken)?;
        self.add(&path, Kind::BufferField(BufferField { buffer, first, count }))?;
        Ok(())
    }

    /// Makes an object by an operator with a length.
    pub(crate) fn define(&mut self, code: u16) -> Result<(), Error> {
        match code {
            op::SCOPE
            | op::DEVICE
            | op::PROCESSOR
            | op::POWER_RESOURCE
            | op::THERMAL_ZONE
            | op::METHOD
            | op::FIELD
            | op::INDEX_FIELD
            | op::BANK_FIELD => {}
            _ => return Err(Error::Unsupported(code)),
        }
        let end = self.fetch(|code| code.package_end())?;
        match self.define_until(code, end) {
            // What is wrong in it concerns nothing behind it.
            Err(error) if self.is_loading() && error != Error::TooLong => {
                self.note(error)?;
                self.jump(end)
            }
            other => other,
        }
    }

    fn define_until(&mut self, code: u16, end: usize) -> Result<(), Error> {
        let path = self.fetch(|code| code.path())?;
        match code {
            op::SCOPE => {
                let scope = self.current()?.scope;
                let node = self.aml.space.resolve(scope, &path)?;
                self.enter_scope(node, end)
            }
            op::DEVICE => self.enter_new(&path, Kind::Device, 0, end),
            op::PROCESSOR => self.enter_new(&path, Kind::Scope, 6, end),
            op::POWER_RESOURCE => self.enter_new(&path, Kind::Scope, 3, end),
            op::THERMAL_ZONE => self.enter_new(&path, Kind::Scope, 0, end),
            op::METHOD => {
                let flags = self.fetch(|code| code.byte())?;
                let (table, start) = self.place()?;
                let method = Method { table, start, end, arguments: usize::from(flags & 7) };
                self.add(&path, Kind::Method(method))?;
                self.jump(end)
            }
            op::FIELD => self.define_fields(&path, end),
            // They take a write to be read.
            _ => self.define_opaque_fields(code, end),
        }
    }

    /// Makes an object that others are in, and enters it, behind `skipped` bytes.
    fn enter_new(
        &mut self,
        path: &Path,
        kind: Kind,
        skipped: usize,
        end: usize,
    ) -> Result<(), Error> {
        self.fetch(|code| code.bytes(skipped).map(|_| ()))?;
        let node = self.add(path, kind)?;
        self.enter_scope(node, end)
    }

    /// The next element of a list of fields.
    fn unit(&mut self) -> Result<Unit, Error> {
        self.fetch(|code| match code.peek().ok_or(Error::Malformed)? {
            0x00 => {
                code.byte()?;
                code.bit_count().map(Unit::Gap)
            }
            0x01 => {
                code.byte()?;
                let kind = code.byte()?;
                code.byte()?;
                Ok(Unit::Access(kind & 0xf))
            }
            0x03 => {
                code.byte()?;
                let kind = code.byte()?;
                code.bytes(2)?;
                Ok(Unit::Access(kind & 0xf))
            }
            0x02 => Err(Error::Unsupported(0x02)), // a connection
            _ => Ok(Unit::Named(code.segment()?, code.bit_count()?)),
        })
    }

    /// The elements of a list of fields that ends at `end`.
    fn units(&mut self, end: usize) -> Result<Vec<Unit>, Error> {
        let mut units = Vec::new();
        while self.place()?.1 < end {
            self.spend(1)?;
            let unit = self.unit()?;
            push(&mut units, unit)?;
        }
        Ok(units)
    }

    fn define_fields(&mut self, region: &Path, end: usize) -> Result<(), Error> {
        let scope = self.current()?.scope;
        let region = self.aml.space.resolve(scope, region)?;
        let flags = self.fetch(|code| code.byte())?;
        let mut access = flags & 0xf;
        let mut first = 0usize;
        for unit in self.units(end)? {
            let count = match unit {
                Unit::Gap(count) => count,
                Unit::Access(kind) => {
                    access = kind;
                    0
                }
                Unit::Named(name, count) => {
                    let field = Field { region, first, count, access };
                    self.aml.space.add(scope, name, Kind::Field(field))?;
                    count
                }
            };
            first = first.checked_add(count).ok_or(Error::BadIndex)?;
        }
        Ok(())
    }

    /// Fields whose names are to be known, and whose values are not.
    fn define_opaque_fields(&mut self, code: u16, end: usize) -> Result<(), Error> {
        let scope = self.current()?.scope;
        self.fetch(|code| code.path())?;
        if code == op::BANK_FIELD {
            // The value of the bank, a term: constants alone are known here.
            self.fetch(|code| match code.byte()? {
                0x00 | 0x01 | 0xff => Ok(()),
                0x0a => code.bytes(1).map(|_| ()),
                0x0b => code.bytes(2).map(|_| ()),
                0x0c => code.bytes(4).map(|_| ()),
                other => Err(Error::Unsupported(other.into())),
            })?;
        }
        self.fetch(|code| code.byte())?;
        for unit in self.units(end)? {
            if let Unit::Named(name, _) = unit {
                self.aml.space.add(scope, name, Kind::Opaque)?;
            }
        }
        Ok(())
    }
}
