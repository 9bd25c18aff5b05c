//! What a driver of disks implements, [`BlockDevice`], and what it says of a disk when it
//! registers it, [`Description`].

use alloc::string::String;

use super::limits::{Features, Limits};
use super::request::Request;

/// A disk, as its driver offers it to the layer. All methods may be called on any CPU at any time
/// after `block::register` was called, also for several queues at once.
///
/// The driver owns a [`Request`] from [`submit`](BlockDevice::submit) until it calls
/// [`Request::complete`], and with it the memory: it completes a request only when the device
/// cannot touch the memory any more (it is done, or was reset). Completing is for interrupt
/// handlers too, and may be done within `submit`. The driver holds no lock of its own at that
/// moment: completions of all kinds run, and the layer may submit what waits.
///
/// A request holds a reference to the disk, and so to this object. It may be dropped with the
/// last request, in an interrupt handler: what must not be dropped there, such as interrupts, is
/// not owned by it but by what the driver's probe returns.
pub trait BlockDevice: Send + Sync {
    /// Gives a request to the hardware queue [`Request::queue`], without waiting; the device need
    /// not look at it before [`kick`](BlockDevice::kick). Preemption is off, interrupts are on or
    /// off. The request is within the limits and features that the driver stated, and its
    /// [`tag`](Request::tag) is that of no other request in flight in that queue; there are never
    /// more of those than [`Description::depth`].
    ///
    /// # Errors
    /// [`Refused`] hands the request back: no room at the moment. The layer tries again as soon
    /// as a request of that queue is completed, or after some milliseconds if there is none.
    fn submit(&self, request: Request) -> Result<(), Refused>;

    /// Tells the device that requests were put into `queue`: called after one or more that were
    /// submitted, in the same state. A driver that tells it in `submit` has nothing to do here.
    fn kick(&self, queue: usize) {
        let _ = queue;
    }

    /// The request `tag` of `queue` has been in flight for [`Description::timeout_ns`] or longer.
    /// Called by a task, and may sleep. The driver aborts it or resets the device, and completes
    /// it (with [`BlockError::TimedOut`](super::BlockError::TimedOut), or tries it again) when the
    /// memory is safe. It may have been completed meanwhile, and another one have its tag:
    /// [`Request::is_overdue`] tells which one this is about. Called again after the same time
    /// while it is in flight: the driver then does something harder. A disk whose driver does
    /// not bring a request back after several times is given up. A driver that resets the device
    /// and gives it others again calls [`Request::begin_anew`] for those.
    fn timed_out(&self, queue: usize, tag: u16);
}

/// The queue has no room now: the request, handed back.
#[must_use = "the request fails when this is dropped"]
#[derive(Debug)]
pub struct Refused(pub Request);

/// How a disk gets its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskName {
    /// A prefix with the first letters that are free, as Linux names disks: `vd` for vda, vdb …
    /// vdz, vdaa.
    Lettered(&'static str),
    /// This one: nvme0n1.
    Fixed(String),
}

/// What the maker says of a disk; empty strings for what is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The model.
    pub model: String,
    /// The serial number.
    pub serial: String,
    /// The version of the device's firmware.
    pub firmware: String,
}

/// What a driver says of a disk.
#[derive(Clone, Debug)]
pub struct Description {
    /// Its name.
    pub name: DiskName,
    /// Size in sectors of 512 bytes; whole logical blocks of it are used.
    pub sectors: u64,
    /// It cannot be written.
    pub read_only: bool,
    /// What its requests may look like.
    pub limits: Limits,
    /// What it can do.
    pub features: Features,
    /// Hardware queues; 1 or more. CPUs are spread over them: CPU n uses queue n % queues.
    pub queues: usize,
    /// Requests in flight in each queue: 1 to [`MAX_DEPTH`](super::MAX_DEPTH). Tags are smaller.
    pub depth: u16,
    /// Nanoseconds after which a request has taken too long; [`DEFAULT_TIMEOUT_NS`] is usual.
    pub timeout_ns: u64,
    /// What the maker says of it.
    pub identity: Identity,
}

/// Nanoseconds that a request may take: 30 seconds, as Linux has it.
pub const DEFAULT_TIMEOUT_NS: u64 = 30_000_000_000;
