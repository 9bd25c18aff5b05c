//! Out of memory: when there is no frame for a page that a program touches, a process is
//! killed for it, and who needed the page waits until it has ended and tries again.
//!
//! The victim is the process that has most, whoever asks; kernel tasks never are. One at a
//! time: who comes while a victim ends waits for that one. If it does not end in time (what
//! it waits for may be held by somebody who waits here) there is another one.
//!
//! A victim needs no memory to end: its own faults are not waited for any more, and the end
//! itself allocates nothing. A call that can say `ENOMEM`, as fork and mmap, does so, and
//! nobody is killed for it.

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::Ordering;

use arch::paging::PAGE_SIZE;
use base::time;
use memory::{frames, reclaim};
use task::{Mutex, WaitOptions, named_mutex};

use crate::process::Process;
use crate::thread::Thread;
use crate::tree::processes;

/// How long a victim may take to end before there is another one.
const PATIENCE_NS: u64 = 3_000_000_000;
/// How often a thread tries again only because there seems to be memory.
const HOPES: u32 = 3;
/// How often caches are asked before somebody is killed.
const LOOKS: usize = 16;
/// Frames that caches are asked for at a time.
const RECLAIM: usize = 64;
/// Free frames beside the reserve that give hope.
const ROOM: usize = 32;

/// The last victim, and when it is late.
static VICTIM: Mutex<Option<(Arc<Process>, u64)>> = named_mutex("out of memory", None);

/// Pages, in MiB with one decimal.
struct Mebibytes(usize);

impl fmt::Display for Mebibytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0 as u64 * PAGE_SIZE * 10) >> 20;
        write!(f, "{}.{} MiB", tenths / 10, tenths % 10)
    }
}

/// The program's name, for the log.
struct Name<'a>(&'a Process);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.0.executable();
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
        write!(f, "{}", name.escape_ascii())
    }
}

/// Chooses a victim that is none yet, and kills it.
fn choose(needs: &Process) -> Option<Arc<Process>> {
    let candidates = processes()
        .filter(|process| process.outcome().is_none() && !process.gives_memory())
        .map(|process| (process.memory_pages().iter().sum(), process));
    let (pages, victim): (usize, _) = candidates.max_by_key(|(pages, _)| *pages)?;
    let frames = frames::statistics();
    log::warn!(
        "out of memory: process {} ({}) with {} is killed: process {} needs a page, and {} of {} \
         are free, {} kept for the kernel",
        victim.pid(),
        Name(&victim),
        Mebibytes(pages),
        needs.pid(),
        Mebibytes(frames.free),
        Mebibytes(frames.total),
        Mebibytes(frames.reserve)
    );
    victim.take_memory();
    Some(victim)
}

/// Called when there was no memory for a page of the current thread, with no address space
/// locked; `holds_nothing` if it holds no other lock either. True if it is to try again, false
/// if its process is to end.
pub(crate) fn wait_for_memory(thread: &Thread, holds_nothing: bool) -> bool {
    if task::is_killed() {
        return false;
    }
    // Pages of files that are only mapped are for the caches to give back, once they are not.
    vm::unmap_idle();
    // A copy may hold locks of files, which those who give memory back may want. Pages that were
    // used of late are passed over at first.
    if holds_nothing && (0..LOOKS).any(|_| reclaim::reclaim(RECLAIM) > 0) {
        return true;
    }
    let victim = {
        let mut last = VICTIM.lock();
        let now = time::now_ns();
        let ending = last
            .as_ref()
            .filter(|(victim, late)| victim.outcome().is_none() && now < *late)
            .map(|(victim, _)| victim.clone());
        let frames = frames::statistics();
        // The last one may just have ended. But free memory may be of a kind that does not
        // help.
        let hopes = thread.hopes.fetch_add(1, Ordering::Relaxed);
        if ending.is_none() && hopes < HOPES && frames.free > frames.reserve + ROOM {
            return true;
        }
        thread.hopes.store(0, Ordering::Relaxed);
        ending.or_else(|| {
            let victim = choose(&thread.process);
            *last = victim.clone().map(|victim| (victim, now + PATIENCE_NS));
            victim
        })
    };
    let options = WaitOptions::within(PATIENCE_NS);
    match victim {
        Some(victim) if victim.pid() == thread.process.pid() => {}
        Some(victim) => victim.wait_unless_killed(options),
        // All are about to end.
        None => task::sleep(PATIENCE_NS / 100),
    }
    !task::is_killed()
}
