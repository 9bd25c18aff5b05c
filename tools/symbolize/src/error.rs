//! What can go wrong: [`Error`].

use std::path::PathBuf;
use std::{fmt, io};

/// Why there is no new kernel.
#[derive(Debug)]
pub(crate) enum Error {
    /// IN cannot be read.
    Read(io::Error),
    /// IN is no ELF file, or a broken one.
    Elf(object::read::Error),
    /// IN is an ELF file, but no kernel.
    NotAKernel(&'static str),
    /// IN has no debug information.
    NoDebugInformation,
    /// Its debug information cannot be read.
    Dwarf(gimli::Error),
    /// It does not fit the table's format.
    Table(symbols::TooLarge),
    /// The table that was made does not hold what it must; a bug.
    BrokenTable(symbols::FormatError),
    /// The new ELF file cannot be made.
    Build(object::build::Error),
    /// The new ELF file would not be loaded as the old one.
    Changed(&'static str),
    /// OUT cannot be written.
    Write {
        /// OUT.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(source) => write!(f, "{source}"),
            Self::Elf(source) => write!(f, "not a good ELF file: {source}"),
            Self::NotAKernel(why) => write!(f, "not a kernel: {why}"),
            Self::NoDebugInformation => {
                write!(f, "no debug information; give the kernel as the linker made it")
            }
            Self::Dwarf(source) => write!(f, "bad debug information: {source}"),
            Self::Table(source) => write!(f, "{source}"),
            Self::BrokenTable(source) => write!(f, "the table that was made is broken: {source}"),
            Self::Build(source) => write!(f, "the new ELF file cannot be made: {source}"),
            Self::Changed(what) => write!(f, "the new ELF file has other {what} than the old"),
            Self::Write { path, source } => write!(f, "cannot write {}: {source}", path.display()),
        }
    }
}

impl std::error::Error for Error {}

impl From<object::read::Error> for Error {
    fn from(error: object::read::Error) -> Self {
        Self::Elf(error)
    }
}

impl From<gimli::Error> for Error {
    fn from(error: gimli::Error) -> Self {
        Self::Dwarf(error)
    }
}

impl From<object::build::Error> for Error {
    fn from(error: object::build::Error) -> Self {
        Self::Build(error)
    }
}
