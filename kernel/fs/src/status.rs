//! What stat(2) tells of a file: [`Status`], with its [`Kind`], [`DeviceNumber`] and [`Time`]s.

use abi::stat::{
    DT_BLK, DT_CHR, DT_DIR, DT_FIFO, DT_LNK, DT_REG, DT_SOCK, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO,
    S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK,
};
use bitflags::bitflags;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file with bytes.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A node that stands for a character device.
    CharDevice,
    /// A node that stands for a block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A name of a local socket.
    Socket,
}

impl Kind {
    /// The kind that the type bits of `mode` say. Bits that say none are a regular file, as
    /// stat(2) shows it where a file system has lost them.
    pub fn of_mode(mode: u32) -> Self {
        match mode & S_IFMT {
            S_IFDIR => Self::Directory,
            S_IFLNK => Self::Symlink,
            S_IFCHR => Self::CharDevice,
            S_IFBLK => Self::BlockDevice,
            S_IFIFO => Self::Fifo,
            S_IFSOCK => Self::Socket,
            _ => Self::Regular,
        }
    }

    /// The type bits of `st_mode`.
    pub fn mode(self) -> u32 {
        match self {
            Self::Regular => S_IFREG,
            Self::Directory => S_IFDIR,
            Self::Symlink => S_IFLNK,
            Self::CharDevice => S_IFCHR,
            Self::BlockDevice => S_IFBLK,
            Self::Fifo => S_IFIFO,
            Self::Socket => S_IFSOCK,
        }
    }

    /// `d_type` of an entry of a directory (getdents(2)).
    pub fn entry_type(self) -> u8 {
        let entry_type = match self {
            Self::Regular => DT_REG,
            Self::Directory => DT_DIR,
            Self::Symlink => DT_LNK,
            Self::CharDevice => DT_CHR,
            Self::BlockDevice => DT_BLK,
            Self::Fifo => DT_FIFO,
            Self::Socket => DT_SOCK,
        };
        entry_type as u8
    }
}

/// Major and minor number of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceNumber {
    /// Which driver.
    pub major: u32,
    /// Which of its devices.
    pub minor: u32,
}

impl DeviceNumber {
    /// The number as stat(2) writes it (makedev(3)): twelve bits of major and eight of minor
    /// where they always were, the rest above.
    pub fn packed(self) -> u64 {
        let (major, minor) = (u64::from(self.major), u64::from(self.minor));
        (major & 0xfff) << 8 | (major & !0xfff) << 32 | minor & 0xff | (minor & !0xff) << 12
    }

    /// The number that mknod(2) is given: the lower 32 bits of what stat(2) writes.
    pub fn of_packed(packed: u64) -> Self {
        let (low, high) = (packed as u32, (packed >> 32) as u32);
        let major = low >> 8 & 0xfff | high & !0xfff;
        Self { major, minor: low & 0xff | low >> 12 & !0xff }
    }
}

/// When it is noted that a file was read (mount(8)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessTimes {
    /// Never (`noatime`).
    None,
    /// If the last time that was noted is older than a day or the last change, so that not every
    /// read is a change (`relatime`).
    Relative,
    /// Each time (`strictatime`).
    Always,
}

/// A moment, as files have it: seconds since 1970, and nanoseconds after that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// The rest, less than 1,000,000,000.
    pub nanoseconds: u32,
}

impl Time {
    /// The wall clock's.
    pub fn now() -> Self {
        let now = drivers::rtc::now_ns();
        let seconds = (now / 1_000_000_000) as i64;
        Self { seconds, nanoseconds: (now % 1_000_000_000) as u32 }
    }

    /// The time of the last read of a file that is read at this time.
    pub fn of_read(self, atime: Self, changed: Self, times: AccessTimes) -> Self {
        const DAY: i64 = 24 * 60 * 60;
        let stays = match times {
            AccessTimes::None => true,
            AccessTimes::Always => false,
            AccessTimes::Relative => {
                atime > changed && atime.seconds.saturating_add(DAY) > self.seconds
            }
        };
        if stays { atime } else { self }
    }

    /// A moment without a fraction.
    pub const fn of_seconds(seconds: i64) -> Self {
        Self { seconds, nanoseconds: 0 }
    }
}

bitflags! {
    /// What is forbidden of a file to everybody, root included (`chattr +i`, `chattr +a`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct FileFlags: u8 {
        /// It is not changed at all: not what is in it, not what is told of it, not its names.
        const IMMUTABLE = 1 << 0;
        /// It is only added to: a regular file at its end, a directory by new names.
        const APPEND = 1 << 1;
    }
}

/// What stat(2) tells of a file, before it has the layout of user space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The device that the file system is on, or a number in its place. An inode leaves it 0:
    /// [`crate::Path::status`] and [`crate::OpenFile::status`] fill it in.
    pub device: DeviceNumber,
    /// Inode number, not 0.
    pub inode: u64,
    /// Type and permissions.
    pub mode: u32,
    /// Hard links.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The device that a node stands for.
    pub rdev: DeviceNumber,
    /// Bytes.
    pub size: u64,
    /// What it takes on its device, in units of 512 bytes.
    pub blocks: u64,
    /// Last read.
    pub atime: Time,
    /// Last change of the contents.
    pub mtime: Time,
    /// Last change of the contents or of what is told here.
    pub ctime: Time,
    /// What is forbidden of it.
    pub flags: FileFlags,
}

impl Status {
    /// What the file is.
    pub fn kind(&self) -> Kind {
        Kind::of_mode(self.mode)
    }

    /// Whether it is immutable or only added to: then nobody takes its names away, gives it more,
    /// or changes its owner and permissions.
    pub fn is_fixed(&self) -> bool {
        !self.flags.is_empty()
    }

    /// Whether it is only added to.
    pub fn is_append_only(&self) -> bool {
        self.flags.contains(FileFlags::APPEND)
    }

    /// Whether anybody may execute it.
    pub fn is_executable(&self) -> bool {
        self.mode & 0o111 != 0
    }
}

#[base::kernel_test]
fn kinds_have_modes_and_numbers_are_packed() {
    for kind in [Kind::Regular, Kind::Directory, Kind::Symlink, Kind::CharDevice, Kind::Fifo] {
        assert_eq!(Kind::of_mode(kind.mode() | 0o7777), kind);
    }
    assert_eq!(Kind::of_mode(0o644), Kind::Regular);
    assert_eq!(Kind::Directory.entry_type(), 4);
    // makedev(0x12345, 0x6789a) of the C library.
    let number = DeviceNumber { major: 0x1_2345, minor: 0x6_789a };
    assert_eq!(number.packed(), 0x0001_2000_6783_459a);
    for (major, minor) in [(0x1_2345, 0x6_789a), (8, 1), (0, 0), (0xfff, 0xff), (254, 0xf_ffff)] {
        let number = DeviceNumber { major, minor };
        assert_eq!(DeviceNumber::of_packed(number.packed()), number);
    }
}
