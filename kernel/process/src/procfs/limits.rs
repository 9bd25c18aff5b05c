//! `/proc/PID/limits`: the resource limits of a process, as getrlimit(2) has them.

use abi::Result;
use abi::resource::{
    RLIM64_INFINITY, RLIMIT_AS, RLIMIT_CORE, RLIMIT_CPU, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_LOCKS,
    RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_RSS,
    RLIMIT_RTPRIO, RLIMIT_RTTIME, RLIMIT_SIGPENDING, RLIMIT_STACK,
};
use arrayvec::ArrayString;
use fs::pseudo::Text;

use crate::limits::limit;
use crate::process::Process;

/// In Linux's order, with the unit.
const LIMITS: [(&str, u32, &str); 16] = [
    ("Max cpu time", RLIMIT_CPU, "seconds"),
    ("Max file size", RLIMIT_FSIZE, "bytes"),
    ("Max data size", RLIMIT_DATA, "bytes"),
    ("Max stack size", RLIMIT_STACK, "bytes"),
    ("Max core file size", RLIMIT_CORE, "bytes"),
    ("Max resident set", RLIMIT_RSS, "bytes"),
    ("Max processes", RLIMIT_NPROC, "processes"),
    ("Max open files", RLIMIT_NOFILE, "files"),
    ("Max locked memory", RLIMIT_MEMLOCK, "bytes"),
    ("Max address space", RLIMIT_AS, "bytes"),
    ("Max file locks", RLIMIT_LOCKS, "locks"),
    ("Max pending signals", RLIMIT_SIGPENDING, "signals"),
    ("Max msgqueue size", RLIMIT_MSGQUEUE, "bytes"),
    ("Max nice priority", RLIMIT_NICE, ""),
    ("Max realtime priority", RLIMIT_RTPRIO, ""),
    ("Max realtime timeout", RLIMIT_RTTIME, "us"),
];

/// A limit in words.
fn words(value: u64) -> ArrayString<20> {
    let mut text = ArrayString::new();
    let _ = if value == RLIM64_INFINITY as u64 {
        core::fmt::write(&mut text, format_args!("unlimited"))
    } else {
        core::fmt::write(&mut text, format_args!("{value}")) // there is room
    };
    text
}

pub(super) fn show(_: &Process, to: &mut Text) -> Result<()> {
    to.write(format_args!(
        "{:25} {:20} {:20} {:10}\n",
        "Limit", "Soft Limit", "Hard Limit", "Units"
    ))?;
    for (name, resource, unit) in LIMITS {
        let limit = limit(resource)?;
        let [soft, hard] = [limit.rlim_cur, limit.rlim_max].map(words);
        to.write(format_args!("{name:25} {soft:20} {hard:20} {unit:10}\n"))?;
    }
    Ok(())
}
