//! Kernel tests of real disks, whatever driver they have: they write to disks whose serial number
//! begins with `scratch`, and to no others. Without such disks they do nothing.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use ::device::block::{self, BlockError, SECTOR, Volume};
use base::time;

/// Tasks that use a disk at the same time.
const TASKS: u64 = 4;
/// Most sectors of a transfer.
const MOST: u64 = 512;

/// The disks that may be written.
pub(crate) fn scratch_disks() -> Vec<Arc<Volume>> {
    let mut volumes = block::volumes();
    volumes.retain(|volume| {
        let is_scratch = volume.disk().identity().serial.starts_with("scratch");
        is_scratch && volume.partition().is_none() && !volume.is_read_only()
    });
    volumes
}

/// A number from `seed`, which goes on (xorshift).
pub(crate) fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// What is to stand in word `word` of `sector` in a round.
fn content(sector: u64, word: u64, round: u64) -> u64 {
    (sector << 20 | round << 8 | word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn fill(bytes: &mut [u8], first: u64, round: u64) {
    for (sector, bytes) in (first..).zip(bytes.chunks_exact_mut(SECTOR as usize)) {
        for (word, bytes) in (0..).zip(bytes.chunks_exact_mut(8)) {
            bytes.copy_from_slice(&content(sector, word, round).to_le_bytes());
        }
    }
}

/// The first sector that is not as it was written.
fn wrong(bytes: &[u8], first: u64, round: u64) -> Option<u64> {
    let is_wrong = |(sector, bytes): &(u64, &[u8])| {
        let mut words = (0..).zip(bytes.chunks_exact(8));
        words.any(|(word, bytes)| bytes != content(*sector, word, round).to_le_bytes())
    };
    (first..).zip(bytes.chunks_exact(SECTOR as usize)).find(is_wrong).map(|(sector, _)| sector)
}

/// Goes over the sectors of a task's part in pieces of random lengths.
fn pieces(volume: &Arc<Volume>, part: u64, seed: u64, mut each: impl FnMut(u64, u64)) {
    // Whole blocks.
    let unit = volume.limits().block_sectors();
    let sectors = volume.sectors() / TASKS / unit * unit;
    let (mut at, end) = (part * sectors, (part + 1) * sectors);
    let mut seed = seed + 1;
    while at < end {
        let count = ((1 + random(&mut seed) % MOST) * unit).min(end - at);
        each(at, count);
        at += count;
    }
}

/// Has each task write a part of the disk, then read another's; the first sector that was wrong,
/// and how long both took, in nanoseconds.
pub(crate) fn write_and_read(volume: &Arc<Volume>, round: u64) -> (Option<u64>, [u64; 2]) {
    const NONE: u64 = u64::MAX;
    let first_wrong = Arc::new(AtomicU64::new(NONE));
    let mut times = [0; 2];
    for (is_read, took) in [false, true].into_iter().zip(&mut times) {
        let begin = time::now_ns();
        let task = |part: u64| {
            let (volume, first_wrong) = (volume.clone(), first_wrong.clone());
            let transfer = move || {
                // Another task's part, in other pieces.
                let part = (part + u64::from(is_read)) % TASKS;
                let mut bytes = vec![0; (MOST * volume.limits().block_sectors() * SECTOR) as usize];
                pieces(&volume, part, part * 2 + u64::from(is_read), |first, count| {
                    let bytes = &mut bytes[..(count * SECTOR) as usize];
                    let result = if is_read {
                        volume.read_at(first * SECTOR, bytes)
                    } else {
                        fill(bytes, first, round);
                        volume.write_at(first * SECTOR, bytes)
                    };
                    let bad = match result {
                        Ok(()) if is_read => wrong(bytes, first, round),
                        Ok(()) => None,
                        Err(_) => Some(first),
                    };
                    first_wrong.fetch_min(bad.unwrap_or(NONE), Ordering::Relaxed);
                });
            };
            task::spawn("scratch disk", transfer).expect("memory for a task")
        };
        let tasks: Vec<_> = (0..TASKS).map(task).collect();
        tasks.iter().for_each(|task| task.join());
        *took = time::now_ns() - begin;
        volume.flush().expect("a disk that works");
    }
    let first_wrong = first_wrong.load(Ordering::Relaxed);
    ((first_wrong != NONE).then_some(first_wrong), times)
}

#[base::kernel_test]
fn every_sector_of_a_disk_holds_what_four_tasks_write() {
    for volume in scratch_disks() {
        let (wrong, [write, read]) = write_and_read(&volume, 1);
        assert_eq!(wrong, None, "{}: the first sector that is wrong", volume.name());
        let rate = |ns: u64| volume.bytes() * 1000 / ns.max(1);
        log::info!("{}: written at {} MB/s, read at {}", volume.name(), rate(write), rate(read));
    }
}

#[base::kernel_test]
fn sectors_are_zeroed_and_discarded_alone() {
    for volume in scratch_disks() {
        let unit = volume.limits().block_sectors();
        let (first, count) = (16 * unit, 100 * unit);
        let mut bytes = vec![0; ((count + 2 * unit) * SECTOR) as usize];
        fill(&mut bytes, first - unit, 2);
        volume.write_at((first - unit) * SECTOR, &bytes).expect("a disk that works");
        volume.write_zeroes(first, count).expect("zeros can be written to any disk");
        bytes.fill(0xff);
        volume.read_at((first - unit) * SECTOR, &mut bytes).expect("a disk that works");
        let (before, rest) = bytes.split_at((unit * SECTOR) as usize);
        let (zeros, after) = rest.split_at((count * SECTOR) as usize);
        assert!(zeros.iter().all(|&byte| byte == 0));
        assert_eq!((wrong(before, first - unit, 2), wrong(after, first + count, 2)), (None, None));
        match volume.discard(first, count) {
            Ok(()) => assert!(volume.features().discard.is_some()),
            Err(error) => assert_eq!(error, BlockError::NotSupported),
        }
        volume.read_at((first - unit) * SECTOR, &mut bytes).expect("a disk that works");
        let (before, rest) = bytes.split_at((unit * SECTOR) as usize);
        assert_eq!(wrong(before, first - unit, 2), None);
        let after = &rest[(count * SECTOR) as usize..];
        assert_eq!(wrong(after, first + count, 2), None);
        volume.flush().expect("a disk that works");
    }
}

/// Random reads and writes of one block by many tasks, which do not get into each other's way.
#[base::kernel_test]
fn small_requests_of_many_tasks() {
    const MANY: u64 = 12;
    for volume in scratch_disks() {
        let wrong_ones = Arc::new(AtomicU64::new(0));
        let task = |number: u64| {
            let (volume, wrong_ones) = (volume.clone(), wrong_ones.clone());
            let body = move || {
                let unit = volume.limits().block_sectors();
                let blocks = volume.sectors() / unit / MANY;
                let mut seed = number + 77;
                let mut bytes = vec![0; (unit * SECTOR) as usize];
                for round in 0..100 {
                    // Blocks whose numbers are the task's own.
                    let block = random(&mut seed) % blocks * MANY + number;
                    let offset = block * unit * SECTOR;
                    fill(&mut bytes, block * unit, round);
                    let written = volume.write_at(offset, &bytes);
                    bytes.fill(0);
                    let read = volume.read_at(offset, &mut bytes);
                    let is_right = wrong(&bytes, block * unit, round).is_none();
                    if written.is_err() || read.is_err() || !is_right {
                        wrong_ones.fetch_add(1, Ordering::Relaxed);
                    }
                }
            };
            task::spawn("scratch disk", body).expect("memory for a task")
        };
        let tasks: Vec<_> = (0..MANY).map(task).collect();
        tasks.iter().for_each(|task| task.join());
        assert_eq!(wrong_ones.load(Ordering::Relaxed), 0, "{}", volume.name());
        assert_eq!(volume.disk().load(), (0, 0));
    }
}
