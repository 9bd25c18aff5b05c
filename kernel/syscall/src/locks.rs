//! File locks: flock(2), and those of fcntl(2).

use alloc::sync::Arc;
use core::mem::offset_of;

use abi::fcntl::{
    F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_RDLCK, F_SETLKW, F_UNLCK, F_WRLCK, LOCK_EX,
    LOCK_MAND, LOCK_NB, LOCK_SH, LOCK_UN, SEEK_CUR, SEEK_END, SEEK_SET,
};
use abi::{Errno, Result};
use fs::{LockMode, LockedBytes, LockedBytesError, OpenFile, RecordOwner};
use memory::user::UserSlice;

use crate::call::Call;
use crate::io::is_more_than_a_path;

/// flock(2).
pub(crate) fn flock(call: &Call<'_>) -> Result<usize> {
    let [fd, operation, ..] = call.args;
    let operation = operation as u32;
    if operation & LOCK_MAND != 0 {
        // Mandatory locks are no more, and asking for one is no error (Linux fs/locks.c).
        return Ok(0);
    }
    let mode = match operation & !LOCK_NB {
        LOCK_SH => Some(LockMode::Shared),
        LOCK_EX => Some(LockMode::Exclusive),
        LOCK_UN => None,
        _ => return Err(Errno::EINVAL),
    };
    let process = &call.thread.process;
    let file = process.descriptors.get(fd)?;
    if !is_more_than_a_path(&file) {
        return Err(Errno::EBADF);
    }
    file.lock(mode, process.pid(), operation & LOCK_NB == 0)?;
    Ok(0)
}

/// `struct flock`. It has bytes between and behind its fields, which go back as they came.
struct Record([u64; 4]);

const _: () = {
    use abi::fcntl::flock;
    assert!(size_of::<flock>() == size_of::<Record>());
    assert!(offset_of!(flock, l_type) == 0 && offset_of!(flock, l_whence) == 2);
    assert!(offset_of!(flock, l_start) == 8 && offset_of!(flock, l_len) == 16);
    assert!(offset_of!(flock, l_pid) == 24);
};

impl Record {
    fn read(address: u64) -> Result<Self> {
        Ok(Self(UserSlice::read_value(address)?))
    }

    fn kind(&self) -> u32 {
        u32::from(self.0[0] as u16)
    }

    fn whence(&self) -> u32 {
        u32::from((self.0[0] >> 16) as u16)
    }

    fn pid(&self) -> i32 {
        self.0[3] as i32
    }

    fn set_kind(&mut self, kind: u32) {
        self.0[0] = self.0[0] & !0xffff | u64::from(kind as u16);
    }

    fn set_whence(&mut self, whence: u32) {
        self.0[0] = self.0[0] & !0xffff_0000 | u64::from(whence as u16) << 16;
    }

    fn set_pid(&mut self, pid: i32) {
        self.0[3] = self.0[3] & !0xffff_ffff | u64::from(pid as u32);
    }

    /// The bytes that it means.
    ///
    /// # Errors
    /// `EINVAL` for bytes before the start, `EOVERFLOW` for bytes too far behind it.
    fn bytes(&self, file: &OpenFile) -> Result<LockedBytes> {
        let base = match self.whence() {
            SEEK_SET => 0,
            SEEK_CUR => file.position(),
            SEEK_END => file.status().size,
            _ => return Err(Errno::EINVAL),
        };
        let [_, start, len, _] = self.0;
        LockedBytes::new(base, start as i64, len as i64).map_err(|error| match error {
            LockedBytesError::BeforeStart => Errno::EINVAL,
            LockedBytesError::TooFar => Errno::EOVERFLOW,
        })
    }

    /// The mode that it means; `None` for no lock.
    fn mode(&self) -> Result<Option<LockMode>> {
        match self.kind() {
            F_RDLCK => Ok(Some(LockMode::Shared)),
            F_WRLCK => Ok(Some(LockMode::Exclusive)),
            F_UNLCK => Ok(None),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// Whose locks a command of fcntl(2) is about.
fn owner<'a>(call: &'a Call<'_>, command: u32) -> RecordOwner<'a> {
    match command {
        F_OFD_GETLK | F_OFD_SETLK | F_OFD_SETLKW => RecordOwner::OpenFile,
        _ => {
            let process = &call.thread.process;
            RecordOwner::Process(process.descriptors.lock_owner(), process.pid())
        }
    }
}

/// `F_GETLK` and `F_OFD_GETLK`: a lock that is in the way of the one at `address`.
pub(crate) fn find_lock(
    call: &Call<'_>,
    file: &OpenFile,
    command: u32,
    address: u64,
) -> Result<usize> {
    let mut record = Record::read(address)?;
    let is_own = command == F_OFD_GETLK;
    if !is_own && record.mode()?.is_none() {
        return Err(Errno::EINVAL);
    }
    let (bytes, mode) = (record.bytes(file)?, record.mode()?);
    if is_own && record.pid() != 0 {
        return Err(Errno::EINVAL);
    }
    record.set_kind(F_UNLCK);
    if let Some(found) = file.lock_in_the_way(owner(call, command), bytes, mode) {
        record.set_kind(if found.mode == LockMode::Exclusive { F_WRLCK } else { F_RDLCK });
        record.set_whence(SEEK_SET);
        record.set_pid(found.owner.pid.map_or(-1, |pid| pid as i32));
        let [_, start, len, _] = &mut record.0;
        (*start, *len) = (found.bytes.first(), found.bytes.len_or_all());
    }
    UserSlice::write_value(address, &record.0)?;
    Ok(0)
}

/// `F_SETLK`, `F_SETLKW`, and those of open files: sets or takes away the lock at `address`.
pub(crate) fn set_lock(
    call: &Call<'_>,
    file: &Arc<OpenFile>,
    command: u32,
    address: u64,
) -> Result<usize> {
    let record = Record::read(address)?;
    let (bytes, mode) = (record.bytes(file)?, record.mode()?);
    match mode {
        Some(LockMode::Shared) if !file.is_readable() => return Err(Errno::EBADF),
        Some(LockMode::Exclusive) if !file.is_writable() => return Err(Errno::EBADF),
        _ => {}
    }
    let owner = owner(call, command);
    let is_process = matches!(owner, RecordOwner::Process(..));
    if !is_process && record.pid() != 0 {
        return Err(Errno::EINVAL);
    }
    let waits = matches!(command, F_SETLKW | F_OFD_SETLKW);
    file.lock_bytes(owner, bytes, mode, waits)?;
    if is_process && mode.is_some() {
        // Closed meanwhile by another thread, which has not seen the lock.
        let descriptors = &call.thread.process.descriptors;
        let [fd, ..] = call.args;
        if !descriptors.get(fd).is_ok_and(|now| Arc::ptr_eq(&now, file)) {
            descriptors.lock_owner().closed(file);
            return Err(Errno::EBADF);
        }
    }
    Ok(0)
}
