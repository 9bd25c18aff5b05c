//! How a process ended: [`Outcome`], in the words of the kernel shell.

use core::fmt;

use abi::Signal;
use abi::wait_status;

/// What a process was killed for, if it did something that it may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// What it did, in a few words.
    pub what: &'static str,
    /// The address that it touched, if it was about one.
    pub address: Option<u64>,
    /// Its instruction pointer.
    pub ip: u64,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It called exit with this status.
    Exited(u8),
    /// A signal killed it.
    Killed {
        /// The signal.
        signal: Signal,
        /// Why, if it was its own doing.
        cause: Option<Cause>,
    },
}

impl Outcome {
    /// The status as wait4(2) tells it.
    pub fn wait_status(&self) -> i32 {
        match self {
            Self::Exited(status) => wait_status::exited((*status).into()),
            Self::Killed { signal, .. } => wait_status::signaled(*signal, false),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Killed { signal, cause: None } => write!(f, "killed by {signal}"),
            Self::Killed { signal, cause: Some(cause) } => {
                write!(f, "killed by {signal}: {}", cause.what)?;
                if let Some(address) = cause.address {
                    write!(f, " at address {address:#x}")?;
                }
                write!(f, ", ip {:#x}", cause.ip)
            }
        }
    }
}
