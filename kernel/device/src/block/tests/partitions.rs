//! Partitions as volumes.

use alloc::format;
use alloc::sync::Arc;

use super::super::test_disk::{TestDisk, description};
use super::super::{BlockError, Claim, ClaimError, RescanError, Volume, find, rescan};
use super::{Ends, numbered, read, whole, write};

/// Writes a master boot record with partitions of a type, from a block on, of so many blocks.
fn record(disk: &TestDisk, at: usize, entries: &[(u8, u32, u32)]) {
    disk.put(at + 446, &[0; 64]);
    for (index, &(kind, first, blocks)) in entries.iter().enumerate() {
        let entry = at + 446 + 16 * index;
        disk.put(entry + 4, &[kind]);
        disk.put(entry + 8, &first.to_le_bytes());
        disk.put(entry + 12, &blocks.to_le_bytes());
    }
    disk.put(at + 510, &[0x55, 0xaa]);
}

fn part(disk: &str, number: u32) -> Option<Arc<Volume>> {
    find(&format!("{disk}{number}"))
}

#[base::kernel_test]
fn a_partition_is_a_part_of_its_disk() {
    let (disk, registration) = TestDisk::register_with(description(1024), |disk| {
        record(disk, 0, &[(0x83, 100, 200), (0x82, 300, 724), (0x83, 1000, 25)]);
    });
    let whole = whole(&registration);
    let name = registration.name();
    let first = part(name, 1).expect("the first");
    let second = part(name, 2).expect("the second");
    assert!(part(name, 3).is_none(), "it reaches too far");
    assert_eq!((first.start(), first.sectors(), second.bytes()), (100, 200, 724 * 512));
    assert_eq!(second.partition().map(|info| &*info.kind), Some("Linux swap"));
    // What is written to it is behind its start, and nothing behind its end.
    let ends = Ends::new();
    first.submit(write(8, 8, &ends));
    let end = ends.take().pop().expect("it ends at once");
    assert!(end.result.is_ok() && end.sector == 8, "counted from its own start");
    assert_eq!(disk.bytes(108 * 512..108 * 512 + 2), [8, 8]);
    assert_eq!(disk.asked().last().map(|asked| asked.sector), Some(108));
    for (sector, count) in [(200, 1), (199, 2), (u64::MAX, 1), (u64::MAX - 99, 1)] {
        first.submit(read(sector, count, &ends));
        assert_eq!(ends.take()[0].result, Err(BlockError::OutOfRange));
    }
    assert!(first.read_at(200 * 512 - 1, &mut [0; 2]).is_err());
    assert!(first.write_segments(199, numbered(0, 1)).is_ok());
    // Both are counted.
    assert_eq!(first.statistics().writes.done, 2);
    assert_eq!(whole.statistics().writes.done, 2);
    assert_eq!(second.statistics().writes.done, 0);
    drop(registration);
    assert!(first.is_gone() && part(whole.name(), 1).is_none());
    assert_eq!(first.read_at(0, &mut [0]), Err(BlockError::Gone));
}

#[base::kernel_test]
fn partitions_are_read_again_unless_they_are_in_use() {
    let (disk, registration) = TestDisk::register(description(1024));
    let name = registration.name();
    assert!(part(name, 1).is_none());
    record(&disk, 0, &[(0x83, 1, 100), (0x05, 200, 800)]);
    record(&disk, 200 * 512, &[(0x83, 1, 99)]);
    assert_eq!(rescan(&registration), Ok(2));
    let logical = part(name, 5).expect("the logical one");
    assert_eq!((logical.start(), logical.sectors()), (201, 99));
    let node = |name: &str| crate::root().child(registration.name())?.child(name);
    assert!(node(logical.name()).is_some());

    let claim = Claim::new(&logical, "a test").expect("free");
    let in_use = ClaimError::InUse(logical.name().into(), "a test".into());
    assert_eq!(rescan(&registration), Err(RescanError::Claim(in_use.clone())));
    // The whole is not free while a part is taken; another part is.
    assert_eq!(Claim::new(&whole(&registration), "all").err(), Some(in_use));
    let other = Claim::new(&part(name, 1).expect("there"), "another").expect("free");
    drop((claim, other));
    let all = Claim::new(&whole(&registration), "all").expect("free");
    assert!(Claim::new(&logical, "a test").is_err());
    drop(all);

    record(&disk, 0, &[(0x83, 50, 100)]);
    assert_eq!(rescan(&registration), Ok(1));
    assert!(logical.is_gone() && part(name, 5).is_none() && node(logical.name()).is_none());
    assert_eq!(logical.flush(), Err(BlockError::Gone));
    assert_eq!(part(name, 1).map(|part| part.start()), Some(50));
    disk.plant(0..1);
    assert_eq!(rescan(&registration), Err(RescanError::Read(BlockError::Io)));
    assert!(part(name, 1).is_some());
}

#[base::kernel_test]
fn partitions_count_in_blocks_of_the_disk() {
    let mut large = description(8000);
    (large.limits.logical_block, large.limits.physical_block) = (4096, 4096);
    let (_disk, registration) =
        TestDisk::register_with(large, |disk| record(disk, 0, &[(0x83, 10, 990)]));
    let first = part(registration.name(), 1).expect("there");
    assert_eq!((first.start(), first.sectors()), (80, 7920));
}
