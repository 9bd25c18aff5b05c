//! Calls on the system as a whole: its name, its random numbers.

use abi::random::{GRND_INSECURE, GRND_NONBLOCK, GRND_RANDOM};
use abi::utsname::SI_LOAD_SHIFT;
use abi::utsname::new_utsname;
use abi::{Errno, Result};
use arch::paging::PAGE_SIZE;
use base::time;
use fs::system::{DOMAIN, HOST, MACHINE, MOST_BYTES, Name, RELEASE, SYSTEM, VERSION};
use memory::user::{UserSlice, UserValue};
use task::LOAD_SHIFT;

use crate::call::{Call, buffer};

/// uname(2).
pub(crate) fn uname(call: &Call<'_>) -> Result<usize> {
    let [to, ..] = call.args;
    let mut name = new_utsname::ZERO;
    let (host, domain) = (HOST.bytes(), DOMAIN.bytes());
    for (field, text) in [
        (&mut name.sysname, SYSTEM.as_bytes()),
        (&mut name.nodename, &host),
        (&mut name.release, RELEASE.as_bytes()),
        (&mut name.version, VERSION.as_bytes()),
        (&mut name.machine, MACHINE.as_bytes()),
        (&mut name.domainname, &domain),
    ] {
        field.iter_mut().zip(text).for_each(|(to, from)| *to = *from as _);
    }
    UserSlice::write_value(to, &name)?;
    Ok(0)
}

/// sethostname(2) and setdomainname(2), of `name`.
fn set_name(name: &Name, call: &Call<'_>) -> Result<usize> {
    let [from, len, ..] = call.args;
    let len = usize::try_from(len as i32).map_err(|_| Errno::EINVAL)?;
    let mut bytes = [0; MOST_BYTES];
    let bytes = bytes.get_mut(..len).ok_or(Errno::EINVAL)?;
    if UserSlice::new(from, len).read(bytes)? != len {
        return Err(Errno::EFAULT);
    }
    name.set(bytes)?;
    Ok(0)
}

/// sethostname(2).
pub(crate) fn sethostname(call: &Call<'_>) -> Result<usize> {
    set_name(&HOST, call)
}

/// setdomainname(2).
pub(crate) fn setdomainname(call: &Call<'_>) -> Result<usize> {
    set_name(&DOMAIN, call)
}

/// sysinfo(2): the time since the start in seconds, rounded up, the loads, and memory in bytes.
pub(crate) fn sysinfo(call: &Call<'_>) -> Result<usize> {
    let [to, ..] = call.args;
    let memory = fs::procfs::memory_use();
    let bytes = |frames: usize| frames as u64 * PAGE_SIZE;
    let [one, five, fifteen] =
        task::load_averages().map(|load| load << (SI_LOAD_SHIFT - LOAD_SHIFT));
    let up = time::now_ns().div_ceil(1_000_000_000);
    let tasks = (task::task_count() as u64).min(u16::MAX.into());
    // The fields of the struct: uptime, loads, totalram, freeram, sharedram, bufferram, totalswap,
    // freeswap, procs, totalhigh, freehigh, mem_unit.
    let (shared, total, free) = (bytes(memory.shared), bytes(memory.total), bytes(memory.free));
    let words = [up, one, five, fifteen, total, free, shared, 0, 0, 0, tasks, 0, 0, 1];
    const _: () = assert!(size_of::<abi::utsname::sysinfo>() == 14 * size_of::<u64>());
    UserSlice::write_value(to, &words)?;
    Ok(0)
}

/// getrandom(2). The generator is seeded before the first program, so nothing waits.
pub(crate) fn getrandom(call: &Call<'_>) -> Result<usize> {
    let [to, len, flags, ..] = call.args;
    let flags = flags as u32;
    let both = GRND_RANDOM | GRND_INSECURE;
    if flags & !(GRND_NONBLOCK | both) != 0 || flags & both == both {
        return Err(Errno::EINVAL);
    }
    fs::read_random(&mut buffer(to, len)?.into())
}
