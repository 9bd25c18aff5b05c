//! A device on the bus: [`VirtioDevice`], what the transports make and drivers take.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use base::sync::SpinLock;
use spin::Once;
use task::{Work, WorkQueue};

use super::queue::QueueReport;
use super::session::Inner;
use super::transport::Transport;
use super::{DeviceType, Features, Number, Status, VirtioError};

/// How long a device may take to be reset, in nanoseconds.
const RESET_BOUND_NS: u64 = 2_000_000_000;
/// How often it is looked at meanwhile.
const RESET_STEP_NS: u64 = 1_000_000;
/// How often a configuration that changes is read.
const CONFIG_TRIES: usize = 100;

/// A VirtIO device, whatever it is plugged into.
pub struct VirtioDevice {
    number: Number,
    transport: Box<dyn Transport>,
    offered: Features,
    /// Whose it is.
    session: SpinLock<Weak<Inner>>,
    /// Looks after events, in a task.
    work: Once<Arc<Work>>,
    events: Events,
}

/// What an interrupt handler leaves to be looked after.
#[derive(Default)]
pub(super) struct Events {
    /// The configuration may have changed.
    pub(super) config: AtomicBool,
    /// The device has broken the rules, or its driver waits in vain.
    pub(super) alarm: AtomicBool,
}

/// What a device's driver is doing with it, for those who look.
#[derive(Debug)]
pub struct SessionReport {
    /// What was taken of the features that are offered.
    pub taken: Features,
    /// How interrupts come.
    pub interrupts: Box<str>,
    /// How often the device was reset since it had failed.
    pub restarts: u32,
    /// It was given up.
    pub given_up: bool,
    /// Its queues.
    pub queues: Vec<QueueReport>,
}

impl VirtioDevice {
    /// The device behind a transport, after a reset.
    ///
    /// # Errors
    /// `ResetTimeout`; `Missing` if it is one of before VirtIO 1.0; `OutOfMemory`.
    pub fn new(transport: Box<dyn Transport>) -> Result<Arc<Self>, VirtioError> {
        reset(&*transport)?;
        transport.set_status(Status::ACKNOWLEDGE);
        let offered = transport.device_features();
        if !offered.has(Features::VERSION_1) {
            return Err(VirtioError::Missing { feature: "version-1" });
        }
        let device = Arc::new(Self {
            number: Number::take()?,
            transport,
            offered,
            session: SpinLock::new("virtio session", Weak::new()),
            work: Once::new(),
            events: Events::default(),
        });
        let weak = Arc::downgrade(&device);
        device.work.call_once(|| {
            Work::new("virtio events", events_queue(), move |_| {
                if let Some(device) = weak.upgrade() {
                    device.look_after();
                }
            })
        });
        Ok(device)
    }

    /// How it is reached.
    pub(super) fn transport(&self) -> &dyn Transport {
        &*self.transport
    }

    /// Its number, which no other VirtIO device has.
    pub fn number(&self) -> u32 {
        self.number.0
    }

    /// What kind of device it is.
    pub fn device_type(&self) -> DeviceType {
        self.transport.device_type()
    }

    /// What it offers.
    pub fn offered(&self) -> Features {
        self.offered
    }

    /// Its status, as it says now.
    pub fn status(&self) -> Status {
        self.transport.status()
    }

    /// What its driver is doing; `None` if it has none.
    pub fn report(&self) -> Option<SessionReport> {
        let session = self.session.lock().upgrade()?;
        Some(session.report())
    }

    /// Reads the configuration with `read`, again if it changed meanwhile (section 2.5.1): what is
    /// read belongs together.
    ///
    /// # Errors
    /// `ConfigUnstable`; those of `read`.
    pub fn config<R>(
        &self,
        read: impl Fn(&dyn Transport) -> Result<R, VirtioError>,
    ) -> Result<R, VirtioError> {
        for _ in 0..CONFIG_TRIES {
            let before = self.transport.config_generation();
            let result = read(&*self.transport)?;
            if self.transport.config_generation() == before {
                return Ok(result);
            }
        }
        Err(VirtioError::ConfigUnstable)
    }

    /// Sets a byte of the configuration.
    ///
    /// # Errors
    /// `NoConfig`.
    pub fn set_config8(&self, offset: u16, value: u8) -> Result<(), VirtioError> {
        self.transport.set_config8(offset, value)
    }

    /// Sets 32 bits of the configuration.
    ///
    /// # Errors
    /// `NoConfig`.
    pub fn set_config32(&self, offset: u16, value: u32) -> Result<(), VirtioError> {
        self.transport.set_config32(offset, value)
    }

    /// Whether it has a driver.
    pub(super) fn is_in_use(&self) -> bool {
        self.session.lock().strong_count() > 0
    }

    /// Makes a session the device's, or takes it away.
    pub(super) fn set_session(&self, session: Weak<Inner>) {
        let old = core::mem::replace(&mut *self.session.lock(), session);
        drop(old);
    }

    pub(super) fn reset(&self) -> Result<(), VirtioError> {
        reset(&*self.transport)
    }

    /// Has the device reset and started again by its session: it has broken the rules, or does
    /// not answer. Not at once, and from any context.
    pub fn alarm(&self) {
        self.events.alarm.store(true, Ordering::Release);
        self.queue_work();
    }

    /// The device has interrupted for its configuration.
    pub(super) fn config_interrupt(&self) {
        self.events.config.store(true, Ordering::Release);
        self.queue_work();
    }

    fn queue_work(&self) {
        if let Some(work) = self.work.get() {
            work.queue();
        }
    }

    fn look_after(&self) {
        let config = self.events.config.swap(false, Ordering::AcqRel);
        let alarm = self.events.alarm.swap(false, Ordering::AcqRel);
        let session = self.session.lock().upgrade();
        if let Some(session) = session {
            session.look_after(config, alarm);
        }
    }
}

/// The tasks that look after devices' events. One of them may wait for its device.
fn events_queue() -> &'static Arc<WorkQueue> {
    static QUEUE: Once<Arc<WorkQueue>> = Once::new();
    QUEUE.call_once(|| match WorkQueue::start("virtio", 2) {
        Ok(queue) => queue,
        Err(error) => {
            log::warn!("virtio: {error}: devices' events are left to the system's work queue");
            WorkQueue::system().clone()
        }
    })
}

/// Resets a device and waits until it is.
fn reset(transport: &dyn Transport) -> Result<(), VirtioError> {
    transport.set_status(Status::empty());
    let deadline = base::time::now_ns().saturating_add(RESET_BOUND_NS);
    loop {
        let status = transport.status();
        if status.is_empty() {
            return Ok(());
        }
        if base::time::now_ns() >= deadline {
            return Err(VirtioError::ResetTimeout { status });
        }
        task::sleep(RESET_STEP_NS);
    }
}

impl fmt::Display for VirtioDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "virtio{}", self.number.0)
    }
}

impl fmt::Debug for VirtioDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VirtioDevice({self}, {})", self.device_type())
    }
}
