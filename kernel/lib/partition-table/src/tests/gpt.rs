//! GUID partition tables.

use super::image::{DISK, Gpt, Image, LINUX};
use super::{places, table};
use crate::{Error, Fault, Kind, Refusal, Scheme, read};

fn three() -> Gpt {
    Gpt::new(&[(1, 40, 99, "EFI"), (2, 100, 100, ""), (128, 200, 900, "größer\u{1f980}")])
}

#[test]
fn partitions_are_found_in_blocks_of_any_size() {
    for block_bytes in [512, 2048, 4096] {
        let mut image = Image::new(block_bytes, 1000);
        image.gpt(&three());
        let table = table(&mut image);
        assert_eq!(table.scheme, Scheme::Gpt(DISK));
        assert_eq!(places(&table), [(1, 40, 60), (2, 100, 1), (128, 200, 701)]);
        let [first, second, third] = &table.partitions[..] else { panic!("three") };
        assert_eq!((&*first.label, &*second.label, &*third.label), ("EFI", "", "größer\u{1f980}"));
        assert_eq!(third.kind, Kind::Gpt(LINUX));
        assert_eq!(third.guid.map(|guid| guid.to_bytes()), Some([128; 16]));
        assert_eq!(table.faults, []);
    }
}

#[test]
fn other_sizes_of_entries_and_headers_are_good() {
    let mut image = Image::new(512, 1000);
    image.gpt(&Gpt {
        entry_bytes: 256,
        count: 4,
        header_bytes: 512,
        ..Gpt::new(&[(4, 40, 99, "x")])
    });
    assert_eq!(places(&table(&mut image)), [(4, 40, 60)]);
    for wrong in [64, 129, 384] {
        image.gpt(&Gpt { entry_bytes: wrong, count: 1, ..Gpt::new(&[]) });
        assert_eq!(table(&mut image).faults, [Fault::BothDamaged], "{wrong} bytes");
    }
}

#[test]
fn a_damaged_header_is_replaced_by_its_backup() {
    let mut whole = Image::new(512, 1000);
    whole.gpt(&three());
    let good = places(&table(&mut whole));
    // Each byte of the header that the checksum covers, and one of the entries.
    let places_to_damage = (0..92).map(|at| 512 + at).chain([1024 + 130]);
    for at in places_to_damage {
        let mut image = whole.clone();
        image.bytes[at] ^= 0x10;
        let table = table(&mut image);
        assert_eq!(places(&table), good, "byte {at}");
        assert_eq!(table.faults, [Fault::UsedBackup]);
        // And the backup, too.
        let last = image.bytes.len() - 512;
        image.bytes[last + 30] ^= 1;
        let found = read(&mut image).expect("readable").expect("it says that it has one");
        assert_eq!((found.partitions.len(), &found.faults[..]), (0, &[Fault::BothDamaged][..]));
    }
    for block in [1, 2] {
        let mut image = whole.clone();
        image.unreadable = Some(block);
        assert_eq!(table(&mut image).faults, [Fault::UsedBackup]);
        image.put(1, 0, &[0; 512]);
        image.unreadable = Some(999);
        assert_eq!(read(&mut image), Err(Error::Read("planted")));
    }
}

#[test]
fn a_table_without_a_protective_record_is_none() {
    let mut image = Image::new(512, 1000);
    image.gpt(&three());
    image.record(0, &[(0x83, 10, 20)]);
    assert_eq!(places(&table(&mut image)), [(1, 10, 20)]);
    // Not in its place; with others beside it.
    image.record(0, &[(0xee, 2, 998)]);
    assert!(matches!(table(&mut image).scheme, Scheme::Mbr(_)));
    image.record(0, &[(0x0c, 40, 60), (0xee, 1, 39)]);
    assert_eq!(table(&mut image).partitions.len(), 3);
}

#[test]
fn entries_that_make_no_sense_are_refused() {
    let mut image = Image::new(512, 1000);
    image.gpt(&Gpt::new(&[
        (1, 100, 199, ""),
        (2, 33, 50, ""),   // in the entries
        (3, 900, 970, ""), // in the backup's entries
        (4, 300, 299, ""), // ends before it begins
        (5, 199, 250, ""), // overlaps
        (6, 50, 2000, ""),
        (7, u64::MAX, u64::MAX, ""),
        (8, 0, u64::MAX, ""),
        (9, 200, 250, "\u{7}\u{fffd}x"),
    ]));
    let table = table(&mut image);
    assert_eq!(places(&table), [(1, 100, 100), (9, 200, 51)]);
    let refused = [
        (2, Refusal::Range),
        (3, Refusal::OutOfRange),
        (4, Refusal::Range),
        (5, Refusal::Overlaps(1)),
        (6, Refusal::OutOfRange),
        (7, Refusal::OutOfRange),
        (8, Refusal::Range),
    ];
    assert_eq!(table.faults, refused.map(|(number, why)| Fault::Partition(number, why)));
    assert_eq!(table.partitions[1].label, "\u{fffd}\u{fffd}x");
}

#[test]
fn tiny_disks_are_no_trouble() {
    for blocks in 1..70 {
        let mut image = Image::new(512, blocks);
        image.record(0, &[(0xee, 1, 10)]);
        assert_eq!(table(&mut image).faults, [Fault::BothDamaged]);
    }
}
