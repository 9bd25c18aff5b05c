//! Inodes: [`Ext2::inode`] reads one, [`Ext2::set_attributes`] changes what a user may.

use abi::stat::S_IFMT;
use zerocopy::FromBytes;

use crate::error::{Damage, Error, Place};
use crate::fs::Ext2;
use crate::layout::device::DeviceNumber;
use crate::layout::features::RoCompat;
use crate::layout::inode::{
    EXTRA_SIZE, FileKind, INODE_SIZE, InodeFlags, RawExtra, RawInode, Time, set_time,
};
use crate::layout::time::Timestamp;
use crate::order::{BlockKind, Dirty};
use crate::storage::Storage;

/// An inode as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode {
    /// Its number.
    pub number: u32,
    /// What it is.
    pub kind: FileKind,
    /// Type and permissions, as `st_mode`.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// How many names it has; 0 if it is there only as long as it is open.
    pub links: u32,
    /// What it takes on the disk in units of 512 bytes, as `st_blocks`.
    pub sectors: u64,
    /// Attributes.
    pub flags: InodeFlags,
    /// Tells the files apart that had this number one after the other.
    pub generation: u32,
    /// When it was last read.
    pub accessed: Timestamp,
    /// When its data last changed.
    pub modified: Timestamp,
    /// When the inode last changed.
    pub changed: Timestamp,
    /// When it was made, if there is room for that.
    pub born: Option<Timestamp>,
    /// Which device a device node stands for.
    pub device: Option<DeviceNumber>,
}

/// What to change of an inode; `None` leaves it as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes {
    /// The permissions; the type stays.
    pub permissions: Option<u32>,
    /// The owner.
    pub uid: Option<u32>,
    /// The group.
    pub gid: Option<u32>,
    /// When it was last read.
    pub accessed: Option<Timestamp>,
    /// When its data last changed.
    pub modified: Option<Timestamp>,
    /// When the inode last changed.
    pub changed: Option<Timestamp>,
    /// The attributes that a user may change; others stay.
    pub flags: Option<InodeFlags>,
}

/// Bytes of [`RawExtra`] up to the access time, and up to the time of birth.
const TIMES_END: usize = 16;
const BIRTH_END: usize = 24;

/// The attributes that `chattr` may change.
const USER_FLAGS: InodeFlags = InodeFlags::SYNC
    .union(InodeFlags::IMMUTABLE)
    .union(InodeFlags::APPEND)
    .union(InodeFlags::NODUMP)
    .union(InodeFlags::NOATIME)
    .union(InodeFlags::DIRSYNC)
    .union(InodeFlags::TOP_DIRECTORY);

/// Bytes in use behind the first 128, of those that are known; `None` if the inode says what
/// cannot be.
fn extra_size(rest: &[u8]) -> Option<usize> {
    let Some(size) = rest.first_chunk::<2>() else { return Some(0) };
    let size = usize::from(u16::from_le_bytes(*size));
    (size <= rest.len() && size.is_multiple_of(4)).then_some(size.min(EXTRA_SIZE))
}

impl<S: Storage> Ext2<S> {
    /// The error for an inode that makes no sense.
    pub(crate) fn bad_inode(inode: u32) -> Error {
        Place::Inode(inode).is(Damage::BadInode)
    }

    /// Lets `look` see an inode, and what is known of what is behind its first 128 bytes.
    pub(crate) fn look_at_inode<R>(
        &self,
        inode: u32,
        look: impl FnOnce(&RawInode, Option<&RawExtra>) -> R,
    ) -> Result<R, Error> {
        if !self.geometry.is_file_inode(inode) {
            return Err(Place::Inode(inode).is(Damage::BadInodeNumber));
        }
        let (block, offset) = self.groups.inode_place(&self.geometry, inode);
        let size = self.geometry.inode_size;
        self.read_block(block, |bytes| {
            let slot = bytes.get(offset..offset + size)?;
            let (raw, rest) = RawInode::ref_from_prefix(slot).ok()?;
            let used = extra_size(rest)?;
            let extra = RawExtra::ref_from_prefix(rest).ok().map(|(extra, _)| extra);
            Some(look(raw, extra.filter(|_| used >= TIMES_END)))
        })?
        .ok_or(Self::bad_inode(inode))
    }

    /// Changes an inode; all that is known behind its first 128 bytes is there or nothing.
    /// If it has been changed before since it was written, this does not fail.
    pub(crate) fn change_inode<R>(
        &mut self,
        inode: u32,
        change: impl FnOnce(&mut RawInode, Option<&mut RawExtra>) -> R,
    ) -> Result<R, Error> {
        if !self.geometry.is_file_inode(inode) {
            return Err(Place::Inode(inode).is(Damage::BadInodeNumber));
        }
        let (block, offset) = self.groups.inode_place(&self.geometry, inode);
        let first = crate::groups::first_of_table_block(&self.geometry, inode);
        let size = self.geometry.inode_size;
        let dirty = Dirty { kind: BlockKind::Inodes, owner: first, home: block, fresh: false };
        let changed = self.change_owned(block, dirty, |bytes| {
            let slot = bytes.get_mut(offset..offset + size)?;
            let (raw, rest) = RawInode::mut_from_prefix(slot).ok()?;
            let used = extra_size(rest)?;
            let extra = RawExtra::mut_from_prefix(rest).ok().map(|(extra, _)| extra);
            Some(change(raw, extra.filter(|_| used >= TIMES_END)))
        })?;
        changed.ok_or(Self::bad_inode(inode))
    }

    /// Makes sure that an inode can be changed without failing until it is written.
    pub(crate) fn touch_inode(&mut self, inode: u32) -> Result<(), Error> {
        self.change_inode(inode, |_, _| ())
    }

    /// A copy of an inode that is in use: it has a name, or it lost its last and is kept.
    pub(crate) fn raw_inode(&self, inode: u32) -> Result<RawInode, Error> {
        let raw = self.look_at_inode(inode, |raw, _| raw.clone())?;
        self.check_in_use(inode, &raw)?;
        Ok(raw)
    }

    fn check_in_use(&self, inode: u32, raw: &RawInode) -> Result<FileKind, Error> {
        if raw.links.get() == 0 && !self.orphans.contains_key(&inode) {
            return Err(Place::Inode(inode).is(Damage::FreeInode));
        }
        let foreign = InodeFlags::EXTENTS | InodeFlags::INLINE_DATA;
        match raw.kind() {
            Some(kind) if !raw.flags().intersects(foreign) => Ok(kind),
            _ => Err(Self::bad_inode(inode)),
        }
    }

    /// Reads an inode.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is not in use or makes no sense; a failure of the device.
    pub fn inode(&self, number: u32) -> Result<Inode, Error> {
        let wide = self.geometry.inode_size > INODE_SIZE;
        let huge = self.geometry.ro_compat.contains(RoCompat::HUGE_FILE);
        let (raw, extra) =
            self.look_at_inode(number, |raw, extra| (raw.clone(), extra.cloned()))?;
        let kind = self.check_in_use(number, &raw)?;
        let extra = extra.as_ref();
        let born = extra.filter(|extra| wide && usize::from(extra.size.get()) >= BIRTH_END);
        let lost = self.orphans.contains_key(&number);
        let [old, new, ..] = raw.pointers;
        let units = u64::from(raw.sectors.get())
            | if huge { u64::from(raw.sectors_high.get()) << 32 } else { 0 };
        let unit = if huge && raw.flags().contains(InodeFlags::HUGE_FILE) {
            u64::from(self.geometry.sectors())
        } else {
            1
        };
        let time = |low: zerocopy::little_endian::U32,
                    extra: Option<zerocopy::little_endian::U32>| {
            Timestamp::decode(low.get(), extra.map(|extra| extra.get()))
        };
        Ok(Inode {
            number,
            kind,
            mode: raw.mode(),
            uid: raw.owner(),
            gid: raw.group(),
            size: raw.size(),
            links: if lost { 0 } else { raw.links.get().into() },
            sectors: units * unit,
            flags: raw.flags(),
            generation: raw.generation.get(),
            accessed: time(raw.access_time, extra.map(|extra| extra.access_time)),
            modified: time(raw.modify_time, extra.map(|extra| extra.modify_time)),
            changed: time(raw.change_time, extra.map(|extra| extra.change_time)),
            born: born.map(|extra| time(extra.birth_time, Some(extra.birth_time_extra))),
            device: kind.is_device().then(|| DeviceNumber::decode(old.get(), new.get())),
        })
    }

    /// The smallest step of times on this file system in nanoseconds.
    pub fn time_step(&self) -> u32 {
        if self.geometry.inode_size > INODE_SIZE { 1 } else { 1_000_000_000 }
    }

    /// Changes attributes of an inode. Times are rounded down to what can be kept.
    ///
    /// # Errors
    /// If the file system is read-only, or the inode makes no sense.
    pub fn set_attributes(&mut self, inode: u32, attributes: &Attributes) -> Result<(), Error> {
        self.check_writable()?;
        self.raw_inode(inode)?;
        self.change_inode(inode, |raw, mut extra| {
            if let Some(permissions) = attributes.permissions {
                raw.mode = ((raw.mode() & S_IFMT | permissions & !S_IFMT) as u16).into();
            }
            if let Some(uid) = attributes.uid {
                raw.set_owner(uid);
            }
            if let Some(gid) = attributes.gid {
                raw.set_group(gid);
            }
            if let Some(flags) = attributes.flags {
                raw.flags = (raw.flags().difference(USER_FLAGS) | flags & USER_FLAGS).bits().into();
            }
            for (which, time) in [
                (Time::Access, attributes.accessed),
                (Time::Modify, attributes.modified),
                (Time::Change, attributes.changed),
            ] {
                if let Some(time) = time {
                    set_time(raw, extra.as_deref_mut(), which, time);
                }
            }
        })
    }

    /// Sets the times of an inode whose contents and fields change.
    pub(crate) fn set_modified(&mut self, inode: u32, now: Timestamp) -> Result<(), Error> {
        self.change_inode(inode, |raw, mut extra| {
            set_time(raw, extra.as_deref_mut(), Time::Modify, now);
            set_time(raw, extra, Time::Change, now);
        })
    }
}
