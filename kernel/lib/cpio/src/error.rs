//! What can be wrong with an archive: [`CpioError`].

use core::fmt;

/// Why an archive cannot be read on. Offsets are bytes into the whole input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpioError {
    /// The input ends inside a header, a name or the data of a file.
    Truncated {
        /// Where the entry's header is.
        offset: usize,
        /// How many bytes the entry would need from there.
        needed: usize,
        /// How many bytes there are from there.
        available: usize,
    },
    /// No newc header where one must be.
    BadMagic {
        /// Where it must be.
        offset: usize,
        /// What is there.
        magic: [u8; 6],
    },
    /// A header of another cpio format: `070707` or its binary form.
    OtherFormat {
        /// Where the header is.
        offset: usize,
    },
    /// A compressed archive.
    Compressed {
        /// Where it begins.
        offset: usize,
        /// With what it is compressed.
        method: Compression,
    },
    /// A field of a header is not eight hexadecimal digits.
    BadDigit {
        /// Where the byte is that is none.
        offset: usize,
        /// The byte.
        byte: u8,
    },
    /// The length of a name, with its NUL, is 0 or more than
    /// [`MAX_NAME_LEN`](crate::MAX_NAME_LEN).
    BadNameLength {
        /// Where the entry's header is.
        offset: usize,
        /// The length in bytes.
        len: u32,
    },
    /// A name is not ended by its only NUL.
    BadName {
        /// Where the name is.
        offset: usize,
    },
    /// The data of a `070702` entry do not add up to its checksum.
    BadChecksum {
        /// Where the data are.
        offset: usize,
        /// What the header says.
        expected: u32,
        /// The sum of the data's bytes.
        actual: u32,
    },
}

/// How an archive is compressed, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the programs'")]
pub enum Compression {
    Gzip,
    Bzip2,
    Lzma,
    Xz,
    Lzo,
    Lz4,
    Zstd,
}

impl Compression {
    /// The magic numbers, as in Linux's lib/decompress.c.
    const MAGICS: [(&'static [u8], Self); 8] = [
        (&[0x1f, 0x8b], Self::Gzip),
        (&[0x1f, 0x9e], Self::Gzip),
        (b"BZh", Self::Bzip2),
        (&[0x5d, 0x00, 0x00], Self::Lzma),
        (b"\xfd7zXZ\0", Self::Xz),
        (b"\x89LZO", Self::Lzo),
        (&[0x02, 0x21, 0x4c, 0x18], Self::Lz4),
        (&[0x28, 0xb5, 0x2f, 0xfd], Self::Zstd),
    ];

    /// How `bytes` are compressed; `None` if their first bytes do not say so.
    #[must_use]
    pub fn detect(bytes: &[u8]) -> Option<Self> {
        let found = Self::MAGICS.iter().find(|(magic, _)| bytes.starts_with(magic));
        found.map(|(_, method)| *method)
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Lzma => "lzma",
            Self::Xz => "xz",
            Self::Lzo => "lzo",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

impl fmt::Display for CpioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { offset, needed, available } => {
                write!(f, "entry at {offset:#x} takes {needed} bytes, {available} are left")
            }
            Self::BadMagic { offset, magic } => {
                write!(f, "no cpio header at {offset:#x} but \"{}\"", magic.escape_ascii())
            }
            Self::OtherFormat { offset } => {
                write!(f, "old cpio format at {offset:#x}; make the archive with cpio -H newc")
            }
            Self::Compressed { offset, method } => {
                write!(f, "archive at {offset:#x} is compressed with {method}; decompress it first")
            }
            Self::BadDigit { offset, byte } => {
                write!(f, "'{}' at {offset:#x} is no hexadecimal digit", byte.escape_ascii())
            }
            Self::BadNameLength { offset, len } => {
                write!(f, "entry at {offset:#x} has a name of {len} bytes")
            }
            Self::BadName { offset } => {
                write!(f, "name at {offset:#x} does not end with its only NUL")
            }
            Self::BadChecksum { offset, expected, actual } => {
                write!(f, "data at {offset:#x} sum up to {actual:#010x}, not {expected:#010x}")
            }
        }
    }
}

impl core::error::Error for CpioError {}
