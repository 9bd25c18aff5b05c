//! The status that `wait4(2)` stores: how a process ended or stopped.
//!
//! The layout is that of `<bits/waitstatus.h>`: the low seven bits are the
//! signal that ended the process (0: it exited, 0x7f: it is stopped), bit 7 says
//! that core was dumped, the next byte is the exit code or the stopping signal.

use crate::signal::Signal;

const CORE_DUMPED: i32 = 0x80;
const STOPPED: i32 = 0x7f;

/// The process has been continued (`WIFCONTINUED`).
pub const CONTINUED: i32 = 0xffff;

/// The process called exit: of `code` the low byte counts, as in `_exit(2)`.
#[must_use]
pub const fn exited(code: i32) -> i32 {
    (code & 0xff) << 8
}

/// The process was ended by a signal, and whether that dumped core.
#[must_use]
pub const fn signaled(signal: Signal, core: bool) -> i32 {
    signal.number() as i32 | if core { CORE_DUMPED } else { 0 }
}

/// The process was stopped by a signal.
#[must_use]
pub const fn stopped(signal: Signal) -> i32 {
    (signal.number() as i32) << 8 | STOPPED
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    /// The build machine's decoder is the judge.
    fn decoded(status: i32) -> (Option<i32>, Option<i32>, bool, Option<i32>, bool) {
        let status = ExitStatus::from_raw(status);
        (
            status.code(),
            status.signal(),
            status.core_dumped(),
            status.stopped_signal(),
            status.continued(),
        )
    }

    #[test]
    fn exit_codes() {
        for code in 0..=255 {
            assert_eq!(decoded(exited(code)), (Some(code), None, false, None, false));
        }
        assert_eq!(exited(-1), exited(255));
        assert_eq!(exited(256), exited(0));
    }

    #[test]
    fn signals() {
        for signal in (1..=64).filter_map(Signal::new) {
            let number = i32::from(signal.number());
            let ended = signaled(signal, false);
            assert_eq!(decoded(ended), (None, Some(number), false, None, false));
            let dumped = signaled(signal, true);
            assert_eq!(decoded(dumped), (None, Some(number), true, None, false));
            assert_eq!(decoded(stopped(signal)), (None, None, false, Some(number), false));
        }
        assert!(decoded(CONTINUED).4);
    }
}
