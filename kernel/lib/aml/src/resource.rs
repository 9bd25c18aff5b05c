//! Resource templates: what a device uses, in a buffer of descriptors (ACPI 6.5, section 6.4).

use crate::Error;

/// An interrupt line of the machine, and how it is wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The global system interrupt.
    pub gsi: u32,
    /// It interrupts as long as it is active, and otherwise when it becomes active.
    pub level: bool,
    /// It is active while it is low.
    pub active_low: bool,
}

/// What a range of addresses is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeKind {
    /// Physical memory.
    Memory,
    /// I/O ports.
    Io,
    /// Numbers of buses.
    Buses,
}

/// A range of addresses that a bridge lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Of what.
    pub kind: RangeKind,
    /// The first address.
    pub first: u64,
    /// The last address, not less than the first.
    pub last: u64,
}

/// A descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The first line of an interrupt descriptor. There is none in one that is not set.
    Interrupt(Option<Line>),
    /// A range that is handed on to what is behind. There is none in an empty one, or in one
    /// whose addresses are others behind.
    Produced(Option<Range>),
    /// Something else.
    Other,
}

fn integer(bytes: &[u8], at: usize, count: usize) -> Result<u64, Error> {
    let end = at.checked_add(count).ok_or(Error::Malformed)?;
    let bytes = bytes.get(at..end).ok_or(Error::Malformed)?;
    Ok(bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

/// An IRQ descriptor (section 6.4.2.1): a mask of ISA lines, and perhaps how they are wired.
fn isa_lines(body: &[u8]) -> Result<Resource, Error> {
    let mask = integer(body, 0, 2)?;
    // Without the flags it is as ISA lines are.
    let flags = if body.len() > 2 { integer(body, 2, 1)? } else { 1 };
    let line = (mask != 0).then(|| Line {
        gsi: mask.trailing_zeros(),
        level: flags & 1 == 0,
        active_low: flags & 8 != 0,
    });
    Ok(Resource::Interrupt(line))
}

/// An extended interrupt descriptor (section 6.4.3.6).
fn lines(body: &[u8]) -> Result<Resource, Error> {
    let (flags, count) = (integer(body, 0, 1)?, integer(body, 1, 1)?);
    if count == 0 {
        return Ok(Resource::Interrupt(None));
    }
    let gsi = integer(body, 2, 4)? as u32;
    let line = Line { gsi, level: flags & 2 == 0, active_low: flags & 4 != 0 };
    Ok(Resource::Interrupt(Some(line)))
}

/// An address space descriptor (section 6.4.3.5), with numbers of `width` bytes.
fn addresses(body: &[u8], width: usize) -> Result<Resource, Error> {
    let kind = match integer(body, 0, 1)? {
        0 => RangeKind::Memory,
        1 => RangeKind::Io,
        2 => RangeKind::Buses,
        _ => return Ok(Resource::Other),
    };
    let consumed = integer(body, 1, 1)? & 1 != 0;
    let number = |index: usize| integer(body, 3 + index * width, width);
    let (first, last, translation, length) = (number(1)?, number(2)?, number(3)?, number(4)?);
    let is_good = first <= last && translation == 0 && length != 0;
    match (consumed, is_good) {
        (true, _) => Ok(Resource::Other),
        (false, true) => Ok(Resource::Produced(Some(Range { kind, first, last }))),
        (false, false) => Ok(Resource::Produced(None)),
    }
}

/// The descriptors of a template, up to its end tag. What is malformed ends them with an
/// error.
pub fn resources(template: &[u8]) -> impl Iterator<Item = Result<Resource, Error>> {
    let mut rest = Some(template);
    core::iter::from_fn(move || {
        let bytes = rest.take()?;
        match next(bytes) {
            Ok(Some((resource, behind))) => {
                rest = Some(behind);
                Some(Ok(resource))
            }
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    })
}

/// The first descriptor, and what is behind it; `None` at the end tag.
fn next(bytes: &[u8]) -> Result<Option<(Resource, &[u8])>, Error> {
    let (&tag, rest) = bytes.split_first().ok_or(Error::Malformed)?;
    if tag & 0x80 == 0 {
        // A small one: its kind and length in one byte.
        let split = rest.split_at_checked(usize::from(tag & 7));
        let (body, rest) = split.ok_or(Error::Malformed)?;
        return match tag >> 3 {
            0x0f => Ok(None),
            0x04 => Ok(Some((isa_lines(body)?, rest))),
            _ => Ok(Some((Resource::Other, rest))),
        };
    }
    let length = integer(rest, 0, 2)? as usize;
    let split = rest.get(2..).and_then(|rest| rest.split_at_checked(length));
    let (body, rest) = split.ok_or(Error::Malformed)?;
    let resource = match tag & 0x7f {
        0x07 => addresses(body, 4)?,
        0x08 => addresses(body, 2)?,
        0x09 => lines(body)?,
        0x0a => addresses(body, 8)?,
        _ => Resource::Other,
    };
    Ok(Some((resource, rest)))
}
