//! `block overwrite`: overwrites a device with a pattern and reads it back, by several tasks.
//! What it held is lost, so that a disk with partitions, and what somebody uses, is refused.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base::sync::SpinLock;
use base::{println, time};
use device::block::{self, BlockError, Claim, SECTOR, Volume};
use task::{Task, spawn};

use crate::shell::command::{Context, Failure, Outcome};
use crate::shell::format::Size;

/// Most tasks.
pub(super) const MOST_TASKS: u64 = 32;
/// Sectors that a task writes or reads at a time: several requests.
const PART: u64 = 2048;
/// Nanoseconds between two looks for ^C.
const LOOK_NS: u64 = 50_000_000;

/// What the tasks share.
struct Run {
    volume: Arc<Volume>,
    /// Other contents for each run.
    seed: u64,
    tasks: u64,
    stop: AtomicBool,
    /// Sectors that were done well.
    good: AtomicU64,
    /// What went wrong; of several things the one that lies lowest.
    fault: SpinLock<Option<Fault>>,
}

/// What can go wrong with a part of the device.
#[derive(Clone, Copy)]
enum Fault {
    /// A write or read of `count` sectors from `first` on failed.
    Failed { doing: &'static str, first: u64, count: u64, error: BlockError },
    /// The first sector of a part that does not hold what was written to it.
    Differs { sector: u64 },
}

impl Fault {
    /// The lowest sector that it is about.
    fn sector(self) -> u64 {
        match self {
            Self::Failed { first: sector, .. } | Self::Differs { sector } => sector,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { doing, first, count, error } => {
                write!(f, "{error} while {doing} sectors {first} to {}", first + count - 1)
            }
            Self::Differs { sector } => {
                write!(f, "sector {sector} does not hold what was written to it")
            }
        }
    }
}

/// What a task does with a part, from the sector on.
type Step = fn(&Run, u64, &mut [u8]) -> Result<(), Fault>;

/// Word `index` of what is written to `sector` (SplitMix64, by Steele, Lea and Flood).
fn word(seed: u64, sector: u64, index: u64) -> u64 {
    let mut z = seed
        .wrapping_add(sector.wrapping_mul(SECTOR / 8).wrapping_add(index))
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Run {
    /// The parts of task `task`: first sector and how many.
    fn parts(&self, task: u64) -> impl Iterator<Item = (u64, u64)> {
        let sectors = self.volume.sectors();
        let parts = (task * PART..sectors).step_by((PART * self.tasks) as usize);
        parts.map(move |first| (first, PART.min(sectors - first)))
    }

    fn fill(&self, first: u64, bytes: &mut [u8]) {
        for (sector, bytes) in (first..).zip(bytes.chunks_exact_mut(SECTOR as usize)) {
            for (index, bytes) in (0..).zip(bytes.as_chunks_mut::<8>().0) {
                *bytes = word(self.seed, sector, index).to_le_bytes();
            }
        }
    }

    /// The first sector of those from `first` on that does not hold what was written.
    fn first_bad(&self, first: u64, bytes: &[u8]) -> Option<u64> {
        (first..).zip(bytes.chunks_exact(SECTOR as usize)).find_map(|(sector, bytes)| {
            let words = (0..).zip(bytes.as_chunks::<8>().0);
            let holds = |(index, bytes): (u64, &[u8; 8])| {
                u64::from_le_bytes(*bytes) == word(self.seed, sector, index)
            };
            (!words.into_iter().all(holds)).then_some(sector)
        })
    }

    fn write(&self, first: u64, bytes: &mut [u8]) -> Result<(), Fault> {
        self.fill(first, bytes);
        let count = bytes.len() as u64 / SECTOR;
        let failed = |error| Fault::Failed { doing: "writing", first, count, error };
        self.volume.write_at(first * SECTOR, bytes).map_err(failed)
    }

    fn read(&self, first: u64, bytes: &mut [u8]) -> Result<(), Fault> {
        bytes.fill(0);
        let count = bytes.len() as u64 / SECTOR;
        let failed = |error| Fault::Failed { doing: "reading", first, count, error };
        self.volume.read_at(first * SECTOR, bytes).map_err(failed)?;
        self.first_bad(first, bytes).map_or(Ok(()), |sector| Err(Fault::Differs { sector }))
    }

    /// Does the parts of a task, until something goes wrong or the others stop.
    fn work(&self, task: u64, doing: &'static str, step: Step) {
        let mut bytes = Vec::new();
        let room = bytes.try_reserve_exact((PART * SECTOR) as usize);
        for (first, count) in self.parts(task) {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let done = if room.is_ok() {
                bytes.resize((count * SECTOR) as usize, 0);
                step(self, first, &mut bytes)
            } else {
                Err(Fault::Failed { doing, first, count, error: BlockError::NoMemory })
            };
            match done {
                Ok(()) => {
                    self.good.fetch_add(count, Ordering::Relaxed);
                }
                Err(fault) => {
                    let mut lowest = self.fault.lock();
                    if lowest.is_none_or(|lowest| fault.sector() < lowest.sector()) {
                        *lowest = Some(fault);
                    }
                    self.stop.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    /// Has all tasks do their parts, each those of the task `shift` further, and tells how fast.
    fn pass(
        self: &Arc<Self>,
        context: &mut Context<'_>,
        name: &str,
        shift: u64,
        (doing, step): (&'static str, Step),
    ) -> Outcome {
        self.good.store(0, Ordering::Relaxed);
        let start = time::now_ns();
        let mut tasks: Vec<Arc<Task>> = Vec::new();
        let mut outcome = Ok(());
        for task in 0..self.tasks {
            let run = self.clone();
            match spawn("block overwrite", move || {
                run.work((task + shift) % run.tasks, doing, step)
            }) {
                Ok(task) => tasks.push(task),
                Err(error) => {
                    outcome = Err(Failure::Message(format!("{error}")));
                    self.stop.store(true, Ordering::Relaxed);
                    break;
                }
            }
        }
        while tasks.iter().any(|task| !task.has_ended()) {
            task::sleep(LOOK_NS);
            if context.interrupt.take() {
                self.stop.store(true, Ordering::Relaxed);
                outcome = Err(Failure::Interrupted);
            }
        }
        outcome?;
        let fault = *self.fault.lock();
        if let Some(fault) = fault {
            return Err(Failure::Message(format!("{}: {fault}", self.volume.name())));
        }
        let bytes = self.good.load(Ordering::Relaxed) * SECTOR;
        let ns = (time::now_ns() - start).max(1);
        let rate = u128::from(bytes) * 1_000_000_000 / u128::from(ns);
        println!("{name}: {} bytes, {}/s", bytes, Size(rate as u64));
        Ok(())
    }
}

/// Overwrites all of `volume` with a pattern and reads it back, by `tasks` tasks at the same
/// time; what one has written another one reads.
pub(super) fn overwrite(context: &mut Context<'_>, volume: &Arc<Volume>, tasks: u64) -> Outcome {
    // First: nobody changes the partitions of a disk that is held.
    let claim = Claim::new(volume, "block overwrite");
    let _claim = claim.map_err(|error| Failure::Message(format!("{error}")))?;
    let partitions = partitions(volume);
    if !partitions.is_empty() {
        let (name, partitions) = (volume.name(), partitions.join(", "));
        return Err(Failure::Message(format!("{name} has partitions: {partitions}")));
    }
    let run = Arc::new(Run {
        volume: volume.clone(),
        seed: time::now_ns(),
        tasks,
        stop: AtomicBool::new(false),
        good: AtomicU64::new(0),
        fault: SpinLock::new("fault of block overwrite", None),
    });
    println!("pattern {:#x}", run.seed);
    run.pass(context, "written", 0, ("writing", Run::write))?;
    let flushed = volume.flush();
    flushed.map_err(|error| Failure::Message(format!("{}: {error}", volume.name())))?;
    run.pass(context, "read back", 1, ("reading", Run::read))
}

/// The names of the partitions of a whole disk.
fn partitions(whole: &Volume) -> Vec<String> {
    if whole.partition().is_some() {
        return Vec::new();
    }
    let mut volumes = block::volumes();
    volumes.retain(|it| it.partition().is_some() && Arc::ptr_eq(it.disk(), whole.disk()));
    volumes.iter().map(|volume| String::from(volume.name())).collect()
}
