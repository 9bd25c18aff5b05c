//! Calls that change the address space; what they do is in `kernel/vm`.

use alloc::sync::Arc;

use abi::mman::{
    MAP_32BIT, MAP_ANONYMOUS, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_GROWSDOWN, MAP_HUGETLB,
    MAP_LOCKED, MAP_NORESERVE, MAP_POPULATE, MAP_PRIVATE, MAP_SHARED, MAP_SHARED_VALIDATE,
    MAP_SYNC, MAP_TYPE, MREMAP_FIXED, MREMAP_MAYMOVE, PROT_EXEC, PROT_READ, PROT_SEM, PROT_WRITE,
};
use abi::{Errno, Result};
use vm::{Access, Backing, Fault, MapRequest, MemoryObject, PAGE, Placement, RemapRequest};

use crate::call::Call;

fn access(protection: u32) -> Access {
    Access {
        read: protection & PROT_READ != 0,
        write: protection & PROT_WRITE != 0,
        execute: protection & PROT_EXEC != 0,
    }
}

/// Longest file that there can be.
const MAX_FILE_BYTES: u64 = i64::MAX as u64;

/// What pages of the file behind `fd` hold.
fn file_backing(call: &Call<'_>, shared: bool, access: Access) -> Result<Backing> {
    let [_, len, _, _, fd, offset] = call.args;
    let file = call.thread.process.descriptors.get(fd)?;
    if offset.checked_add(len).is_none_or(|end| end > MAX_FILE_BYTES) {
        return Err(Errno::EOVERFLOW);
    }
    if !file.is_readable() || (shared && access.write && !file.is_writable()) {
        return Err(Errno::EACCES);
    }
    let object: Arc<dyn MemoryObject> = file.file().object()?;
    let end = object.len();
    Ok(Backing::Object { object, offset, end })
}

/// mmap(2). Without fork, and with files that never change, a shared mapping cannot be
/// told from a private one.
pub(crate) fn mmap(call: &Call<'_>) -> Result<usize> {
    let [address, len, protection, flags, _, offset] = call.args;
    let flags = flags as u32;
    let access = access(protection as u32);
    if !offset.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let shared = match flags & MAP_TYPE {
        MAP_PRIVATE => false,
        MAP_SHARED => true,
        MAP_SHARED_VALIDATE if flags & MAP_SYNC != 0 => return Err(Errno::EOPNOTSUPP),
        MAP_SHARED_VALIDATE => true,
        _ => return Err(Errno::EINVAL),
    };
    // Not there yet, and not to be taken for something else.
    if flags & (MAP_GROWSDOWN | MAP_32BIT) != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    if flags & MAP_HUGETLB != 0 {
        return Err(Errno::ENOMEM); // as on Linux when no huge pages are set aside
    }
    let backing = if flags & MAP_ANONYMOUS != 0 {
        Backing::Anonymous
    } else {
        file_backing(call, shared, access)?
    };
    let placement = if flags & MAP_FIXED_NOREPLACE != 0 {
        Placement::FixedNoReplace(address)
    } else if flags & MAP_FIXED != 0 {
        Placement::Fixed(address)
    } else {
        Placement::Hint(address)
    };
    let no_reserve = flags & MAP_NORESERVE != 0;
    let request = MapRequest { placement, len, access, backing, no_reserve };
    let start = call.thread.space.map(request)?;
    if flags & (MAP_POPULATE | MAP_LOCKED) != 0 {
        populate(call, start, len, access);
    }
    Ok(start as usize)
}

/// Brings the pages of a new mapping, as far as there is memory.
fn populate(call: &Call<'_>, start: u64, len: u64, access: Access) {
    for page in (start..start.saturating_add(len)).step_by(PAGE as usize) {
        let touch = Fault { address: page, write: access.write, fetch: false };
        if task::signal_pending() || call.thread.space.fault(touch).is_err() {
            return;
        }
    }
}

/// munmap(2).
pub(crate) fn munmap(call: &Call<'_>) -> Result<usize> {
    let [address, len, ..] = call.args;
    call.thread.space.unmap(address, len)?;
    Ok(0)
}

/// mprotect(2).
pub(crate) fn mprotect(call: &Call<'_>) -> Result<usize> {
    let [address, len, protection, ..] = call.args;
    let protection = protection as u32;
    if protection & !(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM) != 0 {
        return Err(Errno::EINVAL);
    }
    call.thread.space.protect(address, len, access(protection))?;
    Ok(0)
}

/// mremap(2).
pub(crate) fn mremap(call: &Call<'_>) -> Result<usize> {
    let [address, old_len, new_len, flags, new_address, _] = call.args;
    let flags = flags as u32;
    let may_move = flags & MREMAP_MAYMOVE != 0;
    let is_fixed = flags & MREMAP_FIXED != 0;
    if flags & !(MREMAP_MAYMOVE | MREMAP_FIXED) != 0 || (is_fixed && !may_move) {
        return Err(Errno::EINVAL);
    }
    let fixed = is_fixed.then_some(new_address);
    let request = RemapRequest { address, old_len, new_len, may_move, fixed };
    Ok(call.thread.space.remap(request)? as usize)
}

/// madvise(2).
pub(crate) fn madvise(call: &Call<'_>) -> Result<usize> {
    let [address, len, advice, ..] = call.args;
    call.thread.space.advise(address, len, advice as u32)?;
    Ok(0)
}

/// brk(2).
pub(crate) fn brk(call: &Call<'_>) -> Result<usize> {
    let [to, ..] = call.args;
    Ok(call.thread.space.set_break(to) as usize)
}
