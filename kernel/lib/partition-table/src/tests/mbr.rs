//! Master boot records.

use super::image::Image;
use super::{places, table};
use crate::{Fault, Kind, Refusal, Scheme};

#[test]
fn primary_partitions_are_found_in_blocks_of_any_size() {
    for block_bytes in [512, 1024, 4096] {
        let mut image = Image::new(block_bytes, 1000);
        image.record(0, &[(0x83, 10, 90), (0, 0, 0), (0x82, 100, 900), (0x0c, 5, 5)]);
        let table = table(&mut image);
        assert_eq!(table.scheme, Scheme::Mbr(0xbada_5500));
        assert_eq!(places(&table), [(1, 10, 90), (3, 100, 900), (4, 5, 5)]);
        assert_eq!(table.partitions[1].kind, Kind::Mbr(0x82));
        assert_eq!(table.faults, []);
    }
}

#[test]
fn entries_that_make_no_sense_are_refused() {
    let mut image = Image::new(512, 1000);
    image.record(0, &[(0x83, 0, 10), (0x83, 10, 990), (0x83, 999, 2), (0x83, 500, 1)]);
    let table = table(&mut image);
    assert_eq!(places(&table), [(2, 10, 990)]);
    let refused = [(1, Refusal::Range), (3, Refusal::OutOfRange), (4, Refusal::Overlaps(2))];
    assert_eq!(table.faults, refused.map(|(number, why)| Fault::Partition(number, why)));
}

/// An extended partition from 100 on with three logical ones.
fn chain() -> Image {
    let mut image = Image::new(512, 1000);
    image.record(0, &[(0x83, 1, 99), (0x05, 100, 800)]);
    image.record(100, &[(0x83, 10, 90), (0x05, 100, 200)]);
    image.record(200, &[(0x82, 1, 99), (0x0f, 400, 100)]);
    image.record(500, &[(0x83, 2, 98)]);
    image
}

#[test]
fn logical_partitions_are_followed() {
    let table = table(&mut chain());
    assert_eq!(places(&table), [(1, 1, 99), (5, 110, 90), (6, 201, 99), (7, 502, 98)]);
    assert_eq!(table.faults, []);
}

#[test]
fn a_chain_that_goes_wrong_ends() {
    // Back to itself, to an earlier link, to the master boot record, out of the partition.
    let ends = [(0, Fault::Loop(100)), (100, Fault::Loop(200)), (800, Fault::BrokenChain(900))];
    for (next, fault) in ends {
        let mut image = chain();
        image.record(500, &[(0x83, 2, 98), (0x05, next, 100)]);
        let table = table(&mut image);
        assert_eq!(table.partitions.len(), 4);
        assert_eq!(table.faults, [fault]);
    }
    // A link that is none.
    let mut image = chain();
    image.put(500, 510, &[0, 0]);
    let found = table(&mut image);
    assert_eq!((found.partitions.len(), &found.faults[..]), (3, &[Fault::BrokenChain(500)][..]));
    // A logical partition that leaves the extended one, or overlaps another.
    let mut image = chain();
    image.record(500, &[(0x83, 2, 399), (0x83, 1, 2)]);
    let found = table(&mut image);
    assert_eq!(found.partitions.len(), 4);
    assert_eq!(found.faults, [Fault::Partition(7, Refusal::OutOfRange)]);
    let mut image = chain();
    image.record(200, &[(0x83, 1, 400), (0x05, 400, 100)]);
    let found = table(&mut image);
    assert_eq!(found.faults, [Fault::Partition(7, Refusal::Overlaps(6))]);
}

#[test]
fn a_chain_without_end_is_cut() {
    let mut image = Image::new(512, 2000);
    image.record(0, &[(0x05, 100, 1900)]);
    for link in 0..900 {
        image.record(100 + 2 * link, &[(0x83, 1, 1), (0x05, 2 * (link as u32 + 1), 2)]);
    }
    let table = table(&mut image);
    assert_eq!(table.partitions.len(), 256);
    assert_eq!(table.partitions.last().map(|last| last.number), Some(260));
    assert_eq!(table.faults, [Fault::TooMany]);
}

#[test]
fn an_extended_partition_that_reaches_too_far_has_what_is_on_the_disk() {
    let mut image = chain();
    image.record(0, &[(0x0f, 100, u32::MAX)]);
    assert_eq!(table(&mut image).partitions.len(), 3);
    image.record(0, &[(0x0f, u32::MAX, u32::MAX)]);
    let found = table(&mut image);
    assert_eq!(found.faults, [Fault::BrokenChain(u32::MAX.into())]);
}
