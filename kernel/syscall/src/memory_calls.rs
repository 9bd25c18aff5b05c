//! Calls that change the address space; what they do is in `kernel/vm`.

use alloc::sync::Arc;

use abi::mman::{
    MAP_32BIT, MAP_ANONYMOUS, MAP_DENYWRITE, MAP_EXECUTABLE, MAP_FIXED, MAP_FIXED_NOREPLACE,
    MAP_GROWSDOWN, MAP_HUGETLB, MAP_LOCKED, MAP_NONBLOCK, MAP_NORESERVE, MAP_POPULATE, MAP_PRIVATE,
    MAP_SHARED, MAP_SHARED_VALIDATE, MAP_STACK, MAP_TYPE, MAP_UNINITIALIZED, MREMAP_DONTUNMAP,
    MREMAP_FIXED, MREMAP_MAYMOVE, MS_ASYNC, MS_INVALIDATE, MS_SYNC, PROT_EXEC, PROT_READ, PROT_SEM,
    PROT_WRITE,
};
use abi::{Errno, Result};
use memory::user::UserSlice;
use vm::layout::USER_END;
use vm::{
    Access, Backing, MapRequest, MemoryObject, PAGE, Placement, RemapRequest, SharedMemory,
    VmaFlags,
};

use crate::call::{Call, buffer};
use crate::io::is_more_than_a_path;

fn access(protection: u32) -> Access {
    Access {
        read: protection & PROT_READ != 0,
        write: protection & PROT_WRITE != 0,
        execute: protection & PROT_EXEC != 0,
    }
}

/// Flags that `MAP_SHARED_VALIDATE` takes: those from before it came, but for `MAP_SYNC`, which
/// needs memory that outlives the machine's power.
const VALIDATED: u32 = MAP_TYPE
    | MAP_FIXED
    | MAP_ANONYMOUS
    | MAP_32BIT
    | MAP_GROWSDOWN
    | MAP_DENYWRITE
    | MAP_EXECUTABLE
    | MAP_LOCKED
    | MAP_NORESERVE
    | MAP_POPULATE
    | MAP_NONBLOCK
    | MAP_STACK
    | MAP_HUGETLB
    | MAP_FIXED_NOREPLACE
    | MAP_UNINITIALIZED;
/// Where `MAP_32BIT` ends.
const LOW_END: u64 = 1 << 31;
/// Pages that mincore(2) asks about at a time.
const MINCORE_PAGES: usize = 256;
/// Longest file that there can be.
const MAX_FILE_BYTES: u64 = i64::MAX as u64;

/// What pages of the file behind `fd` hold, and what may never be done with them.
fn file_backing(call: &Call<'_>, shared: bool, access: Access) -> Result<(Backing, VmaFlags)> {
    let [_, len, _, _, fd, offset] = call.args;
    let file = call.thread.process.descriptors.get(fd)?;
    if !is_more_than_a_path(&file) {
        return Err(Errno::EBADF);
    }
    if offset.checked_add(len).is_none_or(|end| end > MAX_FILE_BYTES) {
        return Err(Errno::EOVERFLOW);
    }
    if !file.is_readable() || (shared && access.write && !file.is_writable()) {
        return Err(Errno::EACCES);
    }
    // Writing through a mapping would not be adding at the end.
    if shared && file.is_writable() && file.status().is_append_only() {
        return Err(Errno::EACCES);
    }
    let mut never = VmaFlags::empty();
    never.set(VmaFlags::NEVER_WRITE, shared && !file.is_writable());
    if file.file().is_anonymous_memory() {
        return Ok((anonymous_backing(len, shared)?, never));
    }
    let no_exec = file.path().is_some_and(|path| path.mount().is_no_exec());
    if no_exec && access.execute {
        return Err(Errno::EPERM);
    }
    let object: Arc<dyn MemoryObject> = file.object()?;
    never.set(VmaFlags::NEVER_EXECUTE, no_exec);
    // As far as the file goes, whenever a page is touched.
    Ok((Backing::Object { object, offset, end: u64::MAX }, never))
}

/// What pages of anonymous memory hold.
fn anonymous_backing(len: u64, shared: bool) -> Result<Backing> {
    if !shared {
        return Ok(Backing::Anonymous);
    }
    let end = len.checked_next_multiple_of(PAGE).ok_or(Errno::ENOMEM)?;
    let object: Arc<dyn MemoryObject> = SharedMemory::new(end)?;
    Ok(Backing::Object { object, offset: 0, end })
}

/// mmap(2).
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
        // Files alone know it.
        MAP_SHARED_VALIDATE if flags & MAP_ANONYMOUS != 0 => return Err(Errno::EINVAL),
        MAP_SHARED_VALIDATE if flags & !VALIDATED != 0 => return Err(Errno::EOPNOTSUPP),
        MAP_SHARED_VALIDATE => true,
        _ => return Err(Errno::EINVAL),
    };
    if flags & MAP_HUGETLB != 0 {
        return Err(Errno::ENOMEM); // as on Linux when no huge pages are set aside
    }
    let is_anonymous = flags & MAP_ANONYMOUS != 0;
    if flags & MAP_GROWSDOWN != 0 && (shared || !is_anonymous) {
        return Err(Errno::EINVAL);
    }
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    let (backing, mut vma_flags) = if is_anonymous {
        (anonymous_backing(len, shared)?, VmaFlags::empty())
    } else {
        file_backing(call, shared, access)?
    };
    vma_flags.set(VmaFlags::SHARED, shared);
    vma_flags.set(VmaFlags::GROWS_DOWN, flags & MAP_GROWSDOWN != 0);
    // Of a stack, most is never touched.
    vma_flags.set(VmaFlags::NO_HUGE, flags & MAP_STACK != 0);
    let placement = if flags & MAP_FIXED_NOREPLACE != 0 {
        Placement::FixedNoReplace(address)
    } else if flags & MAP_FIXED != 0 {
        Placement::Fixed(address)
    } else if flags & MAP_32BIT != 0 {
        Placement::Below(LOW_END)
    } else {
        Placement::Hint(address)
    };
    vma_flags.set(VmaFlags::NO_RESERVE, flags & MAP_NORESERVE != 0);
    let request = MapRequest { placement, len, access, flags: vma_flags, backing };
    let start = call.thread.space.map(request)?;
    if flags & (MAP_POPULATE | MAP_LOCKED) != 0 && access != Access::NONE {
        // As far as it goes: the mapping is there. What is shared is not called written.
        let end = start.saturating_add(len);
        let _ = call.thread.space.populate(start..end, access.write && !shared);
    }
    Ok(start as usize)
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
    let keeps_old = flags & MREMAP_DONTUNMAP != 0;
    let known = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
    if flags & !known != 0 || ((is_fixed || keeps_old) && !may_move) {
        return Err(Errno::EINVAL);
    }
    let fixed = is_fixed.then_some(new_address);
    let request = RemapRequest { address, old_len, new_len, may_move, fixed, keeps_old };
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

/// mincore(2).
pub(crate) fn mincore(call: &Call<'_>) -> Result<usize> {
    let [address, len, to, ..] = call.args;
    if !address.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let pages = len.div_ceil(PAGE);
    let in_user_space = |end: &u64| *end <= USER_END;
    address.checked_add(len).filter(in_user_space).ok_or(Errno::ENOMEM)?;
    buffer(to, pages)?;
    // There may be more bytes than one transfer has.
    let to = UserSlice::new(to, pages as usize);
    let mut bytes = [0; MINCORE_PAGES];
    for done in (0..pages as usize).step_by(MINCORE_PAGES) {
        // All addresses at once take minutes: whoever asked may be killed meanwhile.
        if task::is_killed() {
            return Err(Errno::EINTR);
        }
        let count = MINCORE_PAGES.min(pages as usize - done);
        let (bytes, _) = bytes.split_at_mut(count);
        call.thread.space.residency(address + done as u64 * PAGE, bytes)?;
        to.skip(done).write(bytes)?;
    }
    Ok(0)
}

/// msync(2).
pub(crate) fn msync(call: &Call<'_>) -> Result<usize> {
    let [address, len, flags, ..] = call.args;
    let flags = flags as u32;
    let both = MS_ASYNC | MS_SYNC;
    if flags & !(both | MS_INVALIDATE) != 0 || flags & both == both {
        return Err(Errno::EINVAL);
    }
    call.thread.space.sync(address, len, flags & MS_SYNC != 0)?;
    Ok(0)
}
