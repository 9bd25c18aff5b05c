//! A device that is software, with the faults that real ones have seldom: [`Machine`], and the
//! transport to it, [`Fake`].

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{Ordering, fence};

use base::sync::{IrqSpinLock, SpinLock};
use memory::dma::SharedDma;
use virtqueue::Layout;

use super::super::{
    Callbacks, Connection, DeviceType, Features, QueueSetup, Status, Transport, VirtioError,
};

/// How the device is faulty.
#[derive(Clone, Copy, Default)]
pub(super) struct Faults {
    /// It does not end its reset.
    pub(super) stuck: bool,
    /// It does not agree to any features.
    pub(super) refuses_features: bool,
    /// It takes no vectors.
    pub(super) refuses_vectors: bool,
    /// Its configuration changes at each look.
    pub(super) restless: bool,
}

/// What the driver's side has done.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The values written to the status, in order.
    pub(super) statuses: Vec<u8>,
    pub(super) features: Features,
    pub(super) notifications: Vec<u16>,
    /// It could not use memory any more while it had not been reset.
    pub(super) is_cut_off: bool,
}

struct State {
    status: Status,
    offered: Features,
    faults: Faults,
    seen: Seen,
    generation: u8,
    config: [u8; 16],
    queues: Vec<FakeQueue>,
}

struct FakeQueue {
    size: u16,
    setup: Option<(Layout, Arc<SharedDma>)>,
    taken: u16,
    used: u16,
}

/// The device.
pub(super) struct Machine {
    state: IrqSpinLock<State>,
    callbacks: SpinLock<Option<Arc<Callbacks>>>,
}

/// The way to it.
pub(super) struct Fake(pub(super) Arc<Machine>);

impl Machine {
    pub(super) fn new(offered: Features, sizes: &[u16]) -> Arc<Self> {
        let queue = |&size| FakeQueue { size, setup: None, taken: 0, used: 0 };
        let state = State {
            status: Status::empty(),
            offered,
            faults: Faults::default(),
            seen: Seen::default(),
            generation: 0,
            config: core::array::from_fn(|index| index as u8),
            queues: sizes.iter().map(queue).collect(),
        };
        let callbacks = SpinLock::new("test callbacks", None);
        Arc::new(Self { state: IrqSpinLock::new("test device", state), callbacks })
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        self.state.lock().faults = faults;
    }

    pub(super) fn seen<R>(&self, look: impl FnOnce(&mut Seen) -> R) -> R {
        look(&mut self.state.lock().seen)
    }

    pub(super) fn is_connected(&self) -> bool {
        self.callbacks.lock().is_some()
    }

    /// Takes the next chain of a queue: its head.
    pub(super) fn take(&self, queue: usize) -> Option<u16> {
        let mut state = self.state.lock();
        let queue = &mut state.queues[queue];
        let (layout, memory) = queue.setup.clone()?;
        let index = memory.load16(layout.available() + 2);
        fence(Ordering::SeqCst);
        if index == queue.taken {
            return None;
        }
        let place = usize::from(queue.taken) % usize::from(layout.size().get());
        queue.taken = queue.taken.wrapping_add(1);
        // Wants to be told of the next one, by the index too.
        memory.store16(layout.bytes_before_event(), queue.taken);
        Some(memory.load16(layout.available() + 4 + 2 * place))
    }

    /// Puts a chain into the used ring.
    pub(super) fn finish(&self, queue: usize, id: u32, written: u32) {
        let mut state = self.state.lock();
        let queue = &mut state.queues[queue];
        let (layout, memory) = queue.setup.clone().expect("the queue is enabled");
        let place = usize::from(queue.used) % usize::from(layout.size().get());
        memory.store32(layout.used() + 4 + 8 * place, id);
        memory.store32(layout.used() + 8 + 8 * place, written);
        fence(Ordering::SeqCst);
        queue.used = queue.used.wrapping_add(1);
        memory.store16(layout.used() + 2, queue.used);
    }

    /// Interrupts for a queue.
    pub(super) fn interrupt(&self, queue: usize) {
        let callbacks = self.callbacks.lock().clone();
        if let Some(callbacks) = callbacks {
            (callbacks.queues[queue].0)();
        }
    }

    /// Changes the configuration, or fails, and interrupts for that.
    pub(super) fn change(&self, fails: bool) {
        {
            let mut state = self.state.lock();
            state.generation = state.generation.wrapping_add(1);
            state.config[0] = state.config[0].wrapping_add(1);
            if fails {
                state.status |= Status::NEEDS_RESET;
            }
        }
        let callbacks = self.callbacks.lock().clone();
        if let Some(callbacks) = callbacks {
            (callbacks.config)();
        }
    }

    fn config<const N: usize>(&self, offset: u16) -> Result<[u8; N], VirtioError> {
        let mut state = self.state.lock();
        if state.faults.restless {
            state.generation = state.generation.wrapping_add(1);
        }
        let bytes = state.config.get(usize::from(offset)..).and_then(|rest| rest.first_chunk());
        bytes.copied().ok_or(VirtioError::NoConfig { offset })
    }
}

/// Where `avail_event` is.
trait EventOffset {
    fn bytes_before_event(&self) -> usize;
}

impl EventOffset for Layout {
    fn bytes_before_event(&self) -> usize {
        self.used() + 4 + 8 * usize::from(self.size().get())
    }
}

/// Takes the callbacks away.
struct Guard(Arc<Machine>);

impl Drop for Guard {
    fn drop(&mut self) {
        *self.0.callbacks.lock() = None;
        let mut state = self.0.state.lock();
        state.seen.is_cut_off |= !state.status.is_empty();
    }
}

impl Transport for Fake {
    fn device_type(&self) -> DeviceType {
        DeviceType(0x7e57)
    }

    fn device_features(&self) -> Features {
        self.0.state.lock().offered
    }

    fn set_driver_features(&self, features: Features) {
        self.0.state.lock().seen.features = features;
    }

    fn status(&self) -> Status {
        self.0.state.lock().status
    }

    fn set_status(&self, status: Status) {
        let mut state = self.0.state.lock();
        state.seen.statuses.push(status.bits());
        if status.is_empty() {
            if !state.faults.stuck {
                state.status = status;
            }
            for queue in &mut state.queues {
                (queue.setup, queue.taken, queue.used) = (None, 0, 0);
            }
            return;
        }
        state.status = status;
        if state.faults.refuses_features {
            state.status.remove(Status::FEATURES_OK);
        }
    }

    fn queue_count(&self) -> u16 {
        self.0.state.lock().queues.len() as u16
    }

    fn queue_size(&self, index: u16) -> u16 {
        self.0.state.lock().queues.get(usize::from(index)).map_or(0, |queue| queue.size)
    }

    fn enable_queue(&self, queue: &QueueSetup<'_>) -> Result<(), VirtioError> {
        let mut state = self.0.state.lock();
        assert!(!state.status.contains(Status::DRIVER_OK));
        assert_eq!(queue.vector, queue.index + 1);
        state.queues[usize::from(queue.index)].setup = Some((queue.layout, queue.memory.clone()));
        Ok(())
    }

    fn set_config_vector(&self, vector: u16) -> Result<(), VirtioError> {
        assert_eq!(vector, 0);
        let refuses = self.0.state.lock().faults.refuses_vectors;
        if refuses { Err(VirtioError::VectorRefused) } else { Ok(()) }
    }

    fn notify(&self, index: u16) {
        let mut state = self.0.state.lock();
        assert!(state.status.contains(Status::DRIVER_OK), "told before it works");
        state.seen.notifications.push(index);
    }

    fn config_generation(&self) -> u8 {
        self.0.state.lock().generation
    }

    fn config8(&self, offset: u16) -> Result<u8, VirtioError> {
        self.0.config(offset).map(u8::from_le_bytes)
    }

    fn config16(&self, offset: u16) -> Result<u16, VirtioError> {
        self.0.config(offset).map(u16::from_le_bytes)
    }

    fn config32(&self, offset: u16) -> Result<u32, VirtioError> {
        self.0.config(offset).map(u32::from_le_bytes)
    }

    fn set_config8(&self, offset: u16, value: u8) -> Result<(), VirtioError> {
        let mut state = self.0.state.lock();
        let byte = state.config.get_mut(usize::from(offset));
        byte.map(|byte| *byte = value).ok_or(VirtioError::NoConfig { offset })
    }

    fn set_config32(&self, offset: u16, value: u32) -> Result<(), VirtioError> {
        (offset..).zip(value.to_le_bytes()).try_for_each(|(at, byte)| self.set_config8(at, byte))
    }

    fn connect(&self, _: &str, callbacks: Callbacks) -> Result<Connection, VirtioError> {
        let queue_vectors = (1..).take(callbacks.queues.len()).collect();
        *self.0.callbacks.lock() = Some(Arc::new(callbacks));
        Ok(Connection {
            guard: Box::new(Guard(self.0.clone())),
            description: "calls".into(),
            config_vector: 0,
            queue_vectors,
        })
    }
}
