//! [`TestDisk`]: a disk in memory for tests, with faults planted: sectors that cannot be read,
//! a queue that is full, requests that are never answered or in another order.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use base::sync::IrqSpinLock;

use super::limits::SECTOR;
use super::{
    BlockDevice, BlockError, DEFAULT_TIMEOUT_NS, Description, DiskName, Features, Identity, Limits,
    Operation, RangeLimits, Refused, Registration, Request, register,
};

/// When the disk does what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    /// While the request is submitted.
    AtOnce,
    /// When [`TestDisk::answer`] is called.
    WhenAsked,
    /// When the layer says that a request takes too long: with an error.
    Late,
    /// Never.
    Never,
}

/// What the disk was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) operation: Operation,
    pub(super) sector: u64,
    pub(super) sectors: u64,
    pub(super) segments: usize,
    pub(super) durable: bool,
}

struct State {
    data: Vec<u8>,
    answers: Answers,
    /// Requests that it keeps at most.
    room: usize,
    bad: Vec<Range<u64>>,
    kept: Vec<Request>,
    asked: Vec<Asked>,
}

/// A disk in memory.
pub(super) struct TestDisk {
    state: IrqSpinLock<State>,
    pub(super) kicks: AtomicUsize,
    pub(super) timeouts: AtomicUsize,
}

/// A description of a disk of `sectors` sectors that can do everything.
pub(super) fn description(sectors: u64) -> Description {
    let ranges = RangeLimits { max_sectors: 1 << 20, granularity: 1 };
    Description {
        name: DiskName::Lettered("tst"),
        sectors,
        read_only: false,
        limits: Limits::default(),
        features: Features {
            flush: true,
            force_unit_access: true,
            discard: Some(ranges),
            write_zeroes: Some(ranges),
            non_rotational: true,
        },
        queues: 1,
        depth: 8,
        timeout_ns: DEFAULT_TIMEOUT_NS,
        identity: Identity { model: "Basalt RAM".into(), ..Identity::default() },
    }
}

impl TestDisk {
    pub(super) fn new(sectors: u64) -> Arc<Self> {
        let state = State {
            data: vec![0; (sectors * SECTOR) as usize],
            answers: Answers::AtOnce,
            room: usize::MAX,
            bad: Vec::new(),
            kept: Vec::new(),
            asked: Vec::new(),
        };
        Arc::new(Self {
            state: IrqSpinLock::new("test disk", state),
            kicks: AtomicUsize::new(0),
            timeouts: AtomicUsize::new(0),
        })
    }

    /// Bytes of the disk, to be changed behind its back.
    pub(super) fn put(&self, at: usize, bytes: &[u8]) {
        self.state.lock().data[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// A disk that is registered as `description` says.
    pub(super) fn register(description: Description) -> (Arc<Self>, Registration) {
        Self::register_with(description, |_| {})
    }

    /// The same, with something on it.
    pub(super) fn register_with(
        description: Description,
        fill: impl FnOnce(&Self),
    ) -> (Arc<Self>, Registration) {
        let disk = Self::new(description.sectors);
        fill(&disk);
        let registration =
            register(crate::root(), description, disk.clone()).expect("a sound description");
        disk.state.lock().asked.clear();
        (disk, registration)
    }

    pub(super) fn set_answers(&self, answers: Answers) {
        self.state.lock().answers = answers;
    }

    pub(super) fn set_room(&self, room: usize) {
        self.state.lock().room = room;
    }

    /// Plants sectors that cannot be read or written.
    pub(super) fn plant(&self, bad: Range<u64>) {
        self.state.lock().bad.push(bad);
    }

    /// What it was asked since the last call.
    pub(super) fn asked(&self) -> Vec<Asked> {
        core::mem::take(&mut self.state.lock().asked)
    }

    /// How many requests it keeps.
    pub(super) fn kept(&self) -> usize {
        self.state.lock().kept.len()
    }

    /// What `see` sees of the first request that it keeps.
    pub(super) fn look<R>(&self, see: impl FnOnce(&Request) -> R) -> R {
        see(self.state.lock().kept.first().expect("it keeps one"))
    }

    /// Answers the request at `index` of those that it keeps; false if there are not as many.
    pub(super) fn answer(&self, index: usize) -> bool {
        let (request, result) = {
            let mut state = self.state.lock();
            if index >= state.kept.len() {
                return false;
            }
            let mut request = state.kept.remove(index);
            let result = state.carry_out(&mut request);
            (request, result)
        };
        request.complete(result);
        true
    }

    /// Answers those that it keeps, the last one first, until there are none.
    pub(super) fn answer_all(&self) {
        while self.answer(self.kept().saturating_sub(1)) {}
    }

    /// Gives up the requests that it keeps.
    pub(super) fn drop_kept(&self) {
        let kept = core::mem::take(&mut self.state.lock().kept);
        drop(kept);
    }

    /// Bytes of the disk.
    pub(super) fn bytes(&self, range: Range<usize>) -> Vec<u8> {
        self.state.lock().data[range].to_vec()
    }
}

impl State {
    fn carry_out(&mut self, request: &mut Request) -> Result<(), BlockError> {
        let (first, count) = (request.sector(), request.sectors());
        let is_bad = |bad: &Range<u64>| bad.start < first + count && first < bad.end;
        let operation = request.operation();
        if operation != Operation::Flush && self.bad.iter().any(is_bad) {
            return Err(BlockError::Io);
        }
        let range = (first * SECTOR) as usize..((first + count) * SECTOR) as usize;
        match operation {
            Operation::Flush => {}
            Operation::Read => request.copy_to_memory(0, &self.data[range]),
            Operation::Write => request.copy_from_memory(0, &mut self.data[range]),
            Operation::Discard => self.data[range].fill(0xdd),
            Operation::WriteZeroes => self.data[range].fill(0),
        }
        Ok(())
    }
}

impl BlockDevice for TestDisk {
    fn submit(&self, mut request: Request) -> Result<(), Refused> {
        let mut state = self.state.lock();
        if state.kept.len() >= state.room {
            return Err(Refused(request));
        }
        let names = |it: &Request| (it.queue(), it.tag());
        assert!(state.kept.iter().all(|kept| names(kept) != names(&request)), "a tag twice");
        let asked = Asked {
            operation: request.operation(),
            sector: request.sector(),
            sectors: request.sectors(),
            segments: request.segments().count(),
            durable: request.force_unit_access(),
        };
        assert!(asked.segments <= request.segment_count());
        state.asked.push(asked);
        if state.answers != Answers::AtOnce {
            state.kept.push(request);
            return Ok(());
        }
        let result = state.carry_out(&mut request);
        drop(state);
        request.complete(result);
        Ok(())
    }

    fn kick(&self, _: usize) {
        self.kicks.fetch_add(1, Ordering::Relaxed);
    }

    fn timed_out(&self, queue: usize, tag: u16) {
        self.timeouts.fetch_add(1, Ordering::Relaxed);
        let late = {
            let mut state = self.state.lock();
            if state.answers != Answers::Late {
                return;
            }
            let it = state.kept.iter().position(|it| it.queue() == queue && it.tag() == tag);
            it.map(|index| state.kept.remove(index))
        };
        if let Some(request) = late {
            request.complete(Err(BlockError::TimedOut));
        }
    }
}
