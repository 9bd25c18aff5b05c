//! What can be wrong with a program: [`ElfError`].

use abi::Errno;
use alloc::string::String;
use core::fmt;

use xmas_elf::header::Machine;

use crate::headers::MAX_PROGRAM_HEADERS;

/// Why a file cannot be loaded. Segments are named by the index of their
/// program header; offsets and sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the values that the message prints")]
pub enum ElfError {
    /// The file does not begin with `\x7fELF`.
    NotElf,
    /// The file ends inside the ELF header.
    TruncatedHeader { file_len: u64 },
    /// `e_ident[EI_CLASS]` is not `ELFCLASS64`.
    NotSixtyFourBit { class: u8 },
    /// `e_ident[EI_DATA]` is not `ELFDATA2LSB`.
    NotLittleEndian { data: u8 },
    /// `e_machine` is not `EM_X86_64`.
    WrongMachine { machine: Machine },
    /// `e_type` is neither `ET_EXEC` nor `ET_DYN`.
    WrongType { kind: u16 },
    /// `e_phentsize` is not the size of a 64-bit program header.
    ProgramHeaderSize { size: u16 },
    /// More program headers than [`MAX_PROGRAM_HEADERS`].
    TooManyProgramHeaders { count: u16 },
    /// The program headers reach past the end of the file.
    TruncatedProgramHeaders { offset: u64, count: u16, file_len: u64 },
    /// There is a `PT_INTERP`: the program is dynamically linked.
    NeedsInterpreter { path: String },
    /// There is no `PT_LOAD` that takes memory.
    NoLoadSegment,
    /// A segment's data reach past the end of the file.
    TruncatedSegment { index: usize, offset: u64, size: u64, file_len: u64 },
    /// `p_memsz` is less than `p_filesz`.
    SmallerInMemory { index: usize, file_size: u64, memory_size: u64 },
    /// The end of a segment, rounded up to a page, is past the address space.
    Wraps { index: usize, vaddr: u64, memory_size: u64 },
    /// A segment of an `ET_EXEC` is outside the user's addresses.
    OutsideUserSpace { index: usize, start: u64, end: u64, lowest: u64, highest: u64 },
    /// The segments of an `ET_DYN`, with what aligning them may skip, span more
    /// than the user's addresses.
    TooWide { needed: u64, room: u64 },
    /// Two segments have a page in common.
    Overlap { first: usize, second: usize, page: u64 },
    /// Address and file offset differ within a page, so the file cannot be mapped.
    Misaligned { index: usize, vaddr: u64, offset: u64 },
    /// The segments take more memory than there is.
    TooLarge { needed: u64, available: u64 },
    /// The entry point is not inside an executable segment.
    EntryNotExecutable { entry: u64 },
    /// There was no memory for the list of segments.
    NoMemory,
    /// The file could not be read.
    Unreadable,
}

impl ElfError {
    /// What execve(2) returns for it: `ENOMEM` where memory or address space is
    /// what lacks, `EIO` if it could not be read, else `ENOEXEC`.
    #[must_use]
    pub fn errno(&self) -> Errno {
        match self {
            Self::TooLarge { .. }
            | Self::TooWide { .. }
            | Self::OutsideUserSpace { .. }
            | Self::NoMemory => Errno::ENOMEM,
            Self::Unreadable => Errno::EIO,
            _ => Errno::ENOEXEC,
        }
    }
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotElf => write!(f, "not an ELF file"),
            Self::TruncatedHeader { file_len } => {
                write!(f, "truncated: {file_len} bytes are less than an ELF header")
            }
            Self::NotSixtyFourBit { class } => write!(f, "not a 64-bit ELF file (class {class})"),
            Self::NotLittleEndian { data } => {
                write!(f, "not a little-endian ELF file (data encoding {data})")
            }
            Self::WrongMachine { machine } => {
                write!(f, "not for x86_64 (machine {machine:?})")
            }
            Self::WrongType { kind } => {
                write!(f, "neither an executable nor position-independent (type {kind})")
            }
            Self::ProgramHeaderSize { size } => write!(f, "program headers of {size} bytes"),
            Self::TooManyProgramHeaders { count } => {
                write!(f, "{count} program headers, more than {MAX_PROGRAM_HEADERS}")
            }
            Self::TruncatedProgramHeaders { offset, count, file_len } => write!(
                f,
                "truncated: {count} program headers at {offset:#x} in a file of {file_len:#x} bytes"
            ),
            Self::NeedsInterpreter { path } => {
                write!(f, "dynamically linked, needs the interpreter {path}")
            }
            Self::NoLoadSegment => write!(f, "no segment to load"),
            Self::TruncatedSegment { index, offset, size, file_len } => write!(
                f,
                "truncated: segment {index} has {size:#x} bytes at {offset:#x} \
                 in a file of {file_len:#x} bytes"
            ),
            Self::SmallerInMemory { index, file_size, memory_size } => write!(
                f,
                "segment {index} has {file_size:#x} bytes in the file \
                 but {memory_size:#x} in memory"
            ),
            Self::Wraps { index, vaddr, memory_size } => write!(
                f,
                "segment {index} of {memory_size:#x} bytes at {vaddr:#x} \
                 reaches past the address space"
            ),
            Self::OutsideUserSpace { index, start, end, lowest, highest } => write!(
                f,
                "segment {index} at {start:#x}..{end:#x} is outside \
                 the user's addresses {lowest:#x}..{highest:#x}"
            ),
            Self::TooWide { needed, room } => {
                write!(f, "the segments span {needed:#x} bytes, more than the user's {room:#x}")
            }
            Self::Overlap { first, second, page } => {
                write!(f, "segments {first} and {second} overlap in the page {page:#x}")
            }
            Self::Misaligned { index, vaddr, offset } => write!(
                f,
                "segment {index} has the address {vaddr:#x} and the file offset {offset:#x}, \
                 which differ within a page"
            ),
            Self::TooLarge { needed, available } => {
                write!(f, "takes {needed:#x} bytes of memory, {available:#x} are available")
            }
            Self::EntryNotExecutable { entry } => {
                write!(f, "the entry point {entry:#x} is not in an executable segment")
            }
            Self::NoMemory => write!(f, "no memory to read the program headers"),
            Self::Unreadable => write!(f, "the file cannot be read"),
        }
    }
}

impl core::error::Error for ElfError {}
