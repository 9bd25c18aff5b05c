//! A program as it is to be loaded: [`Image`], and the checks that make one.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use abi::elf::{PF_R, PF_W, PF_X, PT_GNU_STACK};
use xmas_elf::program::{ProgramHeader64, Type};

use crate::error::ElfError;
use crate::headers::{Headers, is_inside};
use crate::source::ProgramFile;

/// The size of a page in bytes.
pub const PAGE_SIZE: u64 = 4096;

/// The longest path of an interpreter that an error quotes, in bytes.
const MAX_INTERPRETER_PATH: usize = 256;

/// What the kernel has to offer a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The lowest address that a program may use.
    pub lowest: u64,
    /// The end of the addresses that a program may use; not one itself.
    pub highest: u64,
    /// How many bytes of memory its segments may take, in whole pages.
    pub max_memory: u64,
}

/// Whether a program chooses its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `ET_EXEC`: the addresses are as in the file.
    Fixed,
    /// `ET_DYN`: the loader adds a bias of its choice, a multiple of
    /// [`Image::alignment`], to every address.
    PositionIndependent,
}

/// A program whose headers have been checked. Addresses are without bias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Whether a bias is to be added to every address.
    pub kind: Kind,
    /// Where the program begins; inside an executable segment.
    pub entry: u64,
    /// What to load, by rising address; at least one, no two share a page.
    pub segments: Vec<Segment>,
    /// What the bias must be a multiple of, in bytes; a power of two, at least
    /// a page.
    pub alignment: u64,
    /// Where the program headers are in memory (`AT_PHDR`), if they are loaded.
    pub phdr_vaddr: Option<u64>,
    /// The size of a program header in bytes (`AT_PHENT`).
    pub phdr_entry_size: u16,
    /// The number of program headers (`AT_PHNUM`).
    pub phdr_count: u16,
    /// Whether the program asks for an executable stack. Without a
    /// `PT_GNU_STACK` it does not, as on Linux for 64-bit programs.
    pub executable_stack: bool,
}

/// A `PT_LOAD`: a part of the file, and zeros behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The address of the first byte.
    pub vaddr: u64,
    /// Where its data are in the file; inside the file for all of `file_len`.
    /// Equal to `vaddr` within a page unless `file_len` is 0.
    pub file_offset: u64,
    /// How many bytes come from the file.
    pub file_len: u64,
    /// How many bytes it has in memory, at least `file_len` and at least 1;
    /// those past `file_len` are zero.
    pub mem_len: u64,
    /// What the program may do with it.
    pub flags: SegmentFlags,
}

/// How a segment may be accessed. `Display` prints `r-x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub struct SegmentFlags {
    pub read: bool,
    pub write: bool,
    pub execute: bool,
}

impl fmt::Display for SegmentFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |set, letter| if set { letter } else { "-" };
        f.write_str(letter(self.read, "r"))?;
        f.write_str(letter(self.write, "w"))?;
        f.write_str(letter(self.execute, "x"))
    }
}

impl Segment {
    /// The pages that the segment takes, as addresses.
    #[must_use]
    pub fn pages(&self) -> Range<u64> {
        self.vaddr / PAGE_SIZE * PAGE_SIZE
            ..(self.vaddr + self.mem_len).div_ceil(PAGE_SIZE) * PAGE_SIZE
    }

    fn from_header(header: &ProgramHeader64) -> Self {
        Self {
            vaddr: header.virtual_addr,
            file_offset: header.offset,
            file_len: header.file_size,
            mem_len: header.mem_size,
            flags: SegmentFlags {
                read: header.flags.0 & PF_R != 0,
                write: header.flags.0 & PF_W != 0,
                execute: header.flags.0 & PF_X != 0,
            },
        }
    }

    /// Checks what can be said of one segment alone.
    fn check(&self, index: usize, file_len: u64) -> Result<(), ElfError> {
        let Self { vaddr, file_offset: offset, file_len: size, mem_len: memory_size, .. } = *self;
        if memory_size < size {
            return Err(ElfError::SmallerInMemory { index, file_size: size, memory_size });
        }
        // The end and its page must have addresses.
        let end = vaddr.checked_add(memory_size).and_then(|end| end.checked_add(PAGE_SIZE - 1));
        if end.is_none() {
            return Err(ElfError::Wraps { index, vaddr, memory_size });
        }
        if size > 0 {
            if !is_inside(file_len, offset, size) {
                return Err(ElfError::TruncatedSegment { index, offset, size, file_len });
            }
            if vaddr % PAGE_SIZE != offset % PAGE_SIZE {
                return Err(ElfError::Misaligned { index, vaddr, offset });
            }
        }
        Ok(())
    }

    /// Whether the `len` bytes at `address` are inside the segment.
    fn contains(&self, address: u64, len: u64) -> bool {
        address
            .checked_sub(self.vaddr)
            .and_then(|start| start.checked_add(len))
            .is_some_and(|end| end <= self.mem_len)
    }
}

impl Image {
    /// As [`Image::read`], of a file that is in memory.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(file: &[u8], limits: &Limits) -> Result<Self, ElfError> {
        Self::read(&file, limits)
    }

    /// Checks a file and plans how to load it. Reads its headers alone.
    ///
    /// Two segments on one page are refused: linkers do not put them there in
    /// static programs, and neither mapping would have the flags of both.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(file: &dyn ProgramFile, limits: &Limits) -> Result<Self, ElfError> {
        let headers = Headers::read(file)?;
        let mut segments: Vec<(usize, Segment)> = Vec::new();
        segments.try_reserve_exact(usize::from(headers.count())).map_err(|_| ElfError::NoMemory)?;
        let mut alignment = PAGE_SIZE;
        let mut executable_stack = false;
        let mut phdr_vaddr = None;
        for (index, header) in headers.program_headers().enumerate() {
            match header.get_type() {
                Ok(Type::Load) if header.mem_size > 0 || header.file_size > 0 => {
                    let segment = Segment::from_header(&header);
                    segment.check(index, file.size())?;
                    segments.push((index, segment));
                    if header.align.is_power_of_two() {
                        alignment = alignment.max(header.align);
                    }
                }
                Ok(Type::Interp) => {
                    return Err(ElfError::NeedsInterpreter { path: interpreter(file, &header)? });
                }
                Ok(Type::Phdr) => phdr_vaddr = Some(header.virtual_addr),
                Ok(Type::OsSpecific(PT_GNU_STACK)) => {
                    executable_stack = header.flags.0 & PF_X != 0;
                }
                // Notes, TLS, RELRO: for the C library. Others: nobody's.
                _ => {}
            }
        }
        segments.sort_unstable_by_key(|(_, segment)| segment.vaddr);
        check_together(&segments, headers.kind, alignment, limits)?;

        let mut image = Self {
            kind: headers.kind,
            entry: headers.entry,
            segments: segments.into_iter().map(|(_, segment)| segment).collect(),
            alignment,
            phdr_vaddr: None,
            phdr_entry_size: headers.entry_size(),
            phdr_count: headers.count(),
            executable_stack,
        };
        image.phdr_vaddr = image.find_program_headers(phdr_vaddr, &headers);
        let is_code = |segment: &Segment| segment.flags.execute && segment.contains(image.entry, 1);
        if !image.segments.iter().any(is_code) {
            return Err(ElfError::EntryNotExecutable { entry: image.entry });
        }
        Ok(image)
    }

    /// From the lowest page to the end of the highest, as addresses.
    #[must_use]
    pub fn span(&self) -> Range<u64> {
        span(self.segments.first(), self.segments.last())
    }

    /// Where the program headers are in memory: as `PT_PHDR` says if they fit
    /// into a segment there, else in the segment whose data hold them.
    fn find_program_headers(&self, said: Option<u64>, headers: &Headers) -> Option<u64> {
        let len = headers.table_len();
        let fits = |vaddr: &u64| self.segments.iter().any(|s| s.contains(*vaddr, len));
        let in_segment = |segment: &Segment| {
            let start = headers.table_offset.checked_sub(segment.file_offset)?;
            (start.checked_add(len)? <= segment.file_len).then_some(segment.vaddr + start)
        };
        said.filter(fits).or_else(|| self.segments.iter().find_map(in_segment))
    }
}

/// The pages from the first segment to the last.
fn span(first: Option<&Segment>, last: Option<&Segment>) -> Range<u64> {
    match (first, last) {
        (Some(first), Some(last)) => first.pages().start..last.pages().end,
        _ => 0..0,
    }
}

/// Checks what segments, sorted by address, must be to each other and to the
/// limits. Each comes with the index of its program header.
fn check_together(
    segments: &[(usize, Segment)],
    kind: Kind,
    alignment: u64,
    limits: &Limits,
) -> Result<(), ElfError> {
    let (Some((_, first)), Some((_, last))) = (segments.first(), segments.last()) else {
        return Err(ElfError::NoLoadSegment);
    };
    for pair in segments.windows(2) {
        if let [(first, lower), (second, upper)] = pair
            && upper.pages().start < lower.pages().end
        {
            let (first, second, page) = (*first, *second, upper.pages().start);
            return Err(ElfError::Overlap { first, second, page });
        }
    }
    let Limits { lowest, highest, max_memory } = *limits;
    match kind {
        Kind::Fixed => {
            for (index, segment) in segments {
                let Range { start, end } = segment.pages();
                if start < lowest || end > highest {
                    let index = *index;
                    return Err(ElfError::OutsideUserSpace { index, start, end, lowest, highest });
                }
            }
        }
        Kind::PositionIndependent => {
            let Range { start, end } = span(Some(first), Some(last));
            let room = highest.saturating_sub(lowest);
            // A page above the lowest address is aligned within one alignment.
            let needed = (end - start).saturating_add(alignment);
            if needed > room {
                return Err(ElfError::TooWide { needed, room });
            }
        }
    }
    // No two share a page, so the sum fits where the span does.
    let needed = segments.iter().map(|(_, s)| s.pages().end - s.pages().start).sum();
    if needed > max_memory {
        return Err(ElfError::TooLarge { needed, available: max_memory });
    }
    Ok(())
}

/// The path that a `PT_INTERP` names, as far as it is there.
fn interpreter(file: &dyn ProgramFile, header: &ProgramHeader64) -> Result<String, ElfError> {
    let mut path = [0; MAX_INTERPRETER_PATH];
    let len = header.file_size.min(MAX_INTERPRETER_PATH as u64);
    if is_inside(file.size(), header.offset, len) {
        file.read(header.offset, path.get_mut(..len as usize).unwrap_or_default())?;
    }
    let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(path).into_owned())
}

#[cfg(test)]
mod tests;
