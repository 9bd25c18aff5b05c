//! [`Controller`]: a controller with its queues, and who is called when it has something to say.
//! How it is started, reset and stopped is in `lifecycle.rs`.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use base::irq::{self, Action, Handled, IrqError};
use device::block::DiskHandle;
use memory::OutOfMemory;
use memory::dma::{DmaPool, SharedDma};
use nvme_protocol::{Command, Completion, IDENTIFY_BYTES, Identify};
use spin::Once;
use task::{Mutex, Work, WorkQueue};

use super::admin::AdminQueue;
use super::error::NvmeError;
use super::io_queue::IoQueue;
use super::lifecycle::{Control, SHUTDOWN_NS};
use super::registers::Hardware;
use crate::pci::{InterruptKind, Which};

/// Nanoseconds that a command about the controller may take.
const ADMIN_NS: u64 = 10_000_000_000;

static PAGES: DmaPool = DmaPool::new();

/// A controller with its queues.
pub(super) struct Controller {
    /// For the log: nvme0.
    pub(super) name: String,
    pub(super) hardware: Hardware,
    pub(super) admin: AdminQueue,
    queues: Once<Vec<IoQueue>>,
    /// How many interrupts it has.
    pub(super) interrupts: AtomicUsize,
    /// Held while it is started, reset or stopped. The queues have locks of their own.
    pub(super) control: Mutex<Control>,
    /// The page for what it tells about itself.
    page: Mutex<SharedDma>,
    /// The disks, to be told when it is gone.
    pub(super) disks: Mutex<Vec<DiskHandle>>,
    /// Resets it, for interrupt handlers; and whether that is asked for.
    alarm: Once<Arc<Work>>,
    is_alarmed: AtomicBool,
    pub(super) shutdown_ns: AtomicU64,
}

/// What a controller tells about something.
pub(super) type Answer = Box<[u8; IDENTIFY_BYTES]>;

/// The task that resets controllers.
fn work_queue() -> Result<Arc<WorkQueue>, OutOfMemory> {
    static QUEUE: Mutex<Option<Arc<WorkQueue>>> = task::named_mutex("NVMe work", None);
    let mut queue = QUEUE.lock();
    if let Some(queue) = &*queue {
        return Ok(queue.clone());
    }
    let new = WorkQueue::start("nvme", 1)?;
    *queue = Some(new.clone());
    Ok(new)
}

/// The interrupt of the I/O queue at `place`, of `interrupts`: the first is the admin queue's, the
/// others are shared.
pub(super) fn interrupt_of(place: usize, interrupts: usize) -> usize {
    match interrupts {
        0 | 1 => 0,
        _ => 1 + place % (interrupts - 1),
    }
}

impl Controller {
    /// The controller with the registers `hardware`, which is not touched.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub(super) fn new(name: String, hardware: Hardware) -> Result<Arc<Self>, NvmeError> {
        let controller = Arc::new(Self {
            name,
            admin: AdminQueue::new(&hardware)?,
            hardware,
            queues: Once::new(),
            interrupts: AtomicUsize::new(0),
            control: task::named_mutex("NVMe controller", Control::new()),
            page: task::named_mutex("NVMe page", PAGES.allocate_shared(IDENTIFY_BYTES)?),
            disks: task::named_mutex("NVMe disks", Vec::new()),
            alarm: Once::new(),
            is_alarmed: AtomicBool::new(false),
            shutdown_ns: AtomicU64::new(SHUTDOWN_NS),
        });
        let this = Arc::downgrade(&controller);
        let work = Work::new("NVMe reset", &work_queue()?, move |_| {
            if let Some(controller) = this.upgrade() {
                controller.is_alarmed.store(false, Ordering::Release);
                controller.reset();
            }
        });
        controller.alarm.call_once(|| work);
        Ok(controller)
    }

    /// Its I/O queues; none before it is started.
    pub(super) fn queues(&self) -> &[IoQueue] {
        self.queues.get().map_or(&[], Vec::as_slice)
    }

    pub(super) fn set_queues(&self, queues: Vec<IoQueue>) -> &[IoQueue] {
        self.queues.call_once(|| queues)
    }

    /// What is done about one of its interrupts.
    pub(super) fn action(self: &Arc<Self>, which: Which) -> Result<Action, IrqError> {
        let controller = self.clone();
        irq::action(move || {
            let any = controller.on_interrupt(which);
            // A message may find that what it tells of was seen before; a line is shared.
            let is_own = any || which.kind != InterruptKind::Intx;
            if is_own { Handled::Yes } else { Handled::No }
        })
    }

    fn on_interrupt(&self, which: Which) -> bool {
        let mut any = which.index == 0 && self.admin.on_interrupt();
        for (place, queue) in self.queues().iter().enumerate() {
            if interrupt_of(place, which.count) == which.index {
                any |= self.complete(queue);
            }
        }
        any
    }

    /// Completes what is done in a queue; whether anything was.
    pub(super) fn complete(&self, queue: &IoQueue) -> bool {
        queue.on_interrupt().unwrap_or_else(|_| {
            self.raise_alarm("its answers make no sense");
            true
        })
    }

    /// Has the controller reset soon. For any context.
    pub(super) fn raise_alarm(&self, why: &str) {
        if !self.is_alarmed.swap(true, Ordering::AcqRel) {
            log::error!("{}: {why}", self.name);
            if let Some(alarm) = self.alarm.get() {
                alarm.queue();
            }
        }
    }

    /// Has it carry out a command about itself.
    ///
    /// # Errors
    /// As [`NvmeError`] says.
    pub(super) fn execute(&self, command: Command) -> Result<Completion, NvmeError> {
        self.admin.execute(command, ADMIN_NS)
    }

    /// Asks it about itself or a namespace.
    ///
    /// # Errors
    /// As [`NvmeError`] says.
    pub(super) fn identify(&self, what: Identify) -> Result<Answer, NvmeError> {
        let page = self.page.lock();
        self.execute(Command::identify(what, page.address().as_u64()))?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(IDENTIFY_BYTES).map_err(|_| OutOfMemory)?;
        let words = (0..IDENTIFY_BYTES).step_by(8).map(|offset| page.load64(offset));
        bytes.extend(words.flat_map(u64::to_le_bytes));
        // As many as an answer has.
        bytes.into_boxed_slice().try_into().map_err(|_| NvmeError::OutOfMemory)
    }
}
