//! [`Folder`]: a directory of nodes that were put there, and perhaps of computed ones.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use abi::Result;
use base::sync::SpinLock;
use memory::OutOfMemory;
use spin::Once;

use crate::pseudo::node::{Directory, Node, Visit};
use crate::status::Kind;

/// Where the keys of the computed entries begin.
const COMPUTED: u64 = 1 << 32;

struct Entry {
    /// Rising, in the order in which they came.
    key: u64,
    name: Cow<'static, str>,
    node: Node,
}

/// Why a node cannot be put into a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderError {
    /// There is one of that name.
    Exists,
    /// The name is not one of a file.
    BadName,
    /// No memory.
    OutOfMemory,
}

impl fmt::Display for FolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exists => "there is a file of that name",
            Self::BadName => "not a name of a file",
            Self::OutOfMemory => "out of memory",
        })
    }
}

impl core::error::Error for FolderError {}

struct Entries {
    list: Vec<Entry>,
    next: u64,
}

/// A directory that nodes can be put into and taken out of at any time; and, behind them, the
/// entries of another directory that are computed ([`Folder::compute`]).
pub struct Folder {
    entries: SpinLock<Entries>,
    computed: Once<Arc<dyn Directory>>,
    mode: u32,
}

impl Folder {
    /// An empty one.
    pub fn new() -> Arc<Self> {
        Self::with_mode(0o755)
    }

    /// An empty one with these permissions.
    pub fn with_mode(mode: u32) -> Arc<Self> {
        let entries = SpinLock::new("folder", Entries { list: Vec::new(), next: 0 });
        Arc::new(Self { entries, computed: Once::new(), mode })
    }

    /// Puts a node into the folder.
    ///
    /// # Errors
    /// As [`FolderError`] says.
    pub fn add(&self, name: impl Into<Cow<'static, str>>, node: Node) -> Result<(), FolderError> {
        let name = name.into();
        if matches!(&*name, "" | "." | "..") || name.contains(['/', '\0']) || name.len() > 255 {
            return Err(FolderError::BadName);
        }
        let mut entries = self.entries.lock();
        let exists = entries.list.iter().any(|entry| entry.name == name);
        if exists || entries.list.try_reserve(1).is_err() {
            drop(entries); // before the node, and what it holds
            return Err(if exists { FolderError::Exists } else { FolderError::OutOfMemory });
        }
        let key = entries.next;
        entries.next += 1;
        entries.list.push(Entry { key, name, node });
        Ok(())
    }

    /// Puts a node into the folder that belongs there from the start; if that cannot be, the log
    /// says so.
    pub fn put(&self, name: &'static str, node: Node) {
        if let Err(error) = self.add(name, node) {
            log::error!("file {name}: {error}");
        }
    }

    /// Puts an empty folder into this one.
    pub fn put_folder(&self, name: &'static str) -> Arc<Self> {
        let folder = Self::new();
        self.put(name, Node::folder(&folder));
        folder
    }

    /// Takes a node out. Who has its file open keeps it.
    pub fn remove(&self, name: &str) {
        let removed = {
            let mut entries = self.entries.lock();
            let at = entries.list.iter().position(|entry| entry.name == name);
            at.map(|at| entries.list.remove(at))
        };
        drop(removed);
    }

    /// Has the folder show the entries of `directory`, too. Call once. An entry of the folder
    /// itself comes before one of the same name there.
    pub fn compute(&self, directory: Arc<dyn Directory>) {
        self.computed.call_once(|| directory);
    }

    /// The first entry from `key` on.
    fn at(&self, key: u64) -> Result<Option<(u64, Cow<'static, str>, Kind)>, OutOfMemory> {
        let entries = self.entries.lock();
        let at = entries.list.partition_point(|entry| entry.key < key);
        let Some(entry) = entries.list.get(at) else { return Ok(None) };
        let name = match &entry.name {
            Cow::Borrowed(name) => Cow::Borrowed(*name),
            Cow::Owned(name) => {
                let mut copy = alloc::string::String::new();
                copy.try_reserve_exact(name.len()).map_err(|_| OutOfMemory)?;
                copy.push_str(name);
                Cow::Owned(copy)
            }
        };
        Ok(Some((entry.key, name, entry.node.kind())))
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Folder({} nodes)", self.entries.lock().list.len())
    }
}

impl Directory for Folder {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        let found = {
            let entries = self.entries.lock();
            entries.list.iter().find(|entry| entry.name == name).map(|entry| entry.node.clone())
        };
        match (found, self.computed.get()) {
            (None, Some(computed)) => computed.find(name),
            (found, _) => Ok(found),
        }
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        let mut next = from;
        while next < COMPUTED
            && let Some((key, name, kind)) = self.at(next)?
        {
            if visit(key, &name, kind).is_break() {
                return Ok(());
            }
            next = key + 1;
        }
        let Some(computed) = self.computed.get() else { return Ok(()) };
        computed.list(from.saturating_sub(COMPUTED), &mut |key, name, kind| {
            visit(key.saturating_add(COMPUTED), name, kind)
        })
    }

    fn mode(&self) -> u32 {
        self.mode
    }
}
