//! The fields of a new inode: [`NewInode`], [`Ext2::write_new_inode`].

use abi::stat::{S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use crate::error::Error;
use crate::fs::Ext2;
use crate::groups::first_of_table_block;
use crate::layout::device::DeviceNumber;
use crate::layout::inode::{
    EXTRA_SIZE, FileKind, INLINE, INODE_SIZE, InodeFlags, RawExtra, RawInode, Time, set_time,
};
use crate::layout::time::Timestamp;
use crate::order::{BlockKind, Dirty};
use crate::storage::Storage;

/// What a new inode is to be.
#[derive(Clone, Copy, Debug)]
pub struct NewInode<'a> {
    /// What it stands for.
    pub kind: NewKind<'a>,
    /// Permissions, set-id bits and the sticky bit.
    pub permissions: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// What a new inode stands for.
#[derive(Clone, Copy, Debug)]
pub enum NewKind<'a> {
    /// A file with bytes, none at first.
    Regular,
    /// A directory with `.` and `..`.
    Directory,
    /// A symbolic link to this target.
    Symlink(&'a [u8]),
    /// A device that gives bytes.
    CharacterDevice(DeviceNumber),
    /// A device that gives blocks.
    BlockDevice(DeviceNumber),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl NewKind<'_> {
    /// The kind without more.
    pub(crate) fn kind(&self) -> FileKind {
        match self {
            Self::Regular => FileKind::Regular,
            Self::Directory => FileKind::Directory,
            Self::Symlink(_) => FileKind::Symlink,
            Self::CharacterDevice(_) => FileKind::CharacterDevice,
            Self::BlockDevice(_) => FileKind::BlockDevice,
            Self::Fifo => FileKind::Fifo,
            Self::Socket => FileKind::Socket,
        }
    }

    /// The type in `st_mode`.
    fn mode(&self) -> u32 {
        match self {
            Self::Regular => S_IFREG,
            Self::Directory => S_IFDIR,
            Self::Symlink(_) => S_IFLNK,
            Self::CharacterDevice(_) => S_IFCHR,
            Self::BlockDevice(_) => S_IFBLK,
            Self::Fifo => S_IFIFO,
            Self::Socket => S_IFSOCK,
        }
    }

    /// Whether it needs a block from the start: for its entries, or a target that does not fit
    /// into the inode.
    pub(crate) fn needs_block(&self) -> bool {
        match self {
            Self::Directory => true,
            Self::Symlink(target) => target.len() >= INLINE,
            _ => false,
        }
    }

    /// An error unless there can be one on a file system with blocks of so many bytes.
    pub(crate) fn check(&self, block_size: usize) -> Result<(), Error> {
        match self {
            Self::Symlink(target) if target.is_empty() || target.contains(&0) => {
                Err(Error::Invalid)
            }
            // Linux keeps a NUL behind it.
            Self::Symlink(target) if target.len() >= block_size => Err(Error::TargetTooLong),
            Self::CharacterDevice(device) | Self::BlockDevice(device)
                if device.encode().is_none() =>
            {
                Err(Error::Invalid)
            }
            _ => Ok(()),
        }
    }
}

/// What else a new inode is to have.
pub(crate) struct Beginning {
    /// Names.
    pub(crate) links: u16,
    /// Its block, if it needs one, else 0.
    pub(crate) block: u32,
    pub(crate) flags: InodeFlags,
    pub(crate) now: Timestamp,
}

impl<S: Storage> Ext2<S> {
    /// Writes all fields of an inode that was taken just now.
    pub(crate) fn write_new_inode(
        &mut self,
        inode: u32,
        new: &NewInode<'_>,
        beginning: &Beginning,
    ) -> Result<(), Error> {
        let (block, offset) = self.groups.inode_place(&self.geometry, inode);
        let first = first_of_table_block(&self.geometry, inode);
        let size = self.geometry.inode_size;
        let block_size = self.geometry.block_size as u32;
        let sectors = self.geometry.sectors();
        let dirty = Dirty { kind: BlockKind::Inodes, owner: first, home: block, fresh: false };
        let written = self.change_owned(block, dirty, |bytes| {
            let slot = bytes.get_mut(offset..offset + size)?;
            let (raw, rest) = RawInode::mut_from_prefix(slot).ok()?;
            let generation = raw.generation.get().wrapping_add(1);
            *raw = RawInode::new_zeroed();
            rest.fill(0);
            let extra = RawExtra::mut_from_prefix(rest).ok().map(|(extra, _)| extra);
            raw.generation = generation.into();
            raw.mode = ((new.kind.mode() | new.permissions & !S_IFMT) as u16).into();
            raw.set_owner(new.uid);
            raw.set_group(new.gid);
            raw.links = beginning.links.into();
            raw.flags = beginning.flags.bits().into();
            set_times(raw, extra, beginning.now);
            if beginning.block != 0 {
                raw.pointers[0] = beginning.block.into();
                raw.sectors = sectors.into();
            }
            match new.kind {
                NewKind::Directory => raw.set_size(block_size.into()),
                NewKind::Symlink(target) => {
                    raw.set_size(target.len() as u64);
                    if beginning.block == 0 {
                        let place = raw.pointers.as_mut_bytes().get_mut(..target.len())?;
                        place.copy_from_slice(target);
                    }
                }
                NewKind::CharacterDevice(device) | NewKind::BlockDevice(device) => {
                    let [old, new] = device.encode()?;
                    raw.pointers[0] = old.into();
                    raw.pointers[1] = new.into();
                }
                NewKind::Regular | NewKind::Fifo | NewKind::Socket => {}
            }
            Some(())
        })?;
        written.ok_or(Self::bad_inode(inode))
    }

    /// Makes an inode that nobody can have seen one that is not in use.
    pub(crate) fn unwrite_new_inode(&mut self, inode: u32, now: Timestamp) {
        // It was changed just now, so this does not fail.
        let _ = self.change_inode(inode, |raw, _| {
            raw.links = 0.into();
            raw.delete_time = now.unsigned().max(1).into();
            raw.sectors = 0.into();
            raw.pointers.fill(0.into());
            raw.set_size(0);
        });
    }
}

// The smallest inode that has room for more has room for all that is known.
const _: () = assert!(INODE_SIZE + EXTRA_SIZE <= 2 * INODE_SIZE);

/// Sets all times of a new inode.
fn set_times(raw: &mut RawInode, mut extra: Option<&mut RawExtra>, now: Timestamp) {
    if let Some(extra) = &mut extra {
        extra.size = (EXTRA_SIZE as u16).into();
        let (low, high) = now.encode(true);
        extra.birth_time = low.into();
        extra.birth_time_extra = high.into();
    }
    for which in [Time::Access, Time::Change, Time::Modify] {
        set_time(raw, extra.as_deref_mut(), which, now);
    }
}
