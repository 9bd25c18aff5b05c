//! Kernel tests of pseudo file systems: reading, storing, coming and going.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use alloc::{format, vec};
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use abi::fcntl::{O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY};
use abi::{Errno, Result};
use base::sync::SpinLock;
use task::{spawn, yield_now};

use super::inode::superblock;
use super::*;
use crate::buffer::{Destination, Source};
use crate::credentials::Credentials;
use crate::open_file::{OpenFile, Seek};
use crate::status::Kind;
use crate::vfs::{LastLink, Path, detached, lookup, open};

fn mounted(folder: &Arc<Folder>, manners: Manners) -> Path {
    detached(superblock("test", folder.clone(), manners).expect("memory")).expect("memory")
}

fn open_at(root: &Path, path: &str, flags: u32) -> Result<Arc<OpenFile>> {
    open(&Credentials::ROOT, root, path.as_bytes(), flags, 0)
}

fn read(file: &OpenFile, part: usize) -> Result<String> {
    let mut text = Vec::new();
    let mut room = vec![0; part];
    loop {
        match file.read(&mut Destination::Kernel(&mut room))? {
            0 => return String::from_utf8(text).map_err(|_| Errno::EILSEQ),
            count => text.extend_from_slice(room.get(..count).unwrap_or_default()),
        }
    }
}

fn write(file: &OpenFile, text: &str) -> Result<usize> {
    file.write(&mut Source::Kernel(text.as_bytes()))
}

fn names(root: &Path, path: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut visit = |entry: crate::DirEntry<'_>| {
        names.push(String::from_utf8_lossy(entry.name).into_owned());
        ControlFlow::Continue(())
    };
    open_at(root, path, O_RDONLY).expect("a directory").entries(&mut visit).expect("entries");
    names
}

/// A setting that counts how often it is shown.
fn setting() -> (Node, Arc<SpinLock<String>>, Arc<AtomicUsize>) {
    let value = Arc::new(SpinLock::new("test setting", String::from("old")));
    let shown = Arc::new(AtomicUsize::new(0));
    let (its_value, its_shown, taken) = (value.clone(), shown.clone(), value.clone());
    let node = Node::setting(
        move |to| {
            its_shown.fetch_add(1, Ordering::Relaxed);
            let text = its_value.lock().clone();
            to.write(format_args!("{text}\n"))
        },
        move |text| {
            if text.contains("bad") {
                return Err(Errno::EDOM);
            }
            *taken.lock() = text.to_string();
            Ok(())
        },
    );
    (node, value, shown)
}

#[base::kernel_test]
fn a_text_is_made_when_it_is_read_from_its_start() {
    let folder = Folder::new();
    let (node, value, shown) = setting();
    folder.put("value", node);
    let root = mounted(&folder, Manners::Sys);
    let file = open_at(&root, "value", O_RDWR).expect("a file");
    assert_eq!(shown.load(Ordering::Relaxed), 0, "opening makes no text");
    assert_eq!(read(&file, 3), Ok("old\n".into()));
    assert_eq!(read(&file, 3), Ok(String::new()), "that was the end");
    assert_eq!(shown.load(Ordering::Relaxed), 1);
    assert_eq!(file.seek(Seek::Set(0)), Ok(0));
    assert_eq!(write(&file, "new\n"), Ok(4));
    assert_eq!(*value.lock(), "new");
    assert_eq!(file.seek(Seek::Set(0)), Ok(0));
    assert_eq!(read(&file, 100), Ok("new\n".into()));
    // What was begun is read to its end, whatever is stored meanwhile.
    let other = open_at(&root, "value", O_RDONLY).expect("a file");
    let mut part = [0; 2];
    assert_eq!(other.read(&mut Destination::Kernel(&mut part)), Ok(2));
    *value.lock() = "changed".into();
    assert_eq!(read(&other, 100), Ok("w\n".into()));
    assert_eq!(file.seek(Seek::Set(1000)), Ok(1000));
    assert_eq!(read(&file, 10), Ok(String::new()));
    assert_eq!(file.status().size, 4096);
}

#[base::kernel_test]
fn what_is_stored_is_checked_and_errors_reach_the_writer() {
    let folder = Folder::new();
    let (node, value, _) = setting();
    folder.put("value", node);
    let root = mounted(&folder, Manners::Sys);
    let file = open_at(&root, "value", O_WRONLY | O_TRUNC).expect("a file");
    assert_eq!(write(&file, "a bad one"), Err(Errno::EDOM));
    assert_eq!(file.write(&mut Source::Kernel(b"\xff\xfe")), Err(Errno::EINVAL), "no text");
    assert_eq!(write(&file, &"x".repeat(4097)), Err(Errno::E2BIG));
    assert_eq!(*value.lock(), "old");
    let longest = "y".repeat(4096);
    assert_eq!(write(&file, &longest), Ok(4096));
    assert_eq!(*value.lock(), longest);
    // With the newline it does not fit a page any more.
    let reader = open_at(&root, "value", O_RDONLY).expect("a file");
    assert_eq!(read(&reader, 100), Err(Errno::EFBIG));
    assert_eq!(file.read(&mut Destination::Kernel(&mut [0; 4])), Err(Errno::EBADF));
}

#[base::kernel_test]
fn procfs_and_sysfs_refuse_as_on_linux() {
    let folder = Folder::new();
    folder.put("told", Node::text(|to| to.push(b"text\n")));
    folder.put("fails", Node::text(|_| Err(Errno::ENODEV)));
    folder.put_folder("folder").put("inside", Node::bytes(Arc::from(&b"bytes"[..])));
    struct Action;
    impl TextFile for Action {
        fn show(&self, _: &mut Text) -> Result<()> {
            Ok(())
        }
        fn store(&self, _: &str) -> Result<()> {
            Ok(())
        }
        fn mode(&self) -> u32 {
            0o200
        }
    }
    folder.put("action", Node::Text(Arc::new(Action)));
    let (sys, proc) = (mounted(&folder, Manners::Sys), mounted(&folder, Manners::Proc));
    let result = |root, path, flags| open_at(root, path, flags).map(|_| ());
    for (path, flags, on_sys, on_proc) in [
        ("told", O_RDONLY, Ok(()), Ok(())),
        ("told", O_WRONLY, Err(Errno::EACCES), Ok(())),
        ("told", O_RDWR, Err(Errno::EACCES), Ok(())),
        ("told", O_RDONLY | O_TRUNC, Ok(()), Ok(())),
        ("told/", O_RDONLY, Err(Errno::ENOTDIR), Err(Errno::ENOTDIR)),
        ("action", O_RDONLY, Err(Errno::EACCES), Ok(())),
        ("action", O_WRONLY, Ok(()), Ok(())),
        ("new", O_RDONLY, Err(Errno::ENOENT), Err(Errno::ENOENT)),
        ("new", O_WRONLY | O_CREAT, Err(Errno::EACCES), Err(Errno::ENOENT)),
        ("folder/new", O_WRONLY | O_CREAT, Err(Errno::EACCES), Err(Errno::ENOENT)),
        ("folder", O_WRONLY, Err(Errno::EISDIR), Err(Errno::EISDIR)),
        ("folder/inside", O_RDONLY, Ok(()), Ok(())),
    ] {
        assert_eq!(result(&sys, path, flags), on_sys, "sys {path} {flags:o}");
        assert_eq!(result(&proc, path, flags), on_proc, "proc {path} {flags:o}");
    }
    let told = open_at(&proc, "told", O_RDWR).expect("a file");
    assert_eq!(write(&told, "x"), Err(Errno::EIO));
    let action = open_at(&proc, "action", O_RDONLY).expect("a file");
    assert_eq!(read(&action, 10), Err(Errno::EIO));
    let fails = open_at(&sys, "fails", O_RDONLY).expect("a file");
    assert_eq!(read(&fails, 10), Err(Errno::ENODEV));
    let bytes = open_at(&sys, "folder/inside", O_RDONLY).expect("a file");
    assert_eq!((read(&bytes, 2), bytes.status().size), (Ok("bytes".into()), 5));
    for name in ["\0", "TOLD", "told ", "..."] {
        assert_eq!(result(&sys, name, O_RDONLY), Err(Errno::ENOENT), "{name:?}");
    }
    assert_eq!(
        open(&Credentials::ROOT, &sys, b"\xff", O_RDONLY, 0).map(|_| ()),
        Err(Errno::ENOENT)
    );
    let number = |root: &Path| {
        lookup(&Credentials::ROOT, root, b"folder", LastLink::Keep).map(|it| it.status().inode)
    };
    assert_eq!(number(&sys), number(&sys), "always the same number");
}

#[base::kernel_test]
fn bad_names_stay_out_of_a_folder() {
    let folder = Folder::new();
    let text = || Node::text(|_| Ok(()));
    for name in ["", ".", "..", "a/b", "a\0b"] {
        assert_eq!(folder.add(name, text()), Err(FolderError::BadName), "{name:?}");
    }
    assert_eq!(folder.add("n".repeat(256), text()), Err(FolderError::BadName));
    assert_eq!(folder.add("a", text()), Ok(()));
    assert_eq!(folder.add("a", text()), Err(FolderError::Exists));
    folder.remove("a");
    folder.remove("a");
    assert_eq!(folder.add("a", text()), Ok(()));
}

/// Numbers, of which one in three is there.
struct Numbers;

impl Directory for Numbers {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        let there = name.parse::<u64>().is_ok_and(|number| number.is_multiple_of(3));
        Ok(there.then(|| Node::text(|to| to.push(b"three\n"))))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        for number in (from.next_multiple_of(3)..10).step_by(3) {
            if visit(number, &format!("{number}"), Kind::Regular).is_break() {
                break;
            }
        }
        Ok(())
    }
}

#[base::kernel_test]
fn a_folder_is_listed_while_it_changes() {
    let folder = Folder::new();
    for name in ["a", "b", "c", "d"] {
        folder.put(name, Node::text(|_| Ok(())));
    }
    folder.compute(Arc::new(Numbers));
    let root = mounted(&folder, Manners::Sys);
    assert_eq!(names(&root, "."), [".", "..", "a", "b", "c", "d", "0", "3", "6", "9"]);
    // One entry a time; what goes behind us changes nothing, what goes before us is not seen.
    let directory = open_at(&root, ".", O_RDONLY).expect("a directory");
    let mut seen: Vec<String> = Vec::new();
    loop {
        let mut next = None;
        let mut visit = |entry: crate::DirEntry<'_>| {
            if next.is_some() {
                return ControlFlow::Break(());
            }
            next = Some(String::from_utf8_lossy(entry.name).into_owned());
            ControlFlow::Continue(())
        };
        directory.entries(&mut visit).expect("entries");
        let Some(name) = next else { break };
        match &*name {
            "b" => {
                folder.remove("a");
                folder.remove("b");
                folder.remove("c");
                folder.put("e", Node::text(|_| Ok(())));
            }
            "3" => folder.put("f", Node::text(|_| Ok(()))),
            _ => {}
        }
        seen.push(name);
    }
    assert_eq!(seen, [".", "..", "a", "b", "d", "e", "0", "3", "6", "9"]);
}

#[base::kernel_test]
fn files_vanish_while_others_use_them() {
    static WRONG: AtomicUsize = AtomicUsize::new(0);
    static READ: AtomicU64 = AtomicU64::new(0);
    let folder = Folder::new();
    let root = mounted(&folder, Manners::Sys);
    let work = {
        let folder = folder.clone();
        move |number: u32| {
            for _ in 0..300 {
                if number == 0 {
                    let inner = Folder::new();
                    inner.put("file", Node::text(|to| to.push(b"text\n")));
                    let _ = folder.add("inner", Node::folder(&inner));
                    yield_now();
                    folder.remove("inner");
                    continue;
                }
                match open_at(&root, "inner/file", O_RDONLY).and_then(|file| read(&file, 3)) {
                    Ok(text) if text == "text\n" => {
                        READ.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(Errno::ENOENT) => {}
                    _ => {
                        WRONG.fetch_add(1, Ordering::Relaxed);
                    }
                }
                yield_now();
            }
        }
    };
    let work = Arc::new(work);
    let tasks: Vec<_> = (0..4)
        .map(|number| {
            let work = work.clone();
            spawn("user of files", move || work(number)).expect("memory")
        })
        .collect();
    tasks.iter().for_each(|task| task.join());
    assert_eq!(WRONG.load(Ordering::Relaxed), 0);
}
