//! The lists of capabilities (PCI 3.0, section 6.7; PCI Express, section 7.9.3): linked by
//! offsets that a damaged function may have any way it likes, so each place is visited once.

use core::fmt;

use crate::ConfigSpace;
use crate::header::{offset, status};

/// A capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Of [`capability_id`](crate::capability_id).
    pub id: u8,
    /// Where it begins: from 0x40 on, a multiple of four.
    pub offset: u8,
}

/// An extended capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedCapability {
    /// See [`extended_id`](crate::extended_id).
    pub id: u16,
    /// Of its layout.
    pub version: u8,
    /// Where it begins: from 0x100 on, a multiple of four.
    pub offset: u16,
}

/// Why a list ends before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListError {
    /// An offset leads to where the list has been.
    Loop(u16),
    /// An offset leads to where no capability can be.
    BadOffset(u16),
    /// There is nothing where an offset leads.
    Nothing(u16),
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loop(at) => write!(f, "the list of capabilities comes back to {at:#x}"),
            Self::BadOffset(at) => write!(f, "the list of capabilities goes on at {at:#x}"),
            Self::Nothing(at) => write!(f, "there is no capability at {at:#x}"),
        }
    }
}

impl core::error::Error for ListError {}

/// Places that have been visited: a bit for each double word of a space.
struct Visited([u64; 16]);

impl Visited {
    /// Whether `offset` was not visited before.
    fn visit(&mut self, offset: u16) -> bool {
        let index = usize::from(offset / 4);
        let Some(word) = self.0.get_mut(index / 64) else { return false };
        let is_new = *word >> (index % 64) & 1 == 0;
        *word |= 1 << (index % 64);
        is_new
    }
}

/// The capabilities of a function, in the order of their list. One that is damaged ends with
/// an error.
pub fn capabilities<C: ConfigSpace + ?Sized>(
    config: &C,
) -> impl Iterator<Item = Result<Capability, ListError>> {
    let has_list = config.read_u16(offset::STATUS) & status::CAPABILITIES != 0;
    let is_cardbus = config.read_u8(offset::HEADER_TYPE) & 0x7f == 2;
    let first = if is_cardbus { offset::CARDBUS_CAPABILITIES } else { offset::CAPABILITIES };
    let mut next = has_list.then(|| config.read_u8(first));
    let mut visited = Visited([0; 16]);
    core::iter::from_fn(move || {
        // The low two bits are reserved.
        let at = next.take()? & !3;
        if at == 0 {
            return None;
        }
        let wide = u16::from(at);
        if at < 0x40 {
            return Some(Err(ListError::BadOffset(wide)));
        }
        if !visited.visit(wide) {
            return Some(Err(ListError::Loop(wide)));
        }
        let [id, following, ..] = config.read(wide).to_le_bytes();
        if id == 0xff {
            return Some(Err(ListError::Nothing(wide)));
        }
        next = Some(following);
        Some(Ok(Capability { id, offset: at }))
    })
}

/// The extended capabilities of a function, as [`capabilities`].
pub fn extended_capabilities<C: ConfigSpace + ?Sized>(
    config: &C,
) -> impl Iterator<Item = Result<ExtendedCapability, ListError>> {
    let mut next = config.is_extended().then_some(offset::EXTENDED);
    let mut visited = Visited([0; 16]);
    core::iter::from_fn(move || {
        let at = next.take()?;
        if at < offset::EXTENDED {
            return Some(Err(ListError::BadOffset(at)));
        }
        if !visited.visit(at) {
            return Some(Err(ListError::Loop(at)));
        }
        let header = config.read(at);
        // A function without any has zeros or ones at the first place.
        if header == 0 || header == u32::MAX {
            return (at != offset::EXTENDED).then_some(Err(ListError::Nothing(at)));
        }
        let following = (header >> 20) as u16 & !3;
        next = (following != 0).then_some(following);
        let version = (header >> 16) as u8 & 0xf;
        Some(Ok(ExtendedCapability { id: header as u16, version, offset: at }))
    })
}
