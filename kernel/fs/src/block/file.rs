//! [`BlockFile`]: an open file of a disk or partition, and its ioctl(2) requests.

use alloc::sync::Arc;

use abi::block::{
    BLKALIGNOFF, BLKBSZGET, BLKDISCARD, BLKFLSBUF, BLKGETSIZE, BLKGETSIZE64, BLKIOMIN, BLKIOOPT,
    BLKPBSZGET, BLKROGET, BLKRRPART, BLKSECTGET, BLKSSZGET, BLKZEROOUT,
};
use abi::{Errno, Result};
use device::block::{BlockError, SECTOR, Volume};
use memory::user::UserSlice;
use task::Mutex;
use vm::cache::PageCache;
use vm::{MemoryObject, PAGE};

use super::node::Node;
use super::transfer::errno;
use crate::buffer::{Destination, Source};
use crate::file::File;
use crate::regular::{Cached, RegularFile};
use crate::status::{DeviceNumber, Kind, Status};
use crate::vfs::Inode;

/// One who has a disk open, with all mappings of that.
#[derive(Debug)]
struct User {
    node: Arc<Node>,
    writes: bool,
}

impl Drop for User {
    fn drop(&mut self) {
        if self.writes {
            self.node.remove_writer();
        }
    }
}

impl Inode for User {
    fn kind(&self) -> Kind {
        Kind::BlockDevice
    }

    fn status(&self) -> Status {
        let number = self.node.volume().number();
        let rdev = DeviceNumber { major: number.major, minor: number.minor };
        let mode = Kind::BlockDevice.mode();
        Status {
            inode: 1,
            links: 1,
            mode,
            rdev,
            size: self.node.cache().len(),
            ..Status::default()
        }
    }

    fn open(self: Arc<Self>, _flags: u32) -> Result<Arc<dyn File>> {
        Err(Errno::ENXIO) // it is open
    }

    fn sync(&self, _only_data: bool) -> Result<()> {
        self.node.store()
    }
}

impl Cached for User {
    fn cache(&self) -> &Arc<PageCache> {
        self.node.cache()
    }

    fn writes(&self) -> &Mutex<()> {
        &self.node.writes
    }

    fn max_len(&self) -> u64 {
        self.node.cache().len()
    }

    fn was_written(&self, _end: u64) -> Result<()> {
        Ok(())
    }
}

/// An open file of a disk or partition.
#[derive(Debug)]
pub(super) struct BlockFile {
    user: Arc<User>,
    /// Its bytes.
    file: Arc<RegularFile<User>>,
}

impl BlockFile {
    /// `writes` if it was opened for that.
    ///
    /// # Errors
    /// As [`Node::add_writer`].
    pub(super) fn new(node: Arc<Node>, writes: bool) -> Result<Self> {
        if writes {
            node.add_writer()?;
        }
        let user = Arc::new(User { node, writes });
        let file = RegularFile::new(user.clone());
        Ok(Self { user, file })
    }

    fn volume(&self) -> &Arc<Volume> {
        self.user.node.volume()
    }

    /// # Errors
    /// `EPERM`, as Linux has it, for a disk that cannot be written.
    fn check_writable(&self) -> Result<()> {
        if self.volume().is_read_only() { Err(Errno::EPERM) } else { Ok(()) }
    }

    /// `BLKDISCARD` and `BLKZEROOUT`: start and length, in bytes, are at `argument`.
    fn change_range(
        &self,
        argument: u64,
        change: impl FnOnce(&Arc<Volume>, u64, u64) -> core::result::Result<(), BlockError>,
    ) -> Result<()> {
        if !self.user.writes {
            return Err(Errno::EBADF);
        }
        self.check_writable()?;
        let start: u64 = UserSlice::read_value(argument)?;
        let len: u64 = UserSlice::read_value(argument.wrapping_add(8))?;
        let block = u64::from(self.volume().limits().logical_block);
        let end = start.checked_add(len).filter(|&end| end <= self.user.node.cache().len());
        let end = end.ok_or(Errno::EINVAL)?;
        if len == 0 || !start.is_multiple_of(block) || !len.is_multiple_of(block) {
            return Err(Errno::EINVAL);
        }
        let _writes = self.user.node.writes.lock();
        // What is in memory is newer than the disk, beside the range, and older within.
        self.user.node.store()?;
        let result = change(self.volume(), start / SECTOR, len / SECTOR);
        self.user.node.cache().invalidate(start / PAGE..end.div_ceil(PAGE));
        result.map_err(errno)
    }

    /// `BLKRRPART`: has the partitions looked up again.
    fn rescan(&self) -> Result<()> {
        if self.volume().partition().is_some() {
            return Err(Errno::EINVAL);
        }
        self.user.node.rescan()
    }
}

impl File for BlockFile {
    fn read(&self, position: u64, to: &mut Destination<'_>) -> Result<usize> {
        self.user.node.refresh();
        self.file.read(position, to)
    }

    fn write(&self, position: u64, from: &mut Source<'_>) -> Result<usize> {
        self.check_writable()?;
        // What is behind the end of a disk is no place, where a file would only be too big.
        self.file.write(position, from).map_err(|error| match error {
            Errno::EFBIG => Errno::ENOSPC,
            error => error,
        })
    }

    fn append(&self, from: &mut Source<'_>) -> Result<(u64, usize)> {
        if from.is_empty() { Ok((self.user.node.cache().len(), 0)) } else { Err(Errno::ENOSPC) }
    }

    fn sync(&self, only_data: bool) -> Result<()> {
        self.file.sync(only_data)
    }

    fn status(&self) -> Status {
        self.user.status()
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn ioctl(&self, request: u32, argument: u64) -> Result<usize> {
        let volume = self.volume();
        let limits = volume.limits();
        match request {
            BLKGETSIZE64 => UserSlice::write_value(argument, &volume.bytes())?,
            BLKGETSIZE => UserSlice::write_value(argument, &volume.sectors())?,
            BLKSSZGET => UserSlice::write_value(argument, &limits.logical_block)?,
            BLKPBSZGET | BLKIOMIN => UserSlice::write_value(argument, &limits.physical_block)?,
            BLKBSZGET => UserSlice::write_value(argument, &(PAGE as u32))?,
            // No size is better than others that is known; and all begin where they should.
            BLKIOOPT | BLKALIGNOFF => UserSlice::write_value(argument, &0u32)?,
            BLKSECTGET => {
                let sectors = u16::try_from(limits.max_sectors).unwrap_or(u16::MAX);
                UserSlice::write_value(argument, &sectors)?;
            }
            BLKROGET => UserSlice::write_value(argument, &u32::from(volume.is_read_only()))?,
            BLKFLSBUF => {
                self.user.node.store()?;
                self.user.node.cache().drop_unused();
            }
            BLKDISCARD => self.change_range(argument, Volume::discard)?,
            BLKZEROOUT => self.change_range(argument, Volume::write_zeroes)?,
            BLKRRPART => self.rescan()?,
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }

    fn object(&self) -> Result<Arc<dyn MemoryObject>> {
        self.file.object()
    }
}
