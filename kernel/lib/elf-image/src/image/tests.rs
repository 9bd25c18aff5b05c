//! Programs made here field by field, this test program itself, and mutations
//! of both.

use super::*;
use abi::Errno;
use proptest::prelude::*;
use std::sync::{LazyLock, Mutex};

const LIMITS: Limits = Limits { lowest: 0x1_0000, highest: 0x7fff_ffff_f000, max_memory: 1 << 30 };

const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const PT_PHDR: u32 = 6;
const PT_GNU_STACK: u32 = 0x6474_e551;
const R: u32 = 4;
const RW: u32 = 6;
const RX: u32 = 5;

/// Offsets of the fields of an ELF header (elf(5)).
mod at {
    pub(super) const CLASS: usize = 4;
    pub(super) const DATA: usize = 5;
    pub(super) const TYPE: usize = 16;
    pub(super) const MACHINE: usize = 18;
    pub(super) const ENTRY: usize = 24;
    pub(super) const PHOFF: usize = 32;
    pub(super) const PHENTSIZE: usize = 54;
    pub(super) const PHNUM: usize = 56;
}

/// A program header to be.
#[derive(Clone, Copy)]
struct Ph {
    kind: u32,
    flags: u32,
    offset: u64,
    vaddr: u64,
    file_size: u64,
    mem_size: u64,
    align: u64,
}

fn load(flags: u32, offset: u64, vaddr: u64, file_size: u64, mem_size: u64) -> Ph {
    Ph { kind: PT_LOAD, flags, offset, vaddr, file_size, mem_size, align: 0x1000 }
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

/// A file of `len` bytes with these headers.
fn file(kind: u16, entry: u64, headers: &[Ph], len: usize) -> Vec<u8> {
    let mut file = vec![0; len];
    put(&mut file, 0, b"\x7fELF\x02\x01\x01");
    put(&mut file, at::TYPE, &kind.to_le_bytes());
    put(&mut file, at::MACHINE, &62u16.to_le_bytes());
    put(&mut file, at::ENTRY, &entry.to_le_bytes());
    put(&mut file, at::PHOFF, &64u64.to_le_bytes());
    put(&mut file, at::PHENTSIZE, &56u16.to_le_bytes());
    put(&mut file, at::PHNUM, &(headers.len() as u16).to_le_bytes());
    for (index, ph) in headers.iter().enumerate() {
        let at = 64 + 56 * index;
        put(&mut file, at, &ph.kind.to_le_bytes());
        put(&mut file, at + 4, &ph.flags.to_le_bytes());
        let words = [ph.offset, ph.vaddr, ph.vaddr, ph.file_size, ph.mem_size, ph.align];
        for (word, value) in words.iter().enumerate() {
            put(&mut file, at + 8 + 8 * word, &value.to_le_bytes());
        }
    }
    file
}

/// Headers, code, and data with .bss, as a linker lays them out.
fn program() -> [Ph; 3] {
    [
        load(R, 0, 0x40_0000, 0x200, 0x200),
        load(RX, 0x1000, 0x40_1000, 0x234, 0x234),
        load(RW, 0x1ff0, 0x40_3ff0, 0x10, 0x2020),
    ]
}

fn fixed(headers: &[Ph]) -> Result<Image, ElfError> {
    Image::parse(&file(ET_EXEC, 0x40_1000, headers, 0x2000), &LIMITS)
}

#[test]
fn a_fixed_program() {
    let image = fixed(&program()).unwrap();
    assert_eq!(image.kind, Kind::Fixed);
    assert_eq!(image.entry, 0x40_1000);
    assert_eq!(image.span(), 0x40_0000..0x40_7000);
    assert_eq!(image.phdr_vaddr, Some(0x40_0040));
    assert_eq!((image.phdr_entry_size, image.phdr_count), (56, 3));
    assert_eq!(image.alignment, 0x1000);
    assert!(!image.executable_stack);
    let flags: Vec<_> = image.segments.iter().map(|s| s.flags.to_string()).collect();
    assert_eq!(flags, ["r--", "r-x", "rw-"]);
    let data = image.segments[2];
    assert_eq!((data.file_offset, data.file_len, data.mem_len), (0x1ff0, 0x10, 0x2020));
    assert_eq!(data.pages(), 0x40_3000..0x40_7000);
}

#[test]
fn a_position_independent_program() {
    let mut headers = program().to_vec();
    for ph in &mut headers {
        ph.vaddr -= 0x40_0000;
    }
    headers[1].align = 0x20_0000;
    headers.push(Ph { kind: PT_DYNAMIC, ..load(RW, 0x1ff0, 0x3ff0, 0x10, 0x10) });
    let image = Image::parse(&file(ET_DYN, 0x1000, &headers, 0x2000), &LIMITS).unwrap();
    assert_eq!(image.kind, Kind::PositionIndependent);
    assert_eq!(image.span(), 0..0x7000);
    assert_eq!(image.alignment, 0x20_0000);
    assert_eq!(image.phdr_vaddr, Some(0x40));
}

#[test]
fn a_file_at_any_alignment() {
    let file = file(ET_EXEC, 0x40_1000, &program(), 0x2000);
    let expected = Image::parse(&file, &LIMITS).unwrap();
    for shift in 0..16 {
        let mut shifted = vec![0; shift];
        shifted.extend_from_slice(&file);
        assert_eq!(Image::parse(&shifted[shift..], &LIMITS).unwrap(), expected);
    }
}

#[test]
fn where_the_program_headers_are() {
    // PT_PHDR counts if it is inside a segment.
    let mut headers = program().to_vec();
    headers.push(Ph { kind: PT_PHDR, ..load(R, 64, 0x40_1004, 0xe0, 0xe0) });
    assert_eq!(fixed(&headers).unwrap().phdr_vaddr, Some(0x40_1004));
    headers[3].vaddr = 0x40_1234 - 0xe0 + 1;
    assert_eq!(fixed(&headers).unwrap().phdr_vaddr, Some(0x40_0040));
    headers[3].vaddr = u64::MAX - 8;
    assert_eq!(fixed(&headers).unwrap().phdr_vaddr, Some(0x40_0040));
    // Not loaded at all.
    assert_eq!(fixed(&program()[1..]).unwrap().phdr_vaddr, None);
}

#[test]
fn the_stack_is_executable_on_request() {
    let mut headers = program().to_vec();
    headers.push(Ph { kind: PT_GNU_STACK, ..load(RW, 0, 0, 0, 0) });
    assert!(!fixed(&headers).unwrap().executable_stack);
    headers[3].flags |= 1;
    assert!(fixed(&headers).unwrap().executable_stack);
}

#[test]
fn segments_are_sorted_and_empty_ones_left_out() {
    let [a, b, c] = program();
    let image = fixed(&[c, load(RW, 0, 0, 0, 0), a, b]).unwrap();
    assert_eq!(image.segments, fixed(&[a, b, c]).unwrap().segments);
}

#[test]
fn no_elf_file() {
    for bytes in [&b""[..], b"\x7fEL", b"#!/bin/sh\n", &[0; 100]] {
        assert_eq!(Image::parse(bytes, &LIMITS), Err(ElfError::NotElf));
    }
    let whole = file(ET_EXEC, 0x40_1000, &program(), 0x2000);
    for len in [4, 16, 63] {
        let error = Image::parse(&whole[..len], &LIMITS).unwrap_err();
        assert_eq!(error, ElfError::TruncatedHeader { file_len: len as u64 });
    }
}

/// The error after writing `bytes` at `offset` of a good program.
fn patched(offset: usize, bytes: &[u8]) -> ElfError {
    let mut file = file(ET_EXEC, 0x40_1000, &program(), 0x2000);
    put(&mut file, offset, bytes);
    Image::parse(&file, &LIMITS).unwrap_err()
}

#[test]
fn wrong_fields_of_the_header() {
    assert_eq!(patched(at::CLASS, &[1]), ElfError::NotSixtyFourBit { class: 1 });
    assert_eq!(patched(at::CLASS, &[7]), ElfError::NotSixtyFourBit { class: 7 });
    assert_eq!(patched(at::DATA, &[2]), ElfError::NotLittleEndian { data: 2 });
    assert_eq!(patched(at::TYPE, &[1]), ElfError::WrongType { kind: 1 });
    assert_eq!(patched(at::TYPE, &[4]), ElfError::WrongType { kind: 4 });
    let arm = patched(at::MACHINE, &[183]);
    assert_eq!(arm.to_string(), "not for x86_64 (machine AArch64)");
    assert_eq!(patched(at::PHENTSIZE, &[32]), ElfError::ProgramHeaderSize { size: 32 });
    assert_eq!(patched(at::PHNUM, &[129]), ElfError::TooManyProgramHeaders { count: 129 });
    assert_eq!(patched(at::PHNUM, &[0]), ElfError::NoLoadSegment);
    for offset in [0x2000 - 3 * 56 + 1, u64::MAX - 10, u64::MAX] {
        let error = patched(at::PHOFF, &offset.to_le_bytes());
        assert_eq!(error, ElfError::TruncatedProgramHeaders { offset, count: 3, file_len: 0x2000 });
    }
    for entry in [0, 0x40_0fff, 0x40_1234, 0x40_3ff0, u64::MAX] {
        let error = patched(at::ENTRY, &entry.to_le_bytes());
        assert_eq!(error, ElfError::EntryNotExecutable { entry });
    }
}

/// The error after changing segment 2 of a good program.
fn changed(change: impl FnOnce(&mut Ph)) -> ElfError {
    let mut headers = program();
    change(&mut headers[2]);
    fixed(&headers).unwrap_err()
}

#[test]
fn wrong_segments() {
    assert_eq!(
        changed(|ph| ph.mem_size = 0xf),
        ElfError::SmallerInMemory { index: 2, file_size: 0x10, memory_size: 0xf }
    );
    assert_eq!(
        changed(|ph| ph.file_size = 0x11),
        ElfError::TruncatedSegment { index: 2, offset: 0x1ff0, size: 0x11, file_len: 0x2000 }
    );
    assert_eq!(
        changed(|ph| ph.offset = u64::MAX - 0xf),
        ElfError::TruncatedSegment {
            index: 2,
            offset: u64::MAX - 0xf,
            size: 0x10,
            file_len: 0x2000
        }
    );
    assert_eq!(
        changed(|ph| ph.vaddr += 0x10),
        ElfError::Misaligned { index: 2, vaddr: 0x40_4000, offset: 0x1ff0 }
    );
    let top = 0xffff_ffff_ffff_fff0;
    assert_eq!(
        changed(|ph| ph.vaddr = top),
        ElfError::Wraps { index: 2, vaddr: top, memory_size: 0x2020 }
    );
    assert_eq!(
        changed(|ph| ph.mem_size = u64::MAX),
        ElfError::Wraps { index: 2, vaddr: 0x40_3ff0, memory_size: u64::MAX }
    );
    assert_eq!(
        changed(|ph| ph.vaddr = 0x40_1ff0),
        ElfError::Overlap { first: 1, second: 2, page: 0x40_1000 }
    );
    assert_eq!(
        changed(|ph| ph.vaddr = 0x3f_fff0),
        ElfError::Overlap { first: 2, second: 0, page: 0x40_0000 }
    );
    assert_eq!(fixed(&[]).unwrap_err(), ElfError::NoLoadSegment);
    assert_eq!(fixed(&[load(RW, 0, 0, 0, 0)]).unwrap_err(), ElfError::NoLoadSegment);
}

#[test]
fn segments_outside_the_limits() {
    for (vaddr, start, end) in [
        (0xff0, 0, 0x4000),
        (0xfff0, 0xf000, 0x1_3000),
        (0x7fff_ffff_cff0, 0x7fff_ffff_c000, 0x8000_0000_0000),
        (0xffff_ffff_8000_0ff0, 0xffff_ffff_8000_0000, 0xffff_ffff_8000_4000),
    ] {
        assert_eq!(
            changed(|ph| ph.vaddr = vaddr),
            ElfError::OutsideUserSpace {
                index: 2,
                start,
                end,
                lowest: LIMITS.lowest,
                highest: LIMITS.highest
            }
        );
    }
    let mut headers = program();
    headers[2].vaddr = 0x7fff_ffff_bff0;
    assert_eq!(fixed(&headers).unwrap().span().end, LIMITS.highest);
}

#[test]
fn more_memory_than_there_is() {
    // 1 + 1 + 4 pages.
    let file = file(ET_EXEC, 0x40_1000, &program(), 0x2000);
    let with = |max_memory| Image::parse(&file, &Limits { max_memory, ..LIMITS });
    assert!(with(0x6000).is_ok());
    let error = with(0x5fff).unwrap_err();
    assert_eq!(error, ElfError::TooLarge { needed: 0x6000, available: 0x5fff });
    assert_eq!(error.errno(), Errno::ENOMEM);
    assert_eq!(
        changed(|ph| ph.mem_size = 1 << 40),
        ElfError::TooLarge { needed: (1 << 40) + 0x3000, available: 1 << 30 }
    );
}

#[test]
fn a_position_independent_program_too_wide() {
    let mut headers = program();
    let limits = Limits { lowest: 0x1000, highest: 0x9000, max_memory: 1 << 20 };
    let parse = |headers: &[Ph]| {
        Image::parse(&file(ET_DYN, 0x40_1000, headers, 0x2000), &limits).map(|image| image.span())
    };
    assert_eq!(parse(&headers), Ok(0x40_0000..0x40_7000));
    headers[1].align = 0x2000;
    assert_eq!(parse(&headers), Err(ElfError::TooWide { needed: 0x9000, room: 0x8000 }));
    headers[1].align = 1 << 63;
    assert!(matches!(parse(&headers), Err(ElfError::TooWide { .. })));
    headers[1].align = 3;
    headers[2].vaddr += 0x2000;
    assert_eq!(parse(&headers), Err(ElfError::TooWide { needed: 0xa000, room: 0x8000 }));
}

#[test]
fn this_test_program_needs_an_interpreter_and_else_would_load() {
    let mut file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let error = Image::parse(&file, &LIMITS).unwrap_err();
    let ElfError::NeedsInterpreter { path } = &error else { panic!("{error}") };
    assert!(path.starts_with("/lib"), "{path}");
    assert_eq!(error.errno(), Errno::ENOEXEC);
    without_interpreter(&mut file);
    let image = Image::parse(&file, &LIMITS).unwrap();
    assert_eq!(image.kind, Kind::PositionIndependent);
    assert_eq!(image.phdr_vaddr, Some(64));
    assert!(image.segments.len() >= 3);
}

/// Turns the `PT_INTERP` of a file into a `PT_NULL`.
fn without_interpreter(file: &mut [u8]) {
    let count = usize::from(file[at::PHNUM]);
    for at in (0..count).map(|index| 64 + 56 * index) {
        if file[at..at + 4] == PT_INTERP.to_le_bytes() {
            file[at..at + 4].fill(0);
        }
    }
}

/// This test program as if it needed no interpreter; whole, so that a mutation
/// of its headers is what a parser meets, not the end of the file.
static REAL_PROGRAM: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(|| {
    let mut file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    without_interpreter(&mut file);
    Mutex::new(file)
});

/// Parses [`REAL_PROGRAM`] with other bytes in some places.
fn mutated_real_program(changes: &[(usize, u8)]) -> Result<Image, ElfError> {
    let mut file = REAL_PROGRAM.lock().unwrap();
    let head = file[..0x1000].to_vec();
    for (at, byte) in changes {
        file[*at] = *byte;
    }
    let parsed = Image::parse(&file, &LIMITS);
    file[..head.len()].copy_from_slice(&head);
    if let Ok(image) = &parsed {
        verify(image, file.len(), &LIMITS);
    }
    parsed
}

/// What every accepted program promises, whatever the file.
fn verify(image: &Image, file_len: usize, limits: &Limits) {
    let mut end = 0;
    let mut memory = 0;
    for segment in &image.segments {
        let pages = segment.pages();
        assert!(pages.start >= end && pages.end > pages.start);
        assert!(segment.file_len <= segment.mem_len);
        if segment.file_len > 0 {
            assert!(segment.file_offset + segment.file_len <= file_len as u64);
            assert_eq!(segment.file_offset % PAGE_SIZE, segment.vaddr % PAGE_SIZE);
        }
        end = pages.end;
        memory += pages.end - pages.start;
    }
    assert!(memory <= limits.max_memory);
    let span = image.span();
    match image.kind {
        Kind::Fixed => assert!(span.start >= limits.lowest && span.end <= limits.highest),
        Kind::PositionIndependent => {
            assert!(span.end - span.start + image.alignment <= limits.highest - limits.lowest);
        }
    }
    let code = |s: &Segment| {
        s.flags.execute && s.vaddr <= image.entry && image.entry - s.vaddr < s.mem_len
    };
    assert!(image.segments.iter().any(code));
    assert!(image.alignment.is_power_of_two() && image.alignment >= PAGE_SIZE);
}

/// Bytes that break parsers more often than random ones do.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), Just(0), Just(1), Just(0xff), Just(0x7f), Just(0x80)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn mutated_headers_of_a_real_program(
        changes in prop::collection::vec((0..1024usize, byte()), 1..12),
    ) {
        if let Err(error) = mutated_real_program(&changes) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn mutated_small_programs(
        kind in prop_oneof![Just(ET_EXEC), Just(ET_DYN)],
        changes in prop::collection::vec((0..64 + 56 * 3usize, byte()), 0..6),
        len in prop_oneof![Just(0x2000usize), 0..0x2000usize],
    ) {
        let mut file = file(kind, 0x40_1000, &program(), 0x2000);
        for (at, byte) in changes {
            file[at] = byte;
        }
        file.truncate(len);
        match Image::parse(&file, &LIMITS) {
            Ok(image) => verify(&image, file.len(), &LIMITS),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut file = b"\x7fELF\x02\x01".to_vec();
        file.extend(&bytes);
        if let Ok(image) = Image::parse(&file, &LIMITS) {
            verify(&image, file.len(), &LIMITS);
        }
        prop_assert!(bytes.starts_with(b"\x7fELF") || Image::parse(&bytes, &LIMITS) == Err(ElfError::NotElf));
    }
}
