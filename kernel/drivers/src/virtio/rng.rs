//! The driver of sources of random numbers (VirtIO 1.2, section 5.4): feeds the kernel's pool, at
//! once and then whenever random numbers are used and the generator's key is old.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use ::device::{Bound, Bus, Device, Driver, ProbeError, register_driver};
use base::time;
use memory::dma::{DmaBuffer, DmaPool};
use task::{Work, WorkQueue};
use virtqueue::Buffer;

use super::{DeviceType, Features, Function, Queue, Session, Setup, VIRTIO};
use crate::random::{self, SourceGuard};

/// Bytes that are asked for at a time.
const BYTES: u32 = 64;
/// How long the device may take to answer, in nanoseconds: it may wait for its own source.
const PATIENCE_NS: u64 = 30_000_000_000;

static BUFFERS: DmaPool = DmaPool::new();

struct RngDriver;

struct Rng {
    queue: Arc<Queue<DmaBuffer>>,
    /// When it was asked, in nanoseconds of the clock.
    asked: AtomicU64,
}

/// What is kept of a device, in the order in which it goes.
struct Kept {
    _source: SourceGuard,
    session: Session,
}

base::initcall!(Drivers, register);

fn register() {
    register_driver(&RngDriver);
}

impl Driver for RngDriver {
    fn name(&self) -> &'static str {
        "virtio-rng"
    }

    fn bus(&self) -> &'static Bus {
        &VIRTIO
    }

    fn matches(&self, device: &Device) -> bool {
        super::is(device, DeviceType::ENTROPY)
    }

    fn probe(&self, device: &Arc<Device>) -> Result<Box<dyn Bound>, ProbeError> {
        let virtio = super::of(device).ok_or(ProbeError::NotMine)?;
        // It has no features of its own.
        let mut setup = Setup::begin(virtio, Features::NONE)?;
        // One request at a time is all that is needed.
        let queue = setup.queue(0, "requests", 8, None)?;
        let rng = Arc::new(Rng { queue, asked: AtomicU64::new(0) });
        let session = setup.start(rng.clone())?;
        rng.ask();
        let rng = Arc::downgrade(&rng);
        let ask = Work::new("virtio-rng", WorkQueue::system(), move |_| {
            if let Some(rng) = rng.upgrade() {
                rng.ask();
            }
        });
        Ok(Box::new(Kept { _source: random::add_source(ask)?, session }))
    }
}

impl Rng {
    /// Asks the device for bytes. One that was asked long ago and has not answered is reset.
    fn ask(&self) {
        let now = time::now_ns();
        if self.queue.in_flight() > 0 {
            if now.saturating_sub(self.asked.load(Ordering::Relaxed)) > PATIENCE_NS {
                self.queue.device().alarm();
            }
            return;
        }
        match BUFFERS.allocate(BYTES as usize) {
            Ok(buffer) => {
                let chain = [Buffer::writable(buffer.address().as_u64(), BYTES)];
                self.asked.store(now, Ordering::Relaxed);
                // Refused while the device is reset: it is asked again after that.
                if self.queue.add(chain, buffer).is_ok() {
                    self.queue.kick();
                }
            }
            Err(error) => log::debug!("virtio-rng: {error}"),
        }
    }
}

impl Function for Rng {
    fn used(&self, _: u16) {
        self.queue.used(|done| {
            let bytes = done.token.bytes().get(..done.written as usize).unwrap_or_default();
            random::contribute(bytes, done.written.saturating_mul(8));
        });
    }

    fn stopped(&self) {
        while self.queue.recall().is_some() {}
    }

    fn restarted(&self) {
        self.ask();
    }
}

impl Bound for Kept {
    fn shutdown(&self) {
        self.session.stop();
    }
}
