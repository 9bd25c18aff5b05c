//! Floor 2: log, panic, backtrace, locks, per-CPU data, tests.
