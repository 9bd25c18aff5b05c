//! Floor 0: finds what is to be written to the PM1 control registers to switch a machine
//! off: the `\_S5_` object in the AML of a DSDT or SSDT (ACPI specification 6.5, sections
//! 7.4.2 and 20.2).
//!
//! This is no AML interpreter. It looks for a name object called `_S5_` whose value is a
//! package of integer constants, as compilers write it for every known machine:
//! `Name (_S5, Package () { 5, 5, 0, 0 })`.
//!
//! ```
//! let aml = [0x08, b'_', b'S', b'5', b'_', 0x12, 0x06, 0x04, 0x0a, 5, 0, 0, 0];
//! assert_eq!(aml_s5::find(&aml), Ok(aml_s5::SleepTypes { pm1a: 5, pm1b: 0 }));
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

use core::fmt;

/// The sleep types of S5, three bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SleepTypes {
    /// For the PM1a control register.
    pub pm1a: u8,
    /// For the PM1b control register.
    pub pm1b: u8,
}

/// Why there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum S5Error {
    /// The AML has no name object `_S5_`.
    Absent,
    /// It has one whose value is not a package of constants from 0 to 7.
    NotUnderstood,
}

impl fmt::Display for S5Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "the AML has no object _S5_",
            Self::NotUnderstood => "the AML's object _S5_ is not a package of sleep types",
        })
    }
}

impl core::error::Error for S5Error {}

/// The sleep type has three bits.
const MAX_SLEEP_TYPE: u64 = 7;

const NAME_OP: u8 = 0x08;
const ROOT: u8 = b'\\';
const PARENT: u8 = b'^';
const PACKAGE_OP: u8 = 0x12;

/// The sleep types of S5 in `aml`, the bytes of a table behind its header.
///
/// # Errors
/// As [`S5Error`] says. If there are several objects the first that is understood counts.
pub fn find(aml: &[u8]) -> Result<SleepTypes, S5Error> {
    let mut error = S5Error::Absent;
    for at in 0..aml.len() {
        let Some(rest) = aml.get(at..).and_then(|rest| rest.strip_prefix(b"_S5_")) else {
            continue;
        };
        if !is_named(aml.get(..at).unwrap_or_default()) {
            continue; // a string, or a use of the name
        }
        match package(rest) {
            Some(types) => return Ok(types),
            None => error = S5Error::NotUnderstood,
        }
    }
    Err(error)
}

/// Whether `before` ends with a NameOp, and perhaps the root or parents.
fn is_named(before: &[u8]) -> bool {
    let mut before = before;
    if let [rest @ .., ROOT] = before {
        before = rest;
    }
    while let [rest @ .., PARENT] = before {
        before = rest;
    }
    before.last() == Some(&NAME_OP)
}

/// The first two elements of the package at the start of `aml`. One that is not there is 0.
fn package(aml: &[u8]) -> Option<SleepTypes> {
    let (&op, aml) = aml.split_first()?;
    if op != PACKAGE_OP {
        return None;
    }
    let (length, aml) = package_length(aml)?;
    let (&count, mut elements) = aml.get(..length)?.split_first()?;
    let mut next = || -> Option<u8> {
        let (value, rest) = integer(elements)?;
        elements = rest;
        u8::try_from(value).ok().filter(|&value| u64::from(value) <= MAX_SLEEP_TYPE)
    };
    if count == 0 {
        return None;
    }
    let pm1a = next()?;
    let pm1b = if count > 1 { next()? } else { 0 };
    Some(SleepTypes { pm1a, pm1b })
}

/// A PkgLength: how many bytes of the package follow it.
fn package_length(aml: &[u8]) -> Option<(usize, &[u8])> {
    let (&lead, rest) = aml.split_first()?;
    let more = usize::from(lead >> 6);
    let (bytes, rest) = rest.split_at_checked(more)?;
    let low = usize::from(if more == 0 { lead & 0x3f } else { lead & 0x0f });
    let high = bytes.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
    // It counts itself.
    Some(((low | high << 4).checked_sub(1 + more)?, rest))
}

/// An integer constant.
fn integer(aml: &[u8]) -> Option<(u64, &[u8])> {
    let (&op, rest) = aml.split_first()?;
    let bytes = match op {
        0x00 => return Some((0, rest)),
        0x01 => return Some((1, rest)),
        0x0a => 1,
        0x0b => 2,
        0x0c => 4,
        0x0e => 8,
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(bytes)?;
    Some((value.iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte)), rest))
}

#[cfg(test)]
mod tests;
