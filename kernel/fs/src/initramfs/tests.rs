//! Kernel tests of entries that are odd.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use abi::fcntl::{O_DIRECTORY, O_RDONLY};
use abi::stat::{S_IFDIR, S_IFLNK, S_IFREG};
use cpio::Entry;

use super::superblock;
use super::unpack::Unpacking;
use crate::Destination;
use crate::credentials::Credentials;
use crate::vfs::{DirEntry, LastLink, Path, detached, lookup, open};

fn entry(path: &'static [u8], mode: u32, data: &'static [u8]) -> Entry<'static> {
    Entry {
        path,
        name: path,
        mode,
        uid: 0,
        gid: 0,
        nlink: 1,
        mtime: 7,
        ino: 0,
        dev: (0, 0),
        rdev: (0, 0),
        data,
        data_offset: 0,
        archive: 0,
    }
}

fn names(root: &Path, path: &str) -> Vec<String> {
    let flags = O_RDONLY | O_DIRECTORY;
    let directory = open(&Credentials::ROOT, root, path.as_bytes(), flags, 0).expect("it is there");
    let mut names = Vec::new();
    let mut visit = |entry: DirEntry<'_>| {
        names.push(String::from_utf8_lossy(entry.name).into_owned());
        core::ops::ControlFlow::Continue(())
    };
    directory.entries(&mut visit).expect("it can be read");
    names.retain(|name| name != "." && name != "..");
    names
}

#[base::kernel_test]
fn odd_entries_are_left_out() {
    let root = detached(superblock().expect("memory")).expect("memory");
    let mut unpacking = Unpacking::new(&root);
    let mut add = |entry: Entry<'static>| {
        unpacking.add(&entry).expect("memory");
        unpacking.contents.skipped
    };
    assert_eq!(add(entry(b"", S_IFREG | 0o644, b"no root")), 1);
    assert_eq!(add(entry(b"a//./b/.", S_IFDIR | 0o755, b"")), 1);
    assert_eq!(add(entry(b"a/../c", S_IFREG | 0o644, b"")), 2);
    // A directory with something in it stays.
    assert_eq!(add(entry(b"a", S_IFREG | 0o644, b"")), 3);
    assert_eq!(add(entry(b"link", S_IFLNK | 0o777, b"link")), 3);
    assert_eq!(add(entry(b"link/below", S_IFREG | 0o644, b"")), 4);
    assert_eq!(
        (names(&root, "."), names(&root, "a")),
        (vec!["a".into(), "link".into()], vec!["b".into()])
    );
    // What comes later counts.
    assert_eq!(add(entry(b"/f", S_IFREG | 0o600, b"first, and longer")), 4);
    assert_eq!(add(entry(b"f", S_IFREG | 0o4755, b"second")), 4);
    let file = open(&Credentials::ROOT, &root, b"f", O_RDONLY, 0).expect("it is there");
    let mut bytes = [0; 20];
    assert_eq!(file.read(&mut Destination::Kernel(&mut bytes)), Ok(6));
    assert!(bytes.starts_with(b"second"));
    let status = file.status();
    assert_eq!((status.mode, status.mtime.seconds), (S_IFREG | 0o4755, 7));
    assert_eq!(add(entry(b"f", S_IFDIR | 0o755, b"")), 4);
    let found = lookup(&Credentials::ROOT, &root, b"f", LastLink::Keep);
    assert!(found.is_ok_and(|found| found.is_directory()));
}
