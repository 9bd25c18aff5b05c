//! Calls on the system as a whole: its name, its random numbers.

use abi::random::{GRND_INSECURE, GRND_NONBLOCK, GRND_RANDOM};
use abi::utsname::new_utsname;
use abi::{Errno, Result};
use memory::user::{UserSlice, UserValue};

use crate::call::{Call, buffer};

/// The Linux whose ABI this is, for programs that ask for a version; ours stands behind it.
const RELEASE: &str = concat!("6.1.0-basalt-", env!("CARGO_PKG_VERSION"));
const VERSION: &str = concat!("Basalt ", env!("CARGO_PKG_VERSION"));

/// uname(2).
pub(crate) fn uname(call: &Call<'_>) -> Result<usize> {
    let [to, ..] = call.args;
    let mut name = new_utsname::ZERO;
    for (field, text) in [
        (&mut name.sysname, "Linux"),
        (&mut name.nodename, "basalt"),
        (&mut name.release, RELEASE),
        (&mut name.version, VERSION),
        (&mut name.machine, "x86_64"),
        (&mut name.domainname, "(none)"),
    ] {
        field.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from as _);
    }
    UserSlice::write_value(to, &name)?;
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
