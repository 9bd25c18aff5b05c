//! Calls on open files: read, write, readv, writev, lseek, close, ioctl.

use abi::fcntl::{SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET, UIO_MAXIOV};
use abi::{Errno, Result};
use fs::{OpenFile, Seek};
use memory::user::UserSlice;

use crate::call::{Call, MAX_TRANSFER, buffer};

/// read(2).
pub(crate) fn read(call: &Call<'_>) -> Result<usize> {
    let [fd, address, len, ..] = call.args;
    let file = call.thread.process.descriptors.get(fd)?;
    if !file.is_readable() {
        return Err(Errno::EBADF);
    }
    let to = buffer(address, len)?;
    if to.is_empty() {
        return Ok(0);
    }
    file.read(&mut to.into())
}

/// write(2).
pub(crate) fn write(call: &Call<'_>) -> Result<usize> {
    let [fd, address, len, ..] = call.args;
    let file = call.thread.process.descriptors.get(fd)?;
    if !file.is_writable() {
        return Err(Errno::EBADF);
    }
    let from = buffer(address, len)?;
    if from.is_empty() {
        return Ok(0);
    }
    let _whole = file.file().whole_write();
    file.write(&mut from.into())
}

/// Calls `transfer` for each part of the vector until one is short. All parts are checked
/// before the first is moved, as far as can be.
pub(crate) fn vectored(
    address: u64,
    count: u64,
    mut transfer: impl FnMut(UserSlice) -> Result<usize>,
) -> Result<usize> {
    // The count is an unsigned long there, but a negative int is too large too.
    if count > UIO_MAXIOV.into() {
        return Err(Errno::EINVAL);
    }
    let part = |index: u64| -> Result<UserSlice> {
        let [base, len]: [u64; 2] = UserSlice::read_value(address.wrapping_add(index * 16))?;
        if len > i64::MAX as u64 {
            return Err(Errno::EINVAL);
        }
        buffer(base, len)
    };
    for index in 0..count {
        part(index)?;
    }
    let mut moved = 0;
    for index in 0..count {
        // Another thread may have changed it since; then it is checked again.
        let part = match part(index) {
            Ok(part) => part.take(MAX_TRANSFER - moved),
            Err(_) if moved > 0 => break,
            Err(error) => return Err(error),
        };
        if part.is_empty() {
            continue;
        }
        match transfer(part) {
            Ok(len) => {
                moved += len;
                if len < part.len() {
                    break;
                }
            }
            Err(_) if moved > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(moved)
}

/// readv(2).
pub(crate) fn readv(call: &Call<'_>) -> Result<usize> {
    let [fd, address, count, ..] = call.args;
    let file = call.thread.process.descriptors.get(fd)?;
    if !file.is_readable() {
        return Err(Errno::EBADF);
    }
    vectored(address, count, |part| file.read(&mut part.into()))
}

/// writev(2).
pub(crate) fn writev(call: &Call<'_>) -> Result<usize> {
    let [fd, address, count, ..] = call.args;
    let file = call.thread.process.descriptors.get(fd)?;
    if !file.is_writable() {
        return Err(Errno::EBADF);
    }
    let _whole = file.file().whole_write();
    vectored(address, count, |part| file.write(&mut part.into()))
}

/// lseek(2).
pub(crate) fn lseek(call: &Call<'_>) -> Result<usize> {
    let [fd, offset, whence, ..] = call.args;
    let file = call.thread.process.descriptors.get(fd)?;
    if !is_more_than_a_path(&file) {
        return Err(Errno::EBADF);
    }
    let offset = offset as i64;
    let seek = match whence as u32 {
        SEEK_SET => Seek::Set(offset),
        SEEK_CUR => Seek::Current(offset),
        SEEK_END => Seek::End(offset),
        SEEK_DATA => Seek::Data(offset),
        SEEK_HOLE => Seek::Hole(offset),
        _ => return Err(Errno::EINVAL),
    };
    Ok(file.seek(seek)? as usize)
}

/// close(2).
pub(crate) fn close(call: &Call<'_>) -> Result<usize> {
    let [fd, ..] = call.args;
    call.thread.process.descriptors.remove(fd)?;
    Ok(0)
}

/// ioctl(2).
pub(crate) fn ioctl(call: &Call<'_>) -> Result<usize> {
    let [fd, request, argument, ..] = call.args;
    let file = call.thread.process.descriptors.get(fd)?;
    if !is_more_than_a_path(&file) {
        return Err(Errno::EBADF);
    }
    file.file().ioctl(request as u32, argument)
}

/// Whether the descriptor may be used for more than its path (`O_PATH`).
pub(crate) fn is_more_than_a_path(file: &OpenFile) -> bool {
    file.is_readable() || file.is_writable()
}
