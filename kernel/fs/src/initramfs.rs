//! The initramfs: a newc cpio archive becomes the file tree, as Linux's `init/initramfs.c`
//! does it. Nothing is copied: names and contents stay where the loader put them.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use abi::stat::{S_IFDIR, S_IFMT};
use cpio::{Archive, Entry, LinkKey};
use memory::OutOfMemory;
use spin::Once;

use crate::inode::{Inode, InodeData, Tree};

/// Most inodes of a tree; more would be an archive made to eat the kernel's memory.
const MAX_INODES: usize = 1 << 20;

static TREE: Once<Tree> = Once::new();

/// What was found in the archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Inodes, directories included.
    pub inodes: usize,
    /// Bytes of contents.
    pub bytes: u64,
    /// Entries that could not be placed, each with a log line.
    pub skipped: usize,
}

/// The root directory; without a mounted archive an empty one.
pub fn root() -> Inode {
    let tree = TREE.call_once(|| Builder::new().tree);
    Inode { tree, index: 0 }
}

/// Makes the archives in `bytes` the tree. Call once, before [`root`]. An archive that is
/// damaged gives what comes before the damage, with a log line.
///
/// # Errors
/// [`OutOfMemory`]; the tree is then empty.
pub fn mount(bytes: &'static [u8]) -> Result<Contents, OutOfMemory> {
    let mut builder = Builder::new();
    for entry in Archive::new(bytes).entries() {
        match entry {
            Ok(entry) => builder.add(&entry)?,
            Err(error) => {
                log::error!("initramfs: {error}; the files before it are there");
                break;
            }
        }
    }
    let contents = Contents { inodes: builder.tree.inodes.len(), ..builder.contents };
    TREE.call_once(|| builder.tree);
    Ok(contents)
}

fn directory(mode: u32, parent: usize) -> InodeData {
    InodeData {
        mode: S_IFDIR | mode,
        uid: 0,
        gid: 0,
        nlink: 2,
        mtime: 0,
        rdev: (0, 0),
        data: &[],
        entries: Vec::new(),
        parent,
    }
}

struct Builder {
    tree: Tree,
    links: BTreeMap<LinkKey, usize>,
    contents: Contents,
}

impl Builder {
    fn new() -> Self {
        let inodes = vec![directory(0o755, 0)];
        Self { tree: Tree { inodes }, links: BTreeMap::new(), contents: Contents::default() }
    }

    fn inode_mut(&mut self, index: usize) -> Option<&mut InodeData> {
        self.tree.inodes.get_mut(index)
    }

    fn find(&self, directory: usize, name: &[u8]) -> Option<usize> {
        let entries = &self.tree.inodes.get(directory)?.entries;
        let at = entries.binary_search_by(|(entry, _)| (*entry).cmp(name)).ok()?;
        entries.get(at).map(|(_, index)| *index)
    }

    fn push(&mut self, inode: InodeData) -> Result<usize, OutOfMemory> {
        let index = self.tree.inodes.len();
        if index >= MAX_INODES {
            return Err(OutOfMemory);
        }
        self.tree.inodes.try_reserve(1).map_err(|_| OutOfMemory)?;
        self.tree.inodes.push(inode);
        Ok(index)
    }

    /// Puts `index` under `name` into the directory; what was there is replaced.
    fn link(
        &mut self,
        directory: usize,
        name: &'static [u8],
        index: usize,
    ) -> Result<(), OutOfMemory> {
        let Some(directory) = self.inode_mut(directory) else { return Ok(()) };
        match directory.entries.binary_search_by(|(entry, _)| (*entry).cmp(name)) {
            Ok(at) => {
                directory.entries.iter_mut().skip(at).take(1).for_each(|entry| entry.1 = index)
            }
            Err(at) => {
                directory.entries.try_reserve(1).map_err(|_| OutOfMemory)?;
                directory.entries.insert(at, (name, index));
            }
        }
        Ok(())
    }

    fn skip(&mut self, entry: &Entry<'_>, why: &str) {
        log::warn!("initramfs: {} left out: {why}", entry.name.escape_ascii());
        self.contents.skipped += 1;
    }

    fn add(&mut self, entry: &Entry<'static>) -> Result<(), OutOfMemory> {
        let is_directory = entry.mode & S_IFMT == S_IFDIR;
        let mut components = entry.path.split(|&byte| byte == b'/').filter(|part| !part.is_empty());
        if entry.path.split(|&byte| byte == b'/').any(|part| part == b"..") {
            self.skip(entry, "its path has '..'");
            return Ok(());
        }
        let Some(last) = components.next_back() else {
            self.describe(0, entry); // the root itself
            return Ok(());
        };
        let mut parent = 0;
        for name in components.filter(|part| *part != b".") {
            parent = match self.find(parent, name) {
                Some(found) if self.tree.inodes.get(found).is_some_and(InodeData::is_directory) => {
                    found
                }
                Some(_) => {
                    self.skip(entry, "a file stands where its directory should be");
                    return Ok(());
                }
                None => {
                    let made = self.push(directory(0o755, parent))?;
                    self.link(parent, name, made)?;
                    made
                }
            };
        }
        let known = self.find(parent, last);
        let known_directory =
            known.filter(|&at| self.tree.inodes.get(at).is_some_and(InodeData::is_directory));
        match (is_directory, known_directory) {
            (true, Some(known)) => self.describe(known, entry),
            (false, Some(_)) => self.skip(entry, "a directory has its name"),
            (true, None) => {
                let made = self.push(directory(0o755, parent))?;
                self.describe(made, entry);
                self.link(parent, last, made)?;
            }
            (false, None) => {
                let linked = entry.link_key().and_then(|key| self.links.get(&key).copied());
                let index = match linked {
                    Some(index) => {
                        // The contents come with one of the links.
                        if !entry.data.is_empty() {
                            self.describe(index, entry);
                        }
                        index
                    }
                    None => {
                        let made = self.push(directory(0, parent))?;
                        self.describe(made, entry);
                        made
                    }
                };
                if let Some(key) = entry.link_key() {
                    self.links.insert(key, index);
                }
                self.link(parent, last, index)?;
            }
        }
        Ok(())
    }

    /// Takes over what the entry says of the inode.
    fn describe(&mut self, index: usize, entry: &Entry<'static>) {
        self.contents.bytes += entry.data.len() as u64;
        let Some(inode) = self.inode_mut(index) else { return };
        inode.mode = entry.mode;
        inode.uid = entry.uid;
        inode.gid = entry.gid;
        inode.nlink = entry.nlink.max(1);
        inode.mtime = entry.mtime;
        inode.rdev = entry.rdev;
        inode.data = entry.data;
    }
}
