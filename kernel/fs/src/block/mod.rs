//! Disks and partitions as files: what nodes of block devices stand for.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | [`open`], and the disks that are open |
//! | `node.rs` | [`Node`](node::Node): a disk that is open, and its pages |
//! | `file.rs` | [`BlockFile`](file::BlockFile): an open file of one; its ioctl(2) requests |
//! | `transfer.rs` | pages of a cache to a disk and back, which file systems use, too |
//!
//! All who have a disk open share one page cache. It is not the one of a file system that is
//! mounted from the disk, so the two keep out of each other's way: who writes to a disk, or has it
//! open for that, holds a [`Claim`](device::block::Claim) as a mount does, and gets `EBUSY` if the
//! disk, one of its partitions or the disk of which it is one is mounted (Linux refuses the same
//! if it is built without `CONFIG_BLK_DEV_WRITE_MOUNTED`). Reading what is mounted shows what is
//! on the disk.

mod file;
mod node;
pub(crate) mod transfer;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use abi::fcntl::{O_ACCMODE, O_RDONLY};
use abi::{Errno, Result};
use base::sync::SpinLock;
use device::block;
use memory::OutOfMemory;

use crate::file::File;
use crate::status::DeviceNumber;
use file::BlockFile;
use node::Node;

/// A disk that is or was open, and where its [`block::Volume`] is: as long as the node is there the
/// volume is, and nothing else can be at that address.
type Open = (usize, Weak<Node>);

/// The disks that are open.
static OPEN: SpinLock<Vec<Open>> = SpinLock::new("open disks", Vec::new());

/// The one node of a volume.
fn node_of(volume: &Arc<block::Volume>) -> Result<Arc<Node>> {
    let address = Arc::as_ptr(volume).addr();
    // No other node is taken hold of: its last reference might be given back under the lock.
    let known = |open: &Vec<Open>| {
        open.iter().filter(|(at, _)| *at == address).find_map(|(_, node)| node.upgrade())
    };
    let found = known(&OPEN.lock());
    if let Some(found) = found {
        return Ok(found);
    }
    let new = Node::new(volume)?;
    let mut open = OPEN.lock();
    // Somebody else may have been faster.
    if let Some(found) = known(&open) {
        drop(open);
        return Ok(found);
    }
    open.retain(|(_, node)| node.strong_count() > 0);
    open.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    open.push((address, Arc::downgrade(&new)));
    Ok(new)
}

/// Opens the disk or partition with this number.
///
/// # Errors
/// `ENXIO` if there is none; `EBUSY` to write to one that is mounted; `ENOMEM`.
pub(crate) fn open(number: DeviceNumber, flags: u32) -> Result<Arc<dyn File>> {
    let DeviceNumber { major, minor } = number;
    let volume = block::find_number(block::DeviceNumber { major, minor }).ok_or(Errno::ENXIO)?;
    let node = node_of(&volume)?;
    let file = BlockFile::new(node, flags & O_ACCMODE != O_RDONLY)?;
    Ok(Arc::new(file))
}

/// Stores what was written to disks that are open.
///
/// # Errors
/// `ENOMEM`; the first that a disk has. The others are stored all the same.
pub(crate) fn store_all() -> Result<()> {
    let mut nodes: Vec<Arc<Node>> = Vec::new();
    loop {
        let count = OPEN.lock().len();
        nodes.try_reserve(count).map_err(|_| Errno::ENOMEM)?;
        let open = OPEN.lock();
        if open.len() <= nodes.capacity() {
            nodes.extend(open.iter().filter_map(|(_, node)| node.upgrade()));
            break;
        }
    }
    nodes.iter().map(|node| node.store_dirty()).fold(Ok(()), Result::and)
}

/// Starts what stores the pages of disks.
///
/// # Errors
/// [`OutOfMemory`].
pub(crate) fn init() -> core::result::Result<(), OutOfMemory> {
    node::start_flusher()
}
