//! Figures for each lock class. Contention is counted where a CPU or task has to wait, in
//! all builds; acquisitions and holds in debug builds only.

use core::panic::Location;
use core::sync::atomic::Ordering::Relaxed;

use super::class;

pub use super::order::counts;
pub use super::watch::{hold_limit, set_hold_limit};

/// What is known of one class.
#[derive(Clone, Copy, Debug)]
pub struct ClassStatistics {
    /// The class.
    pub name: &'static str,
    /// How often a lock of it was taken; 0 in release builds.
    pub acquisitions: u64,
    /// How often that meant waiting.
    pub contended: u64,
    /// Nanoseconds waited, all in all.
    pub wait_total_ns: u64,
    /// Longest wait.
    pub wait_longest_ns: u64,
    /// Longest time that one was held; 0 in release builds. Of two CPUs that break the
    /// record at once one is lost.
    pub hold_longest_ns: u64,
    /// Where that one was taken.
    pub hold_place: Option<&'static Location<'static>>,
}

/// Whether acquisitions and holds are counted in this build.
pub const COUNTS_HOLDS: bool = cfg!(debug_assertions);

/// All classes: in debug builds those that have been taken, otherwise those that have been
/// waited for.
pub fn all() -> impl Iterator<Item = ClassStatistics> {
    class::all().map(|id| {
        let class = id.class();
        ClassStatistics {
            name: class.name(),
            acquisitions: class.acquisitions.load(Relaxed),
            contended: class.contended.load(Relaxed),
            wait_total_ns: class.wait_total.load(Relaxed),
            wait_longest_ns: class.wait_longest.load(Relaxed),
            hold_longest_ns: class.hold_longest.load(Relaxed),
            hold_place: class.hold_place.load(),
        }
    })
}
