//! What can go wrong: [`Error`], and [`Corrupt`] for what is wrong on the disk.

use core::fmt;

use abi::Errno;

use crate::layout::features::Incompat;

/// Why an operation was not done.
///
/// Unless an operation says otherwise, nothing that a user sees has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The disk holds what cannot be. Report it with [`Ext2::report`](crate::Ext2::report).
    Corrupt(Corrupt),
    /// The device failed to read this block.
    Device {
        /// Which block.
        block: u32,
    },
    /// There is no memory for the work.
    NoMemory,
    /// No block is free, or only blocks that are reserved for others.
    NoSpace,
    /// No inode is free.
    NoInodes,
    /// Nothing has changed; write back everything
    /// ([`Ext2::begin`](crate::Ext2::begin) with [`Scope::All`](crate::Scope::All), until
    /// [`Ext2::is_settled`](crate::Ext2::is_settled)) and call again. Space that was freed
    /// lately becomes free only so, and some moves must be on the disk before others.
    WriteBackFirst,
    /// A batch is being written; only one may be at a time.
    BatchPending,
    /// The file system is mounted read-only, or has become so after an error.
    ReadOnly,
    /// There is no such name, or the directory has been removed.
    NotFound,
    /// The name is there already.
    Exists,
    /// It is no directory.
    NotDirectory,
    /// It is a directory.
    IsDirectory,
    /// The directory has entries.
    NotEmpty,
    /// The name has more than 255 bytes.
    NameTooLong,
    /// The target of the symbolic link does not fit into a block.
    TargetTooLong,
    /// The inode has as many names, or the directory as many subdirectories, as there may be.
    TooManyLinks,
    /// The file would be larger than a file can be.
    FileTooLarge,
    /// What was asked for makes no sense: a directory moved into itself, a name that is empty
    /// or has a `/`, the data of a device node.
    Invalid,
    /// The features of this file system are not understood.
    Unsupported(Incompat),
    /// Blocks of so many bytes, or fragments or clusters, are not understood.
    UnsupportedBlockSize {
        /// Bytes of a block.
        bytes: u64,
    },
    /// The revision of the format is not understood.
    UnsupportedRevision(u32),
}

/// What is wrong on the disk, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt {
    /// Where it was found.
    pub place: Place,
    /// What it is.
    pub damage: Damage,
}

/// A place on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The superblock.
    Superblock,
    /// A group, its descriptor or its bitmaps.
    Group(u32),
    /// An inode.
    Inode(u32),
    /// A block that an inode points to, as data or as an indirect block.
    Block {
        /// The inode.
        inode: u32,
        /// The block.
        block: u32,
    },
    /// An entry of a directory.
    Entry {
        /// The inode of the directory.
        directory: u32,
        /// Bytes from the start of the directory.
        offset: u64,
    },
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The superblock has not the number that marks it.
    BadMagic,
    /// A number of the superblock that cannot be.
    BadGeometry(&'static str),
    /// The file system is larger than the device.
    LargerThanDevice,
    /// A bitmap or table lies outside its group.
    MisplacedMetadata,
    /// A counter does not agree with its bitmap.
    WrongCount,
    /// The bitmap says that metadata are free.
    MetadataFree,
    /// What is in use is marked as free, or what is freed was free.
    DoubleFree,
    /// A number of a block that is none, or is one of metadata.
    BadBlock,
    /// An indirect block that the inode reaches twice.
    BlockLoop,
    /// A number of an inode that is none or reserved.
    BadInodeNumber,
    /// The inode is not in use, but has a name.
    FreeInode,
    /// The mode of the inode is none, or its fields do not fit it.
    BadInode,
    /// A directory entry with a length that cannot be.
    BadEntry,
    /// The directory has not `.` and `..` where they must be.
    NoDots,
    /// The directory has more blocks than the disk, or its size is no number of blocks.
    BadDirectorySize,
    /// The directory has a hole.
    DirectoryHole,
    /// Directories are in each other.
    DirectoryLoop,
    /// The target of a symbolic link is not what its size says.
    BadTarget,
    /// The block of extended attributes is none.
    BadAttributes,
    /// The list of orphans does not end, or leads to what is none.
    BadOrphan,
}

impl Error {
    /// The error number that a system call returns for it.
    #[must_use]
    pub fn errno(self) -> Errno {
        match self {
            Self::Corrupt(_) => Errno::EUCLEAN,
            Self::Device { .. } => Errno::EIO,
            Self::NoMemory => Errno::ENOMEM,
            Self::NoSpace | Self::NoInodes => Errno::ENOSPC,
            Self::WriteBackFirst | Self::BatchPending => Errno::EAGAIN,
            Self::ReadOnly => Errno::EROFS,
            Self::NotFound => Errno::ENOENT,
            Self::Exists => Errno::EEXIST,
            Self::NotDirectory => Errno::ENOTDIR,
            Self::IsDirectory => Errno::EISDIR,
            Self::NotEmpty => Errno::ENOTEMPTY,
            Self::NameTooLong | Self::TargetTooLong => Errno::ENAMETOOLONG,
            Self::TooManyLinks => Errno::EMLINK,
            Self::FileTooLarge => Errno::EFBIG,
            Self::Invalid => Errno::EINVAL,
            Self::Unsupported(_)
            | Self::UnsupportedBlockSize { .. }
            | Self::UnsupportedRevision(_) => Errno::EINVAL,
        }
    }
}

impl From<Corrupt> for Error {
    fn from(corrupt: Corrupt) -> Self {
        Self::Corrupt(corrupt)
    }
}

impl Place {
    /// The error that says what is wrong here.
    pub(crate) fn is(self, damage: Damage) -> Error {
        Error::Corrupt(Corrupt { place: self, damage })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt(corrupt) => write!(f, "{corrupt}"),
            Self::Device { block } => write!(f, "the device failed at block {block}"),
            Self::NoMemory => f.write_str("no memory"),
            Self::NoSpace => f.write_str("no block is free"),
            Self::NoInodes => f.write_str("no inode is free"),
            Self::WriteBackFirst => f.write_str("what has changed must be written back first"),
            Self::BatchPending => f.write_str("a batch is being written"),
            Self::ReadOnly => f.write_str("the file system is read-only"),
            Self::NotFound => f.write_str("no such name"),
            Self::Exists => f.write_str("the name is there already"),
            Self::NotDirectory => f.write_str("no directory"),
            Self::IsDirectory => f.write_str("a directory"),
            Self::NotEmpty => f.write_str("the directory has entries"),
            Self::NameTooLong => f.write_str("the name is too long"),
            Self::TargetTooLong => f.write_str("the target is too long"),
            Self::TooManyLinks => f.write_str("too many links"),
            Self::FileTooLarge => f.write_str("the file would be too large"),
            Self::Invalid => f.write_str("it makes no sense"),
            Self::Unsupported(features) => write!(f, "features not understood: {features}"),
            Self::UnsupportedBlockSize { bytes } => {
                write!(f, "blocks of {bytes} bytes, fragments or clusters are not understood")
            }
            Self::UnsupportedRevision(revision) => {
                write!(f, "revision {revision} is not understood")
            }
        }
    }
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.damage)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Superblock => f.write_str("superblock"),
            Self::Group(group) => write!(f, "group {group}"),
            Self::Inode(inode) => write!(f, "inode {inode}"),
            Self::Block { inode, block } => write!(f, "inode {inode}, block {block}"),
            Self::Entry { directory, offset } => {
                write!(f, "directory inode {directory}, offset {offset}")
            }
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadMagic => "this is no ext2",
            Self::BadGeometry(field) => return write!(f, "{field} cannot be right"),
            Self::LargerThanDevice => "the file system is larger than the device",
            Self::MisplacedMetadata => "a bitmap or the inode table is not in the group",
            Self::WrongCount => "a counter does not agree with its bitmap",
            Self::MetadataFree => "the bitmap says that metadata are free",
            Self::DoubleFree => "what was in use is marked as free",
            Self::BadBlock => "this block cannot be part of a file",
            Self::BlockLoop => "the file reaches an indirect block twice",
            Self::BadInodeNumber => "the number of the inode cannot be right",
            Self::FreeInode => "a name of an inode that is not in use",
            Self::BadInode => "the inode makes no sense",
            Self::BadEntry => "the entry makes no sense",
            Self::NoDots => "`.` or `..` is missing",
            Self::BadDirectorySize => "the size of the directory cannot be right",
            Self::DirectoryHole => "the directory has a hole",
            Self::DirectoryLoop => "directories are in each other",
            Self::BadTarget => "the target of the symbolic link is not what its size says",
            Self::BadAttributes => "the block of extended attributes makes no sense",
            Self::BadOrphan => "the list of orphans makes no sense",
        })
    }
}

impl core::error::Error for Error {}
