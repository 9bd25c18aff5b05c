//! Kernel tests of sessions and queues with a device that is software.

mod fake;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use base::sync::IrqSpinLock;
use base::time;
use virtqueue::{AddError, Buffer};

use super::{Features, Function, Queue, Session, Setup, VirtioDevice, VirtioError};
use fake::{Fake, Faults, Machine};

/// A feature that the driver of the tests knows, and one that it does not.
const KNOWN: Features = Features::bit(3);
const UNKNOWN: Features = Features::bit(34);

/// The driver of the tests.
struct Recorder {
    queues: Vec<Arc<Queue<u32>>>,
    /// Tokens that were done, with the bytes written.
    done: IrqSpinLock<Vec<(u32, u32)>>,
    /// Tokens that were recalled.
    recalled: IrqSpinLock<Vec<u32>>,
    configs: AtomicU32,
    stops: AtomicU32,
    restarts: AtomicU32,
    ends: AtomicU32,
}

impl Function for Recorder {
    fn used(&self, queue: u16) {
        self.queues[usize::from(queue)]
            .used(|done| self.done.lock().push((done.token, done.written)));
    }

    fn config_changed(&self) {
        self.configs.fetch_add(1, Ordering::SeqCst);
    }

    fn stopped(&self) {
        self.stops.fetch_add(1, Ordering::SeqCst);
        for queue in &self.queues {
            self.recalled.lock().extend(core::iter::from_fn(|| queue.recall()));
        }
    }

    fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::SeqCst);
    }

    fn given_up(&self) {
        self.ends.fetch_add(1, Ordering::SeqCst);
    }
}

impl Recorder {
    fn new(queues: Vec<Arc<Queue<u32>>>) -> Arc<Self> {
        let [configs, stops, restarts, ends] = [const { AtomicU32::new(0) }; 4];
        Arc::new(Self {
            queues,
            done: IrqSpinLock::new("test chains", Vec::new()),
            recalled: IrqSpinLock::new("test chains", Vec::new()),
            configs,
            stops,
            restarts,
            ends,
        })
    }

    fn counts(&self) -> [u32; 4] {
        [&self.configs, &self.stops, &self.restarts, &self.ends]
            .map(|count| count.load(Ordering::SeqCst))
    }
}

fn device(machine: &Arc<Machine>) -> Arc<VirtioDevice> {
    VirtioDevice::new(Box::new(Fake(machine.clone()))).expect("a good device")
}

/// A started session with queues of these sizes.
fn start(machine: &Arc<Machine>, sizes: &[u16]) -> (Session, Arc<Recorder>) {
    let device = device(machine);
    let mut setup = Setup::begin(&device, KNOWN).expect("it agrees");
    let queue = |index| setup.queue(index, "test", 64, None).expect("it has the queue");
    let queues = (0..sizes.len() as u16).map(queue).collect();
    let recorder = Recorder::new(queues);
    let session = setup.start(recorder.clone()).expect("it starts");
    (session, recorder)
}

fn machine(sizes: &[u16]) -> Arc<Machine> {
    Machine::new(Features::VERSION_1 | Features::EVENT_IDX | KNOWN | UNKNOWN, sizes)
}

/// Waits for what the events' tasks do.
fn comes(what: impl Fn() -> bool) -> bool {
    let deadline = time::now_ns() + 2_000_000_000;
    while !what() && time::now_ns() < deadline {
        task::sleep(500_000);
    }
    what()
}

#[base::kernel_test]
fn what_is_known_is_taken_in_the_right_order() {
    let machine = machine(&[8, 0]);
    let device = device(&machine);
    assert_eq!((device.report().is_none(), device.offered().has(UNKNOWN)), (true, true));
    machine.seen(|seen| seen.statuses.clear());
    let mut setup = Setup::begin(&device, KNOWN | Features::bit(4)).expect("it agrees");
    let taken = Features::VERSION_1 | Features::EVENT_IDX | KNOWN;
    assert_eq!(setup.features(), taken);
    assert_eq!(machine.seen(|seen| seen.features), taken);
    assert_eq!(
        setup.queue::<()>(1, "none", 8, None).err(),
        Some(VirtioError::NoQueue { index: 1 })
    );
    assert_eq!(
        setup.queue::<()>(2, "none", 8, None).err(),
        Some(VirtioError::NoQueue { index: 2 })
    );
    let queue = setup.queue::<u32>(0, "test", 8, None).expect("it has one");
    let refused = queue.add([Buffer::readable(1, 1)], 1).expect_err("not started");
    assert_eq!(refused.reason, AddError::Broken);
    let recorder = Recorder::new([queue].into());
    let session = setup.start(recorder).expect("it starts");
    // Reset, acknowledge, driver, features ok, driver ok.
    assert_eq!(machine.seen(|seen| seen.statuses.clone()), [0, 1, 3, 11, 15]);
    let report = device.report().expect("it has a driver");
    assert_eq!((report.taken, report.restarts, report.queues.len()), (taken, 0, 1));
    assert_eq!(Setup::begin(&device, KNOWN).err(), Some(VirtioError::InUse));
    drop(session);
    assert_eq!(machine.seen(|seen| seen.statuses.last().copied()), Some(0));
    assert!(device.report().is_none() && !machine.is_connected());
    assert!(Setup::begin(&device, KNOWN).is_ok());
}

#[base::kernel_test]
fn devices_that_do_not_agree_are_refused() {
    let old = Machine::new(KNOWN, &[8]);
    let missing = Some(VirtioError::Missing { feature: "version-1" });
    assert_eq!(VirtioDevice::new(Box::new(Fake(old))).err(), missing);
    let machine = machine(&[8]);
    let device = device(&machine);
    machine.set_faults(Faults { refuses_features: true, ..Faults::default() });
    assert_eq!(Setup::begin(&device, KNOWN).err(), Some(VirtioError::FeaturesRefused));
    assert_eq!(machine.seen(|seen| seen.statuses.last().copied()), Some(0), "left alone");
    let behind_iommu = Machine::new(KNOWN | Features::VERSION_1 | Features::ACCESS_PLATFORM, &[8]);
    let insists = self::device(&behind_iommu);
    behind_iommu.set_faults(Faults { refuses_features: true, ..Faults::default() });
    let error = Setup::begin(&insists, KNOWN).err();
    assert_eq!(error, Some(VirtioError::NeedsAccessPlatform));
    machine.set_faults(Faults { refuses_vectors: true, ..Faults::default() });
    let setup = Setup::begin(&device, KNOWN).expect("it agrees");
    let error = setup.start(Recorder::new(Vec::new())).err();
    assert_eq!(error, Some(VirtioError::VectorRefused));
    assert!(!machine.is_connected() && device.report().is_none());
}

#[base::kernel_test]
fn a_reset_has_a_bound() {
    let machine = machine(&[8]);
    let (session, recorder) = start(&machine, &[8]);
    recorder.queues[0].add([Buffer::writable(0x1000, 8)], 5).expect("room");
    recorder.queues[0].kick();
    machine.set_faults(Faults { stuck: true, ..Faults::default() });
    let before = time::now_ns();
    drop(session);
    let took = time::now_ns() - before;
    assert!((1_000_000_000..10_000_000_000).contains(&took), "{took} ns");
    assert!(machine.seen(|seen| seen.is_cut_off), "it may still write to memory");
    assert_eq!(*recorder.recalled.lock(), [5]);
    let error = VirtioDevice::new(Box::new(Fake(machine))).err();
    assert!(matches!(error, Some(VirtioError::ResetTimeout { .. })), "{error:?}");
}

#[base::kernel_test]
fn chains_go_and_come_back_and_are_counted() {
    let machine = machine(&[256, 4]);
    let (session, recorder) = start(&machine, &[256, 4]);
    let [first, second] = &recorder.queues[..] else { panic!("two queues") };
    assert_eq!((first.size(), second.size()), (64, 4), "at most as many as were asked for");
    for token in 0..4 {
        second.add([Buffer::writable(0x1000, 8)], token).expect("room");
    }
    assert_eq!(second.add([Buffer::writable(0x1000, 8)], 9).expect_err("full").token, 9);
    assert!(machine.take(1).is_none(), "not shown yet");
    second.kick();
    second.kick();
    assert_eq!(machine.seen(|seen| seen.notifications.clone()), [1]);
    let heads: Vec<u16> = core::iter::from_fn(|| machine.take(1)).collect();
    assert_eq!(heads.len(), 4);
    machine.finish(1, heads[2].into(), 8);
    machine.finish(1, heads[0].into(), 0);
    machine.interrupt(1);
    assert_eq!(*recorder.done.lock(), [(2, 8), (0, 0)]);
    // Not told of the first of these, since the device has not asked for it.
    second.add([Buffer::writable(0x1000, 8)], 7).expect("room");
    second.kick();
    second.add([Buffer::writable(0x1000, 8)], 8).expect("room");
    second.kick();
    let report = session.device().report().expect("a session").queues[1];
    let counters = report.counters;
    assert_eq!((report.in_flight, report.size, report.most), (4, 4, 4));
    assert_eq!((counters.added, counters.done, counters.full, counters.interrupts), (6, 2, 1, 1));
    assert_eq!((counters.notifications, counters.suppressed), (2, 1));
    assert_eq!(machine.seen(|seen| seen.notifications.clone()), [1, 1]);
    drop(session);
    let mut recalled = recorder.recalled.lock().clone();
    recalled.sort_unstable();
    assert_eq!(recalled, [1, 3, 7, 8]);
    assert_eq!(first.add([Buffer::readable(1, 1)], 0).expect_err("over").reason, AddError::Broken);
}

#[base::kernel_test]
fn a_device_that_fails_is_started_again() {
    let machine = machine(&[8]);
    let (session, recorder) = start(&machine, &[8]);
    let queue = &recorder.queues[0];
    for round in 1..=5 {
        queue.add([Buffer::writable(0x1000, 8)], round).expect("it works");
        queue.kick();
        assert!(machine.take(0).is_some());
        match round % 2 {
            // It says so itself; or it returns what it does not have.
            0 => machine.change(true),
            _ => {
                machine.finish(0, 5, 0);
                machine.interrupt(0);
            }
        }
        // What was changed meanwhile, nobody was told of.
        let counts = [round, round, round, 0];
        assert!(
            comes(|| recorder.counts() == counts),
            "it is not started again: {:?}",
            recorder.counts()
        );
        assert_eq!(recorder.recalled.lock().last(), Some(&round));
        assert_eq!(session.device().report().expect("a session").restarts, round);
    }
    // As before, from the start of the rings.
    queue.add([Buffer::writable(0x1000, 8)], 6).expect("it works");
    queue.kick();
    let head = machine.take(0).expect("shown");
    machine.finish(0, head.into(), 4);
    machine.interrupt(0);
    assert_eq!(*recorder.done.lock(), [(6, 4)]);
    assert!(machine.seen(|seen| seen.features.has(KNOWN)));
    // Once more is too often.
    session.device().alarm();
    assert!(comes(|| recorder.counts()[3] == 1), "it is not given up");
    assert!(session.device().report().expect("a session").given_up);
    assert_eq!(queue.add([Buffer::writable(1, 8)], 7).expect_err("dead").reason, AddError::Broken);
    machine.change(true);
    session.device().alarm();
    task::sleep(20_000_000);
    assert_eq!(recorder.counts()[2..], [5, 1]);
    assert!(!machine.is_connected());
    drop(session);
    assert_eq!(recorder.counts()[1], 7, "once before it was given up, and at the end of that");
}

#[base::kernel_test]
fn a_configuration_is_read_as_a_whole() {
    let machine = machine(&[8]);
    let (session, recorder) = start(&machine, &[8]);
    let device = session.device();
    let read = |device: &VirtioDevice| {
        device.config(|config| Ok((config.config8(1)?, config.config16(2)?, config.config32(4)?)))
    };
    assert_eq!(read(device), Ok((1, 0x0302, 0x0706_0504)));
    assert_eq!(
        device.config(|config| config.config32(13)),
        Err(VirtioError::NoConfig { offset: 13 })
    );
    assert_eq!(device.set_config32(4, 0x1122_3344), Ok(()));
    assert_eq!(device.set_config8(16, 0), Err(VirtioError::NoConfig { offset: 16 }));
    assert_eq!(read(device), Ok((1, 0x0302, 0x1122_3344)));
    // A change in the middle: what is read is from after it.
    let changed = AtomicU32::new(0);
    let pair = device.config(|config| {
        let first = config.config8(0)?;
        if changed.fetch_add(1, Ordering::Relaxed) == 0 {
            machine.change(false);
        }
        Ok((first, config.config8(0)?))
    });
    assert_eq!(pair, Ok((1, 1)));
    assert!(comes(|| recorder.counts() == [1, 0, 0, 0]), "the driver is not told");
    machine.set_faults(Faults { restless: true, ..Faults::default() });
    assert_eq!(read(device), Err(VirtioError::ConfigUnstable));
}

#[base::kernel_test]
fn sessions_leave_nothing_behind() {
    use memory::frames::{FrameUse, frames_for};
    let machine = machine(&[1024, 1024]);
    let mut before = 0;
    for round in 0..20 {
        let (session, recorder) = start(&machine, &[1024, 1024]);
        recorder.queues[1].add([Buffer::readable(0x1000, 1)], round).expect("room");
        let device = Arc::downgrade(session.device());
        drop(session);
        let recorder = Arc::into_inner(recorder).expect("nobody else has it");
        drop(recorder);
        assert!(comes(|| device.strong_count() == 0), "somebody keeps the device");
        // The pool keeps a page of each size.
        if round == 0 {
            before = frames_for(FrameUse::Dma);
        }
        assert!(frames_for(FrameUse::Dma) <= before);
    }
    assert_eq!(Arc::strong_count(&machine), 1);
}
