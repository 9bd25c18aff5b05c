//! Kernel tests: programs that have ended leave nothing behind.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use memory::kernel_space::stack;
use memory::{frames, heap};
use task::{WaitQueue, sleep, tasks};

use crate::tree::Reserved;
use crate::{Outcome, Process, exec, max_processes, processes};

const PROGRAMS: usize = 200;
/// Frames that one copy takes at most, with its stack and tables.
const FRAMES_EACH: usize = 120;

/// What is there of everything that a program takes.
#[derive(Debug, PartialEq, Eq)]
struct Counts {
    tasks: usize,
    processes: usize,
    address_spaces: usize,
    stacks: usize,
    /// Frames but those that caches keep for the next time: heap slabs, stacks.
    frames: usize,
    /// Objects in the kernel's heap, and their sizes in all.
    objects: usize,
    bytes: usize,
}

impl Counts {
    /// Whether there is nothing more than there was. Less there may be: what others had before, such
    /// as tests whose end takes its time.
    fn is_within(&self, before: &Self) -> bool {
        let all = |counts: &Self| {
            let Self { tasks, processes, address_spaces, stacks, frames, objects, bytes } = *counts;
            [tasks, processes, address_spaces, stacks, frames, objects, bytes]
        };
        all(self).iter().zip(&all(before)).all(|(now, before)| now <= before)
    }

    fn now() -> Self {
        vm::forget_all_ended();
        let (frames, stacks) = (frames::statistics(), stack::statistics());
        let kept = stacks.cached * (stack::STACK_BYTES / arch::paging::PAGE_SIZE) as usize
            + heap::statistics().map(|class| class.frames).sum::<usize>();
        Self {
            tasks: tasks().len(),
            processes: processes().count(),
            address_spaces: vm::address_spaces(),
            stacks: stacks.used,
            frames: frames.total - frames.free - kept,
            objects: heap::statistics().map(|class| class.used).sum(),
            bytes: heap::statistics().map(|class| class.used * class.size).sum(),
        }
    }
}

/// Starts `count` copies of a program at once, or as many as there is memory for, until all
/// have run.
fn run(args: &[&[u8]; 2], count: usize) {
    let [path, _] = args;
    let free = frames::statistics();
    let at_once = (free.free.saturating_sub(free.reserve) / FRAMES_EACH).min(max_processes());
    let at_once = at_once.clamp(1, count);
    let mut left = count;
    while left > 0 {
        let started: Vec<_> = (0..left.min(at_once))
            .map(|_| exec::start(path, args, &[]).expect("a program that is there"))
            .collect();
        left -= started.len();
        let ended: Vec<Outcome> =
            started.iter().map(|process: &_| Process::wait(process)).collect();
        assert!(ended.iter().all(|outcome| *outcome == Outcome::Exited(0)), "{ended:?}");
    }
}

/// The counts when the programs are gone and others do nothing that shows: the same in three
/// looks. Their last moments may come after their ends are known, and the counts are not
/// read at one moment.
fn settled(idle: &Counts) -> Counts {
    let (mut last, mut same) = (Counts::now(), 0);
    for _ in 0..500 {
        sleep(10_000_000);
        let now = Counts::now();
        same = if now == last { same + 1 } else { 0 };
        last = now;
        let gone =
            (last.tasks, last.processes, last.stacks) == (idle.tasks, idle.processes, idle.stacks);
        if gone && same == 3 {
            break;
        }
    }
    last
}

/// Makes what is made once and kept: page tables for the stacks of as many as may run at
/// once, and room in the tables of tasks and processes.
fn make_room() {
    static DONE: AtomicBool = AtomicBool::new(false);
    static END: WaitQueue = WaitQueue::new("end of the test");
    let wait = || END.wait(|| DONE.load(Ordering::Acquire).then_some(()));
    let tasks: Vec<_> = (0..PROGRAMS).map_while(|_| task::spawn("room", wait).ok()).collect();
    let numbers: Vec<_> = (0..PROGRAMS).map_while(|_| Reserved::take().ok()).collect();
    drop(numbers);
    DONE.store(true, Ordering::Release);
    END.wake_all();
    tasks.iter().for_each(|task| task.join());
}

#[base::kernel_test]
fn two_hundred_programs_leave_nothing() {
    let idle = Counts::now();
    make_room();
    let program: [&[u8]; 2] = [b"/bin/primes", b"1000"];
    run(&program, PROGRAMS);
    let before = settled(&idle);
    run(&program, PROGRAMS);
    let after = settled(&idle);
    assert!(after.is_within(&before), "{after:?} after {before:?}");
}

#[base::kernel_test]
fn generations_of_children_leave_nothing() {
    let idle = Counts::now();
    make_room();
    let generations = || {
        for _ in 0..8 {
            run(&[b"/bin/fork", b"tree"], 1);
            settled(&idle);
        }
    };
    generations();
    let before = settled(&idle);
    generations();
    let after = settled(&idle);
    assert!(after.is_within(&before), "{after:?} after {before:?}");
}
