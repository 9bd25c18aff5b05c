//! Which CPU a task runs on: where a woken task goes, what a CPU without work takes from
//! others, and what is done when a task may not stay where it is.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use arch::cpu::local;
use base::cpu_set::{AtomicCpuSet, CpuSet};
use base::preempt::{self, SIGNAL};
use base::{smp, time};

use super::policy::{FAIR_CLASS, Policy};
use super::queue::{RunQueue, load_of, with_queue, with_queue_of, with_queue_of_task};
use crate::task::{State, Task};

/// CPUs that run their idle task. One that was chosen for a task is taken out at once, so
/// that the next task goes elsewhere; it comes back when it is idle again.
static IDLE: AtomicCpuSet = AtomicCpuSet::new();

/// Nanoseconds between two looks of a busy CPU at the others.
const BALANCE_NS: u64 = 20_000_000;

/// Notes that this CPU is idle, or not.
pub(crate) fn set_idle(cpu: u32, idle: bool) {
    if idle {
        IDLE.insert(cpu);
    } else {
        IDLE.remove(cpu);
    }
}

/// Chooses a CPU for a runnable task that is in no queue: where it was if that is idle, else
/// an idle one, else where it was, else the least busy that it may use.
#[inline(always)]
fn choose_cpu(task: &Task) -> u32 {
    let allowed = task.affinity().and(smp::online());
    let before = task.cpu.load(Ordering::Relaxed);
    let idle = IDLE.load().and(allowed);
    if !idle.is_empty() {
        if idle.contains(before) && IDLE.remove(before) {
            return before;
        }
        if let Some(cpu) = idle.iter().find(|&cpu| IDLE.remove(cpu)) {
            return cpu;
        }
    }
    if allowed.contains(before) {
        return before;
    }
    allowed.iter().min_by_key(|&cpu| load_of(cpu)).unwrap_or(before)
}

/// Puts a runnable task that has departed from its queue, and that `task.cpu` names `cpu`
/// for, into that CPU's queue.
fn send(task: Arc<Task>, cpu: u32) {
    let look = with_queue_of(cpu, |queue| queue.arrive(task)).unwrap_or(false);
    if look && cpu != local::cpu_number() {
        smp::request(cpu, smp::RESCHEDULE);
    }
}

/// What is left to do for a task that was woken.
enum Woken {
    /// Nothing: it was not blocked.
    Not,
    /// Nothing.
    Done,
    /// This CPU, another one, is to look at its queue.
    Look(u32),
    /// It is to go into this CPU's queue.
    Send(u32),
}

/// Makes a task of `queue` runnable if it is blocked. It stays in the queue if its CPU is
/// not done with it, or is to run it again.
#[inline]
fn wake_in(queue: &mut RunQueue, task: &Arc<Task>) -> Woken {
    if task.state() != State::Blocked {
        return Woken::Not;
    }
    queue.make_runnable(task);
    if queue.is_current(task) || task.run_link.is_linked() {
        return Woken::Done;
    }
    if !queue.is_left(task) {
        let cpu = choose_cpu(task);
        if cpu != queue.cpu {
            queue.depart(task);
            task.cpu.store(cpu, Ordering::Release);
            return Woken::Send(cpu);
        }
    }
    // A CPU that is just leaving it has chosen another one already, and not set its alarm for
    // this one.
    let look = queue.add(task.clone());
    if look && queue.cpu != local::cpu_number() { Woken::Look(queue.cpu) } else { Woken::Done }
}

/// Wakes a task if it is blocked; whether it was. May be called from interrupt handlers.
pub(crate) fn wake(task: &Arc<Task>) -> bool {
    // Preempted with the task in its hands, the waker would make it wait for its own turn.
    let _stay = preempt::disable();
    match with_queue_of_task(task, |queue| wake_in(queue, task)).unwrap_or(Woken::Not) {
        Woken::Not => return false,
        Woken::Done => {}
        Woken::Look(cpu) => smp::request(cpu, smp::RESCHEDULE),
        // Nobody else touches it now: it is runnable, and in no queue.
        Woken::Send(cpu) => send(task.clone(), cpu),
    }
    true
}

/// Makes a task look at its pending work soon, if it runs on another CPU.
pub(crate) fn kick(task: &Task) {
    let _stay = preempt::disable();
    let cpu =
        with_queue_of_task(task, |queue| queue.is_current(task).then_some(queue.cpu)).flatten();
    if let Some(cpu) = cpu.filter(|&cpu| cpu != local::cpu_number()) {
        smp::request(cpu, smp::RESCHEDULE);
    }
}

/// Another CPU has put something into this CPU's queue, or has set a bit of the running
/// task's pending word: the end of the interrupt looks at that.
pub(crate) fn on_request() {
    with_queue(RunQueue::alarm_at_slice_end);
}

/// Whether a waiting task of `queue` may go to `cpu`. One that still calls itself blocked has
/// a timer here, and stays.
fn may_move(queue: &RunQueue, task: &Task, cpu: u32) -> bool {
    !queue.is_left(task) && task.state() == State::Runnable && task.affinity().contains(cpu)
}

/// Takes a waiting task from the busiest CPU that has at least `at_least` runnable ones, and
/// one among them that may come; it is to arrive at this CPU's queue.
pub(crate) fn steal(at_least: u32) -> Option<Arc<Task>> {
    let me = local::cpu_number();
    let mut others = smp::online().without(CpuSet::one(me));
    // Each CPU is looked at once.
    while let Some(busiest) = others.iter().max_by_key(|&cpu| load_of(cpu))
        && load_of(busiest) >= at_least
    {
        let taken = with_queue_of(busiest, |queue| take_for(queue, me, |_| true)).flatten();
        if taken.is_some() {
            return taken;
        }
        others = others.without(CpuSet::one(busiest));
    }
    None
}

/// Takes the first task that waits in `queue`, may go to the CPU `to` and is `wanted`; that
/// CPU is its own from then on, in whose queue it is to arrive.
fn take_for(queue: &mut RunQueue, to: u32, wanted: impl Fn(&Task) -> bool) -> Option<Arc<Task>> {
    let mut cursor = queue.ready.front();
    while let Some(task) = cursor.get() {
        if may_move(queue, task, to) && wanted(task) {
            let task = cursor.clone_pointer()?;
            queue.remove(&task);
            queue.change_load(-1);
            queue.depart(&task);
            task.cpu.store(to, Ordering::Release);
            return Some(task);
        }
        cursor.move_next();
    }
    None
}

/// Called by a CPU that has tasks waiting: wakes an idle CPU to take one, takes one itself
/// from a CPU with more, or sends one to a CPU with less.
pub(crate) fn balance(now: u64) {
    let me = local::cpu_number();
    let idle = IDLE.load();
    let can_help =
        |cpu: &u32| with_queue(|queue| queue.ready.iter().any(|task| may_move(queue, task, *cpu)));
    if load_of(me) >= 2
        && let Some(cpu) = idle.iter().find(can_help)
        && IDLE.remove(cpu)
    {
        let _ = with_queue_of(cpu, |queue| {
            if let Some(current) = &queue.current {
                current.set_pending(preempt::RESCHEDULE);
            }
        });
        // After the bit: the interrupt looks at it.
        smp::request(cpu, smp::RESCHEDULE);
        return;
    }
    let due = with_queue(|queue| {
        let due = now >= queue.next_balance;
        if due {
            queue.next_balance = now + BALANCE_NS;
        }
        due
    });
    if due {
        match steal(load_of(me) + 2) {
            Some(task) => {
                with_queue(|queue| queue.arrive(task));
            }
            None => send_surplus(),
        }
    }
    send_starving();
}

/// Sends a task to the CPU with the fewest, if that has at least two less than this one: it
/// may have a single one, and then no timer to look by.
fn send_surplus() {
    let me = local::cpu_number();
    let others = smp::online().without(CpuSet::one(me));
    let Some(to) = others.iter().min_by_key(|&cpu| load_of(cpu)) else { return };
    if load_of(to) + 2 <= load_of(me)
        && let Some(task) = with_queue(|queue| take_for(queue, to, |_| true))
    {
        send(task, to);
    }
}

/// If this CPU's task is of the real-time class, those behind it may wait for ever: sends one
/// to a CPU where it has its turn sooner.
fn send_starving() {
    let is_real_time =
        |queue: &mut RunQueue| queue.current_policy().is_some_and(|policy| policy.is_real_time());
    if !with_queue(|queue| is_real_time(queue)) {
        return;
    }
    let me = local::cpu_number();
    for to in smp::online().without(CpuSet::one(me)).iter() {
        let Some(policy) = with_queue_of(to, |queue| queue.current_policy()).flatten() else {
            continue;
        };
        // It takes the CPU at once from a lower class, and shares it with other fair tasks.
        let gains = |class: u8| {
            policy.class() > class || (policy.class(), class) == (FAIR_CLASS, FAIR_CLASS)
        };
        let taken = with_queue(|queue| take_for(queue, to, |task| gains(task.policy().class())));
        if let Some(task) = taken {
            return send(task, to);
        }
    }
}

/// Gives a runnable task that has departed from its queue a CPU that it may use.
#[cold]
#[inline(never)]
pub(crate) fn place(task: Arc<Task>) {
    // Under the lock of the queue that it left: whoever has that lock because the task belongs
    // to it, say to change its rank, must not find it in another queue meanwhile.
    let cpu = with_queue_of_task(&task, |_| {
        let cpu = choose_cpu(&task);
        task.cpu.store(cpu, Ordering::Release);
        cpu
    });
    if let Some(cpu) = cpu {
        send(task, cpu);
    }
}

/// Sends a task that waits in a queue to a CPU that it may use.
fn expel(task: &Arc<Task>) {
    let taken = with_queue_of_task(task, |queue| {
        if queue.is_left(task) || task.state() != State::Runnable {
            return None;
        }
        let task = queue.remove(task)?;
        queue.change_load(-1);
        queue.depart(&task);
        Some(task)
    });
    if let Some(task) = taken.flatten() {
        place(task);
    }
}

impl Task {
    /// The CPUs that the task may use.
    pub fn affinity(&self) -> CpuSet {
        CpuSet::from_bits(self.affinity.load(Ordering::Relaxed))
    }

    /// Confines the task to `cpus`; one that runs elsewhere moves soon. False, and nothing
    /// changed, if no online CPU is among them.
    pub fn set_affinity(self: &Arc<Self>, cpus: CpuSet) -> bool {
        if cpus.and(smp::online()).is_empty() {
            return false;
        }
        self.affinity.store(cpus.bits(), Ordering::Relaxed);
        let _stay = preempt::disable();
        let look = with_queue_of_task(self, |queue| {
            if cpus.contains(queue.cpu) {
                return None;
            }
            if queue.is_current(self) {
                self.set_pending(preempt::RESCHEDULE);
                return Some(queue.cpu);
            }
            None
        })
        .flatten();
        match look {
            Some(cpu) if cpu != local::cpu_number() => smp::request(cpu, smp::RESCHEDULE),
            Some(_) => {}
            None if cpus.contains(self.cpu.load(Ordering::Relaxed)) => {}
            None => expel(self),
        }
        true
    }

    /// How the task shares the CPU.
    pub fn policy(&self) -> Policy {
        Policy::decode(self.policy.load(Ordering::Relaxed))
    }

    /// The task's nice value, -20 to 19; that of its fair time while it is of the real-time
    /// class.
    pub fn nice(&self) -> i8 {
        self.nice.load(Ordering::Relaxed)
    }

    /// Changes the nice value, which a task of the real-time class has for later. Others are
    /// taken as the nearest of -20 to 19.
    pub fn set_nice(self: &Arc<Self>, nice: i8) {
        let nice = nice.clamp(-20, 19);
        self.nice.store(nice, Ordering::Relaxed);
        if !self.policy().is_real_time() {
            self.set_policy(Policy::Fair { nice });
        }
    }

    /// Changes how the task shares the CPU.
    pub fn set_policy(self: &Arc<Self>, policy: Policy) {
        if let Policy::Fair { nice } = policy {
            self.nice.store(nice.clamp(-20, 19), Ordering::Relaxed);
        }
        let _stay = preempt::disable();
        let look = with_queue_of_task(self, |queue| {
            let waiting = queue.remove(self);
            if queue.is_current(self) {
                queue.account(time::now_ns()); // by the old policy
            }
            self.policy.store(policy.encode(), Ordering::Relaxed);
            if let Some(task) = waiting {
                queue.change_load(-1);
                return queue.add(task).then_some(queue.cpu);
            }
            if queue.is_current(self) {
                // Real-time tasks pay nothing: it must not catch up on others now.
                queue.settle(self);
                // Somebody who waits may come first now.
                self.set_pending(preempt::RESCHEDULE);
                return Some(queue.cpu);
            }
            None
        })
        .flatten();
        if let Some(cpu) = look.filter(|&cpu| cpu != local::cpu_number()) {
            smp::request(cpu, smp::RESCHEDULE);
        }
    }

    /// Wakes the task if it sleeps interruptibly: sets [`SIGNAL`] first.
    pub fn interrupt(self: &Arc<Self>) {
        self.set_pending(SIGNAL);
        if !wake(self) {
            kick(self);
        }
    }
}
