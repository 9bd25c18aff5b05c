//! Signals: [`Signal`], what each does by default, and the constants and
//! structs around them.

use core::fmt;
use core::num::NonZeroU8;

use linux_raw_sys::general as raw;
pub use linux_raw_sys::general::{
    BUS_ADRALN, BUS_ADRERR, BUS_OBJERR, CLD_DUMPED, CLD_EXITED, CLD_KILLED, FPE_FLTDIV, FPE_FLTINV,
    FPE_FLTOVF, FPE_FLTRES, FPE_FLTSUB, FPE_FLTUND, FPE_FLTUNK, FPE_INTDIV, FPE_INTOVF, ILL_BADSTK,
    ILL_COPROC, ILL_ILLADR, ILL_ILLOPC, ILL_ILLOPN, ILL_ILLTRP, ILL_PRVOPC, ILL_PRVREG,
    MINSIGSTKSZ, SA_NOCLDSTOP, SA_NOCLDWAIT, SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SA_RESTART,
    SA_RESTORER, SA_SIGINFO, SEGV_ACCERR, SEGV_BNDERR, SEGV_MAPERR, SEGV_PKUERR, SI_KERNEL,
    SI_QUEUE, SI_TIMER, SI_TKILL, SI_USER, SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, SIGRTMIN, SIGSTKSZ,
    SS_AUTODISARM, SS_DISABLE, SS_ONSTACK, TRAP_BRANCH, TRAP_BRKPT, TRAP_HWBKPT, TRAP_TRACE,
    kernel_sigaction, kernel_sigset_t, siginfo_t, stack_t,
};

/// The value of `sa_handler` for the default action. In `linux_raw_sys` it is
/// an `Option<fn>`, which a user address is not.
pub const SIG_DFL: u64 = 0;
/// The value of `sa_handler` that ignores the signal.
pub const SIG_IGN: u64 = 1;

/// How many signals there are: they are numbered 1 to this.
pub const SIGNAL_COUNT: u8 = 64;

/// The size of a signal set in bytes, which `rt_sigaction` and its kin insist on.
pub const SIGSET_BYTES: usize = size_of::<kernel_sigset_t>();
const _: () = assert!(SIGSET_BYTES * 8 == SIGNAL_COUNT as usize);

/// A signal number, 1 to 64. `Display` and `Debug` print the name, `SIGSEGV`;
/// the real-time signals 32 to 64 are `SIGRT_0` to `SIGRT_32`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(NonZeroU8);

/// What a signal does to a process that has not asked for anything else
/// (signal(7), "Standard signals").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    /// Ends the process.
    Terminate,
    /// Ends the process and dumps core.
    CoreDump,
    /// Nothing.
    Ignore,
    /// Stops the process.
    Stop,
    /// Continues the process if it is stopped, else nothing.
    Continue,
}

impl Signal {
    /// The constant for a signal of `linux_raw_sys`, checked at compile time.
    const fn known(number: u32) -> Self {
        assert!(number <= SIGNAL_COUNT as u32);
        match NonZeroU8::new(number as u8) {
            Some(number) => Self(number),
            None => panic!("0 is no signal"),
        }
    }

    /// The signal with this number; `None` if it is not within 1 to 64.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        if number > SIGNAL_COUNT as u64 {
            return None;
        }
        match NonZeroU8::new(number as u8) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number, 1 to 64.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0.get()
    }

    /// The signal's bit in a signal set: bit 0 is signal 1.
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << (self.number() - 1)
    }

    /// The name, `SIGSEGV`; `None` for a real-time signal.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(signal, _)| *signal == self).map(|(_, name)| *name)
    }

    /// Whether the signal is real-time: queued, and without a meaning of its own.
    #[must_use]
    pub const fn is_realtime(self) -> bool {
        self.number() as u32 >= raw::SIGRTMIN
    }

    /// Whether a process may catch, block or ignore it: all but `SIGKILL` and
    /// `SIGSTOP`.
    #[must_use]
    pub fn is_catchable(self) -> bool {
        !matches!(self, Self::SIGKILL | Self::SIGSTOP)
    }

    /// What it does by default.
    #[must_use]
    pub fn default_action(self) -> DefaultAction {
        match self {
            Self::SIGCHLD | Self::SIGURG | Self::SIGWINCH => DefaultAction::Ignore,
            Self::SIGCONT => DefaultAction::Continue,
            Self::SIGSTOP | Self::SIGTSTP | Self::SIGTTIN | Self::SIGTTOU => DefaultAction::Stop,
            Self::SIGQUIT
            | Self::SIGILL
            | Self::SIGTRAP
            | Self::SIGABRT
            | Self::SIGBUS
            | Self::SIGFPE
            | Self::SIGSEGV
            | Self::SIGXCPU
            | Self::SIGXFSZ
            | Self::SIGSYS => DefaultAction::CoreDump,
            _ => DefaultAction::Terminate,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "SIGRT_{}", u32::from(self.number()) - raw::SIGRTMIN),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Defines the constants and [`NAMES`] from one list.
macro_rules! signals {
    ($($name:ident => $meaning:literal,)*) => {
        impl Signal {
            $(
                #[doc = $meaning]
                pub const $name: Self = Self::known(raw::$name);
            )*
        }

        static NAMES: &[(Signal, &str)] = &[$((Signal::$name, stringify!($name)),)*];
    };
}

signals! {
    SIGHUP => "The terminal hung up, or the controlling process died",
    SIGINT => "Interrupt from the keyboard",
    SIGQUIT => "Quit from the keyboard",
    SIGILL => "Illegal instruction",
    SIGTRAP => "Breakpoint or single step",
    SIGABRT => "abort(3)",
    SIGBUS => "Bad memory access: past the end of a mapped file, or misaligned",
    SIGFPE => "Arithmetic exception",
    SIGKILL => "Kill; cannot be caught",
    SIGUSR1 => "First signal for the program's own use",
    SIGSEGV => "Access to memory that is not mapped or not permitted",
    SIGUSR2 => "Second signal for the program's own use",
    SIGPIPE => "Write to a pipe that no one reads",
    SIGALRM => "Timer of alarm(2)",
    SIGTERM => "Termination",
    SIGSTKFLT => "Stack fault of the coprocessor; not in use",
    SIGCHLD => "A child stopped or ended",
    SIGCONT => "Continue if stopped",
    SIGSTOP => "Stop; cannot be caught",
    SIGTSTP => "Stop from the keyboard",
    SIGTTIN => "Terminal input for a background process",
    SIGTTOU => "Terminal output of a background process",
    SIGURG => "Urgent data on a socket",
    SIGXCPU => "Limit of processor time exceeded",
    SIGXFSZ => "Limit of file size exceeded",
    SIGVTALRM => "Timer of the process's own processor time",
    SIGPROF => "Profiling timer",
    SIGWINCH => "The window changed its size",
    SIGIO => "Input or output is possible",
    SIGPWR => "Power failure",
    SIGSYS => "Bad system call",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_1_to_64() {
        assert_eq!(Signal::new(0), None);
        assert_eq!(Signal::new(65), None);
        assert_eq!(Signal::new(256 + 9), None);
        assert_eq!(Signal::new(9), Some(Signal::SIGKILL));
        for number in 1..=64 {
            let signal = Signal::new(number).unwrap();
            assert_eq!(u64::from(signal.number()), number);
            assert_eq!(signal.name().is_none(), signal.is_realtime());
        }
    }

    #[test]
    fn names() {
        assert_eq!(Signal::SIGSEGV.to_string(), "SIGSEGV");
        assert_eq!(format!("{:?}", Signal::new(32).unwrap()), "SIGRT_0");
        assert_eq!(Signal::new(64).unwrap().to_string(), "SIGRT_32");
    }

    #[test]
    fn bits_fill_the_set() {
        assert_eq!(Signal::SIGHUP.bit(), 1);
        let all = (1..=64).filter_map(Signal::new).fold(0, |set, signal| set | signal.bit());
        assert_eq!(all, u64::MAX);
    }

    #[test]
    fn default_actions() {
        let count = |action| {
            (1..=31)
                .filter_map(Signal::new)
                .filter(|signal| signal.default_action() == action)
                .count()
        };
        assert_eq!(count(DefaultAction::CoreDump), 10);
        assert_eq!(count(DefaultAction::Stop), 4);
        assert_eq!(count(DefaultAction::Ignore), 3);
        assert_eq!(count(DefaultAction::Continue), 1);
        assert_eq!(count(DefaultAction::Terminate), 13);
        assert_eq!(Signal::new(40).unwrap().default_action(), DefaultAction::Terminate);
        assert!(!Signal::SIGKILL.is_catchable() && Signal::SIGTERM.is_catchable());
    }
}
