//! Open files of pseudo file systems: texts and bytes.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use abi::{Errno, Result};
use memory::frames::check_user_may_allocate;
use task::{Mutex, named_mutex};

use crate::buffer::{Destination, Source};
use crate::file::File;
use crate::pseudo::inode::{MOST_STORED, NodeInode};
use crate::pseudo::node::{BytesFile, TextFile};
use crate::pseudo::text::Text;
use crate::status::Status;
use crate::vfs::Inode;

/// A text. It is made when it is read from its start, and what is read behind that is of the
/// same text; so a reader gets a whole, and who goes back to the start gets a new one.
pub(super) struct OpenText {
    node: Arc<dyn TextFile>,
    inode: Arc<NodeInode>,
    text: Mutex<Option<Vec<u8>>>,
}

impl OpenText {
    pub(super) fn new(node: Arc<dyn TextFile>, inode: Arc<NodeInode>) -> Self {
        Self { node, inode, text: named_mutex("text of a file", None) }
    }
}

impl fmt::Debug for OpenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenText({:?})", self.inode)
    }
}

impl File for OpenText {
    fn read(&self, position: u64, to: &mut Destination<'_>) -> Result<usize> {
        self.inode.check(0o444)?;
        let mut text = self.text.lock();
        if position == 0 || text.is_none() {
            *text = None;
            check_user_may_allocate()?;
            let mut new = Text::within(self.inode.most_shown());
            self.node.show(&mut new)?;
            *text = Some(new.into_bytes());
        }
        let text = text.as_deref().unwrap_or_default();
        let from = usize::try_from(position).ok().and_then(|at| text.get(at..));
        to.put(from.unwrap_or_default())
    }

    fn write(&self, _position: u64, from: &mut Source<'_>) -> Result<usize> {
        self.inode.check(0o222)?;
        let len = from.len();
        if len > MOST_STORED {
            return Err(Errno::E2BIG);
        }
        check_user_may_allocate()?;
        let mut text = Vec::new();
        text.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
        text.resize(len, 0);
        from.take(&mut text)?;
        let text = core::str::from_utf8(&text).map_err(|_| Errno::EINVAL)?;
        self.node.store(text)?;
        Ok(len)
    }

    fn status(&self) -> Status {
        Inode::status(&*self.inode)
    }

    fn is_seekable(&self) -> bool {
        true
    }
}

/// Bytes.
pub(super) struct OpenBytes {
    node: Arc<dyn BytesFile>,
    inode: Arc<NodeInode>,
}

impl OpenBytes {
    pub(super) fn new(node: Arc<dyn BytesFile>, inode: Arc<NodeInode>) -> Self {
        Self { node, inode }
    }
}

impl fmt::Debug for OpenBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenBytes({:?})", self.inode)
    }
}

impl File for OpenBytes {
    /// Through a buffer of a few bytes: these files are small or read rarely.
    fn read(&self, position: u64, to: &mut Destination<'_>) -> Result<usize> {
        self.inode.check(0o444)?;
        let mut part = [0; 256];
        let mut moved = 0;
        while !to.is_empty() {
            let len = part.len().min(to.len());
            let (room, _) = part.split_at_mut(len);
            let Some(at) = position.checked_add(moved as u64) else { break };
            let count = match self.node.read(at, room) {
                Ok(0) => break,
                Ok(count) => count.min(room.len()),
                Err(_) if moved > 0 => break,
                Err(error) => return Err(error),
            };
            match to.put(room.get(..count).unwrap_or_default()) {
                Ok(count) => moved += count,
                Err(_) if moved > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(moved)
    }

    fn write(&self, _position: u64, _from: &mut Source<'_>) -> Result<usize> {
        Err(Errno::EIO)
    }

    fn status(&self) -> Status {
        Inode::status(&*self.inode)
    }

    fn is_seekable(&self) -> bool {
        true
    }
}
