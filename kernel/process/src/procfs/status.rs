//! `/proc/PID/status`: what is known of a process, in words that people read.

use abi::Result;
use fs::pseudo::Text;
use task::State;

use super::statm::Sizes;
use crate::fds::MAX_DESCRIPTORS;
use crate::process::Process;

/// KiB of a page.
const PAGE_KIB: u64 = 4;

/// What a process does, as ps(1) says it in a letter.
pub(super) fn letter(process: &Process) -> char {
    match (process.outcome(), process.task()) {
        (None, Some(task)) if task.sleeps_uninterruptibly() => 'D',
        (None, Some(task)) if task.state() == State::Blocked => 'S',
        (None, _) => 'R',
        (Some(_), _) => 'Z',
    }
}

pub(super) fn show(process: &Process, to: &mut Text) -> Result<()> {
    let state = match letter(process) {
        'S' => "S (sleeping)",
        'D' => "D (disk sleep)",
        'R' => "R (running)",
        _ => "Z (zombie)",
    };
    let pid = process.pid();
    to.push(b"Name:\t")?;
    for byte in process.name().bytes() {
        match byte {
            b'\n' => to.push(b"\\n")?,
            b'\\' => to.push(b"\\\\")?,
            byte => to.push(&[byte])?,
        }
    }
    let (parent, umask) = (process.parent(), process.places.umask());
    to.write(format_args!(
        "\nUmask:\t{umask:04o}\nState:\t{state}\nTgid:\t{pid}\nNgid:\t0\nPid:\t{pid}\nPPid:\t{parent}\nTracerPid:\t0\n\
         Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t{MAX_DESCRIPTORS}\nGroups:\t \n\
         NStgid:\t{pid}\nNSpid:\t{pid}\nKthread:\t0\n"
    ))?;
    if let Some(space) = process.space() {
        let Sizes { all, text, data } = Sizes::of(&space);
        for (name, pages) in [
            ("VmSize", all),
            ("VmRSS", space.resident_pages() as u64),
            ("VmData", data),
            ("VmExe", text),
            ("VmPTE", space.table_frames() as u64),
        ] {
            to.write(format_args!("{name}:\t{:>8} kB\n", pages * PAGE_KIB))?;
        }
    }
    let signals = process.signals.sets();
    to.write(format_args!("Threads:\t1\n"))?;
    for (name, set) in [
        ("SigPnd", 0),
        ("ShdPnd", signals.pending),
        ("SigBlk", signals.blocked),
        ("SigIgn", signals.ignored),
        ("SigCgt", signals.caught),
    ] {
        to.write(format_args!("{name}:\t{set:016x}\n"))?;
    }
    let Some(task) = process.task() else { return Ok(()) };
    let cpus = task.affinity().and(base::smp::online());
    let (own, forced) = task.switches();
    to.write(format_args!(
        "Cpus_allowed:\t{:x}\nCpus_allowed_list:\t{cpus}\n\
         voluntary_ctxt_switches:\t{own}\nnonvoluntary_ctxt_switches:\t{forced}\n",
        cpus.bits()
    ))
}
