//! Kernel tests of walks, mounts and the dentry cache, on a file system of their own.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;
use alloc::{format, vec};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use abi::fcntl::{O_CREAT, O_DIRECTORY, O_EXCL, O_PATH, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY};
use abi::{Errno, Result};
use task::{RwLock, spawn, yield_now};

use super::dcache::dentries;
use super::mount::mount_superblock;
use super::*;
use crate::credentials::Credentials;
use crate::file::File;
use crate::status::{Kind, Status};

/// A file that tests make and change.
#[derive(Debug)]
struct Node {
    kind: Kind,
    target: Vec<u8>,
    entries: RwLock<Vec<(Vec<u8>, Arc<Node>)>>,
    /// How often the VFS asked for a name.
    lookups: AtomicUsize,
    gone: AtomicBool,
}

impl Node {
    fn new(kind: Kind, target: &[u8]) -> Arc<Self> {
        let entries = RwLock::new(Vec::new());
        let (lookups, gone) = (AtomicUsize::new(0), AtomicBool::new(false));
        Arc::new(Self { kind, target: target.into(), entries, lookups, gone })
    }

    fn directory() -> Arc<Self> {
        Self::new(Kind::Directory, b"")
    }

    fn add(&self, name: &str, node: Arc<Self>) -> Arc<Self> {
        self.entries.write().push((name.into(), node.clone()));
        node
    }

    fn find(&self, name: &[u8]) -> Option<Arc<Self>> {
        let entries = self.entries.read();
        entries.iter().find(|(entry, _)| entry == name).map(|(_, node)| node.clone())
    }

    fn remove(&self, name: &str) {
        let at = |entry: &(Vec<u8>, Arc<Self>)| entry.0 == name.as_bytes();
        if let Some(node) = self.find(name.as_bytes()) {
            node.gone.store(true, Ordering::Release);
        }
        self.entries.write().retain(|entry| !at(entry));
    }

    fn lookups(&self) -> usize {
        self.lookups.load(Ordering::Relaxed)
    }
}

impl Inode for Node {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn status(&self) -> Status {
        let inode = core::ptr::from_ref(self).addr() as u64;
        Status { inode, mode: self.kind.mode() | 0o755, links: 1, ..Status::default() }
    }

    fn open(self: Arc<Self>, _flags: u32) -> Result<Arc<dyn File>> {
        Err(Errno::ENXIO)
    }

    fn lookup(&self, name: &[u8]) -> Result<Option<Arc<dyn Inode>>> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        yield_now(); // so that others come in between
        Ok(self.find(name).map(|node| node as Arc<dyn Inode>))
    }

    fn entries(&self, position: u64, visit: &mut VisitEntry<'_>) -> Result<()> {
        let entries = self.entries.read().clone();
        for (next, (name, node)) in (1..).zip(&entries).skip(position as usize) {
            let inode = Inode::status(&**node).inode;
            if visit(DirEntry { name, inode, kind: node.kind, next }).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn link_target(&self) -> Result<LinkTarget<'_>> {
        match self.kind {
            Kind::Symlink => Ok(LinkTarget::Text(Cow::Borrowed(&self.target))),
            _ => Err(Errno::EINVAL),
        }
    }

    fn is_current(&self) -> bool {
        !self.gone.load(Ordering::Acquire)
    }
}

fn superblock(root: &Arc<Node>, caching: Caching) -> Arc<Superblock> {
    Superblock::new("test", root.clone(), Arc::new(Unbacked { magic: 0 }), caching, false)
        .expect("memory")
}

/// A tree that nothing else is connected with: the root of its mount.
fn detached(root: &Arc<Node>, caching: Caching) -> Path {
    super::detached(superblock(root, caching)).expect("memory")
}

fn mount_at(place: &Path, path: &str, root: &Arc<Node>) {
    let place = find(place, path).expect("a place");
    let superblock = superblock(root, Caching::Kept);
    mount_superblock(superblock, place, &MountRequest::default()).expect("a mount");
}

fn find(start: &Path, path: &str) -> Result<Path> {
    lookup(&Credentials::ROOT, start, path.as_bytes(), LastLink::Follow)
}

fn text(start: &Path, path: &str) -> vec::Vec<u8> {
    find(start, path)
        .and_then(|found| found.text())
        .unwrap_or_else(|error| format!("{error}").into())
}

fn unmount_at(start: &Path, path: &str) -> Result<()> {
    unmount(find(start, path)?)
}

/// `/a/b/c`, a file `/a/file`, and links.
fn tree() -> Arc<Node> {
    let root = Node::directory();
    let a = root.add("a", Node::directory());
    let b = a.add("b", Node::directory());
    b.add("c", Node::directory());
    a.add("file", Node::new(Kind::Regular, b""));
    for (name, target) in [
        ("to-b", "a/b"),
        ("to-file", "a/file"),
        ("up", "a/b/../.."),
        ("self", "self"),
        ("nowhere", "a/nothing"),
        ("empty", ""),
        ("to-slash", "a/file/"),
        ("root", "/"),
    ] {
        root.add(name, Node::new(Kind::Symlink, target.as_bytes()));
    }
    root
}

#[base::kernel_test]
fn a_walk_goes_as_linux_goes() {
    let root = detached(&tree(), Caching::Kept);
    let a = find(&root, "a").expect("it is there");
    for (path, ends) in [
        (".", "/"),
        ("..", "/"),
        ("a/b/c", "/a/b/c"),
        ("a//b/./c/../", "/a/b"),
        ("a/file", "/a/file"),
        ("to-b/c", "/a/b/c"),
        ("to-b/", "/a/b"),
        ("to-file", "/a/file"),
        ("up/up/up/a", "/a"),
        ("a/../../../a/b", "/a/b"),
    ] {
        assert_eq!(text(&root, path), ends.as_bytes(), "{path}");
    }
    assert_eq!(text(&a, "../a/b"), b"/a/b");
    let long = "a/".repeat(2048);
    let long_name = "n".repeat(256);
    for (path, error) in [
        ("", Errno::ENOENT),
        ("nothing", Errno::ENOENT),
        ("nothing/", Errno::ENOENT),
        ("nothing/..", Errno::ENOENT),
        ("a/file/", Errno::ENOTDIR),
        ("a/file/..", Errno::ENOTDIR),
        ("a/file/x", Errno::ENOTDIR),
        ("to-file/", Errno::ENOTDIR),
        ("to-slash", Errno::ENOTDIR),
        ("self", Errno::ELOOP),
        ("self/a", Errno::ELOOP),
        ("nowhere", Errno::ENOENT),
        ("empty", Errno::ENOENT),
        ("a\0b", Errno::ENOENT),
        (&long, Errno::ENAMETOOLONG),
        (&long_name, Errno::ENAMETOOLONG),
    ] {
        assert_eq!(find(&root, path), Err(error), "{path}");
    }
    // A name of the greatest length is only not there.
    assert_eq!(find(&root, long_name.get(1..).unwrap_or("")), Err(Errno::ENOENT));
    let link = lookup(&Credentials::ROOT, &root, b"to-b", LastLink::Keep).expect("it is there");
    assert_eq!(link.kind(), Kind::Symlink);
    let entered = lookup(&Credentials::ROOT, &root, b"to-b/", LastLink::Keep).expect("it is there");
    assert!(entered.is_directory());
    assert_eq!(text(&root, "root"), text(&crate::root().expect("a root"), "/"));
}

#[base::kernel_test]
fn forty_links_are_followed_and_no_more() {
    let node = Node::directory();
    node.add("0", Node::directory());
    for number in 1..=41 {
        let target = format!("{}", number - 1);
        node.add(&format!("{number}"), Node::new(Kind::Symlink, target.as_bytes()));
    }
    let root = detached(&node, Caching::Kept);
    assert_eq!(text(&root, "40"), b"/0");
    assert_eq!(find(&root, "41"), Err(Errno::ELOOP));
    assert_eq!(find(&root, "21/../21"), Err(Errno::ELOOP));
}

#[base::kernel_test]
fn open_says_what_linux_says() {
    let root = detached(&tree(), Caching::Kept);
    let open =
        |path: &str, flags| open(&Credentials::ROOT, &root, path.as_bytes(), flags, 0).map(|_| ());
    for (path, flags, result) in [
        ("a", O_RDONLY, Ok(())),
        ("a", O_RDONLY | O_DIRECTORY, Ok(())),
        ("a", O_WRONLY, Err(Errno::EISDIR)),
        ("a", O_RDONLY | O_CREAT, Err(Errno::EISDIR)),
        ("a", O_RDONLY | O_TRUNC, Err(Errno::EISDIR)),
        ("a", O_PATH | O_RDWR | O_CREAT, Ok(())),
        ("a/file", O_RDONLY | O_DIRECTORY, Err(Errno::ENOTDIR)),
        ("a/file", O_RDONLY, Err(Errno::ENXIO)),
        ("a/file", O_PATH, Ok(())),
        ("a/file", O_CREAT | O_EXCL, Err(Errno::EEXIST)),
        ("nowhere", O_CREAT | O_EXCL, Err(Errno::EEXIST)),
        ("nowhere", O_CREAT | O_WRONLY, Err(Errno::EACCES)),
        ("nowhere", O_RDONLY, Err(Errno::ENOENT)),
        ("to-b", O_RDONLY | abi::fcntl::O_NOFOLLOW, Err(Errno::ELOOP)),
        ("to-b", O_PATH | abi::fcntl::O_NOFOLLOW, Ok(())),
        ("new", O_CREAT | O_WRONLY, Err(Errno::EACCES)),
        ("new/", O_CREAT | O_WRONLY, Err(Errno::EISDIR)),
        ("new/er", O_CREAT | O_WRONLY, Err(Errno::ENOENT)),
        ("a", O_CREAT | O_DIRECTORY, Err(Errno::EINVAL)),
    ] {
        assert_eq!(open(path, flags), result, "{path}, {flags:o}");
    }
}

#[base::kernel_test]
fn mounts_nest_and_hide_and_are_left_upwards() {
    let root = detached(&tree(), Caching::Kept);
    let (inner, innermost) = (tree(), tree());
    innermost.add("deep", Node::directory());
    innermost.add("out", Node::new(Kind::Symlink, b"../../../../a/file"));
    mount_at(&root, "a/b", &inner);
    // What was there is hidden, and what came is found.
    assert_eq!(find(&root, "a/b/c"), Err(Errno::ENOENT));
    assert_eq!(text(&root, "a/b/a/b/c"), b"/a/b/a/b/c");
    mount_at(&root, "a/b/a/b", &innermost);
    assert_eq!(text(&root, "a/b/a/b/deep"), b"/a/b/a/b/deep");
    assert_eq!(text(&root, "a/b/a/b/deep/../../../../../a/file"), b"/a/file");
    assert_eq!(text(&root, "a/b/a/b/out"), b"/a/file");
    assert_eq!(text(&root, "to-b/to-b/deep"), b"/a/b/a/b/deep");
    let device = |path| find(&root, path).expect("it is there").status().device;
    assert!(device("a") != device("a/b") && device("a/b") != device("a/b/a/b"));
    assert_eq!(device("a/b/a"), device("a/b"));

    // Once more at the same place: on top.
    let top = Node::directory();
    mount_at(&root, "a/b", &top);
    assert_eq!(find(&root, "a/b/a"), Err(Errno::ENOENT));
    assert_eq!(text(&root, "a/b"), b"/a/b");
    assert_eq!(text(&root, "a/b/.."), b"/a");
    assert_eq!(unmount_at(&root, "a/b"), Ok(()));

    assert_eq!(unmount_at(&root, "a/b"), Err(Errno::EBUSY), "something is mounted inside");
    assert_eq!(unmount_at(&root, "a/b/a"), Err(Errno::EINVAL), "no mount begins there");
    assert_eq!(unmount_at(&root, "."), Err(Errno::EBUSY), "the root stays");
    assert_eq!(unmount_at(&root, "a/b/a/b"), Ok(()));
    assert_eq!(unmount_at(&root, "a/b"), Ok(()));
    assert_eq!(unmount_at(&root, "a/b"), Err(Errno::EINVAL));
    assert_eq!(text(&root, "a/b/c"), b"/a/b/c");
    let file = find(&root, "a/file").expect("it is there");
    let superblock = superblock(&top, Caching::Kept);
    let on_file = mount_superblock(superblock, file, &MountRequest::default());
    assert_eq!(on_file, Err(Errno::ENOTDIR));
}

#[base::kernel_test]
fn a_mount_is_busy_as_long_as_somebody_has_something_of_it() {
    let root = detached(&tree(), Caching::Kept);
    let inside = tree();
    mount_at(&root, "a/b", &inside);
    let held = find(&root, "a/b/a/b/c").expect("it is there");
    assert_eq!(unmount_at(&root, "a/b"), Err(Errno::EBUSY));
    drop(held);
    let file = open(&Credentials::ROOT, &root, b"a/b/a", O_RDONLY, 0).expect("a directory");
    assert_eq!(unmount_at(&root, "a/b"), Err(Errno::EBUSY));
    drop(file);
    let only_path = open(&Credentials::ROOT, &root, b"a/b/a/file", O_PATH, 0).expect("a path");
    assert_eq!(unmount_at(&root, "a/b"), Err(Errno::EBUSY));
    drop(only_path);
    assert_eq!(unmount_at(&root, "a/b"), Ok(()));
    // Nothing of it is kept: not by the cache either.
    assert_eq!(Arc::strong_count(&inside), 1);
}

#[base::kernel_test]
fn one_file_system_is_mounted_in_two_places() {
    let node = Node::directory();
    for name in ["one", "other"] {
        node.add(name, Node::directory());
    }
    let root = detached(&node, Caching::Kept);
    let both = superblock(&tree(), Caching::Kept);
    for path in ["one", "other"] {
        let place = find(&root, path).expect("a place");
        let result = mount_superblock(both.clone(), place, &MountRequest::default());
        assert_eq!(result, Ok(()), "{path}");
    }
    // What is mounted in one of them is there alone.
    mount_at(&root, "one/a", &Node::directory());
    assert_eq!(find(&root, "one/a/b"), Err(Errno::ENOENT));
    assert_eq!(text(&root, "other/a/b/c/.."), b"/other/a/b");
    assert_eq!(text(&root, "other/a/../../one/a/.."), b"/one");
    assert_eq!(unmount_at(&root, "one"), Err(Errno::EBUSY));
    let held = find(&root, "other/a");
    assert_eq!(unmount_at(&root, "one/a"), Ok(()));
    assert_eq!(unmount_at(&root, "one"), Ok(()));
    assert_eq!(unmount_at(&root, "other"), Err(Errno::EBUSY));
    drop(held);
    assert_eq!(unmount_at(&root, "other"), Ok(()));
}

#[base::kernel_test]
fn what_is_mounted_over_the_root_is_the_root() {
    let node = Node::directory();
    node.add("over", Node::directory());
    let place = crate::root().expect("a root");
    let superblock = superblock(&node, Caching::Kept);
    mount_superblock(superblock, place.clone(), &MountRequest::default()).expect("a mount");
    let over = crate::root().and_then(|root| find(&root, "/over/../../over"));
    let path = over.as_ref().map(|over| over.text());
    assert_eq!(path, Ok(Ok(b"/over".to_vec())));
    assert_eq!(unmount(crate::root().expect("a root")), Err(Errno::EBUSY));
    drop(over);
    assert_eq!(unmount(crate::root().expect("a root")), Ok(()));
    assert_eq!(crate::root(), Ok(place));
}

#[base::kernel_test]
fn names_are_asked_for_once_those_too_that_are_not_there() {
    let node = tree();
    let root = detached(&node, Caching::Kept);
    for _ in 0..5 {
        assert!(find(&root, "a").is_ok());
        assert_eq!(find(&root, "nothing"), Err(Errno::ENOENT));
        assert_eq!(find(&root, "nothing/below"), Err(Errno::ENOENT));
    }
    assert_eq!(node.lookups(), 2);
}

#[base::kernel_test]
fn files_that_come_and_go_by_themselves_are_asked_for() {
    let node = tree();
    let root = detached(&node, Caching::WhileUsed);
    assert_eq!(find(&root, "new"), Err(Errno::ENOENT));
    node.add("new", Node::directory()).add("child", Node::directory());
    let held = find(&root, "new").expect("it has come");
    let asked = node.lookups();
    // While it is used it is known, and the same for all.
    assert_eq!(find(&root, "new"), Ok(held.clone()));
    assert_eq!(node.lookups(), asked);
    node.remove("new");
    assert_eq!(find(&root, "new"), Err(Errno::ENOENT));
    // Who has it goes on with it.
    assert_eq!(text(&held, "child/.."), b"/new");
    node.add("new", Node::directory());
    let newer = find(&root, "new").expect("another one");
    assert!(newer != held);
    assert_eq!(find(&newer, "child"), Err(Errno::ENOENT));
    drop((held, newer));
    let live = dentries();
    for _ in 0..100 {
        assert!(find(&root, "new").is_ok() && find(&root, "nothing").is_err());
    }
    assert_eq!(dentries(), live, "nothing is kept");
}

#[base::kernel_test]
fn a_deep_directory_goes_without_a_deep_stack() {
    // It is a node that contains itself.
    let node = Node::directory();
    node.add("d", node.clone());
    let root = detached(&node, Caching::WhileUsed);
    let before = dentries();
    let part = "d/".repeat(1000);
    let mut deep = root.clone();
    for _ in 0..20 {
        deep = find(&deep, &part).expect("it is deep");
    }
    assert_eq!(dentries().0, before.0 + 20_000);
    assert_eq!(deep.text().map(|text| text.len()), Ok(40_000));
    assert_eq!(deep.text_within(4095), Err(Errno::ENAMETOOLONG));
    drop(deep);
    assert_eq!(dentries(), before);
    node.remove("d");
}

#[base::kernel_test]
fn the_cache_is_bounded_and_gives_memory_back() {
    let node = tree();
    let root = detached(&node, Caching::Kept);
    let held = find(&root, "a/b").expect("it is there");
    // More names than are kept in a machine of any size that tests run on would take long;
    // the ring is driven round by what it gives back.
    for round in 0..4 {
        for number in 0..2000 {
            assert_eq!(find(&root, &format!("{round}-{number}")), Err(Errno::ENOENT));
        }
        memory::reclaim::reclaim(usize::MAX);
        memory::reclaim::reclaim(usize::MAX);
        let (live, kept) = dentries();
        assert!(live < 1000 && kept < 1000, "{live} dentries, {kept} kept");
    }
    let before = node.lookups();
    assert_eq!(find(&root, "a/b"), Ok(held.clone()));
    assert_eq!(node.lookups(), before, "what is used is still known");
}

#[base::kernel_test]
fn what_many_look_for_at_once_is_kept_once() {
    let node = tree();
    let root = detached(&node, Caching::Kept);
    let at = root.clone();
    at_once(4, move |_| {
        for number in 0..500 {
            assert_eq!(find(&at, &format!("same-{number}")), Err(Errno::ENOENT));
        }
    });
    memory::reclaim::reclaim(usize::MAX);
    memory::reclaim::reclaim(usize::MAX);
    let (live, kept) = dentries();
    assert!(live < 500 && kept < 500, "{live} dentries, {kept} kept");
}

#[base::kernel_test]
fn a_directory_is_read_in_parts() {
    let node = tree();
    let root = detached(&node, Caching::Kept);
    let directory =
        open(&Credentials::ROOT, &root, b"a", O_RDONLY | O_DIRECTORY, 0).expect("a directory");
    let mut names: Vec<Vec<u8>> = Vec::new();
    loop {
        // One at a time, and each first refused.
        let before = names.len();
        directory.entries(&mut |_| core::ops::ControlFlow::Break(())).expect("entries");
        let mut room = 1;
        directory
            .entries(&mut |entry| {
                if room == 0 {
                    return core::ops::ControlFlow::Break(());
                }
                room -= 1;
                names.push(entry.name.into());
                core::ops::ControlFlow::Continue(())
            })
            .expect("entries");
        if names.len() == before {
            break;
        }
    }
    assert_eq!(names, [b".".as_slice(), b"..", b"b", b"file"]);
    assert_eq!(directory.seek(crate::Seek::Set(3)), Ok(3));
    directory
        .entries(&mut |entry| {
            assert_eq!((entry.name, entry.next), (b"file".as_slice(), 4));
            core::ops::ControlFlow::Continue(())
        })
        .expect("entries");
    let only_path = open(&Credentials::ROOT, &root, b"a", O_PATH | O_DIRECTORY, 0).expect("a path");
    let nobody = &mut |_: DirEntry<'_>| core::ops::ControlFlow::Continue(());
    assert_eq!(only_path.entries(nobody), Err(Errno::EBADF));
}

/// Runs `work` in several tasks at once; each gets its number.
fn at_once(count: usize, work: impl Fn(usize) + Send + Sync + 'static) {
    let work = Arc::new(work);
    let tasks: Vec<_> = (0..count)
        .map(|number| {
            let work = work.clone();
            spawn("walker", move || work(number)).expect("memory")
        })
        .collect();
    tasks.iter().for_each(|task| task.join());
}

#[base::kernel_test]
fn walks_meet_mounts_that_come_and_go() {
    static FAILED: AtomicUsize = AtomicUsize::new(0);
    let node = tree();
    let root = detached(&node, Caching::Kept);
    let inside = tree();
    inside.add("inside", Node::directory());
    let check = |good: bool| {
        if !good {
            FAILED.fetch_add(1, Ordering::Relaxed);
        }
    };
    at_once(4, move |number| {
        for _ in 0..300 {
            if number == 0 {
                mount_at(&root, "a/b", &inside);
                while unmount_at(&root, "a/b") == Err(Errno::EBUSY) {
                    yield_now();
                }
                continue;
            }
            // One or the other, and up again in any case.
            let below = find(&root, "a/b");
            check(below.is_ok());
            let Ok(below) = below else { continue };
            let (own, other) = (find(&below, "c"), find(&below, "inside"));
            check(own.is_ok() != other.is_ok());
            check(text(&below, "..") == b"/a" && text(&below, ".") == b"/a/b");
        }
    });
    assert_eq!(FAILED.load(Ordering::Relaxed), 0);
}

#[base::kernel_test]
fn all_who_look_for_a_name_at_once_get_the_same() {
    static FAILED: AtomicUsize = AtomicUsize::new(0);
    let node = tree();
    let root = detached(&node, Caching::WhileUsed);
    let turn = Arc::new(RwLock::new(()));
    at_once(4, move |number| {
        for _ in 0..200 {
            if number == 0 {
                // Nobody has it then.
                let _alone = turn.write();
                node.remove("n");
                node.add("n", Node::directory());
                continue;
            }
            let _together = turn.read();
            let (one, other) = (find(&root, "n"), find(&root, "n"));
            if one != other {
                FAILED.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    assert_eq!(FAILED.load(Ordering::Relaxed), 0);
}
