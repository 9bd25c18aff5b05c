//! `block check`: overwrites a device with a pattern and reads it back, by several tasks.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base::{println, time};
use device::block::{Claim, SECTOR, Volume};
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
    /// The first sector that was not, plus one; 0: none.
    bad: AtomicU64,
}

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

    fn write(&self, first: u64, bytes: &mut [u8]) -> Option<u64> {
        self.fill(first, bytes);
        self.volume.write_at(first * SECTOR, bytes).is_err().then_some(first)
    }

    fn read(&self, first: u64, bytes: &mut [u8]) -> Option<u64> {
        bytes.fill(0);
        match self.volume.read_at(first * SECTOR, bytes) {
            Ok(()) => self.first_bad(first, bytes),
            Err(_) => Some(first),
        }
    }

    fn work(&self, task: u64, what: fn(&Self, u64, &mut [u8]) -> Option<u64>) {
        let mut bytes = vec![0; (PART * SECTOR) as usize];
        for (first, count) in self.parts(task) {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let Some(bytes) = bytes.get_mut(..(count * SECTOR) as usize) else { return };
            match what(self, first, bytes) {
                None => {
                    self.good.fetch_add(count, Ordering::Relaxed);
                }
                Some(bad) => {
                    let none = 0;
                    let _ = self.bad.compare_exchange(
                        none,
                        bad + 1,
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    ); // or another one was first
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
        what: fn(&Self, u64, &mut [u8]) -> Option<u64>,
    ) -> Outcome {
        self.good.store(0, Ordering::Relaxed);
        let start = time::now_ns();
        let mut tasks: Vec<Arc<Task>> = Vec::new();
        let mut outcome = Ok(());
        for task in 0..self.tasks {
            let run = self.clone();
            match spawn("block check", move || run.work((task + shift) % run.tasks, what)) {
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
        if let Some(sector) = self.bad.load(Ordering::Relaxed).checked_sub(1) {
            return Err(Failure::Message(format!("{name}: failed at sector {sector}")));
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
pub(super) fn check(context: &mut Context<'_>, volume: &Arc<Volume>, tasks: u64) -> Outcome {
    let claim = Claim::new(volume, "block check");
    let _claim = claim.map_err(|error| Failure::Message(format!("{error}")))?;
    let run = Arc::new(Run {
        volume: volume.clone(),
        seed: time::now_ns(),
        tasks,
        stop: AtomicBool::new(false),
        good: AtomicU64::new(0),
        bad: AtomicU64::new(0),
    });
    println!("pattern {:#x}", run.seed);
    run.pass(context, "written", 0, Run::write)?;
    let flushed = volume.flush();
    flushed.map_err(|error| Failure::Message(format!("{}: {error}", volume.name())))?;
    run.pass(context, "read back", 1, Run::read)
}
