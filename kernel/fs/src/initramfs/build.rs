//! From a newc cpio archive to a [`Tree`], as Linux's `init/initramfs.c` does it. Nothing is
//! copied: names and contents stay where the loader put them.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use abi::stat::{S_IFDIR, S_IFMT};
use cpio::{Archive, Entry, LinkKey};
use memory::OutOfMemory;

use crate::initramfs::inode::{Node, Tree};
use crate::status::DeviceNumber;

/// Most inodes of a tree; more would be an archive made to eat the kernel's memory.
const MAX_INODES: usize = 1 << 20;

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

/// The tree of the archives in `bytes`. An archive that is damaged gives what comes before the
/// damage, with a log line.
///
/// # Errors
/// [`OutOfMemory`].
pub(super) fn build(bytes: &'static [u8]) -> Result<(Tree, Contents), OutOfMemory> {
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
    let contents = Contents { inodes: builder.tree.nodes.len(), ..builder.contents };
    Ok((builder.tree, contents))
}

fn directory(mode: u32) -> Node {
    Node {
        mode: S_IFDIR | mode,
        uid: 0,
        gid: 0,
        nlink: 2,
        mtime: 0,
        rdev: DeviceNumber::default(),
        data: &[],
        entries: Vec::new(),
    }
}

struct Builder {
    tree: Tree,
    links: BTreeMap<LinkKey, usize>,
    contents: Contents,
}

impl Builder {
    fn new() -> Self {
        let nodes = vec![directory(0o755)];
        Self { tree: Tree { nodes }, links: BTreeMap::new(), contents: Contents::default() }
    }

    fn inode_mut(&mut self, index: usize) -> Option<&mut Node> {
        self.tree.nodes.get_mut(index)
    }

    fn find(&self, directory: usize, name: &[u8]) -> Option<usize> {
        let entries = &self.tree.nodes.get(directory)?.entries;
        let at = entries.binary_search_by(|(entry, _)| (*entry).cmp(name)).ok()?;
        entries.get(at).map(|(_, index)| *index)
    }

    fn push(&mut self, inode: Node) -> Result<usize, OutOfMemory> {
        let index = self.tree.nodes.len();
        if index >= MAX_INODES {
            return Err(OutOfMemory);
        }
        self.tree.nodes.try_reserve(1).map_err(|_| OutOfMemory)?;
        self.tree.nodes.push(inode);
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
        let mut components =
            entry.path.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && part != b".");
        if entry.path.split(|&byte| byte == b'/').any(|part| part == b"..") {
            self.skip(entry, "its path has '..'");
            return Ok(());
        }
        let Some(last) = components.next_back() else {
            if is_directory {
                self.describe(0, entry);
            } else {
                self.skip(entry, "the root is a directory");
            }
            return Ok(());
        };
        let mut parent = 0;
        for name in components {
            parent = match self.find(parent, name) {
                Some(found) if self.tree.nodes.get(found).is_some_and(Node::is_directory) => found,
                Some(_) => {
                    self.skip(entry, "a file stands where its directory should be");
                    return Ok(());
                }
                None => {
                    let made = self.push(directory(0o755))?;
                    self.link(parent, name, made)?;
                    made
                }
            };
        }
        let known = self.find(parent, last);
        let known_directory =
            known.filter(|&at| self.tree.nodes.get(at).is_some_and(Node::is_directory));
        match (is_directory, known_directory) {
            (true, Some(known)) => self.describe(known, entry),
            (false, Some(_)) => self.skip(entry, "a directory has its name"),
            (true, None) => {
                let made = self.push(directory(0o755))?;
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
                        let made = self.push(directory(0))?;
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
        inode.rdev = DeviceNumber { major: entry.rdev.0, minor: entry.rdev.1 };
        inode.data = entry.data;
    }
}

#[cfg(not(test))]
mod tests {
    use super::*;
    use abi::stat::{S_IFLNK, S_IFREG};

    fn entry(path: &'static [u8], mode: u32, data: &'static [u8]) -> Entry<'static> {
        Entry {
            path,
            name: path,
            mode,
            uid: 0,
            gid: 0,
            nlink: 1,
            mtime: 0,
            ino: 0,
            dev: (0, 0),
            rdev: (0, 0),
            data,
            data_offset: 0,
            archive: 0,
        }
    }

    #[base::kernel_test]
    fn odd_entries_are_left_out() {
        let mut builder = Builder::new();
        let mut add = |entry: Entry<'static>| {
            builder.add(&entry).expect("memory");
            builder.contents.skipped
        };
        assert_eq!(add(entry(b"", S_IFREG | 0o644, b"no root")), 1);
        assert_eq!(add(entry(b"a//./b/.", S_IFDIR | 0o755, b"")), 1);
        assert_eq!(add(entry(b"a/../c", S_IFREG | 0o644, b"")), 2);
        assert_eq!(add(entry(b"a", S_IFREG | 0o644, b"")), 3);
        assert_eq!(add(entry(b"link", S_IFLNK | 0o777, b"link")), 3);
        assert_eq!(add(entry(b"link/below", S_IFREG | 0o644, b"")), 4);
        let root = builder.tree.nodes.first().expect("a root");
        assert!(root.is_directory() && root.data.is_empty());
        let names: Vec<&[u8]> = root.entries.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, [b"a".as_slice(), b"link"]);
        let inside = builder.find(0, b"a").and_then(|a| builder.find(a, b"b"));
        let inside = inside.and_then(|at| builder.tree.nodes.get(at)).expect("a/b");
        // No entry called `.`: path look-up has its own.
        assert!(inside.is_directory() && inside.entries.is_empty());
    }
}
