//! What a process and a thread know about signals.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;
use abi::Signal;
use abi::signal::{
    DefaultAction, MINSIGSTKSZ, SA_NOCLDWAIT, SA_NODEFER, SA_RESETHAND, SIG_DFL, SIG_IGN,
    SIGNAL_COUNT, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK,
};
use base::sync::IrqSpinLock;
use memory::OutOfMemory;

/// What a process does about a signal, in the layout of the kernel's `struct sigaction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// `SIG_DFL`, `SIG_IGN`, or the address of a handler.
    pub handler: u64,
    /// `SA_*`.
    pub flags: u64,
    /// Where a handler returns to.
    pub restorer: u64,
    /// What is blocked while the handler runs.
    pub mask: u64,
}

impl Action {
    const DEFAULT: Self = Self { handler: SIG_DFL, flags: 0, restorer: 0, mask: 0 };

    /// From the words of user space.
    pub fn from_words([handler, flags, restorer, mask]: [u64; 4]) -> Self {
        Self { handler, flags, restorer, mask: mask & !UNBLOCKABLE }
    }

    /// The words of user space.
    pub fn to_words(self) -> [u64; 4] {
        [self.handler, self.flags, self.restorer, self.mask]
    }

    /// Whether `signal` does nothing with this action.
    fn ignores(&self, signal: Signal) -> bool {
        match self.handler {
            SIG_IGN => true,
            SIG_DFL => {
                matches!(signal.default_action(), DefaultAction::Ignore | DefaultAction::Continue)
            }
            _ => false,
        }
    }
}

/// SIGKILL and SIGSTOP.
const UNBLOCKABLE: u64 = Signal::SIGKILL.bit() | Signal::SIGSTOP.bit();

struct State {
    /// One for each signal; too many for a kernel stack.
    actions: Vec<Action>,
    /// Sent and not delivered yet.
    pending: u64,
    /// Of them those that were sent to the whole job, and so are for new children, too.
    for_job: u64,
    /// What the pending SIGCHLD tells.
    child: ChildInfo,
}

/// What SIGCHLD tells of a child (sigaction(2), "The siginfo_t argument").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ChildInfo {
    pub(super) code: u32,
    pub(super) pid: u32,
    pub(super) status: i32,
}

/// What `/proc` tells of a process's signals: sets, bit n for signal n + 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalSets {
    /// Those that wait.
    pub pending: u64,
    /// Those that are blocked.
    pub blocked: u64,
    /// Those that are ignored.
    pub ignored: u64,
    /// Those that have a handler.
    pub caught: u64,
}

/// The signals of a process.
pub struct Signals {
    state: IrqSpinLock<State>,
    /// What its thread blocks; kept here so that a sender can look.
    blocked: AtomicU64,
}

impl core::fmt::Debug for Signals {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Signals {{ blocked: {:#x} }}", self.blocked.load(Ordering::Relaxed))
    }
}

fn default_actions() -> Result<Vec<Action>, OutOfMemory> {
    let mut actions = Vec::new();
    actions.try_reserve_exact(SIGNAL_COUNT.into()).map_err(|_| OutOfMemory)?;
    actions.resize(SIGNAL_COUNT.into(), Action::DEFAULT);
    Ok(actions)
}

fn index(signal: Signal) -> usize {
    usize::from(signal.number() - 1)
}

impl Signals {
    /// Those of a new program.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub(crate) fn new() -> Result<Self, OutOfMemory> {
        Ok(Self::with(default_actions()?, 0))
    }

    fn with(actions: Vec<Action>, blocked: u64) -> Self {
        let state = State { actions, pending: 0, for_job: 0, child: ChildInfo::default() };
        Self { state: IrqSpinLock::new("signals", state), blocked: AtomicU64::new(blocked) }
    }

    /// Those of a new child: the same actions and blocked signals, none that waits.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub(crate) fn forked(&self) -> Result<Self, OutOfMemory> {
        let mut actions = default_actions()?;
        actions.copy_from_slice(&self.state.lock().actions);
        Ok(Self::with(actions, self.blocked()))
    }

    /// Whether the process does not want to wait for its children.
    pub(crate) fn reaps_children(&self) -> bool {
        let action = self.action(Signal::SIGCHLD);
        action.handler == SIG_IGN || action.flags & u64::from(SA_NOCLDWAIT) != 0
    }

    /// Notes what SIGCHLD will tell, unless one waits already.
    pub(crate) fn note_child(&self, code: u32, pid: u32, status: i32) {
        let mut state = self.state.lock();
        if state.pending & Signal::SIGCHLD.bit() == 0 {
            state.child = ChildInfo { code, pid, status };
        }
    }

    /// What the last SIGCHLD told.
    pub(super) fn child_info(&self) -> ChildInfo {
        self.state.lock().child
    }

    /// What the process does about `signal`.
    pub fn action(&self, signal: Signal) -> Action {
        let state = self.state.lock();
        state.actions.get(index(signal)).copied().unwrap_or(Action::DEFAULT)
    }

    /// Changes what it does; what it did before. A pending signal that is now ignored is
    /// dropped.
    ///
    /// # Errors
    /// `EINVAL` for SIGKILL and SIGSTOP.
    pub fn set_action(&self, signal: Signal, action: Action) -> abi::Result<Action> {
        if !signal.is_catchable() {
            return Err(Errno::EINVAL);
        }
        let mut state = self.state.lock();
        if action.ignores(signal) {
            state.pending &= !signal.bit();
        }
        let slot = state.actions.get_mut(index(signal)).ok_or(Errno::EINVAL)?;
        Ok(core::mem::replace(slot, action))
    }

    /// The blocked signals, as a set.
    pub fn blocked(&self) -> u64 {
        self.blocked.load(Ordering::Relaxed)
    }

    /// Changes which signals are blocked; SIGKILL and SIGSTOP never are. Call
    /// [`Signals::has_deliverable`] afterwards.
    pub fn set_blocked(&self, set: u64) {
        self.blocked.store(set & !UNBLOCKABLE, Ordering::Relaxed);
    }

    /// All that `/proc` tells of them.
    pub fn sets(&self) -> SignalSets {
        let state = self.state.lock();
        let numbered = (1..=u64::from(SIGNAL_COUNT)).filter_map(Signal::new).zip(&state.actions);
        let (mut ignored, mut caught) = (0, 0);
        for (signal, action) in numbered {
            match action.handler {
                SIG_DFL => {}
                SIG_IGN => ignored |= signal.bit(),
                _ => caught |= signal.bit(),
            }
        }
        SignalSets { pending: state.pending, blocked: self.blocked(), ignored, caught }
    }

    /// Signals that wait.
    pub fn pending(&self) -> u64 {
        self.state.lock().pending
    }

    /// Whether one waits that is not blocked.
    pub fn has_deliverable(&self) -> bool {
        self.pending() & !self.blocked() != 0
    }

    /// Gives a new child what waits for the whole job: as if that had been sent a moment
    /// later. Its fork may have been under way, with all signals blocked.
    pub(crate) fn share_with(&self, child: &Self) {
        let state = self.state.lock();
        let shared = state.pending & state.for_job;
        drop(state);
        if shared != 0 {
            let mut state = child.state.lock();
            state.pending |= shared;
            state.for_job |= shared;
        }
    }

    /// Adds a signal to those that wait, unless it is ignored; `for_job` if it is sent to the
    /// whole job. True if it is to be delivered now.
    pub(crate) fn add(&self, signal: Signal, for_job: bool) -> bool {
        let mut state = self.state.lock();
        let blocked = self.blocked() & signal.bit() != 0;
        let action = state.actions.get(index(signal)).copied().unwrap_or(Action::DEFAULT);
        // A blocked one is kept: the action may change before it is unblocked.
        if action.ignores(signal) && !blocked {
            return false;
        }
        state.pending |= signal.bit();
        if for_job {
            state.for_job |= signal.bit();
        }
        !blocked
    }

    /// Takes the next signal to deliver, lowest number first, with its action.
    pub(super) fn take(&self) -> Option<(Signal, Action)> {
        let mut state = self.state.lock();
        let ready = state.pending & !self.blocked();
        // SIGKILL goes before all others.
        let bit = if ready & Signal::SIGKILL.bit() != 0 {
            Signal::SIGKILL.bit()
        } else {
            ready & ready.wrapping_neg()
        };
        let signal = Signal::new(u64::from(bit.trailing_zeros()) + 1).filter(|_| bit != 0)?;
        state.pending &= !bit;
        state.for_job &= !bit;
        let slot = state.actions.get_mut(index(signal))?;
        let action = *slot;
        if action.flags & u64::from(SA_RESETHAND) != 0 && action.handler > SIG_IGN {
            *slot = Action::DEFAULT;
        }
        Some((signal, action))
    }

    /// The action for a signal that the thread's own fault raises: it cannot be ignored
    /// nor blocked; then the default comes, and kills.
    pub(super) fn take_forced(&self, signal: Signal) -> Action {
        let action = self.action(signal);
        if action.handler == SIG_IGN || self.blocked() & signal.bit() != 0 {
            let mut state = self.state.lock();
            if let Some(slot) = state.actions.get_mut(index(signal)) {
                *slot = Action::DEFAULT;
            }
            return Action::DEFAULT;
        }
        if action.flags & u64::from(SA_RESETHAND) != 0 && action.handler > SIG_IGN {
            let mut state = self.state.lock();
            if let Some(slot) = state.actions.get_mut(index(signal)) {
                *slot = Action::DEFAULT;
            }
        }
        action
    }

    /// Blocks what is to be blocked while the handler of `action` runs.
    pub(super) fn block_for_handler(&self, signal: Signal, action: &Action) {
        let own = if action.flags & u64::from(SA_NODEFER) != 0 { 0 } else { signal.bit() };
        self.set_blocked(self.blocked() | action.mask | own);
    }
}

/// A thread's alternative signal stack (sigaltstack(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalStack {
    /// Lowest address.
    pub start: u64,
    /// `SS_DISABLE` without one; `SS_AUTODISARM`.
    pub flags: u32,
    /// Bytes.
    pub len: u64,
}

impl SignalStack {
    const NONE: Self = Self { start: 0, flags: SS_DISABLE, len: 0 };

    /// From the three words of `stack_t`.
    ///
    /// # Errors
    /// `EINVAL` for unknown flags, `ENOMEM` if it is too small.
    pub fn from_words([start, flags, len]: [u64; 3]) -> abi::Result<Self> {
        let flags = flags as u32; // an int, with padding behind it
        match flags & !SS_AUTODISARM {
            SS_DISABLE => Ok(Self::NONE),
            0 | SS_ONSTACK if len < u64::from(MINSIGSTKSZ) => Err(Errno::ENOMEM),
            0 | SS_ONSTACK => Ok(Self { start, flags: flags & SS_AUTODISARM, len }),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The words of `stack_t`, for a thread whose stack pointer is `sp`.
    pub fn to_words(self, sp: u64) -> [u64; 3] {
        let on = if self.holds(sp) { SS_ONSTACK } else { 0 };
        [self.start, u64::from(self.flags | on), self.len]
    }

    /// Whether there is one.
    pub fn is_enabled(&self) -> bool {
        self.flags & SS_DISABLE == 0
    }

    /// Whether the thread with stack pointer `sp` runs on it.
    pub fn holds(&self, sp: u64) -> bool {
        self.flags & SS_AUTODISARM == 0 && self.spans(sp)
    }

    /// Whether `sp` is a stack pointer into it.
    pub(super) fn spans(&self, sp: u64) -> bool {
        self.is_enabled() && sp > self.start && sp - self.start <= self.len
    }
}

/// What a thread has of its own.
#[derive(Debug)]
pub struct ThreadSignals {
    stack: IrqSpinLock<SignalStack>,
}

impl ThreadSignals {
    pub(crate) fn new() -> Self {
        Self::with(SignalStack::NONE)
    }

    /// With this alternative stack.
    pub(crate) fn with(stack: SignalStack) -> Self {
        Self { stack: IrqSpinLock::new("signal stack", stack) }
    }

    /// The alternative stack.
    pub fn stack(&self) -> SignalStack {
        *self.stack.lock()
    }

    /// Changes it.
    pub fn set_stack(&self, stack: SignalStack) {
        *self.stack.lock() = stack;
    }

    /// Takes it away while a handler runs on it, if it asked for that.
    pub(super) fn disarm(&self) {
        let mut stack = self.stack.lock();
        if stack.flags & SS_AUTODISARM != 0 {
            *stack = SignalStack::NONE;
        }
    }
}
