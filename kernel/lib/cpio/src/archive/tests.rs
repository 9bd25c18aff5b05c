//! Archives written here, whole, joined, broken and mutated.

use super::*;
use crate::Compression;
use proptest::prelude::*;

const FILE: u32 = 0o100_644;
const DIR: u32 = 0o040_755;

/// Appends one entry as `cpio -H newc` does, or `-H crc` with a checksum.
fn push(archive: &mut Vec<u8>, crc: bool, name: &[u8], mode: u32, data: &[u8]) {
    let sum = data.iter().fold(0u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
    let check = if crc && mode & 0o170_000 == 0o100_000 { sum } else { 0 };
    archive.extend_from_slice(if crc { b"070702" } else { b"070701" });
    let (size, name_len) = (data.len() as u32, name.len() as u32 + 1);
    for field in [1, mode, 2, 3, 1, 0x5f00_0000, size, 8, 1, 4, 64, name_len, check] {
        archive.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    archive.extend_from_slice(name);
    archive.push(0);
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend_from_slice(data);
    archive.resize(archive.len().next_multiple_of(4), 0);
}

fn trailer(archive: &mut Vec<u8>) {
    push(archive, false, b"TRAILER!!!", 0, b"");
}

fn archive(entries: &[(&[u8], u32, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, mode, data) in entries {
        push(&mut archive, false, name, *mode, data);
    }
    trailer(&mut archive);
    archive
}

fn read(input: &[u8]) -> Result<Vec<Entry<'_>>, CpioError> {
    Archive::new(input).entries().collect()
}

fn paths(input: &[u8]) -> Vec<String> {
    let entries = read(input).unwrap();
    entries.iter().map(|entry| String::from_utf8(entry.path.to_vec()).unwrap()).collect()
}

#[test]
fn entries_in_their_order() {
    let input = archive(&[(b".", DIR, b""), (b"etc", DIR, b""), (b"etc/motd", FILE, b"hello\n")]);
    let entries = read(&input).unwrap();
    assert_eq!(paths(&input), ["", "etc", "etc/motd"]);
    let motd = entries[2];
    assert_eq!(motd.data, b"hello\n");
    assert_eq!(input[motd.data_offset..][..6], *b"hello\n");
    assert_eq!((motd.mode, motd.uid, motd.gid, motd.nlink, motd.ino), (FILE, 2, 3, 1, 1));
    assert_eq!((motd.mtime, motd.dev, motd.rdev), (0x5f00_0000, (8, 1), (4, 64)));
}

#[test]
fn names_with_slashes_and_dots_before_them() {
    let names: [&[u8]; 8] = [b"/", b"./a", b"/a", b"././/a/b", b"..", b".a", b"./", b"a/./b"];
    let input = archive(&names.map(|name| (name, FILE, &b""[..])));
    assert_eq!(paths(&input), ["", "a", "a", "a/b", "..", ".a", "", "a/./b"]);
    assert_eq!(read(&input).unwrap()[3].name, b"././/a/b");
}

#[test]
fn several_archives_with_zeros_between() {
    let mut input = vec![0; 8];
    for name in [b"a", b"b"] {
        input.extend(archive(&[(name, FILE, b"x")]));
        input.resize(input.len().next_multiple_of(512), 0);
    }
    input.extend(archive(&[(b"c", FILE, b"")]));
    let entries = read(&input).unwrap();
    let found: Vec<_> = entries.iter().map(|entry| (entry.archive, entry.path)).collect();
    assert_eq!(found, [(0, &b"a"[..]), (1, b"b"), (2, b"c")]);
}

#[test]
fn nothing_but_zeros_is_empty() {
    assert_eq!(paths(b""), [""; 0]);
    assert_eq!(paths(&[0; 513]), [""; 0]);
    assert_eq!(paths(&archive(&[])), [""; 0]);
}

#[test]
fn an_archive_without_trailer_or_final_padding() {
    let mut input = Vec::new();
    push(&mut input, false, b"a", FILE, b"12345");
    assert_eq!(paths(&input), ["a"]);
    input.truncate(input.len() - 3);
    assert_eq!(read(&input).unwrap()[0].data, b"12345");
    let mut input = Vec::new();
    push(&mut input, false, b"ab", FILE, b"");
    input.truncate(113);
    assert_eq!(paths(&input), ["ab"]);
}

#[test]
fn the_end_may_be_missing_nowhere_else() {
    let mut input = Vec::new();
    push(&mut input, false, b"a", FILE, b"12345");
    for available in 1..input.len() - 3 {
        let error = read(&input[..available]).unwrap_err();
        let needed = if available < HEADER_LEN { HEADER_LEN } else { input.len() - 3 };
        assert_eq!(error, CpioError::Truncated { offset: 0, needed, available });
    }
}

#[test]
fn checksums() {
    let mut input = Vec::new();
    push(&mut input, true, b"d", DIR, b"");
    push(&mut input, true, b"link", 0o120_777, b"target");
    push(&mut input, true, b"file", FILE, b"abc\xff");
    assert_eq!(paths(&input), ["d", "link", "file"]);
    let offset = input.len() - 4;
    input[offset] = b'b';
    let (expected, actual) = (0x61 + 0x62 + 0x63 + 0xff, 0x62 + 0x62 + 0x63 + 0xff);
    assert_eq!(read(&input), Err(CpioError::BadChecksum { offset, expected, actual }));
}

#[test]
fn links_to_one_file() {
    let mut input = archive(&[(b"a", FILE, b""), (b"b", FILE, b"data"), (b"d", DIR, b"")]);
    for header in [0, 112, 232] {
        let nlink = header + 6 + 4 * 8 + 7;
        input[nlink] = b'2';
    }
    input.extend(archive(&[(b"c", FILE, b"")]));
    let keys: Vec<_> = read(&input).unwrap().iter().map(Entry::link_key).collect();
    assert!(keys[0].is_some());
    assert_eq!(keys[0], keys[1]);
    assert_eq!(keys[2..], [None, None]);
    // The same inode number in another archive is another file.
    let second = input.len() - archive(&[(b"c", FILE, b"")]).len();
    input[second + 6 + 4 * 8 + 7] = b'2';
    let other = read(&input).unwrap()[3].link_key();
    assert!(other.is_some() && other != keys[0]);
}

#[test]
fn compressed_archives_say_how() {
    for (magic, name) in [
        (&b"\x1f\x8b\x08"[..], "gzip"),
        (b"BZh9", "bzip2"),
        (b"\x5d\0\0\0", "lzma"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x89LZO", "lzo"),
        (b"\x02\x21\x4c\x18", "lz4"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
    ] {
        let mut input = archive(&[(b"a", FILE, b"")]);
        let offset = input.len();
        input.extend_from_slice(magic);
        let error = read(&input).unwrap_err();
        let method = Compression::detect(magic).unwrap();
        assert_eq!(error, CpioError::Compressed { offset, method });
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn what_is_no_header() {
    let other = Err(CpioError::OtherFormat { offset: 0 });
    assert_eq!(read(&[b'0', b'7', b'0', b'7', b'0', b'7'].repeat(20)), other);
    assert_eq!(read(&[0xc7, 0x71, 0, 0]), other);
    assert_eq!(read(&[0x71, 0xc7, 0, 0]), other);
    let magic = |bytes: &[u8], offset| match read(bytes) {
        Err(CpioError::BadMagic { offset: at, magic }) => {
            assert_eq!(at, offset);
            magic
        }
        result => panic!("{result:?}"),
    };
    assert_eq!(magic(b"#!/bin/sh\n", 0), *b"#!/bin");
    assert_eq!(magic(b"\0\0\0\0xy", 4), *b"xy\0\0\0\0");
    assert_eq!(magic(&b"070703".repeat(20), 0), *b"070703");
    // A header at an offset that is no multiple of four.
    let mut shifted = vec![0; 2];
    shifted.extend(archive(&[(b"a", FILE, b"")]));
    assert_eq!(magic(&shifted, 2), *b"070701");
}

#[test]
fn bad_fields() {
    let good = archive(&[(b"abc", FILE, b"x")]);
    let patched = |at: usize, bytes: &[u8]| {
        let mut input = good.clone();
        input[at..at + bytes.len()].copy_from_slice(bytes);
        read(&input).unwrap_err()
    };
    for byte in [b'g', b' ', b'+', b'-', 0xe9] {
        assert_eq!(patched(20, &[byte]), CpioError::BadDigit { offset: 20, byte });
    }
    assert_eq!(patched(94, b"00000000"), CpioError::BadNameLength { offset: 0, len: 0 });
    assert_eq!(patched(94, b"00001001"), CpioError::BadNameLength { offset: 0, len: 4097 });
    assert_eq!(patched(94, b"00000003"), CpioError::BadName { offset: 110 });
    assert_eq!(patched(111, b"\0"), CpioError::BadName { offset: 110 });
    assert_eq!(
        patched(54, b"ffffffff"),
        CpioError::Truncated { offset: 0, needed: 116 + 0xffff_ffff, available: good.len() }
    );
    // Capital digits are digits.
    assert!(Archive::new(&good).entries().next().unwrap().is_ok());
    let mut capital = good.clone();
    capital[46..54].copy_from_slice(b"ABCDEF01");
    assert_eq!(read(&capital).unwrap()[0].mtime, 0xabcd_ef01);
}

#[test]
fn nothing_follows_an_error() {
    let mut input = archive(&[(b"a", FILE, b"")]);
    input.extend_from_slice(b"junk");
    input.extend(archive(&[(b"b", FILE, b"")]));
    let mut entries = Archive::new(&input).entries();
    assert!(entries.next().unwrap().is_ok());
    assert!(entries.next().unwrap().is_err());
    assert!(entries.next().is_none());
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        files in prop::collection::vec(
            ("[a-z][a-z/.]{0,20}", any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)),
            0..8,
        ),
        padding in 0..5usize,
    ) {
        let mut input = vec![0; 4 * padding];
        for (name, crc, data) in &files {
            push(&mut input, *crc, name.as_bytes(), FILE, data);
        }
        trailer(&mut input);
        let entries = read(&input).unwrap();
        prop_assert_eq!(entries.len(), files.len());
        for (entry, (name, _, data)) in entries.iter().zip(&files) {
            prop_assert_eq!(entry.path, name.as_bytes());
            prop_assert_eq!(entry.data, data.as_slice());
            prop_assert_eq!(&input[entry.data_offset..][..data.len()], data.as_slice());
        }
    }

    #[test]
    fn mutated_archives_neither_panic_nor_loop(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        digits in prop::collection::vec((0..13usize, 0..8usize, 0..16u8), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut input = archive(&[(b"dir", DIR, b""), (b"dir/file", FILE, b"some contents")]);
        push(&mut input, true, b"sum", FILE, b"checked");
        trailer(&mut input);
        for (at, byte) in changes {
            let at = at.index(input.len());
            input[at] = byte;
        }
        for (field, digit, value) in digits {
            input[6 + 8 * field + digit] = b"0123456789abcdef"[usize::from(value)];
        }
        input.truncate(cut.index(input.len()) + 1);
        let mut last = 0;
        for (count, entry) in Archive::new(&input).entries().enumerate() {
            prop_assert!(count <= input.len() / HEADER_LEN);
            match entry {
                Ok(entry) => {
                    prop_assert!(entry.data_offset > last);
                    last = entry.data_offset + entry.data.len();
                    prop_assert!(entry.data.is_empty() || last <= input.len());
                }
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }
}
