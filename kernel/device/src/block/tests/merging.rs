//! Merging while requests wait.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use super::super::test_disk::{Answers, TestDisk, description};
use super::super::{Description, Operation};
use super::{Ends, all, is_numbered, read, whole, write};

/// A disk that takes one request at a time.
fn narrow() -> Description {
    Description { depth: 1, ..description(4096) }
}

/// Operation, sector and count of what a disk was asked.
fn asked(disk: &TestDisk) -> Vec<(Operation, u64, u64)> {
    disk.asked().iter().map(|asked| (asked.operation, asked.sector, asked.sectors)).collect()
}

#[base::kernel_test]
fn neighbours_that_wait_become_one_request() {
    let (disk, registration) = TestDisk::register(narrow());
    let volume = whole(&registration);
    disk.set_answers(Answers::WhenAsked);
    let ends = Ends::new();
    volume.submit(write(100, 8, &ends));
    // Behind, in front, and between two.
    for first in [16, 24, 8, 40, 32] {
        volume.submit(write(first, 8, &ends));
    }
    // Neighbours that are something else.
    volume.submit(read(48, 8, &ends));
    assert_eq!(asked(&disk), [(Operation::Write, 100, 8)]);
    disk.answer_all();
    // 32 was put in front of 40; that both then follow the others, nobody looks for.
    let writes = [(Operation::Write, 8, 24), (Operation::Write, 32, 16)];
    let seen = asked(&disk);
    assert_eq!(seen[..2], writes);
    assert_eq!(seen[2..], [(Operation::Read, 48, 8)]);
    let ended = ends.sectors();
    assert_eq!(ended, [100, 8, 16, 24, 32, 40, 48].map(|sector| (sector, true)));
    let statistics = volume.statistics();
    assert_eq!((statistics.writes.done, statistics.writes.merged), (6, 3));
    disk.set_answers(Answers::AtOnce);
    volume.submit(read(8, 40, &ends));
    assert!(is_numbered(&ends.take()[0].segments, 8));
}

#[base::kernel_test]
fn requests_that_come_together_are_merged_and_the_disk_is_told_once() {
    let (disk, registration) = TestDisk::register(description(4096));
    let volume = whole(&registration);
    let ends = Ends::new();
    let kicks = disk.kicks.load(Ordering::Relaxed);
    let mut requests = all((0..16).map(|index| write(index * 8, 8, &ends)));
    requests.push_back(write(1000, 8, &ends));
    requests.push_back(write(4092, 8, &ends)); // out of range
    volume.submit_all(&mut requests);
    assert!(requests.is_empty());
    assert_eq!(asked(&disk), [(Operation::Write, 0, 128), (Operation::Write, 1000, 8)]);
    assert_eq!(disk.kicks.load(Ordering::Relaxed), kicks + 1);
    let ended = ends.sectors();
    assert_eq!(ended.len(), 18);
    assert!(ended.iter().all(|&(sector, ok)| ok == (sector < 4092)));
    volume.submit_all(&mut all((0..16).rev().map(|index| read(index * 8, 8, &ends))));
    assert_eq!(asked(&disk), [(Operation::Read, 0, 128)]);
    let back = ends.take();
    assert!(back.iter().all(|end| is_numbered(&end.segments, end.sector)), "{back:?}");
}

#[base::kernel_test]
fn merged_requests_keep_to_the_limits() {
    let mut limited = narrow();
    limited.limits.max_sectors = 20;
    let (disk, registration) = TestDisk::register(limited);
    let volume = whole(&registration);
    let ends = Ends::new();
    volume.submit_all(&mut all((0..6).map(|index| write(index * 8, 8, &ends))));
    assert!(disk.asked().iter().all(|asked| asked.sectors == 16));
    drop(registration);

    let mut limited = narrow();
    limited.limits.max_segments = 3;
    let (disk, registration) = TestDisk::register(limited);
    let volume = whole(&registration);
    volume.submit_all(&mut all((0..8).map(|index| write(index * 8, 8, &ends))));
    let asked = disk.asked();
    assert!(asked.iter().all(|asked| asked.segments <= 3 && asked.sectors <= 24), "{asked:?}");
    assert_eq!(asked.len(), 3);
    drop(registration);

    // Half a page ends no list of pages, nor begins it anew.
    let mut paged = narrow();
    paged.limits.whole_pages = true;
    let (disk, registration) = TestDisk::register(paged);
    let volume = whole(&registration);
    let halves = [(0, 8), (8, 4), (12, 8), (20, 8)];
    volume.submit_all(&mut all(halves.map(|(first, sectors)| write(first, sectors, &ends))));
    let asked: Vec<_> = disk.asked().iter().map(|asked| (asked.sector, asked.sectors)).collect();
    assert_eq!(asked, [(0, 12), (12, 16)]);
}

#[base::kernel_test]
fn of_merged_requests_only_the_bad_one_fails() {
    let (disk, registration) = TestDisk::register(description(4096));
    let volume = whole(&registration);
    disk.plant(18..19);
    let ends = Ends::new();
    volume.submit_all(&mut all((0..5).map(|index| write(index * 8, 8, &ends))));
    let mut ended = ends.sectors();
    ended.sort_unstable();
    assert_eq!(ended, [(0, true), (8, true), (16, false), (24, true), (32, true)]);
    let seen: Vec<_> = disk.asked().iter().map(|asked| (asked.sector, asked.sectors)).collect();
    assert_eq!(seen, [(0, 40), (0, 8), (8, 8), (16, 8), (24, 8), (32, 8)]);
    assert_eq!(disk.bytes(33 * 512..33 * 512 + 2), [33, 33]);
}
