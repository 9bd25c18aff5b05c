//! Kernel tests of names that change while something goes wrong, or something else goes on.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::stat::{S_IFDIR, S_IFREG};
use abi::{Errno, Result};
use base::sync::SpinLock;

use task::{spawn, yield_now};

use super::mount::mount_superblock;
use super::{
    Caching, Inode, LastLink, MountRequest, NewFile, Path, Renaming, Superblock, Unbacked,
    detached, link, lookup, make, make_symlink, remove_directory, rename, unmount,
};
use crate::credentials::Credentials;
use crate::file::File;
use crate::status::{DeviceNumber, Kind, Status};
use crate::tmpfs;

const ROOT: Credentials = Credentials::ROOT;

/// A directory that makes, links and moves names, and says then that there was no memory; or a
/// file in it.
#[derive(Debug)]
struct Half {
    kind: Kind,
    names: SpinLock<Vec<Vec<u8>>>,
}

impl Half {
    fn new(kind: Kind) -> Arc<Self> {
        Arc::new(Self { kind, names: SpinLock::new("names of a test", Vec::new()) })
    }

    fn add(&self, name: &[u8]) {
        self.names.lock().push(name.into());
    }
}

impl Inode for Half {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn status(&self) -> Status {
        Status { mode: self.kind.mode() | 0o755, links: 1, ..Status::default() }
    }

    fn open(self: Arc<Self>, _flags: u32) -> Result<Arc<dyn File>> {
        Err(Errno::ENXIO)
    }

    fn lookup(&self, name: &[u8]) -> Result<Option<Arc<dyn Inode>>> {
        let is_there = self.names.lock().iter().any(|known| known == name);
        Ok(is_there.then(|| Self::new(Kind::Regular) as Arc<dyn Inode>))
    }

    fn make(&self, name: &[u8], _new: &NewFile<'_>) -> Result<Arc<dyn Inode>> {
        self.add(name);
        Err(Errno::ENOMEM)
    }

    fn link(&self, name: &[u8], _file: &Arc<dyn Inode>) -> Result<()> {
        self.add(name);
        Err(Errno::ENOMEM)
    }

    fn rename(&self, renaming: &Renaming<'_>) -> Result<()> {
        self.add(renaming.to_name);
        Err(Errno::ENOMEM)
    }
}

/// Makes a file of that name.
type Call<'a> = &'a dyn Fn(&[u8]) -> Result<()>;

#[base::kernel_test]
fn a_name_that_a_failure_made_is_found() {
    let root = Half::new(Kind::Directory);
    root.add(b"file");
    let backing = Arc::new(Unbacked { magic: 0 });
    let superblock = Superblock::new("test", root, backing, Caching::Kept, false);
    let root = &detached(superblock.expect("memory")).expect("memory");
    let find = |name: &[u8]| lookup(&ROOT, root, name, LastLink::Keep);
    let file = find(b"file").expect("it is there");
    let none = DeviceNumber::default();
    let calls: [(&[u8], Call<'_>); 5] = [
        (b"made", &|name| make(&ROOT, root, name, S_IFREG | 0o644, none).map(|_: Path| ())),
        (b"directory", &|name| make(&ROOT, root, name, S_IFDIR | 0o755, none).map(|_| ())),
        (b"symlink", &|name| make_symlink(&ROOT, root, name, b"file").map(|_| ())),
        (b"linked", &|name| link(&ROOT, &file, root, name)),
        (b"moved", &|name| rename(&ROOT, (root, b"file"), (root, name), 0)),
    ];
    for (name, call) in calls {
        // The cache knows by now that there is none.
        assert_eq!(find(name).map(|_| ()), Err(Errno::ENOENT));
        assert_eq!(call(name), Err(Errno::ENOMEM));
        assert_eq!(find(name).map(|found| found.kind()), Ok(Kind::Regular));
    }
}

fn tmpfs() -> Arc<Superblock> {
    tmpfs::superblock("tmpfs", &MountRequest::default()).expect("memory")
}

fn make_directory(root: &Path, name: &[u8]) -> Path {
    make(&ROOT, root, name, S_IFDIR | 0o755, DeviceNumber::default()).expect("a directory")
}

#[base::kernel_test]
fn nothing_is_mounted_on_what_is_gone() {
    let root = &detached(tmpfs()).expect("memory");
    let place = make_directory(root, b"d");
    remove_directory(&ROOT, root, b"d").expect("it is empty");
    let mounted = mount_superblock(tmpfs(), place, &MountRequest::default());
    assert_eq!(mounted, Err(Errno::ENOENT));
    // The same of one that another takes the place of.
    let place = make_directory(root, b"d");
    make_directory(root, b"e");
    assert_eq!(rename(&ROOT, (root, b"e"), (root, b"d"), 0), Ok(()));
    let mounted = mount_superblock(tmpfs(), place, &MountRequest::default());
    assert_eq!(mounted, Err(Errno::ENOENT));
}

#[base::kernel_test]
fn a_directory_that_goes_meets_a_mount_that_comes() {
    const ROUNDS: usize = 100;
    let root = detached(tmpfs()).expect("memory");
    for round in 0..ROUNDS {
        let place = make_directory(&root, b"d");
        make_directory(&root, b"e");
        let result = Arc::new(SpinLock::new("result of a test", None));
        let told = result.clone();
        let mounter = spawn("mounter", move || {
            yield_now();
            let mounted = mount_superblock(tmpfs(), place, &MountRequest::default());
            *told.lock() = Some(mounted);
        });
        let mounter = mounter.expect("a task");
        if round % 3 > 0 {
            yield_now();
        }
        let removed = match round % 2 {
            0 => remove_directory(&ROOT, &root, b"d"),
            _ => rename(&ROOT, (&root, b"e"), (&root, b"d"), 0),
        };
        mounter.join();
        let mounted = *result.lock();
        match (removed, mounted) {
            (Ok(()), Some(Err(Errno::ENOENT))) => {}
            (Err(Errno::EBUSY), Some(Ok(()))) => {
                let mounted = lookup(&ROOT, &root, b"d", LastLink::Keep).expect("the mount");
                assert_eq!(unmount(mounted), Ok(()));
            }
            other => panic!("one of the two has its way: {other:?}"),
        }
        for name in [b"d", b"e"] {
            let _ = remove_directory(&ROOT, &root, name);
        }
    }
}
