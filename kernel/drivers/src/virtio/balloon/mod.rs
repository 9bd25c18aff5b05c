//! The driver of memory balloons (VirtIO 1.2, section 5.5): the host borrows memory of the machine
//! by asking for a larger balloon, and gives it back by asking for a smaller one.
//!
//! A task of its own follows what the host wants, a batch of frames at a time ([`Balloon`]). When
//! memory gets scarce it takes no more, and frames come back from the balloon if the host has
//! allowed that (`deflate-on-oom`), when programs would be killed else.

mod inflate;

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use ::device::{
    Attribute, AttributeGuard, Bound, Bus, Device, Driver, ProbeError, register_driver,
};
use abi::Errno;
use base::sync::SpinLock;
use memory::reclaim;
use task::Task;

use super::{DeviceType, Features, Session, Setup, VIRTIO};
use inflate::Balloon;

/// The host wants to be told before frames are used again.
const MUST_TELL_HOST: Features = Features::bit(0);
/// Frames may be taken back when memory is out.
const DEFLATE_ON_OOM: Features = Features::bit(2);

/// Descriptors of a queue: one batch at a time is on its way.
const QUEUE_SIZE: u16 = 16;

struct BalloonDriver;

/// What is kept of a device.
struct Kept {
    balloon: Arc<Balloon>,
    session: Session,
    task: Option<Arc<Task>>,
    _attributes: Vec<AttributeGuard>,
}

base::initcall!(Drivers, register);

fn register() {
    reclaim::register("memory balloons", reclaim::Kind::MaySleep, shrink);
    register_driver(&BalloonDriver);
}

/// The balloons from which frames may be taken.
static BALLOONS: SpinLock<Vec<Weak<Balloon>>> = SpinLock::new("balloons", Vec::new());

/// Takes frames back from the balloons; how many.
fn shrink(frames: usize) -> usize {
    let mut freed = 0;
    let at = |index: usize| BALLOONS.lock().get(index).cloned();
    for balloon in (0..).map_while(at) {
        if freed >= frames {
            break;
        }
        if let Some(balloon) = balloon.upgrade() {
            freed += balloon.give_back(frames - freed);
        }
    }
    freed
}

impl Driver for BalloonDriver {
    fn name(&self) -> &'static str {
        "virtio-balloon"
    }

    fn bus(&self) -> &'static Bus {
        &VIRTIO
    }

    fn matches(&self, device: &Device) -> bool {
        super::is(device, DeviceType::BALLOON)
    }

    fn probe(&self, device: &Arc<Device>) -> Result<Box<dyn Bound>, ProbeError> {
        let virtio = super::of(device).ok_or(ProbeError::NotMine)?;
        let mut setup = Setup::begin(virtio, MUST_TELL_HOST | DEFLATE_ON_OOM)?;
        let may_give_back = setup.features().has(DEFLATE_ON_OOM);
        let inflating = setup.queue(0, "inflate", QUEUE_SIZE, None)?;
        let deflating = setup.queue(1, "deflate", QUEUE_SIZE, None)?;
        let balloon = Arc::new(Balloon::new(virtio, inflating, deflating));
        let session = setup.start(balloon.clone())?;
        let mut kept =
            Kept { balloon: balloon.clone(), session, task: None, _attributes: Vec::new() };
        let following = balloon.clone();
        kept.task = Some(task::spawn("balloon", move || following.follow())?);
        kept._attributes.push(device.add_attribute(pages(&balloon))?);
        if may_give_back {
            let mut balloons = BALLOONS.lock();
            balloons.retain(|balloon| balloon.strong_count() > 0);
            if balloons.try_reserve(1).is_ok() {
                balloons.push(Arc::downgrade(&balloon));
            }
        }
        Ok(Box::new(kept))
    }
}

/// Pages in the balloon, and those that the host wants there.
fn pages(balloon: &Arc<Balloon>) -> Attribute {
    let balloon = Arc::downgrade(balloon);
    Attribute::new("pages", move |_, to| {
        let balloon = balloon.upgrade().ok_or(Errno::ENODEV)?;
        let wanted = balloon.wanted().map_err(|_| Errno::EIO)?;
        let has = balloon.pages.load(Ordering::Relaxed);
        writeln!(to, "{has} of {wanted}").map_err(|_| Errno::EIO)
    })
}

impl Bound for Kept {
    fn shutdown(&self) {
        self.session.stop();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let balloon = Arc::as_ptr(&self.balloon);
        BALLOONS.lock().retain(|known| known.as_ptr() != balloon);
        self.balloon.end();
        if let Some(task) = self.task.take() {
            task.join();
        }
        // What is left in it comes back when the device is reset.
        self.session.stop();
    }
}
