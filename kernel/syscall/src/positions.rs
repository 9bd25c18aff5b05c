//! Calls on open files beside reading and writing at their position: pread and pwrite with their
//! vectors, sendfile, copy_file_range, ftruncate, fallocate, fsync, sync, fcntl.

use abi::fcntl::{
    F_GETFD, F_GETFL, F_GETLK, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_SETFD, F_SETFL, F_SETLK,
    F_SETLKW, FD_CLOEXEC,
};
use abi::{Errno, Result};
use alloc::vec::Vec;
use fs::{Destination, Kind, OpenFile, Source};
use memory::user::UserSlice;

use crate::call::{Call, MAX_TRANSFER, buffer};
use crate::io::{is_more_than_a_path, vectored};
use crate::locks::{find_lock, set_lock};

/// Bytes that are copied from file to file at a time.
const CHUNK: usize = 32 << 10;

/// A position, as it comes in a register.
fn position(value: u64) -> Result<u64> {
    u64::try_from(value as i64).map_err(|_| Errno::EINVAL)
}

/// pread64(2).
pub(crate) fn pread64(call: &Call<'_>) -> Result<usize> {
    let [fd, address, len, at, ..] = call.args;
    let at = position(at)?;
    let file = call.thread.process.descriptors.get(fd)?;
    file.read_at(at, &mut buffer(address, len)?.into())
}

/// pwrite64(2).
pub(crate) fn pwrite64(call: &Call<'_>) -> Result<usize> {
    let [fd, address, len, at, ..] = call.args;
    let at = position(at)?;
    let file = call.thread.process.descriptors.get(fd)?;
    file.write_at(at, &mut buffer(address, len)?.into())
}

/// preadv(2).
pub(crate) fn preadv(call: &Call<'_>) -> Result<usize> {
    let [fd, address, count, at, ..] = call.args;
    let at = position(at)?;
    let file = call.thread.process.descriptors.get(fd)?;
    // What is wrong with the file comes before what is wrong with the vector.
    file.read_at(at, &mut Destination::Kernel(&mut []))?;
    vectored(address, count, |parts| file.read_at(at, &mut Destination::User(parts)))
}

/// pwritev(2).
pub(crate) fn pwritev(call: &Call<'_>) -> Result<usize> {
    let [fd, address, count, at, ..] = call.args;
    let at = position(at)?;
    let file = call.thread.process.descriptors.get(fd)?;
    file.write_at(at, &mut Source::Kernel(&[]))?;
    vectored(address, count, |parts| file.write_at(at, &mut Source::User(parts)))
}

/// Where one side of a copy is: at a position of its own, which the caller keeps, or at the
/// file's.
struct Side<'a> {
    file: &'a OpenFile,
    at: Option<u64>,
    /// Where the caller keeps the position; 0: nowhere.
    address: u64,
}

impl<'a> Side<'a> {
    fn new(file: &'a OpenFile, address: u64) -> Result<Self> {
        let at = match address {
            0 => None,
            _ => Some(position(UserSlice::read_value(address)?)?),
        };
        Ok(Self { file, at, address })
    }

    fn read(&mut self, to: &mut [u8]) -> Result<usize> {
        let mut to = Destination::Kernel(to);
        let read = match self.at {
            Some(at) => self.file.read_at(at, &mut to)?,
            None => self.file.read(&mut to)?,
        };
        self.at = self.at.map(|at| at + read as u64);
        Ok(read)
    }

    fn write(&mut self, from: &[u8]) -> Result<usize> {
        let mut done = 0;
        while let Some(rest) = from.get(done..).filter(|rest| !rest.is_empty()) {
            let mut rest = Source::Kernel(rest);
            let written = match self.at {
                Some(at) => self.file.write_at(at, &mut rest),
                None => self.file.write(&mut rest),
            };
            match written {
                Ok(0) => break,
                Ok(written) => {
                    done += written;
                    self.at = self.at.map(|at| at + written as u64);
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Goes back by bytes that were read and not written.
    fn unread(&mut self, bytes: usize) -> Result<()> {
        match &mut self.at {
            Some(at) => *at -= bytes as u64,
            None => {
                self.file.seek(fs::Seek::Current(-(bytes as i64)))?;
            }
        }
        Ok(())
    }

    /// Tells the caller where it is.
    fn finish(&self) -> Result<()> {
        match self.at {
            Some(at) => Ok(UserSlice::write_value(self.address, &at)?),
            None => Ok(()),
        }
    }
}

/// Copies up to `len` bytes; how many.
fn copy(mut from: Side<'_>, mut to: Side<'_>, len: usize) -> Result<usize> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(CHUNK).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(CHUNK, 0);
    let mut copied = 0;
    while copied < len {
        let part = bytes.len().min(len - copied);
        let (part, _) = bytes.split_at_mut(part);
        let result = from.read(part).and_then(|read| {
            let written = to.write(part.get(..read).unwrap_or_default());
            let unwritten = read - *written.as_ref().unwrap_or(&0);
            if unwritten > 0 {
                from.unread(unwritten)?;
            }
            Ok((written?, unwritten > 0))
        });
        match result {
            Ok((written, is_short)) => {
                copied += written;
                if is_short || written == 0 {
                    break;
                }
            }
            Err(_) if copied > 0 => break,
            Err(error) => return Err(error),
        }
        if task::signal_pending() {
            break;
        }
    }
    from.finish()?;
    to.finish()?;
    Ok(copied)
}

/// sendfile(2).
pub(crate) fn sendfile(call: &Call<'_>) -> Result<usize> {
    let [out, input, offset, count, ..] = call.args;
    let descriptors = &call.thread.process.descriptors;
    let (input, out) = (descriptors.get(input)?, descriptors.get(out)?);
    if !input.is_readable() || !out.is_writable() {
        return Err(Errno::EBADF);
    }
    // What cannot be gone back in is no source.
    if !input.file().is_seekable() || out.flags() & abi::fcntl::O_APPEND != 0 {
        return Err(Errno::EINVAL);
    }
    let len = usize::try_from(count).unwrap_or(MAX_TRANSFER).min(MAX_TRANSFER);
    copy(Side::new(&input, offset)?, Side::new(&out, 0)?, len)
}

/// copy_file_range(2).
pub(crate) fn copy_file_range(call: &Call<'_>) -> Result<usize> {
    let [input, from, out, to, len, flags] = call.args;
    let descriptors = &call.thread.process.descriptors;
    let (input, out) = (descriptors.get(input)?, descriptors.get(out)?);
    if !input.is_readable() || !out.is_writable() || out.flags() & abi::fcntl::O_APPEND != 0 {
        return Err(Errno::EBADF);
    }
    for file in [&input, &out] {
        match file.status().kind() {
            Kind::Regular => {}
            Kind::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
    }
    let (from, to) = (Side::new(&input, from)?, Side::new(&out, to)?);
    let len = usize::try_from(len).unwrap_or(MAX_TRANSFER).min(MAX_TRANSFER);
    // The parts of one file must not overlap.
    let is_same =
        (input.status().device, input.status().inode) == (out.status().device, out.status().inode);
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    if is_same {
        let start = |side: &Side<'_>| match side.at {
            Some(at) => Ok(at),
            None => side.file.seek(fs::Seek::Current(0)),
        };
        if start(&from)?.abs_diff(start(&to)?) < len as u64 {
            return Err(Errno::EINVAL);
        }
    }
    copy(from, to, len)
}

/// ftruncate(2).
pub(crate) fn ftruncate(call: &Call<'_>) -> Result<usize> {
    let [fd, len, ..] = call.args;
    let len = position(len)?;
    let file = call.thread.process.descriptors.get(fd)?;
    if !file.is_writable() {
        return Err(if is_more_than_a_path(&file) { Errno::EINVAL } else { Errno::EBADF });
    }
    file.set_len(len)?;
    Ok(0)
}

/// fallocate(2).
pub(crate) fn fallocate(call: &Call<'_>) -> Result<usize> {
    let [fd, mode, offset, len, ..] = call.args;
    let file = call.thread.process.descriptors.get(fd)?;
    let (offset, len) = (position(offset)?, position(len)?);
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    if !file.is_writable() {
        return Err(Errno::EBADF);
    }
    match file.status().kind() {
        Kind::Regular => file.allocate(mode as u32, offset, len)?,
        Kind::Fifo => return Err(Errno::ESPIPE),
        Kind::Directory => return Err(Errno::EISDIR),
        _ => return Err(Errno::ENODEV),
    }
    Ok(0)
}

fn sync_file(call: &Call<'_>, only_data: bool) -> Result<usize> {
    let [fd, ..] = call.args;
    let file = call.thread.process.descriptors.get(fd)?;
    if !is_more_than_a_path(&file) {
        return Err(Errno::EBADF);
    }
    file.file().sync(only_data)?;
    Ok(0)
}

/// fsync(2).
pub(crate) fn fsync(call: &Call<'_>) -> Result<usize> {
    sync_file(call, false)
}

/// fdatasync(2).
pub(crate) fn fdatasync(call: &Call<'_>) -> Result<usize> {
    sync_file(call, true)
}

/// sync(2). It never fails; what cannot be stored is told in the log.
pub(crate) fn sync(_call: &Call<'_>) -> Result<usize> {
    if let Err(error) = fs::sync_all() {
        log::error!("sync: not all is stored: {}", error.description());
    }
    Ok(0)
}

/// syncfs(2).
pub(crate) fn syncfs(call: &Call<'_>) -> Result<usize> {
    let [fd, ..] = call.args;
    let file = call.thread.process.descriptors.get(fd)?;
    if !is_more_than_a_path(&file) {
        return Err(Errno::EBADF);
    }
    if let Some(path) = file.path() {
        path.mount().superblock().sync()?;
    }
    Ok(0)
}

/// fcntl(2): the flags of a descriptor and of an open file, and locks of its bytes. What else there
/// is, is refused so far.
pub(crate) fn fcntl(call: &Call<'_>) -> Result<usize> {
    let [fd, command, argument, ..] = call.args;
    let descriptors = &call.thread.process.descriptors;
    let file = descriptors.get(fd)?;
    match command as u32 {
        F_GETFD => Ok(if descriptors.closes_on_exec(fd)? { FD_CLOEXEC as usize } else { 0 }),
        F_SETFD => {
            descriptors.set_closes_on_exec(fd, argument as u32 & FD_CLOEXEC != 0)?;
            Ok(0)
        }
        F_GETFL => Ok(file.flags() as usize),
        _ if !is_more_than_a_path(&file) => Err(Errno::EBADF),
        F_SETFL => {
            file.set_flags(argument as u32)?;
            Ok(0)
        }
        F_GETLK | F_OFD_GETLK => find_lock(call, &file, command as u32, argument),
        F_SETLK | F_SETLKW | F_OFD_SETLK | F_OFD_SETLKW => {
            set_lock(call, &file, command as u32, argument)
        }
        _ => Err(Errno::EINVAL),
    }
}
