//! One entry of an archive: [`Entry`], and the [`Header`] it is read from.
//!
//! A header is 110 ASCII characters: the magic `070701` (or `070702` with a
//! checksum) and 13 fields of eight hexadecimal digits. The name follows with
//! its NUL, then the data; name and data are each padded with zeros to a
//! multiple of four bytes from the start of the input.

use abi::stat::{S_IFDIR, S_IFMT, S_IFREG};

use crate::error::CpioError;

/// The length of a header in bytes.
pub(crate) const HEADER_LEN: usize = MAGIC_LEN + FIELDS * FIELD_LEN;
/// The longest name, its NUL counted, in bytes.
pub const MAX_NAME_LEN: u32 = abi::fcntl::PATH_MAX;
/// What headers and data are aligned to, in bytes.
pub(crate) const ALIGN: usize = 4;

const MAGIC_LEN: usize = 6;
const FIELDS: usize = 13;
const FIELD_LEN: usize = 8;
/// The name of the entry that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";

/// A file, directory, link or device in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The path relative to the root: the name without any `/` and `./` at its
    /// start; empty for the root itself. Not checked for `..`.
    pub path: &'a [u8],
    /// The name as it is in the archive, without its NUL.
    pub name: &'a [u8],
    /// Type and permissions (`st_mode`).
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The number of links.
    pub nlink: u32,
    /// The time of the last change, in seconds since 1970.
    pub mtime: u32,
    /// The inode number, meaningful within one archive; see [`Entry::link_key`].
    pub ino: u32,
    /// The device that the file was on, major and minor number.
    pub dev: (u32, u32),
    /// For a device file the device that it stands for, major and minor number.
    pub rdev: (u32, u32),
    /// The contents of a file, the target of a symbolic link.
    pub data: &'a [u8],
    /// Where the data begin, in bytes from the start of the input.
    pub data_offset: usize,
    /// Which archive of the input the entry is in, from 0.
    pub archive: usize,
}

/// What two entries have in common if they are links to one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkKey {
    archive: usize,
    dev: (u32, u32),
    ino: u32,
}

impl Entry<'_> {
    /// The key under which other links to the same file are found; `None` for a
    /// file with one name and for a directory. Only one entry of all links
    /// carries the data, mostly the last.
    #[must_use]
    pub fn link_key(&self) -> Option<LinkKey> {
        let key = LinkKey { archive: self.archive, dev: self.dev, ino: self.ino };
        (self.nlink > 1 && self.mode & S_IFMT != S_IFDIR).then_some(key)
    }

    /// Whether the entry marks the end of its archive.
    pub(crate) fn is_trailer(&self) -> bool {
        self.name == TRAILER
    }
}

/// The fields of a header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    /// The sum of the data's bytes that a `070702` header demands.
    checksum: Option<u32>,
    fields: [u32; FIELDS],
}

impl Header {
    /// Reads the header at `offset`, where `bytes` were found.
    pub(crate) fn parse(bytes: &[u8; HEADER_LEN], offset: usize) -> Result<Self, CpioError> {
        let Some((magic, rest)) = bytes.split_first_chunk::<MAGIC_LEN>() else {
            return Err(CpioError::Truncated { offset, needed: HEADER_LEN, available: 0 });
        };
        let with_checksum = match magic {
            b"070701" => false,
            b"070702" => true,
            b"070707" => return Err(CpioError::OtherFormat { offset }),
            _ => {
                return Err(CpioError::BadMagic { offset, magic: *magic });
            }
        };
        let mut fields = [0; FIELDS];
        for (index, (field, digits)) in fields.iter_mut().zip(rest.as_chunks().0).enumerate() {
            *field = parse_field(digits, offset + MAGIC_LEN + index * FIELD_LEN)?;
        }
        let checksum = with_checksum.then_some(fields[12]);
        Ok(Self { checksum, fields })
    }

    /// The entry that this header at `offset` of `input` begins, and where the
    /// next header is.
    pub(crate) fn entry<'a>(
        &self,
        input: &'a [u8],
        offset: usize,
        archive: usize,
    ) -> Result<(Entry<'a>, usize), CpioError> {
        let [ino, mode, uid, gid, nlink, mtime, size, maj, min, rmaj, rmin, name_len, _] =
            self.fields;
        if name_len == 0 || name_len > MAX_NAME_LEN {
            return Err(CpioError::BadNameLength { offset, len: name_len });
        }
        let name_offset = offset + HEADER_LEN;
        // No sum overflows: a length is 32 bits, an offset within the input.
        let name_end = name_offset + name_len as usize;
        let data_offset = name_end.next_multiple_of(ALIGN);
        let data_end = data_offset + size as usize;
        // Without data the padding of the name may be missing at the very end.
        let end = if size == 0 { name_end } else { data_end };
        let truncated =
            CpioError::Truncated { offset, needed: end - offset, available: input.len() - offset };
        if end > input.len() {
            return Err(truncated);
        }
        let name = input.get(name_offset..name_end).ok_or(truncated)?;
        let data = input.get(data_offset..data_end).unwrap_or_default();
        let name = match name.split_last() {
            Some((0, name)) if !name.contains(&0) => name,
            _ => {
                return Err(CpioError::BadName { offset: name_offset });
            }
        };
        self.verify(mode, data, data_offset)?;
        let entry = Entry {
            path: relative(name),
            name,
            mode,
            uid,
            gid,
            nlink,
            mtime,
            ino,
            dev: (maj, min),
            rdev: (rmaj, rmin),
            data,
            data_offset,
            archive,
        };
        Ok((entry, data_end.next_multiple_of(ALIGN)))
    }

    /// Compares the checksum, which only regular files have.
    fn verify(&self, mode: u32, data: &[u8], offset: usize) -> Result<(), CpioError> {
        let Some(expected) = self.checksum.filter(|_| mode & S_IFMT == S_IFREG) else {
            return Ok(());
        };
        let actual = data.iter().fold(0u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
        if actual != expected {
            return Err(CpioError::BadChecksum { offset, expected, actual });
        }
        Ok(())
    }
}

/// The value of a field at `offset`.
fn parse_field(digits: &[u8; FIELD_LEN], offset: usize) -> Result<u32, CpioError> {
    let mut value = 0;
    for (index, byte) in digits.iter().enumerate() {
        let digit = char::from(*byte).to_digit(16);
        let bad = CpioError::BadDigit { offset: offset + index, byte: *byte };
        value = value << 4 | digit.ok_or(bad)?;
    }
    Ok(value)
}

/// A name without any `/` and `./` at its start; empty for `.` and `/`.
fn relative(mut name: &[u8]) -> &[u8] {
    while let Some(rest) = name.strip_prefix(b"/").or_else(|| name.strip_prefix(b"./")) {
        name = rest;
    }
    if name == b"." { b"" } else { name }
}
