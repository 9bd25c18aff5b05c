//! Work queues: what an interrupt handler, or whoever must not wait, leaves to be done by a
//! task.
//!
//! A [`Work`] is a function that was allocated beforehand and belongs to one [`WorkQueue`];
//! to queue it takes no memory, and one that is queued already is not queued twice. So a queue
//! is never longer than its items are many. The queue's workers are tasks that call the
//! functions, which may sleep; no function runs twice at the same time. [`WorkQueue::system`]
//! is for what is short and sleeps little.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use base::sync::IrqSpinLock;
use base::{smp, time};
use intrusive_collections::{KeyAdapter, RBTree, RBTreeAtomicLink, intrusive_adapter};
use memory::OutOfMemory;
use spin::Once;

use crate::spawn;
use crate::task::{Task, with_current};
use crate::wait::{WaitError, WaitOptions, WaitQueue};

/// Most workers of one queue.
pub const MAX_WORKERS: usize = 8;
/// Workers of the system's queue, if there are as many CPUs.
const SYSTEM_WORKERS: usize = 4;

type Function = Box<dyn Fn(&Arc<Work>) + Send + Sync>;

/// Something to be done by a [`WorkQueue`].
pub struct Work {
    name: &'static str,
    queue: Arc<WorkQueue>,
    function: Function,
    /// In the queue's ready or delayed items.
    link: RBTreeAtomicLink,
    // Under the queue's lock, all of them:
    /// A [`Phase`].
    phase: AtomicU64,
    /// When it was queued: the queue counts. Its place among the ready items.
    number: AtomicU64,
    /// The same of the run that is going on.
    running_number: AtomicU64,
    /// When a delayed item is due, in nanoseconds of the clock.
    due: AtomicU64,
}

/// What a work item is doing.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
enum Phase {
    Idle = 0,
    /// Waits until it is due.
    Delayed = 1,
    /// Waits for a worker.
    Ready = 2,
    Running = 3,
    /// Runs, and was queued again.
    RunningAndReady = 4,
    /// Runs, and is to run again when it is due.
    RunningAndDelayed = 5,
}

intrusive_adapter!(ReadyAdapter = Arc<Work>: Work { link: RBTreeAtomicLink });
intrusive_adapter!(DelayedAdapter = Arc<Work>: Work { link: RBTreeAtomicLink });

impl<'a> KeyAdapter<'a> for ReadyAdapter {
    type Key = u64;
    fn get_key(&self, work: &'a Work) -> u64 {
        work.number.load(Ordering::Relaxed)
    }
}

impl<'a> KeyAdapter<'a> for DelayedAdapter {
    type Key = (u64, u64);
    fn get_key(&self, work: &'a Work) -> (u64, u64) {
        (work.due.load(Ordering::Relaxed), work.number.load(Ordering::Relaxed))
    }
}

struct Items {
    ready: RBTree<ReadyAdapter>,
    delayed: RBTree<DelayedAdapter>,
    /// Numbers given out.
    last_number: u64,
    /// The number of what each worker runs.
    running: [Option<u64>; MAX_WORKERS],
    /// The workers' task numbers.
    workers: [Option<u64>; MAX_WORKERS],
    /// No more is taken, and the workers end when all is done.
    closed: bool,
}

/// A queue of work and the tasks that do it.
pub struct WorkQueue {
    name: &'static str,
    items: IrqSpinLock<Items>,
    /// Where the workers wait for work.
    idle: WaitQueue,
    /// Where others wait until work is done.
    done: WaitQueue,
    workers: Once<Vec<Arc<Task>>>,
}

/// What a worker finds to do.
enum Job {
    Run(Arc<Work>),
    /// To look when the first delayed work is due.
    LookAgain,
    End,
}

static SYSTEM: Once<Arc<WorkQueue>> = Once::new();

impl WorkQueue {
    fn new(name: &'static str) -> Arc<Self> {
        let items = Items {
            ready: RBTree::new(ReadyAdapter::NEW),
            delayed: RBTree::new(DelayedAdapter::NEW),
            last_number: 0,
            running: [None; MAX_WORKERS],
            workers: [None; MAX_WORKERS],
            closed: false,
        };
        Arc::new(Self {
            name,
            items: IrqSpinLock::new("work queue", items),
            idle: WaitQueue::new(name),
            done: WaitQueue::of("end of", name),
            workers: Once::new(),
        })
    }

    /// Makes a queue with `workers` tasks (1 to [`MAX_WORKERS`]), which may use the CPUs that
    /// the caller may use. With one worker things are done in the order in which they were
    /// queued. It lives until it is closed.
    ///
    /// # Errors
    /// [`OutOfMemory`] for the tasks.
    pub fn start(name: &'static str, workers: usize) -> Result<Arc<Self>, OutOfMemory> {
        let queue = Self::new(name);
        queue.start_workers(workers)?;
        Ok(queue)
    }

    fn start_workers(self: &Arc<Self>, count: usize) -> Result<(), OutOfMemory> {
        let mut workers = Vec::new();
        for slot in 0..count.clamp(1, MAX_WORKERS) {
            let queue = self.clone();
            let name = alloc::format!("{}/{slot}", self.name);
            match spawn(&name, move || queue.work(slot)) {
                Ok(worker) => workers.push(worker),
                Err(error) => {
                    self.close_items(); // those that run end
                    return Err(error);
                }
            }
        }
        self.workers.call_once(|| workers);
        Ok(())
    }

    /// The queue for short work of all kinds; its workers run on any CPU. What is queued before
    /// [`init`] is done then.
    pub fn system() -> &'static Arc<Self> {
        SYSTEM.call_once(|| Self::new("system work"))
    }

    /// Waits until all that was queued before is done. Work that is delayed and not due yet is
    /// not waited for.
    ///
    /// # Panics
    /// If a worker of the queue calls it: it would wait for itself.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn flush(&self) {
        let last = self.items.lock().last_number;
        self.wait_for(|items| items.oldest().is_none_or(|oldest| oldest > last));
    }

    #[cfg_attr(debug_assertions, track_caller)]
    fn wait_for(&self, done: impl Fn(&Items) -> bool) {
        assert!(!self.is_worker(), "a worker of '{}' waits for its own queue", self.name);
        self.done.wait(|| done(&self.items.lock()).then_some(()));
    }

    fn is_worker(&self) -> bool {
        with_current(Task::id).is_some_and(|me| self.items.lock().workers.contains(&Some(me)))
    }

    /// Takes no more work, gives up what is delayed, waits until all else is done and the
    /// workers have ended. Whoever comes second waits too.
    ///
    /// # Panics
    /// If a worker of the queue calls it.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn close(&self) {
        assert!(!self.is_worker(), "a worker of '{}' waits for its own queue", self.name);
        self.close_items();
        if let Some(workers) = self.workers.get() {
            workers.iter().for_each(|worker| worker.join());
        }
    }

    fn close_items(&self) {
        let mut given_up = {
            let mut items = self.items.lock();
            items.closed = true;
            let delayed = items.delayed.take();
            for work in &delayed {
                work.set_phase(Phase::Idle);
            }
            delayed
        };
        given_up.clear();
        self.idle.wake_all();
        self.done.wake_all();
    }

    /// What a worker does.
    fn work(&self, slot: usize) {
        self.items.lock().workers[slot] = with_current(Task::id);
        loop {
            let deadline = self.items.lock().next_due();
            let options = WaitOptions { deadline, interruptible: false };
            match self.idle.wait_with(options, || self.next(slot, deadline)) {
                Ok(Job::Run(work)) => {
                    (work.function)(&work);
                    self.finish(slot, work);
                }
                Ok(Job::LookAgain) | Err(WaitError::TimedOut | WaitError::Interrupted) => {}
                Ok(Job::End) => return,
            }
        }
    }

    /// What the worker `slot` is to do now. Nothing, if it can sleep until `deadline`.
    fn next(&self, slot: usize, deadline: Option<u64>) -> Option<Job> {
        let mut items = self.items.lock();
        items.make_due_ready();
        if let Some(work) = items.ready.front_mut().remove() {
            let number = work.number.load(Ordering::Relaxed);
            work.running_number.store(number, Ordering::Relaxed);
            work.set_phase(Phase::Running);
            items.running[slot] = Some(number);
            return Some(Job::Run(work));
        }
        if items.closed {
            return Some(Job::End);
        }
        let earlier = items.next_due().unwrap_or(u64::MAX) < deadline.unwrap_or(u64::MAX);
        earlier.then_some(Job::LookAgain)
    }

    /// Called by the worker `slot` when `work` has run.
    fn finish(&self, slot: usize, work: Arc<Work>) {
        let again = {
            let mut items = self.items.lock();
            items.running[slot] = None;
            match work.phase() {
                Phase::RunningAndReady => {
                    work.set_phase(Phase::Ready);
                    items.ready.insert(work.clone());
                    true
                }
                Phase::RunningAndDelayed if !items.closed => {
                    work.set_phase(Phase::Delayed);
                    items.delayed.insert(work.clone());
                    true // somebody is to watch the time
                }
                _ => {
                    work.set_phase(Phase::Idle);
                    false
                }
            }
        };
        drop(work); // the last reference, perhaps: outside the lock
        if again {
            self.idle.wake_one();
        }
        self.done.wake_all();
    }
}

impl Items {
    /// The number of the oldest work that is ready or runs.
    fn oldest(&self) -> Option<u64> {
        let ready = self.ready.front().get().map(|work| work.number.load(Ordering::Relaxed));
        self.running.iter().copied().chain([ready]).flatten().min()
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// When the first delayed work is due.
    fn next_due(&self) -> Option<u64> {
        self.delayed.front().get().map(|work| work.due.load(Ordering::Relaxed))
    }

    fn make_due_ready(&mut self) {
        let now = time::now_ns();
        while self.next_due().is_some_and(|due| due <= now)
            && let Some(work) = self.delayed.front_mut().remove()
        {
            work.number.store(self.next_number(), Ordering::Relaxed);
            work.set_phase(Phase::Ready);
            self.ready.insert(work);
        }
    }
}

impl Work {
    /// Something for `queue` to do: `function`, which gets the item itself, so that it can
    /// queue it again.
    pub fn new(
        name: &'static str,
        queue: &Arc<WorkQueue>,
        function: impl Fn(&Arc<Self>) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            queue: queue.clone(),
            function: Box::new(function),
            link: RBTreeAtomicLink::new(),
            phase: AtomicU64::new(Phase::Idle as u64),
            number: AtomicU64::new(0),
            running_number: AtomicU64::new(0),
            due: AtomicU64::new(0),
        })
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Delayed,
            2 => Phase::Ready,
            3 => Phase::Running,
            4 => Phase::RunningAndReady,
            _ => Phase::RunningAndDelayed,
        }
    }

    fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u64, Ordering::Relaxed);
    }

    /// Has the work done soon, and once more if it runs already; one that is delayed waits no
    /// longer. False, and nothing changed, if it is queued already or the queue is closed. May
    /// be called from interrupt handlers; allocates nothing.
    pub fn queue(self: &Arc<Self>) -> bool {
        let queued = {
            let mut items = self.queue.items.lock();
            if items.closed {
                return false;
            }
            match self.phase() {
                Phase::Ready | Phase::RunningAndReady => return false,
                Phase::Running | Phase::RunningAndDelayed => {
                    self.number.store(items.next_number(), Ordering::Relaxed);
                    self.set_phase(Phase::RunningAndReady);
                    return true; // its worker looks when it comes back
                }
                Phase::Delayed => items.take_delayed(self),
                Phase::Idle => Some(self.clone()),
            }
            .map(|work| {
                work.number.store(items.next_number(), Ordering::Relaxed);
                work.set_phase(Phase::Ready);
                items.ready.insert(work);
            })
            .is_some()
        };
        self.queue.idle.wake_one();
        queued
    }

    /// Has the work done `ns` nanoseconds from now, once more if it runs already. False, and
    /// nothing changed, if it is queued or delayed already, or the queue is closed. May be called
    /// from interrupt handlers; allocates nothing.
    pub fn queue_after(self: &Arc<Self>, ns: u64) -> bool {
        {
            let mut items = self.queue.items.lock();
            let phase = self.phase();
            if items.closed || !matches!(phase, Phase::Idle | Phase::Running) {
                return false;
            }
            self.due.store(time::now_ns().saturating_add(ns), Ordering::Relaxed);
            self.number.store(items.next_number(), Ordering::Relaxed);
            if phase == Phase::Running {
                self.set_phase(Phase::RunningAndDelayed);
                return true; // its worker looks when it comes back
            }
            self.set_phase(Phase::Delayed);
            items.delayed.insert(self.clone());
        }
        // One worker more that watches the time: for each delayed item there is one, or none
        // is idle.
        self.queue.idle.wake_one();
        true
    }

    /// Takes the work out of the queue; whether it was in it, delayed or ready. It may still
    /// run, but will not be begun; to be sure that it is over, [`Work::flush`] after this. May
    /// be called from interrupt handlers.
    pub fn cancel(self: &Arc<Self>) -> bool {
        let taken = {
            let mut items = self.queue.items.lock();
            match self.phase() {
                Phase::Delayed => items.take_delayed(self),
                Phase::Ready => {
                    let number = self.number.load(Ordering::Relaxed);
                    items.ready.find_mut(&number).remove()
                }
                Phase::RunningAndReady | Phase::RunningAndDelayed => {
                    self.set_phase(Phase::Running);
                    return true;
                }
                Phase::Idle | Phase::Running => return false,
            }
            .inspect(|work| work.set_phase(Phase::Idle))
        };
        self.queue.done.wake_all();
        taken.is_some()
    }

    /// Whether it waits for a worker or for its time.
    pub fn is_queued(&self) -> bool {
        let _items = self.queue.items.lock();
        !matches!(self.phase(), Phase::Idle | Phase::Running)
    }

    /// Waits until the work has been done as often as it was queued before. Work that is
    /// delayed is not waited for.
    ///
    /// # Panics
    /// If a worker of its queue calls it.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn flush(&self) {
        let last = self.queue.items.lock().last_number;
        self.queue.wait_for(|_| {
            let number = match self.phase() {
                Phase::Idle | Phase::Delayed => return true,
                Phase::Ready => &self.number,
                Phase::Running | Phase::RunningAndReady | Phase::RunningAndDelayed => {
                    &self.running_number
                }
            };
            number.load(Ordering::Relaxed) > last
        });
    }
}

impl Items {
    fn take_delayed(&mut self, work: &Work) -> Option<Arc<Work>> {
        let key = (work.due.load(Ordering::Relaxed), work.number.load(Ordering::Relaxed));
        self.delayed.find_mut(&key).remove()
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Work({} of {})", self.name, self.queue.name)
    }
}

impl fmt::Debug for WorkQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WorkQueue({})", self.name)
    }
}

/// Starts the workers of the system's queue: one for each CPU, up to [`SYSTEM_WORKERS`]. Call
/// once, when all CPUs run, in a task that may use all.
///
/// # Errors
/// [`OutOfMemory`] for their stacks.
pub fn init() -> Result<(), OutOfMemory> {
    WorkQueue::system().start_workers(SYSTEM_WORKERS.min(smp::online().len() as usize))
}

#[cfg(not(test))]
#[path = "work_tests.rs"]
mod tests;
