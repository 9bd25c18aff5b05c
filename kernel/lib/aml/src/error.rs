//! What can be wrong with AML, or too much for this evaluator.

use core::fmt;

/// Why something has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The code ends in the middle, or an operand is not of the kind that its operator takes.
    Malformed,
    /// An operator that this evaluator does not have: one byte, or the second one above 0x5b
    /// in the upper byte.
    Unsupported(u16),
    /// There is no object of that name: its last segment.
    NotFound([u8; 4]),
    /// A value is not of the type that is wanted.
    BadType,
    /// An index lies outside of its object.
    BadIndex,
    /// A division by zero.
    DivideByZero,
    /// A method wants to change something in the machine.
    Effect,
    /// A register cannot be read.
    NotReadable,
    /// More steps than an evaluation may take.
    TooLong,
    /// Methods call each other too deeply.
    TooDeep,
    /// No memory.
    OutOfMemory,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the AML is malformed"),
            Self::Unsupported(op) => write!(f, "the AML operator {op:#x} is not supported"),
            Self::NotFound(name) => {
                write!(f, "the AML names {}, which is not there", name.escape_ascii())
            }
            Self::BadType => f.write_str("a value is of the wrong type"),
            Self::BadIndex => f.write_str("an index lies outside of its object"),
            Self::DivideByZero => f.write_str("the AML divides by zero"),
            Self::Effect => f.write_str("the AML wants to change something in the machine"),
            Self::NotReadable => f.write_str("the AML wants to read a register out of reach"),
            Self::TooLong => f.write_str("the AML does not end"),
            Self::TooDeep => f.write_str("methods of the AML call each other too deeply"),
            Self::OutOfMemory => f.write_str("out of memory"),
        }
    }
}

impl core::error::Error for Error {}

/// Adds `value` to `to`.
///
/// # Errors
/// `OutOfMemory`.
pub(crate) fn push<T>(to: &mut alloc::vec::Vec<T>, value: T) -> Result<(), Error> {
    to.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
    to.push(value);
    Ok(())
}
