//! An inode: [`RawInode`], its first 128 bytes, and [`RawExtra`], what larger inodes have
//! behind them. [`FileKind`] is what it stands for.

use abi::stat::{S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK};
use bitflags::bitflags;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::time::Timestamp;

/// Bytes of an inode in revision 0, and the fewest ever.
pub(crate) const INODE_SIZE: usize = 128;
/// Block pointers of an inode.
pub(crate) const POINTERS: usize = 15;
/// How many of them point to data; the last three lead to data over one, two and three
/// indirect blocks.
pub(crate) const DIRECT: usize = 12;
/// Bytes of the block pointers: a symbolic link whose target is shorter is kept in them.
pub(crate) const INLINE: usize = POINTERS * size_of::<U32>();

/// The first 128 bytes of an inode as they are on the disk.
#[derive(Clone, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawInode {
    /// Type and permissions, as `st_mode`.
    pub(crate) mode: U16,
    /// The low 16 bits of the owner.
    pub(crate) uid: U16,
    /// The low 32 bits of the size in bytes.
    pub(crate) size: U32,
    pub(crate) access_time: U32,
    /// Of the inode itself.
    pub(crate) change_time: U32,
    /// Of the data.
    pub(crate) modify_time: U32,
    /// When it was deleted; 0 if it is in use.
    pub(crate) delete_time: U32,
    /// The low 16 bits of the group.
    pub(crate) gid: U16,
    /// Names of this inode; a directory has one in itself, and one in each subdirectory.
    pub(crate) links: U16,
    /// What the file takes on the disk in units of 512 bytes, indirect blocks and the block of
    /// attributes counted.
    pub(crate) sectors: U32,
    /// See [`InodeFlags`].
    pub(crate) flags: U32,
    pub(crate) version: U32,
    /// Blocks of data and indirect blocks; or a short target, or a device number.
    pub(crate) pointers: [U32; POINTERS],
    /// Tells the files apart that had this inode one after the other.
    pub(crate) generation: U32,
    /// The block of extended attributes, 0 if there is none.
    pub(crate) xattr_block: U32,
    /// The high 32 bits of the size of a file.
    pub(crate) size_high: U32,
    pub(crate) fragment: U32,
    /// The high 16 bits of `sectors` (ext4, `huge_file`).
    pub(crate) sectors_high: U16,
    pub(crate) xattr_block_high: U16,
    /// The high 16 bits of the owner.
    pub(crate) uid_high: U16,
    /// The high 16 bits of the group.
    pub(crate) gid_high: U16,
    pub(crate) checksum: U16,
    pub(crate) reserved: U16,
}

const _: () = assert!(size_of::<RawInode>() == INODE_SIZE);
const _: () = assert!(core::mem::offset_of!(RawInode, pointers) == 0x28);
const _: () = assert!(core::mem::offset_of!(RawInode, uid_high) == 0x78);

/// What follows in larger inodes, as far as `size` says that it is in use.
#[derive(Clone, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawExtra {
    /// Bytes in use from here on; attributes may follow.
    pub(crate) size: U16,
    pub(crate) checksum_high: U16,
    /// The second fields of the times, see [`Timestamp`].
    pub(crate) change_time: U32,
    pub(crate) modify_time: U32,
    pub(crate) access_time: U32,
    /// When the inode was made.
    pub(crate) birth_time: U32,
    pub(crate) birth_time_extra: U32,
    pub(crate) version_high: U32,
    pub(crate) project: U32,
}

/// Bytes of [`RawExtra`].
pub(crate) const EXTRA_SIZE: usize = size_of::<RawExtra>();
const _: () = assert!(EXTRA_SIZE == 32);

bitflags! {
    /// Attributes as `lsattr` shows them, and what ext4 marks.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct InodeFlags: u32 {
        /// Writes wait for the disk (`S`).
        const SYNC = 0x8;
        /// Nothing may be changed (`i`).
        const IMMUTABLE = 0x10;
        /// The file may only grow (`a`).
        const APPEND = 0x20;
        /// Not for backups (`d`).
        const NODUMP = 0x40;
        /// Reading leaves the access time alone (`A`).
        const NOATIME = 0x80;
        /// The directory has an index of hashes (`I`).
        const INDEX = 0x1000;
        /// Changes of the directory wait for the disk (`D`).
        const DIRSYNC = 0x1_0000;
        /// Directories in it are to be spread (`T`).
        const TOP_DIRECTORY = 0x2_0000;
        /// `sectors` counts blocks (ext4).
        const HUGE_FILE = 0x4_0000;
        /// Mapped by extents (ext4).
        const EXTENTS = 0x8_0000;
        /// The data are in the inode (ext4).
        const INLINE_DATA = 0x1000_0000;
        /// Further bits are kept.
        const _ = !0;
    }
}

impl InodeFlags {
    /// What a file inherits from its directory.
    pub(crate) fn inherited(self, directory: bool) -> Self {
        let kept = Self::SYNC | Self::NODUMP | Self::NOATIME;
        self & if directory { kept | Self::DIRSYNC } else { kept }
    }
}

/// What an inode stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A file with bytes.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device that gives bytes.
    CharacterDevice,
    /// A device that gives blocks.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl FileKind {
    /// The kind in `st_mode`; `None` if there is none such.
    #[must_use]
    pub fn of_mode(mode: u32) -> Option<Self> {
        Some(match mode & S_IFMT {
            S_IFREG => Self::Regular,
            S_IFDIR => Self::Directory,
            S_IFLNK => Self::Symlink,
            S_IFCHR => Self::CharacterDevice,
            S_IFBLK => Self::BlockDevice,
            S_IFIFO => Self::Fifo,
            S_IFSOCK => Self::Socket,
            _ => return None,
        })
    }

    /// The number that a directory entry has for it.
    pub(crate) fn directory_code(self) -> u8 {
        match self {
            Self::Regular => 1,
            Self::Directory => 2,
            Self::CharacterDevice => 3,
            Self::BlockDevice => 4,
            Self::Fifo => 5,
            Self::Socket => 6,
            Self::Symlink => 7,
        }
    }

    /// The kind for a number in a directory entry; `None` if it says nothing.
    pub(crate) fn of_directory_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Regular,
            2 => Self::Directory,
            3 => Self::CharacterDevice,
            4 => Self::BlockDevice,
            5 => Self::Fifo,
            6 => Self::Socket,
            7 => Self::Symlink,
            _ => return None,
        })
    }

    /// Whether it is a device node, which has a number.
    #[must_use]
    pub fn is_device(self) -> bool {
        matches!(self, Self::CharacterDevice | Self::BlockDevice)
    }
}

impl RawInode {
    /// The mode as `st_mode`.
    pub(crate) fn mode(&self) -> u32 {
        self.mode.get().into()
    }

    /// What it is; `None` if the mode says nothing known.
    pub(crate) fn kind(&self) -> Option<FileKind> {
        FileKind::of_mode(self.mode())
    }

    /// The size in bytes. Of a directory only the low half counts.
    pub(crate) fn size(&self) -> u64 {
        let low = u64::from(self.size.get());
        match self.kind() {
            Some(FileKind::Regular) => low | u64::from(self.size_high.get()) << 32,
            _ => low,
        }
    }

    /// Sets the size of a file.
    pub(crate) fn set_size(&mut self, size: u64) {
        self.size = (size as u32).into();
        if self.kind() == Some(FileKind::Regular) {
            self.size_high = ((size >> 32) as u32).into();
        }
    }

    pub(crate) fn flags(&self) -> InodeFlags {
        InodeFlags::from_bits_retain(self.flags.get())
    }

    pub(crate) fn owner(&self) -> u32 {
        u32::from(self.uid.get()) | u32::from(self.uid_high.get()) << 16
    }

    pub(crate) fn group(&self) -> u32 {
        u32::from(self.gid.get()) | u32::from(self.gid_high.get()) << 16
    }

    pub(crate) fn set_owner(&mut self, uid: u32) {
        self.uid = (uid as u16).into();
        self.uid_high = ((uid >> 16) as u16).into();
    }

    pub(crate) fn set_group(&mut self, gid: u32) {
        self.gid = (gid as u16).into();
        self.gid_high = ((gid >> 16) as u16).into();
    }
}

/// The three times that can be set, each in both parts of an inode.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Time {
    Access,
    Change,
    Modify,
}

/// Sets one of the times, in the second part too if it has room.
pub(crate) fn set_time(
    raw: &mut RawInode,
    extra: Option<&mut RawExtra>,
    which: Time,
    to: Timestamp,
) {
    let (low, high) = to.encode(extra.is_some());
    let (first, second) = match which {
        Time::Access => (&mut raw.access_time, extra.map(|extra| &mut extra.access_time)),
        Time::Change => (&mut raw.change_time, extra.map(|extra| &mut extra.change_time)),
        Time::Modify => (&mut raw.modify_time, extra.map(|extra| &mut extra.modify_time)),
    };
    *first = low.into();
    if let Some(second) = second {
        *second = high.into();
    }
}
