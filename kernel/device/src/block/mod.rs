//! The block layer: disks, their queues, their partitions.
//!
//! A driver implements [`BlockDevice`] and registers each disk that it finds with a
//! [`Description`] ([`register`]). The layer gives the disk a name, looks for partitions, and
//! shows both as [`Volume`]s ([`find`], [`volumes`]), which others read and write: with
//! [`Request`]s that end asynchronously ([`Volume::submit`]), or with calls that sleep
//! ([`Volume::read_at`] and its neighbours).
//!
//! The way of a request: `volume.rs` checks it, maps it to the disk and counts it (`bounce.rs`
//! copies memory that the device does not reach); `disk.rs` puts it into the hardware queue of
//! the CPU (`queue.rs`), where it may be merged (`merge.rs`), gets a tag (`tags.rs`) when there
//! is room, and goes to the driver; [`Request::complete`] takes it back, in an interrupt handler
//! mostly, and its [`Completion`] is told, which for a task that sleeps is a [`Waiter`].
//! `watch.rs` notices what takes too long.
//!
//! Order: requests that are in flight together may be done in any order; who writes the same
//! sectors twice, or reads what he writes, waits in between. A flush makes durable what was
//! complete when it was submitted (Linux has the same rule,
//! `Documentation/block/writeback_cache_control.rst`).
//!
//! Memory: a request owns its memory ([`Segments`]), frames that others may hold too. It is given
//! back when the device is done, so that a caller that gives up waiting does not free what a
//! device writes to.
//!
//! Locks: one for each hardware queue, not held while the driver or a completion is called; one
//! for the list of volumes, for tasks.

mod bounce;
mod device;
mod disk;
mod error;
mod limits;
mod merge;
mod names;
mod node;
mod partitions;
mod queue;
mod registry;
mod request;
mod segment;
mod statistics;
mod sync_io;
mod tags;
#[cfg(not(test))]
mod test_disk;
#[cfg(not(test))]
mod tests;
mod volume;
mod waiter;
mod watch;

pub use device::{BlockDevice, DEFAULT_TIMEOUT_NS, Description, DiskName, Identity, Refused};
pub use disk::Disk;
pub use error::BlockError;
pub use limits::{Features, Limits, LimitsFault, MAX_DEPTH, RangeLimits, SECTOR};
pub use names::DeviceNumber;
pub use partitions::{RescanError, rescan, rescan_held};
pub use registry::{
    Claim, ClaimError, DiskHandle, RegisterError, Registration, find, find_number, holder, is_held,
    register, tell_of_changes, volumes,
};
pub use request::{Completion, Finished, Operation, Request};
pub use segment::{DmaSegment, Segment, Segments};
pub use statistics::{OperationStatistics, Statistics};
pub use volume::{PartitionInfo, Volume};
pub use waiter::Waiter;
