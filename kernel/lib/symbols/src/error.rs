//! What can be wrong with a table: [`FormatError`].

use core::fmt;

/// Why bytes are not a symbol table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// They do not begin as one.
    NotATable,
    /// It is of another version of the format.
    OtherVersion {
        /// Which.
        version: u32,
    },
    /// The parts that the header announces do not add up to the length.
    WrongLength {
        /// Bytes that the header announces.
        expected: u64,
        /// Bytes that there are.
        actual: usize,
    },
    /// What is said of a function cannot be. Only
    /// [`SymbolTable::check`](crate::SymbolTable::check) looks for it.
    BadFunction {
        /// Its index in the list of functions.
        index: usize,
    },
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotATable => write!(f, "not a symbol table"),
            Self::OtherVersion { version } => {
                write!(f, "a symbol table of version {version}, not {}", crate::VERSION)
            }
            Self::WrongLength { expected, actual } => {
                write!(f, "a symbol table of {expected} bytes in {actual}")
            }
            Self::BadFunction { index } => {
                write!(f, "function {index} of the symbol table makes no sense")
            }
        }
    }
}

impl core::error::Error for FormatError {}
