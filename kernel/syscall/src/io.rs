//! Calls on open files: read, write, readv, writev, lseek, close, ioctl.

use abi::fcntl::{SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET, UIO_MAXIOV};
use abi::{Errno, Result};
use alloc::vec::Vec;
use fs::{Destination, OpenFile, Seek, Source, UserParts};
use memory::frames::check_user_may_allocate;
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
    file.write(&mut from.into())
}

/// Parts of a vector that need no memory of their own, as on Linux (`UIO_FASTIOV`).
const FEW_PARTS: usize = 8;

/// Calls `transfer` with the `count` parts of the vector at `address`, which are looked at before:
/// [`MAX_TRANSFER`] bytes of them at most.
///
/// # Errors
/// `EINVAL` for too many parts, or one that is too long; `EFAULT`, `ENOMEM`; as `transfer`.
pub(crate) fn vectored(
    address: u64,
    count: u64,
    transfer: impl FnOnce(UserParts<'_>) -> Result<usize>,
) -> Result<usize> {
    // The count is an unsigned long there, but a negative int is too large too.
    if count > UIO_MAXIOV.into() {
        return Err(Errno::EINVAL);
    }
    let count = count as usize;
    let (mut few, mut many);
    let parts = if count <= FEW_PARTS {
        few = [UserSlice::new(0, 0); FEW_PARTS];
        few.as_mut_slice()
    } else {
        check_user_may_allocate()?;
        many = Vec::new();
        many.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        many.resize(count, UserSlice::new(0, 0));
        many.as_mut_slice()
    };
    let mut room = MAX_TRANSFER;
    for (index, part) in (0..count as u64).zip(parts.iter_mut()) {
        let [base, len]: [u64; 2] = UserSlice::read_value(address.wrapping_add(index * 16))?;
        if len > i64::MAX as u64 {
            return Err(Errno::EINVAL);
        }
        *part = buffer(base, len)?.take(room);
        room -= part.len();
    }
    transfer(UserParts::new(parts))
}

/// readv(2).
pub(crate) fn readv(call: &Call<'_>) -> Result<usize> {
    let [fd, address, count, ..] = call.args;
    let file = call.thread.process.descriptors.get(fd)?;
    if !file.is_readable() {
        return Err(Errno::EBADF);
    }
    vectored(address, count, |parts| match parts.is_empty() {
        true => Ok(0),
        false => file.read(&mut Destination::User(parts)),
    })
}

/// writev(2).
pub(crate) fn writev(call: &Call<'_>) -> Result<usize> {
    let [fd, address, count, ..] = call.args;
    let file = call.thread.process.descriptors.get(fd)?;
    if !file.is_writable() {
        return Err(Errno::EBADF);
    }
    vectored(address, count, |parts| match parts.is_empty() {
        true => Ok(0),
        false => file.write(&mut Source::User(parts)),
    })
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
