//! `block cost`: how long reads of a disk take, and on a machine with one CPU how much of that the
//! CPU works: the rest goes to a task that counts. Under `-icount shift=0` a nanosecond of the
//! clock is an instruction.

use alloc::format;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base::{print, println, smp, time};
use device::block::{BlockError, Completion, Finished, Request, SECTOR, Segments, Volume};
use memory::OutOfMemory;
use task::{Policy, Task, WaitOptions, WaitQueue};

use crate::shell::command::{Context, Failure, Outcome};

/// Bytes of a small read, and sectors from one to the next, which is not its neighbour.
const BYTES: usize = 4096;
const STRIDE: u64 = 2 * BYTES as u64 / SECTOR;
/// Small reads of each kind.
const READS: u64 = 2000;
/// Bytes of a large read, and most bytes that are read so.
const LARGE: usize = 1 << 20;
const MOST: u64 = 64 << 20;
/// How long it may take until the next read ends, or a round of the task that counts, in
/// nanoseconds. Not so long for all of them: with `sleep=off` QEMU's clock goes on to whatever the
/// machine waits for.
const BOUND_NS: u64 = 60_000_000_000;
/// Rounds of the task that counts, to learn how long one takes.
const ROUNDS: u64 = 200_000;

/// Prints what reads cost, one and several at a time, and how fast a long one is.
pub(super) fn cost(context: &mut Context<'_>, volume: &Arc<Volume>) -> Outcome {
    if volume.sectors() < STRIDE {
        return Err(format!("{} is too small", volume.name()).into());
    }
    let idle = Idle::begin()?;
    let me = task::current();
    if let Some(me) = &me {
        me.set_policy(Policy::Fifo { priority: 1 });
    }
    let result = measure(context, volume, idle.as_ref());
    if let Some(me) = &me {
        me.set_policy(Policy::Fair { nice: 0 });
    }
    result
}

fn measure(context: &mut Context<'_>, volume: &Arc<Volume>, idle: Option<&Idle>) -> Outcome {
    let failed = |error: BlockError| Failure::Message(format!("{}: {error}", volume.name()));
    one_at_a_time(volume, idle).map_err(failed)?;
    for in_flight in [1, 8, 32] {
        if context.interrupt.take() {
            return Err(Failure::Interrupted);
        }
        several(volume, in_flight, idle).map_err(failed)?;
    }
    sequential(volume).map_err(failed)
}

/// A task that takes all time that nobody else wants, and counts it.
struct Idle {
    task: Arc<Task>,
    shared: Arc<Shared>,
    /// How long a thousand rounds take, in nanoseconds.
    thousand_rounds_ns: u64,
}

struct Shared {
    rounds: AtomicU64,
    over: AtomicBool,
}

impl Idle {
    /// Starts it; `None` on a machine with several CPUs.
    fn begin() -> Result<Option<Self>, Failure> {
        if smp::online().len() != 1 {
            return Ok(None);
        }
        let shared = Arc::new(Shared { rounds: AtomicU64::new(0), over: AtomicBool::new(false) });
        let counting = shared.clone();
        let count = move || {
            while !counting.over.load(Ordering::Relaxed) {
                counting.rounds.fetch_add(1, Ordering::Relaxed);
            }
        };
        let task = task::spawn("idle time", count).map_err(|error| format!("{error}"))?;
        task.set_policy(Policy::Fair { nice: 19 });
        let begin = (time::now_ns(), shared.rounds.load(Ordering::Relaxed));
        let (mut now, mut rounds) = (begin.0, begin.1);
        while rounds < begin.1 + ROUNDS && now < begin.0 + BOUND_NS {
            task::sleep(10_000_000);
            (now, rounds) = (time::now_ns(), shared.rounds.load(Ordering::Relaxed));
        }
        let thousand_rounds_ns = (now - begin.0) * 1000 / (rounds - begin.1).max(1);
        Ok(Some(Self { task, shared, thousand_rounds_ns }))
    }

    /// Nanoseconds that it had until now.
    fn ns(&self) -> u64 {
        self.shared.rounds.load(Ordering::Relaxed) * self.thousand_rounds_ns / 1000
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        self.task.join();
    }
}

/// Time that goes on, and the part of it that is nobody's.
struct Span(u64, u64);

impl Span {
    fn begin(idle: Option<&Idle>) -> Self {
        Self(time::now_ns(), idle.map_or(0, Idle::ns))
    }

    fn print(&self, what: &str, idle: Option<&Idle>) {
        let took = time::now_ns() - self.0;
        print!("4 KiB, {what:32} {:>8} ns", took / READS);
        match idle {
            Some(idle) => {
                let busy = took.saturating_sub(idle.ns() - self.1);
                println!(", of which {:>6} are work", busy / READS);
            }
            None => println!(),
        }
    }
}

/// The sector of read number `index`.
fn sector(volume: &Volume, index: u64) -> u64 {
    index % (volume.sectors() / STRIDE) * STRIDE
}

/// By a task that sleeps until each is there.
fn one_at_a_time(volume: &Arc<Volume>, idle: Option<&Idle>) -> Result<(), BlockError> {
    let mut segments = Segments::allocate(BYTES)?;
    let span = Span::begin(idle);
    for index in 0..READS {
        segments = volume.read_segments(sector(volume, index), segments)?;
    }
    span.print("a task that waits for each", idle);
    Ok(())
}

/// Reads that each begin the next when they end.
struct Chain {
    /// Itself, as what is told when a read ends: that costs nothing for each.
    this: Weak<Self>,
    volume: Arc<Volume>,
    /// Reads that were begun, and that have ended.
    begun: AtomicU64,
    ended: AtomicU64,
    errors: AtomicU64,
    over: WaitQueue,
}

impl Chain {
    fn begin(self: &Arc<Self>, segments: Segments) -> Result<(), OutOfMemory> {
        let index = self.begun.fetch_add(1, Ordering::Relaxed);
        self.volume.submit(Request::read(sector(&self.volume, index), segments, self.clone())?);
        Ok(())
    }
}

impl Completion for Chain {
    fn finished(&self, finished: Finished) {
        // The request has had it until now.
        let Some(chain) = self.this.upgrade() else { return };
        let is_last = chain.ended.fetch_add(1, Ordering::Relaxed) + 1 >= READS;
        let more = chain.begun.load(Ordering::Relaxed) < READS;
        let is_bad = finished.result.is_err() || (more && chain.begin(finished.segments).is_err());
        if is_bad {
            chain.errors.fetch_add(1, Ordering::Relaxed);
        }
        if is_last || is_bad {
            chain.over.wake_all();
        }
    }
}

/// With so many in flight all the time.
fn several(volume: &Arc<Volume>, in_flight: u64, idle: Option<&Idle>) -> Result<(), BlockError> {
    let chain = Arc::new_cyclic(|this| Chain {
        this: this.clone(),
        volume: volume.clone(),
        begun: AtomicU64::new(0),
        ended: AtomicU64::new(0),
        errors: AtomicU64::new(0),
        over: WaitQueue::new("reads of a disk"),
    });
    let span = Span::begin(idle);
    for _ in 0..in_flight {
        chain.begin(Segments::allocate(BYTES)?)?;
    }
    let is_over = || {
        let is_bad = chain.errors.load(Ordering::Relaxed) > 0;
        (is_bad || chain.ended.load(Ordering::Relaxed) >= READS).then_some(())
    };
    let mut ended = 0;
    while chain.over.wait_with(WaitOptions::within(BOUND_NS), is_over).is_err() {
        let now = chain.ended.load(Ordering::Relaxed);
        if core::mem::replace(&mut ended, now) == now {
            return Err(BlockError::TimedOut);
        }
    }
    if chain.errors.load(Ordering::Relaxed) > 0 {
        return Err(BlockError::Io);
    }
    span.print(&format!("{in_flight} in flight all the time"), idle);
    Ok(())
}

/// From the start on, in large pieces.
fn sequential(volume: &Arc<Volume>) -> Result<(), BlockError> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(LARGE).map_err(|_| BlockError::NoMemory)?;
    bytes.resize(LARGE, 0);
    let all = volume.bytes().min(MOST);
    let begin = time::now_ns();
    let mut at = 0;
    while at < all {
        let len = (all - at).min(LARGE as u64);
        volume.read_at(at, &mut bytes[..len as usize])?;
        at += len;
    }
    let rate = all * 1000 / (time::now_ns() - begin).max(1);
    println!("{} MiB from the start on         {rate:>8} MB/s", all >> 20);
    Ok(())
}
