//! A driver's time with a device, from agreeing on features to the last reset: [`Setup`], then
//! [`Session`] (VirtIO 1.2, section 3).
//!
//! A driver begins a [`Setup`] with the features that it knows, makes its queues, and starts the
//! session with a [`Function`], which is called when the device has something to tell. Dropping
//! the session resets the device, then gives everything back.
//!
//! A device that fails, breaks the rules or does not answer is reset and brought up again as it
//! was: the driver gets its chains back ([`Function::stopped`]) and begins anew
//! ([`Function::restarted`]). One that fails too often, or cannot be reset, is given up.

use alloc::format;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use base::sync::SpinLock;
use base::time;

use super::device::{SessionReport, VirtioDevice};
use super::queue::{AnyQueue, Queue};
use super::transport::{Callback, Callbacks, Connection, NO_VECTOR};
use super::{Features, Status, VirtioError};

/// What any driver takes if it is offered, beside its own.
const OF_QUEUES: Features =
    Features::VERSION_1.with(Features::INDIRECT_DESC).with(Features::EVENT_IDX);
/// A device that fails more often than this ...
const MOST_RESTARTS: usize = 5;
/// ... in so many nanoseconds is given up.
const RESTART_WINDOW_NS: u64 = 60_000_000_000;

/// The part of a driver that its device calls.
pub trait Function: Send + Sync {
    /// A queue may have something used: call [`Queue::used`]. In an interrupt handler, each queue
    /// by one at a time.
    fn used(&self, queue: u16);

    /// The configuration may have changed. In a task, as all that follow; none of them at the same
    /// time as another.
    fn config_changed(&self) {}

    /// The device was reset and does not use memory any more: the chains that it had are to be
    /// [recalled](Queue::recall). Queues take nothing meanwhile.
    fn stopped(&self);

    /// The device works again after it was stopped, with empty queues.
    fn restarted(&self);

    /// The device was stopped for good.
    fn given_up(&self) {}
}

/// A device whose driver has agreed with it on features and makes its queues.
pub struct Setup {
    device: Arc<VirtioDevice>,
    features: Features,
    queues: Vec<Arc<dyn AnyQueue>>,
    /// The CPU of each that is to be interrupted.
    cpus: Vec<Option<u32>>,
    /// Interrupts that the queues are to share.
    most_interrupts: usize,
    is_started: bool,
}

/// A driver's time with its device.
pub struct Session(Arc<Inner>);

pub(super) struct Inner {
    device: Arc<VirtioDevice>,
    features: Features,
    queues: Vec<Arc<dyn AnyQueue>>,
    function: Arc<dyn Function>,
    /// `None` when the session is over.
    connection: SpinLock<Option<Connection>>,
    /// Held while the device is reset and started.
    state: task::Mutex<State>,
}

struct State {
    is_over: bool,
    given_up: bool,
    restarts: u32,
    /// When the last ones were, in nanoseconds of the clock.
    times: [u64; MOST_RESTARTS],
}

impl Setup {
    /// Begins with a device: resets it, and takes of what it offers the features in `wanted` and
    /// those of queues, no others.
    ///
    /// # Errors
    /// `InUse`, `ResetTimeout`, `FeaturesRefused`, `NeedsAccessPlatform`.
    pub fn begin(device: &Arc<VirtioDevice>, wanted: Features) -> Result<Self, VirtioError> {
        if device.is_in_use() {
            return Err(VirtioError::InUse);
        }
        device.reset()?;
        let setup = Self {
            device: device.clone(),
            features: device.offered() & (wanted | OF_QUEUES),
            queues: Vec::new(),
            cpus: Vec::new(),
            most_interrupts: usize::MAX,
            is_started: false,
        };
        agree(device, setup.features)?;
        Ok(setup)
    }

    /// What was taken.
    pub fn features(&self) -> Features {
        self.features
    }

    /// Makes queue `index` with as many descriptors as the device has for it, at most `most`.
    /// `name` says what it is for, `cpu` whom it should interrupt.
    ///
    /// # Errors
    /// `NoQueue`, `OutOfMemory`.
    pub fn queue<T: Send + 'static>(
        &mut self,
        index: u16,
        name: &'static str,
        most: u16,
        cpu: Option<u32>,
    ) -> Result<Arc<Queue<T>>, VirtioError> {
        if index >= self.device.transport().queue_count() {
            return Err(VirtioError::NoQueue { index });
        }
        let queue = Arc::new(Queue::new(&self.device, index, name, most, self.features)?);
        self.queues.push(queue.clone());
        self.cpus.push(cpu);
        Ok(queue)
    }

    /// Has all queues share at most `most` interrupts, in turn: for devices with many queues of
    /// which few are busy.
    pub fn share_interrupts(&mut self, most: usize) {
        self.most_interrupts = most;
    }

    /// Starts the device: from now on it works, and calls `function`.
    ///
    /// # Errors
    /// `Interrupts`, `VectorRefused`, `OutOfMemory`.
    pub fn start(mut self, function: Arc<dyn Function>) -> Result<Session, VirtioError> {
        let callbacks = self.callbacks(&function);
        let inner = Arc::new(Inner {
            device: self.device.clone(),
            features: self.features,
            queues: core::mem::take(&mut self.queues),
            function,
            connection: SpinLock::new("virtio interrupts", None),
            state: task::named_mutex(
                "virtio session",
                State { is_over: false, given_up: false, restarts: 0, times: [0; MOST_RESTARTS] },
            ),
        });
        // From here on dropping the session cleans up.
        self.is_started = true;
        let session = Session(inner);
        session.0.device.set_session(Arc::downgrade(&session.0));
        let owner = format!("{}", session.0.device);
        let connection = session.0.device.transport().connect(&owner, callbacks)?;
        *session.0.connection.lock() = Some(connection);
        session.0.enable()?;
        Ok(session)
    }

    fn callbacks(&self, function: &Arc<dyn Function>) -> Callbacks {
        let device = self.device.clone();
        let of_queue = |(queue, cpu): (&Arc<dyn AnyQueue>, &Option<u32>)| {
            let (function, index) = (function.clone(), queue.report().index);
            let callback: Callback = Arc::new(move || function.used(index));
            (callback, *cpu)
        };
        Callbacks {
            config: Arc::new(move || device.config_interrupt()),
            queues: self.queues.iter().zip(&self.cpus).map(of_queue).collect(),
            most_interrupts: self.most_interrupts,
        }
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        // It was not connected yet, so that it reaches no memory in any case.
        if !self.is_started
            && let Err(error) = self.device.reset()
        {
            log::warn!("{}: {error}", self.device);
        }
    }
}

/// Tells a device that was reset which features are taken (section 3.1.1, steps 2 to 6).
fn agree(device: &VirtioDevice, features: Features) -> Result<(), VirtioError> {
    let transport = device.transport();
    let mut status = Status::ACKNOWLEDGE;
    transport.set_status(status);
    status |= Status::DRIVER;
    transport.set_status(status);
    // Its offer may be another one after a failure.
    let offered = transport.device_features();
    if !offered.has(features) {
        return Err(VirtioError::FeaturesRefused);
    }
    transport.set_driver_features(features);
    status |= Status::FEATURES_OK;
    transport.set_status(status);
    if transport.status().contains(Status::FEATURES_OK) {
        Ok(())
    } else {
        transport.set_status(status | Status::FAILED);
        // What was taken it has offered: it misses something. A device may insist on this one.
        if offered.without(features).has(Features::ACCESS_PLATFORM) {
            Err(VirtioError::NeedsAccessPlatform)
        } else {
            Err(VirtioError::FeaturesRefused)
        }
    }
}

impl Session {
    /// The device.
    pub fn device(&self) -> &Arc<VirtioDevice> {
        &self.0.device
    }

    /// Makes the device quiet for good: for a machine that is about to be switched off.
    pub fn stop(&self) {
        self.0.end();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.0.end();
        self.0.device.set_session(Weak::new());
    }
}

impl Inner {
    /// Tells the device of its queues and starts it (section 3.1.1, steps 7 and 8).
    fn enable(&self) -> Result<(), VirtioError> {
        let transport = self.device.transport();
        let (config, vectors) = match &*self.connection.lock() {
            Some(connection) => (connection.config_vector, connection.queue_vectors.clone()),
            None => (NO_VECTOR, Vec::new()),
        };
        transport.set_config_vector(config)?;
        for (index, queue) in self.queues.iter().enumerate() {
            queue.enable(vectors.get(index).copied().unwrap_or(NO_VECTOR))?;
        }
        let ready = Status::ACKNOWLEDGE | Status::DRIVER | Status::FEATURES_OK;
        transport.set_status(ready | Status::DRIVER_OK);
        self.queues.iter().for_each(|queue| queue.start());
        Ok(())
    }

    /// Looks after what an interrupt handler has left.
    pub(super) fn look_after(&self, config: bool, alarm: bool) {
        let mut state = self.state.lock();
        if state.is_over || state.given_up {
            return;
        }
        if alarm || self.device.status().contains(Status::NEEDS_RESET) {
            self.restart(&mut state);
        } else if config {
            self.function.config_changed();
        }
    }

    fn restart(&self, state: &mut State) {
        log::warn!("{}: it has failed and is reset", self.device);
        self.halt();
        let now = time::now_ns();
        let is_allowed = state.may_restart(now);
        let result = if is_allowed { self.bring_up() } else { Ok(()) };
        match result {
            Ok(()) if is_allowed => {
                log::info!("{}: it works again", self.device);
                self.function.restarted();
                // It may have changed, and nobody looked meanwhile.
                self.function.config_changed();
                return;
            }
            Ok(()) => log::error!("{}: it fails too often and is given up", self.device),
            Err(error) => log::error!("{}: {error}; it is given up", self.device),
        }
        self.halt();
        self.device.transport().set_status(Status::FAILED);
        self.disconnect();
        state.given_up = true;
        self.function.given_up();
    }

    /// Stops the device and gives the driver its chains back.
    fn halt(&self) {
        self.queues.iter().for_each(|queue| queue.stop());
        if let Err(error) = self.device.reset() {
            log::error!("{}: {error}; it is cut off from memory", self.device);
            self.disconnect();
        }
        self.function.stopped();
        self.queues.iter().for_each(|queue| queue.reset());
    }

    fn bring_up(&self) -> Result<(), VirtioError> {
        agree(&self.device, self.features)?;
        self.enable()
    }

    /// Stops the device for good.
    fn end(&self) {
        // Not while it is restarted.
        let mut state = self.state.lock();
        if core::mem::replace(&mut state.is_over, true) {
            return;
        }
        if !state.given_up {
            self.halt();
        }
        self.disconnect();
    }

    /// The device cannot interrupt and reaches no memory any more.
    fn disconnect(&self) {
        let connection = self.connection.lock().take();
        drop(connection);
    }

    pub(super) fn report(&self) -> SessionReport {
        let interrupts = match &*self.connection.lock() {
            Some(connection) => connection.description.clone(),
            None => String::from("none"),
        };
        let (restarts, given_up) = {
            let state = self.state.lock();
            (state.restarts, state.given_up)
        };
        SessionReport {
            taken: self.features,
            interrupts: interrupts.into(),
            restarts,
            given_up,
            queues: self.queues.iter().map(|queue| queue.report()).collect(),
        }
    }
}

impl State {
    /// Whether the device may be started once more, which is then counted.
    fn may_restart(&mut self, now: u64) -> bool {
        let oldest = self.times[self.restarts as usize % MOST_RESTARTS];
        let had_as_many = self.restarts as usize >= MOST_RESTARTS;
        if had_as_many && now.saturating_sub(oldest) < RESTART_WINDOW_NS {
            return false;
        }
        self.times[self.restarts as usize % MOST_RESTARTS] = now;
        self.restarts += 1;
        true
    }
}
