//! Many tasks and a disk that answers in any order.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::super::test_disk::{Answers, TestDisk, description};
use super::super::{Description, Operation};
use super::{is_numbered, numbered, whole};

const TASKS: u64 = 4;
/// Sectors of each task's part of the disk.
const PART: u64 = 512;

/// A number from `seed`, which goes on (xorshift).
fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[base::kernel_test]
fn tasks_write_and_read_while_answers_come_in_any_order() {
    let with = Description { queues: 2, depth: 3, ..description(TASKS * PART) };
    let (disk, registration) = TestDisk::register(with);
    let volume = whole(&registration);
    disk.set_answers(Answers::WhenAsked);
    disk.set_room(5);
    let left = Arc::new(AtomicUsize::new(TASKS as usize));
    let failed = Arc::new(AtomicBool::new(false));
    let answering = {
        let (disk, left) = (disk.clone(), left.clone());
        task::spawn("test disk", move || {
            let mut seed = 12345;
            while left.load(Ordering::Relaxed) > 0 {
                let kept = disk.kept() as u64;
                if kept == 0 || !disk.answer((random(&mut seed) % kept) as usize) {
                    task::yield_now();
                }
            }
        })
        .expect("memory")
    };
    let tasks: Vec<_> = (0..TASKS)
        .map(|index| {
            let (volume, left, failed) = (volume.clone(), left.clone(), failed.clone());
            task::spawn("test writer", move || {
                let mut seed = index + 1;
                for round in 0..150 {
                    let sectors = 1 + random(&mut seed) % 40;
                    let first = index * PART + random(&mut seed) % (PART - sectors);
                    let written = volume.write_segments(first, numbered(first + round, sectors));
                    if round % 16 == 0 && volume.flush().is_err() {
                        failed.store(true, Ordering::Relaxed);
                    }
                    let Ok(segments) = written else { continue };
                    let back = volume.read_segments(first, segments);
                    if !back.is_ok_and(|back| is_numbered(&back, first + round)) {
                        failed.store(true, Ordering::Relaxed);
                    }
                }
                left.fetch_sub(1, Ordering::Relaxed);
            })
            .expect("memory")
        })
        .collect();
    tasks.iter().for_each(|task| task.join());
    answering.join();
    assert!(!failed.load(Ordering::Relaxed));
    assert_eq!(volume.disk().load(), (0, 0));
    let statistics = volume.statistics();
    assert_eq!((statistics.errors, statistics.in_flight), (0, 0));
    assert!(disk.asked().iter().any(|asked| asked.operation == Operation::Flush));
}
