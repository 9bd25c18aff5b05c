//! The way into `xmas-elf`: [`Headers`] of a file.
//!
//! `xmas-elf` asserts that what it reads is there and aligned to eight bytes,
//! which a file inside a cpio archive is not. So every header is checked for
//! length and copied to an aligned place before it sees it.

use alloc::vec::Vec;
use core::mem::offset_of;

use xmas_elf::header::{Class, Data, HeaderPt1, HeaderPt2_, MAGIC, Machine, Type, parse_header};
use xmas_elf::program::{ProgramHeader, ProgramHeader64, parse_program_header};

use crate::error::ElfError;
use crate::image::Kind;
use crate::source::ProgramFile;

/// The most program headers that a program may have. Linkers write about ten;
/// Linux stops at 64 KiB of them.
pub const MAX_PROGRAM_HEADERS: u16 = 128;

type Header64 = HeaderPt2_<u64>;

/// The size of a 64-bit ELF header.
const HEADER_LEN: usize = size_of::<HeaderPt1>() + size_of::<Header64>();
/// The size of a 64-bit program header.
const PROGRAM_HEADER_LEN: usize = size_of::<ProgramHeader64>();

/// Bytes aligned as `xmas-elf` asserts.
#[repr(C, align(8))]
struct Aligned<const LEN: usize>([u8; LEN]);
const _: () = assert!(align_of::<Aligned<1>>() >= align_of::<Header64>());
const _: () = assert!(align_of::<Aligned<1>>() >= align_of::<ProgramHeader64>());

/// What the ELF header says, and where the program headers are.
pub(crate) struct Headers {
    pub(crate) kind: Kind,
    pub(crate) entry: u64,
    /// Offset of the program headers in the file.
    pub(crate) table_offset: u64,
    /// Each program header as it is in the file.
    table: Vec<[u8; PROGRAM_HEADER_LEN]>,
    /// The ELF header with `e_phoff` set to [`HEADER_LEN`].
    elf_header: [u8; HEADER_LEN],
}

impl Headers {
    /// Reads the ELF header and finds the program headers.
    pub(crate) fn read(file: &dyn ProgramFile) -> Result<Self, ElfError> {
        let file_len = file.size();
        let mut elf_header = [0; HEADER_LEN];
        let there = usize::try_from(file_len).unwrap_or(HEADER_LEN).min(HEADER_LEN);
        file.read(0, elf_header.get_mut(..there).unwrap_or_default())?;
        if !elf_header.starts_with(&MAGIC) {
            return Err(ElfError::NotElf);
        }
        if there < HEADER_LEN {
            return Err(ElfError::TruncatedHeader { file_len });
        }
        let aligned = Aligned::<HEADER_LEN>(elf_header);
        let [_, _, _, _, class, data, ..] = elf_header;
        // A header of the class ELFCLASS32 is shorter, so its length is no question.
        let header = parse_header(&aligned.0).map_err(|_| ElfError::NotSixtyFourBit { class })?;
        if header.pt1.class() != Class::SixtyFour {
            return Err(ElfError::NotSixtyFourBit { class });
        }
        if header.pt1.data() != Data::LittleEndian {
            return Err(ElfError::NotLittleEndian { data });
        }
        let machine = header.pt2.machine().as_machine();
        if machine != Machine::X86_64 {
            return Err(ElfError::WrongMachine { machine });
        }
        let kind = match header.pt2.type_().as_type() {
            Type::Executable => Kind::Fixed,
            Type::SharedObject => Kind::PositionIndependent,
            _ => {
                return Err(ElfError::WrongType { kind: header.pt2.type_().0 });
            }
        };

        let count = header.pt2.ph_count();
        if count == 0 {
            return Err(ElfError::NoLoadSegment);
        }
        let size = header.pt2.ph_entry_size();
        if usize::from(size) != PROGRAM_HEADER_LEN {
            return Err(ElfError::ProgramHeaderSize { size });
        }
        if count > MAX_PROGRAM_HEADERS {
            return Err(ElfError::TooManyProgramHeaders { count });
        }
        let table_offset = header.pt2.ph_offset();
        let entry = header.pt2.entry_point();
        let table_len = usize::from(count) * PROGRAM_HEADER_LEN;
        if !is_inside(file_len, table_offset, table_len as u64) {
            let offset = table_offset;
            return Err(ElfError::TruncatedProgramHeaders { offset, count, file_len });
        }
        let mut table = Vec::new();
        table.try_reserve_exact(usize::from(count)).map_err(|_| ElfError::NoMemory)?;
        table.resize(usize::from(count), [0; PROGRAM_HEADER_LEN]);
        file.read(table_offset, table.as_flattened_mut())?;
        set_table_offset(&mut elf_header);
        Ok(Self { kind, entry, table_offset, table, elf_header })
    }

    /// How many program headers there are.
    pub(crate) fn count(&self) -> u16 {
        // Not more than MAX_PROGRAM_HEADERS.
        self.table.len() as u16
    }

    /// The size of one program header in bytes.
    pub(crate) fn entry_size(&self) -> u16 {
        PROGRAM_HEADER_LEN as u16
    }

    /// The size of all program headers in bytes.
    pub(crate) fn table_len(&self) -> u64 {
        self.table.as_flattened().len() as u64
    }

    /// Every program header, in the order of the file.
    pub(crate) fn program_headers(&self) -> impl Iterator<Item = ProgramHeader64> {
        self.table.iter().filter_map(|entry| self.program_header(entry))
    }

    /// One program header, laid behind a copy of the ELF header. It is `None`
    /// only for a file of 32 bits, which [`read`](Self::read) has refused.
    fn program_header(&self, entry: &[u8; PROGRAM_HEADER_LEN]) -> Option<ProgramHeader64> {
        let mut both = Aligned([0; HEADER_LEN + PROGRAM_HEADER_LEN]);
        *both.0.first_chunk_mut()? = self.elf_header;
        *both.0.last_chunk_mut()? = *entry;
        let header = parse_header(&both.0).ok()?;
        match parse_program_header(&both.0, header, 0).ok()? {
            ProgramHeader::Ph64(program_header) => Some(*program_header),
            ProgramHeader::Ph32(_) => None,
        }
    }
}

/// Makes an ELF header say that the program headers follow it.
fn set_table_offset(elf_header: &mut [u8; HEADER_LEN]) {
    const AT: usize = size_of::<HeaderPt1>() + offset_of!(Header64, ph_offset);
    if let Some(field) = elf_header.get_mut(AT..).and_then(|bytes| bytes.first_chunk_mut()) {
        *field = (HEADER_LEN as u64).to_le_bytes();
    }
}

/// Whether `len` bytes at `offset` are all in a file of `file_len` bytes.
pub(crate) fn is_inside(file_len: u64, offset: u64, len: u64) -> bool {
    offset.checked_add(len).is_some_and(|end| end <= file_len)
}
