//! Kernel tests of tmpfs, and through it of what the VFS does with names that change.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use abi::fcntl::{
    FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY,
    O_RDWR, O_TMPFILE, O_TRUNC, O_WRONLY, RENAME_EXCHANGE, RENAME_NOREPLACE,
};
use abi::stat::{S_IFDIR, S_IFIFO, S_IFREG};
use abi::{Errno, Result};
use task::spawn;

use super::superblock;
use crate::credentials::{Access, Credentials};
use crate::open_file::OpenFile;
use crate::status::{DeviceNumber, Kind};
use crate::vfs::{
    self, LastLink, LinkTarget, MountRequest, NewFile, Path, detached, link, lookup, make,
    make_symlink, open, remove_directory, rename, unlink,
};
use crate::{Destination, Source};

const ROOT: Credentials = Credentials::ROOT;

fn mounted(options: &str) -> Path {
    let request = MountRequest { options: options.as_bytes(), ..MountRequest::default() };
    detached(superblock("tmpfs", &request).expect("memory")).expect("memory")
}

fn directory(root: &Path, path: &str) -> Result<Path> {
    make(&ROOT, root, path.as_bytes(), S_IFDIR | 0o755, DeviceNumber::default())
}

fn open_at(root: &Path, path: &str, flags: u32) -> Result<Arc<OpenFile>> {
    open(&ROOT, root, path.as_bytes(), flags, 0o644)
}

fn file(root: &Path, path: &str, text: &str) -> Arc<OpenFile> {
    let file = open_at(root, path, O_CREAT | O_RDWR).expect("it can be made");
    assert_eq!(file.write(&mut Source::Kernel(text.as_bytes())), Ok(text.len()));
    file
}

fn find(root: &Path, path: &str) -> Result<Path> {
    lookup(&ROOT, root, path.as_bytes(), LastLink::Keep)
}

fn text(root: &Path, path: &str) -> Result<String> {
    text_of(&*open_at(root, path, O_RDONLY)?)
}

fn text_of(file: &OpenFile) -> Result<String> {
    let mut bytes = vec![0; 100];
    let len = file.read_at(0, &mut Destination::Kernel(&mut bytes))?;
    bytes.truncate(len);
    Ok(String::from_utf8(bytes).expect("a text"))
}

fn move_to(root: &Path, from: &str, to: &str, flags: u32) -> Result<()> {
    rename(&ROOT, (root, from.as_bytes()), (root, to.as_bytes()), flags)
}

fn names(root: &Path, path: &str) -> Vec<String> {
    let directory = open_at(root, path, O_RDONLY | O_DIRECTORY).expect("a directory");
    let mut names = Vec::new();
    let mut visit = |entry: vfs::DirEntry<'_>| {
        names.push(String::from_utf8_lossy(entry.name).into_owned());
        core::ops::ControlFlow::Continue(())
    };
    directory.entries(&mut visit).expect("it can be read");
    names.retain(|name| name != "." && name != "..");
    names.sort();
    names
}

fn where_is(root: &Path, path: &str) -> String {
    String::from_utf8(find(root, path).and_then(|path| path.text()).expect("it is there"))
        .expect("a text")
}

#[base::kernel_test]
fn names_are_made_and_go() {
    let root = &mounted("");
    assert!(directory(root, "a/").is_ok() && directory(root, "a/b").is_ok());
    assert_eq!(directory(root, "a").map(|_| ()), Err(Errno::EEXIST));
    assert_eq!(directory(root, "x/y").map(|_| ()), Err(Errno::ENOENT));
    file(root, "a/f", "one");
    assert_eq!(text(root, "a/f").as_deref(), Ok("one"));
    assert_eq!(open_at(root, "a/f", O_CREAT | O_EXCL).map(|_| ()), Err(Errno::EEXIST));
    assert_eq!(open_at(root, "a/f/", O_CREAT).map(|_| ()), Err(Errno::ENOTDIR));
    assert_eq!(open_at(root, "a/g/", O_CREAT | O_WRONLY).map(|_| ()), Err(Errno::EISDIR));
    assert_eq!(make_symlink(&ROOT, root, b"a/l", b"new").map(|_| ()), Ok(()));
    assert_eq!(make_symlink(&ROOT, root, b"a/l", b"x").map(|_| ()), Err(Errno::EEXIST));
    // A file is made where a link leads to.
    file(root, "a/l", "two");
    assert_eq!(text(root, "a/new").as_deref(), Ok("two"));
    assert_eq!(names(root, "a"), ["b", "f", "l", "new"]);
    assert_eq!(find(root, "a").map(|path| path.status().links), Ok(3));

    let remove = |path: &str| unlink(&ROOT, root, path.as_bytes());
    let remove_dir = |path: &str| remove_directory(&ROOT, root, path.as_bytes());
    assert_eq!(remove("a/b"), Err(Errno::EISDIR));
    assert_eq!(remove("a/none"), Err(Errno::ENOENT));
    assert_eq!(remove("a/f/"), Err(Errno::ENOTDIR));
    assert_eq!(remove_dir("a/f"), Err(Errno::ENOTDIR));
    assert_eq!(remove_dir("a"), Err(Errno::ENOTEMPTY));
    assert_eq!(
        (remove_dir("a/."), remove_dir("a/b/..")),
        (Err(Errno::EINVAL), Err(Errno::ENOTEMPTY))
    );
    assert_eq!(remove_dir("a/b"), Ok(()));
    assert_eq!((remove("a/f"), remove("a/l"), remove("a/new")), (Ok(()), Ok(()), Ok(())));
    let inside = find(root, "a").expect("still there");
    assert_eq!((inside.status().links, remove_dir("a/")), (2, Ok(())));
    // Nothing can be made in what is gone, and nothing is found.
    assert_eq!(directory(&inside, "b").map(|_| ()), Err(Errno::ENOENT));
    assert_eq!(find(&inside, "b").map(|_| ()), Err(Errno::ENOENT));
    assert_eq!(inside.text().as_deref(), Ok(b"/a (deleted)".as_slice()));
    assert!(names(root, ".").is_empty());
}

#[base::kernel_test]
fn names_move() {
    let root = &mounted("");
    for path in ["a", "a/b", "a/b/c", "d", "e", "e/full"] {
        directory(root, path).expect("memory");
    }
    file(root, "f", "f");
    file(root, "g", "g");
    assert_eq!(move_to(root, "f", "a/b/f", 0), Ok(()));
    assert_eq!(
        (text(root, "a/b/f").as_deref(), find(root, "f").map(|_| ())),
        (Ok("f"), Err(Errno::ENOENT))
    );
    // A directory takes what is in it along, those included who are there.
    let inside = find(root, "a/b/c").expect("a directory");
    assert_eq!(move_to(root, "a/b", "d/b2/", 0), Ok(()));
    assert_eq!(inside.text().as_deref(), Ok(b"/d/b2/c".as_slice()));
    assert_eq!(where_is(&inside, "../f"), "/d/b2/f");
    assert_eq!(find(root, "a").map(|path| path.status().links), Ok(2));
    assert_eq!(find(root, "d").map(|path| path.status().links), Ok(3));

    assert_eq!(move_to(root, "d", "d/b2/c/d", 0), Err(Errno::EINVAL));
    assert_eq!(move_to(root, "d/b2/c", "d", 0), Err(Errno::ENOTEMPTY));
    assert_eq!(move_to(root, "a", "e", 0), Err(Errno::ENOTEMPTY));
    assert_eq!(move_to(root, "a", "g", 0), Err(Errno::ENOTDIR));
    assert_eq!(move_to(root, "g", "a", 0), Err(Errno::EISDIR));
    assert_eq!(move_to(root, "g", "x/", 0), Err(Errno::ENOTDIR));
    assert_eq!(move_to(root, "none", "x", 0), Err(Errno::ENOENT));
    assert_eq!(move_to(root, "g", "a", RENAME_NOREPLACE), Err(Errno::EEXIST));
    assert_eq!(move_to(root, "a/.", "x", 0), Err(Errno::EBUSY));
    assert_eq!(move_to(root, "g", "x", 0x80), Err(Errno::EINVAL));
    // What is replaced is gone, but not for those who have it open.
    let old = file(root, "h", "old");
    assert_eq!(move_to(root, "g", "h", 0), Ok(()));
    assert_eq!((text(root, "h").as_deref(), text_of(&old).as_deref()), (Ok("g"), Ok("old")));
    assert_eq!(old.status().links, 0);
    assert_eq!(move_to(root, "d/b2/c", "e/full", 0), Ok(()));
    assert_eq!(where_is(root, "e/full"), "/e/full");
    // Two names of one file stay.
    assert_eq!(link(&ROOT, &find(root, "h").expect("a file"), root, b"i"), Ok(()));
    assert_eq!(move_to(root, "h", "i", 0), Ok(()));
    assert_eq!(
        (find(root, "h").map(|path| path.status().links), names(root, ".").len()),
        (Ok(2), 5)
    );
    assert_eq!(link(&ROOT, &find(root, "a").expect("a directory"), root, b"j"), Err(Errno::EPERM));

    assert_eq!(move_to(root, "h", "d/b2", RENAME_EXCHANGE), Ok(()));
    assert_eq!((text(root, "d/b2").as_deref(), where_is(root, "h/f").as_str()), (Ok("g"), "/h/f"));
    assert_eq!(move_to(root, "h", "none", RENAME_EXCHANGE), Err(Errno::ENOENT));
    assert_eq!(move_to(root, "h/f", "h", RENAME_EXCHANGE), Err(Errno::EINVAL));
    assert_eq!(find(root, "d").map(|path| path.status().links), Ok(2));
}

#[base::kernel_test]
fn bytes_are_appended_cut_and_left_out() {
    let root = &mounted("");
    let one = file(root, "f", "start");
    let other = open_at(root, "f", O_WRONLY | O_APPEND).expect("it is there");
    assert_eq!(other.write(&mut Source::Kernel(b", more")), Ok(6));
    assert_eq!(text_of(&one).as_deref(), Ok("start, more"));
    assert_eq!(one.file().set_len(3), Ok(()));
    assert_eq!(other.write(&mut Source::Kernel(b"!")), Ok(1));
    assert_eq!(text_of(&one).as_deref(), Ok("sta!"));
    assert_eq!(one.write_at(9000, &mut Source::Kernel(b"end")), Ok(3));
    let mut bytes = vec![1; 9003];
    assert_eq!(one.read_at(0, &mut Destination::Kernel(&mut bytes)), Ok(9003));
    assert!(bytes.iter().skip(4).take(8996).all(|&byte| byte == 0) && bytes.ends_with(b"end"));
    // The page between was never written.
    assert_eq!(one.status().blocks, 2 * 8);
    assert_eq!(one.file().allocate(0, 0, 20_000), Ok(()));
    assert_eq!((one.status().blocks, one.status().size), (5 * 8, 20_000));
    let punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    assert_eq!(one.file().allocate(punch, 2, 9000), Ok(()));
    assert_eq!((one.status().blocks, one.status().size), (4 * 8, 20_000));
    assert_eq!(one.read_at(0, &mut Destination::Kernel(&mut bytes)), Ok(9003));
    assert!(bytes.starts_with(b"st\0\0") && bytes.ends_with(b"\0\0d"));
    assert_eq!(one.file().allocate(FALLOC_FL_PUNCH_HOLE, 0, 1), Err(Errno::EOPNOTSUPP));
    assert_eq!(open_at(root, "f", O_WRONLY | O_TRUNC).map(|file| file.status().size), Ok(0));
    assert_eq!(one.write_at(i64::MAX as u64, &mut Source::Kernel(b"x")), Err(Errno::EFBIG));
}

#[base::kernel_test]
fn a_full_file_system_says_so_and_loses_nothing() {
    let root = &mounted("size=64k,nr_inodes=4");
    let bytes = vec![7; 100_000];
    let full = open_at(root, "full", O_CREAT | O_RDWR).expect("room");
    assert_eq!(full.write(&mut Source::Kernel(&bytes)), Ok(65536));
    assert_eq!(full.write(&mut Source::Kernel(&bytes)), Err(Errno::ENOSPC));
    let other = open_at(root, "other", O_CREAT | O_RDWR).expect("room for a name");
    assert_eq!(other.write(&mut Source::Kernel(b"x")), Err(Errno::ENOSPC));
    assert_eq!(open_at(root, "last", O_CREAT | O_RDWR).map(|_| ()), Ok(()));
    assert_eq!(open_at(root, "none", O_CREAT | O_RDWR).map(|_| ()), Err(Errno::ENOSPC));
    assert_eq!(find(root, "none").map(|_| ()), Err(Errno::ENOENT));
    let usage = || {
        let statistics = root.mount().superblock().statistics();
        (statistics.free, statistics.free_inodes)
    };
    assert_eq!(usage(), (0, 0));
    let mut back = vec![0; 65536];
    assert_eq!(full.read_at(0, &mut Destination::Kernel(&mut back)), Ok(65536));
    assert!(back.iter().all(|&byte| byte == 7));
    // A file without a name takes its room as long as it is open.
    assert_eq!(unlink(&ROOT, root, b"full"), Ok(()));
    assert_eq!(usage(), (0, 0));
    drop(full);
    assert_eq!(usage(), (16, 1));
    assert_eq!(other.write(&mut Source::Kernel(b"x")), Ok(1));
    let nameless = open(&ROOT, root, b".", O_TMPFILE | O_RDWR, 0o600).expect("room");
    assert_eq!(nameless.write(&mut Source::Kernel(b"none")), Ok(4));
    assert_eq!((usage(), nameless.status().links), ((14, 0), 0));
    drop(nameless);
    assert_eq!(usage(), (15, 1));
}

#[base::kernel_test]
fn room_that_cannot_be_taken_is_not_kept() {
    let root = &mounted("size=64k");
    let free = || root.mount().superblock().statistics().free;
    let other = file(root, "other", "a page");
    let one = file(root, "one", "another");
    let allocate = |mode, offset: u64, pages: u64| one.allocate(mode, offset, pages * 4096);
    // Two pages, with a hole before them, which an earlier call has taken.
    assert_eq!((allocate(FALLOC_FL_KEEP_SIZE, 5 * 4096, 2), free()), (Ok(()), 12));
    for mode in [0, FALLOC_FL_KEEP_SIZE] {
        assert_eq!((allocate(mode, 0, 16), free()), (Err(Errno::ENOSPC), 12));
        assert_eq!((allocate(mode, 2 * 4096 + 1, 15), free()), (Err(Errno::ENOSPC), 12));
        // Not even begun.
        assert_eq!((allocate(mode, 0, 1 << 40), free()), (Err(Errno::ENOSPC), 12));
    }
    assert_eq!(one.status().size, 7);
    assert_eq!(text_of(&one).as_deref(), Ok("another"));
    drop(other);
    assert_eq!(unlink(&ROOT, root, b"other"), Ok(()));
    assert_eq!((allocate(0, 0, 16), free()), (Ok(()), 0));
    assert_eq!(one.status().size, 65536);
}

#[base::kernel_test]
fn directories_in_each_other_go_without_a_deep_stack() {
    let root = mounted("");
    let mode = S_IFDIR | 0o755;
    let new = NewFile { mode, uid: 0, gid: 0, device: DeviceNumber::default(), target: b"" };
    // Past the dentry cache, which would keep them.
    let mut at = root.inode().clone();
    for _ in 0..5000 {
        at = at.make(b"d", &new).expect("memory");
    }
    let deepest = Arc::downgrade(&at);
    drop((at, root));
    assert!(deepest.upgrade().is_none());
}

#[base::kernel_test]
fn permissions_bind_those_who_are_not_root() {
    let root = &mounted("mode=755");
    let user = Credentials { uid: 5, gid: 7, groups: None };
    let by_user = |path: &str, flags| open(&user, root, path.as_bytes(), flags, 0o644).map(|_| ());
    assert_eq!(by_user("f", O_CREAT | O_WRONLY), Err(Errno::EACCES));
    directory(root, "open").expect("memory").change_mode(&ROOT, 0o1777).expect("root may");
    assert_eq!(by_user("open/f", O_CREAT | O_WRONLY), Ok(()));
    let status = find(root, "open/f").expect("it was made").status();
    assert_eq!((status.uid, status.gid, status.mode), (5, 7, S_IFREG | 0o644));
    file(root, "open/g", "of root").file().set_len(0).expect("it has a length");
    assert_eq!(by_user("open/g", O_RDONLY), Ok(()));
    assert_eq!(by_user("open/g", O_WRONLY), Err(Errno::EACCES));
    assert_eq!(unlink(&user, root, b"open/g"), Err(Errno::EPERM));
    assert_eq!(rename(&user, (root, b"open/f"), (root, b"open/g"), 0), Err(Errno::EPERM));
    let own = find(root, "open/f").expect("it was made");
    assert_eq!(own.change_mode(&user, 0o400), Ok(()));
    assert_eq!(by_user("open/f", O_WRONLY), Err(Errno::EACCES));
    assert_eq!(own.change_owner(&user, Some(6), None), Err(Errno::EPERM));
    assert_eq!(own.change_owner(&ROOT, Some(6), Some(8)), Ok(()));
    assert_eq!(own.change_mode(&user, 0o666), Err(Errno::EPERM));
    assert_eq!((own.status().uid, own.status().gid), (6, 8));
    directory(root, "closed").expect("memory").change_mode(&ROOT, 0o700).expect("root may");
    file(root, "closed/f", "x");
    assert_eq!(by_user("closed/f", O_RDONLY), Err(Errno::EACCES));
    assert_eq!(find(root, "open").expect("there").check(&user, Access::WRITE), Ok(()));
    let node =
        |credentials, mode| make(credentials, root, b"open/n", mode, DeviceNumber::default());
    assert_eq!(node(&user, Kind::CharDevice.mode() | 0o666).map(|_| ()), Err(Errno::EPERM));
    assert_eq!(node(&user, S_IFIFO | 0o666).map(|_| ()), Ok(()));
}

#[base::kernel_test]
fn a_link_says_where_it_leads() {
    let root = &mounted("");
    make_symlink(&ROOT, root, b"l", b"some/where").expect("memory");
    let link = find(root, "l").expect("it was made");
    let target = match link.inode().link_target() {
        Ok(LinkTarget::Text(target)) => target.into_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!((target.as_slice(), link.status().size), (b"some/where".as_slice(), 10));
}

/// What runs is not written to, and what is open for writing is not run; a mapping counts as the
/// open file that it was made of.
#[base::kernel_test]
fn programs_are_not_written_to() {
    let root = mounted("");
    let writer = file(&root, "program", "text");
    assert_eq!(writer.program().err(), Some(Errno::ETXTBSY));
    let reader = open_at(&root, "program", O_RDONLY).expect("it is there");
    assert_eq!(reader.program().err(), Some(Errno::ETXTBSY));
    let mapped = writer.object().expect("memory");
    drop(writer);
    assert_eq!(reader.program().err(), Some(Errno::ETXTBSY));
    drop(mapped);
    let program = reader.program().expect("nobody writes to it");
    let again = reader.program().expect("many may run it");
    drop(reader);
    for flags in [O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC] {
        assert_eq!(open_at(&root, "program", flags).err(), Some(Errno::ETXTBSY));
    }
    drop(program);
    let path = lookup(&ROOT, &root, b"program", LastLink::Follow).expect("it is there");
    assert_eq!(path.truncate(&ROOT, 0), Err(Errno::ETXTBSY));
    // It may go away, and another come in its place.
    unlink(&ROOT, &root, b"program").expect("the directory may be written to");
    drop(again);
    assert_eq!(path.truncate(&ROOT, 0), Ok(()));
    drop(file(&root, "program", "other"));
}

/// Tasks make, move, link and remove the same few names in two directories. Each call does what
/// it says or says why not, and what is left is what the file system counts.
#[base::kernel_test]
fn many_change_the_same_names() {
    const TASKS: u64 = 6;
    let root = mounted("");
    for path in ["a", "b"] {
        directory(&root, path).expect("memory");
    }
    let tasks: Vec<_> = (0..TASKS)
        .map(|number| {
            let root = root.clone();
            let body = move || {
                let mut seed = number * 77 + 1;
                let mut random = |end: u64| {
                    seed ^= seed << 13;
                    seed ^= seed >> 7;
                    seed ^= seed << 17;
                    seed % end
                };
                for _ in 0..400 {
                    let mut path = || {
                        let parent = if random(2) == 0 { "a" } else { "b" };
                        format!("{parent}/{}", random(4))
                    };
                    let (one, other) = (path(), path());
                    let result = match random(8) {
                        0 | 1 => open_at(&root, &one, O_CREAT | O_RDWR).map(|file| {
                            let _ = file.write(&mut Source::Kernel(b"text"));
                        }),
                        2 => directory(&root, &one).map(|_| ()),
                        3 => move_to(&root, &one, &other, 0),
                        4 => move_to(&root, &one, &other, RENAME_EXCHANGE),
                        5 => unlink(&ROOT, &root, one.as_bytes()),
                        6 => remove_directory(&ROOT, &root, one.as_bytes()),
                        _ => find(&root, &one)
                            .and_then(|file| link(&ROOT, &file, &root, other.as_bytes())),
                    };
                    let expected = [
                        Errno::ENOENT,
                        Errno::EEXIST,
                        Errno::EISDIR,
                        Errno::ENOTDIR,
                        Errno::ENOTEMPTY,
                        Errno::EPERM,
                        Errno::EINVAL,
                    ];
                    assert!(result.is_ok_and_or(&expected), "{one}, {other}: {result:?}");
                }
            };
            spawn("names", body).expect("memory")
        })
        .collect();
    tasks.iter().for_each(|task| task.join());
    let mut links = 0;
    for path in ["a", "b"] {
        let mut directories = 2;
        for name in names(&root, path) {
            let found = find(&root, &format!("{path}/{name}")).expect("it is listed");
            match found.kind() {
                Kind::Directory => directories += 1,
                _ => links += 1,
            }
            assert_eq!(where_is(&root, &format!("{path}/{name}")), format!("/{path}/{name}"));
            let clear = match found.kind() {
                Kind::Directory => remove_directory,
                _ => unlink,
            };
            assert_eq!(clear(&ROOT, &root, format!("{path}/{name}").as_bytes()), Ok(()));
        }
        let left = find(&root, path).expect("it stays").status().links;
        assert_eq!((left, directories >= 2), (2, true), "{path}");
    }
    let statistics = root.mount().superblock().statistics();
    assert_eq!(statistics.inodes - statistics.free_inodes, 3, "{links} names of files");
}

trait OkOr {
    fn is_ok_and_or(&self, errors: &[Errno]) -> bool;
}

impl OkOr for Result<()> {
    fn is_ok_and_or(&self, errors: &[Errno]) -> bool {
        match self {
            Ok(()) => true,
            Err(error) => errors.contains(error),
        }
    }
}
