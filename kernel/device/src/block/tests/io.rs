//! Reading and writing, errors of callers, counters.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use super::super::test_disk::{TestDisk, description};
use super::super::{BlockError, Features, Limits, Operation, Segments, find};
use super::{Ends, is_numbered, numbered, read, whole, write};

#[base::kernel_test]
fn bytes_that_are_written_are_read_at_any_place() {
    let (disk, registration) = TestDisk::register(description(4096));
    let volume = whole(&registration);
    let pattern: Vec<u8> = (0..1 << 20).map(|at: u32| (at / 512 * 7 + at) as u8).collect();
    volume.write_at(512 * 3, &pattern).expect("it works");
    assert_eq!(disk.bytes(512 * 3..512 * 3 + (1 << 20)), pattern);
    for (offset, len) in [(0, 1), (1, 511), (511, 2), (4095, 4098), (700, 600_001)] {
        let mut bytes = vec![0; len];
        volume.read_at(512 * 3 + offset as u64, &mut bytes).expect("it works");
        assert!(bytes == pattern[offset..offset + len], "{len} bytes from {offset} on");
    }
    assert_eq!(volume.read_at(4096 * 512, &mut []), Ok(()));
    assert_eq!(volume.read_at(4096 * 512 - 1, &mut [0; 2]), Err(BlockError::OutOfRange));
    assert_eq!(volume.read_at(u64::MAX, &mut [0; 2]), Err(BlockError::OutOfRange));
    assert_eq!(volume.write_at(1, &[0; 512]), Err(BlockError::Invalid));
    assert_eq!(volume.write_at(0, &[0; 511]), Err(BlockError::Invalid));
    assert_eq!(volume.write_at(4096 * 512, &[0; 512]), Err(BlockError::OutOfRange));
    assert_eq!(disk.timeouts.load(Ordering::Relaxed), 0);
}

#[base::kernel_test]
fn zeros_and_discards_reach_the_disk_in_steps() {
    let mut with = description(4096);
    if let Some(limits) = &mut with.features.write_zeroes {
        limits.max_sectors = 1000;
    }
    let (disk, registration) = TestDisk::register(with);
    let volume = whole(&registration);
    volume.write_at(0, &alloc::vec![7; 4096 * 512]).expect("it works");
    disk.asked();
    volume.write_zeroes(8, 2500).expect("it works");
    volume.discard(3000, 16).expect("it works");
    let asked: Vec<_> = disk.asked().iter().map(|a| (a.operation, a.sector, a.sectors)).collect();
    let zeroes = Operation::WriteZeroes;
    let steps = [(zeroes, 8, 1000), (zeroes, 1008, 1000), (zeroes, 2008, 500)];
    assert_eq!(asked[..3], steps);
    assert_eq!(asked[3..], [(Operation::Discard, 3000, 16)]);
    let bytes = disk.bytes(0..4096 * 512);
    let is =
        |from: usize, to: usize, value| bytes[from * 512..to * 512].iter().all(|&b| b == value);
    assert!(is(0, 8, 7) && is(8, 2508, 0) && is(2508, 3000, 7) && is(3000, 3016, 0xdd));
    assert_eq!(volume.discard(4090, 16), Err(BlockError::OutOfRange));
    assert_eq!(volume.discard(u64::MAX, 16), Err(BlockError::OutOfRange));
}

#[base::kernel_test]
fn a_disk_without_features_does_what_it_can() {
    let mut plain = description(1024);
    plain.features = Features::default();
    let (disk, registration) = TestDisk::register(plain);
    let volume = whole(&registration);
    volume.write_at(0, &alloc::vec![7; 1024 * 512]).expect("it works");
    volume.write_zeroes(1, 600).expect("the layer writes zeros");
    assert!(disk.bytes(512..601 * 512).iter().all(|&byte| byte == 0));
    assert_eq!(disk.bytes(601 * 512..601 * 512 + 1), [7]);
    disk.asked();
    assert_eq!(volume.discard(0, 8), Err(BlockError::NotSupported));
    // Without a cache there is nothing to flush, and all writes are durable.
    assert_eq!(volume.flush(), Ok(()));
    let ends = Ends::new();
    volume.submit(write(5, 1, &ends).durable());
    assert_eq!(ends.sectors(), [(5, true)]);
    let asked = disk.asked();
    assert!(asked.len() == 1 && !asked[0].durable, "{asked:?}");
}

#[base::kernel_test]
fn wrong_requests_end_at_once() {
    let mut large = description(1003);
    large.limits = Limits { logical_block: 4096, physical_block: 4096, ..Limits::default() };
    let (disk, registration) = TestDisk::register(large);
    let volume = whole(&registration);
    assert_eq!(volume.sectors(), 1000, "whole blocks");
    let ends = Ends::new();
    let result = |request| {
        volume.submit(request);
        ends.take().pop().expect("it ends at once").result
    };
    assert_eq!(result(write(8, 8, &ends)), Ok(()));
    disk.asked();
    assert_eq!(result(read(8, 7, &ends)), Err(BlockError::Invalid));
    assert_eq!(result(read(4, 8, &ends)), Err(BlockError::Invalid));
    assert_eq!(result(read(0, 0, &ends)), Err(BlockError::Invalid));
    assert_eq!(result(read(0, 1032, &ends)), Err(BlockError::Invalid));
    assert_eq!(result(read(1000, 8, &ends)), Err(BlockError::OutOfRange));
    assert_eq!(result(read(u64::MAX - 7, 8, &ends)), Err(BlockError::OutOfRange));
    let odd = Segments::allocate(4095).expect("memory");
    let odd = super::Request::read(0, odd, ends.clone()).expect("memory");
    assert_eq!(result(odd), Err(BlockError::Invalid));
    registration.handle().set_read_only(true);
    assert_eq!(result(write(8, 8, &ends)), Err(BlockError::ReadOnly));
    assert_eq!(volume.discard(0, 8), Err(BlockError::ReadOnly));
    assert_eq!(result(read(8, 8, &ends)), Ok(()));
    assert_eq!(disk.asked().len(), 1);
    registration.handle().set_sectors(8);
    assert_eq!(result(read(8, 8, &ends)), Err(BlockError::OutOfRange));
    assert_eq!(volume.statistics().errors, 10);
    assert_eq!(volume.statistics().in_flight, 0);
}

#[base::kernel_test]
fn what_a_disk_did_is_counted() {
    let (_disk, registration) = TestDisk::register(description(1024));
    let volume = whole(&registration);
    let before = volume.statistics();
    volume.write_segments(0, numbered(0, 8)).expect("it works");
    let back = volume.read_segments(2, Segments::allocate(1024).expect("memory"));
    assert!(is_numbered(&back.expect("it works"), 2));
    volume.flush().expect("it works");
    volume.discard(8, 4).expect("it works");
    let now = volume.statistics();
    let done = |of: fn(&super::super::Statistics) -> super::super::OperationStatistics| {
        (of(&now).done - of(&before).done, of(&now).sectors - of(&before).sectors)
    };
    assert_eq!(done(|s| s.writes), (1, 8));
    assert_eq!(done(|s| s.reads), (1, 2));
    assert_eq!(done(|s| s.discards), (1, 4));
    assert_eq!(done(|s| s.flushes), (1, 0));
    assert!(now.in_flight == 0 && now.errors == 0 && now.busy_ns > 0);
    assert_eq!(format!("{now}").split(' ').count(), 17);
    drop(registration);
    assert!(find(volume.name()).is_none());
}
