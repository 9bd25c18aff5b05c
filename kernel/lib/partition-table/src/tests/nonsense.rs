//! Whatever is on a disk, nothing panics, and what is found holds together.

use proptest::prelude::*;

use super::check;
use super::image::{Gpt, Image};
use crate::read;

fn any_read(image: &mut Image) {
    if let Ok(Some(table)) = read(image) {
        check(image, &table);
    }
}

proptest! {
    #[test]
    fn any_bytes_give_a_sound_table_or_none(
        bytes in proptest::collection::vec(any::<u8>(), 512 * 8),
        protective in any::<bool>(),
    ) {
        let mut image = Image::new(512, 8);
        image.bytes = bytes;
        image.put(0, 510, &[0x55, 0xaa]);
        for flag in 0..4 {
            image.bytes[446 + 16 * flag] &= 0x80;
        }
        if protective {
            image.put(0, 446 + 4, &[0xee]);
            image.put(0, 446 + 8, &1u32.to_le_bytes());
            image.put(1, 0, b"EFI PART");
        }
        any_read(&mut image);
    }

    #[test]
    fn any_chain_ends(
        links in proptest::collection::vec((0u64..64, 0u32..70, 0u32..70, 0u32..70), 1..40),
    ) {
        let mut image = Image::new(512, 64);
        for (block, first, blocks, next) in links {
            image.record(block, &[(0x83, first, blocks), (0x05, next, 64)]);
        }
        any_read(&mut image);
    }

    #[test]
    fn any_entries_of_a_gpt_are_sound_or_refused(
        entries in proptest::collection::vec((0u64..140, 0u64..140), 0..128),
        count in 1u32..200,
    ) {
        let mut gpt = Gpt::new(&[]);
        gpt.count = count;
        gpt.entries = (1..=count).zip(entries).map(|(n, (a, b))| (n, a, b, String::new())).collect();
        let used = gpt.entries.len();
        let mut image = Image::new(4096, 120);
        image.gpt(&gpt);
        let table = super::table(&mut image);
        prop_assert_eq!(table.partitions.len() + table.faults.len(), used);
    }

    #[test]
    fn one_changed_byte_changes_nothing_or_is_noticed(at in 0usize..512 * 300, by in 1u8..) {
        let mut whole = Image::new(512, 300);
        whole.gpt(&Gpt::new(&[(1, 40, 99, "one"), (2, 100, 200, "two")]));
        let good = super::table(&mut whole);
        whole.bytes[at] ^= by;
        // The protective record has no checksum.
        if at >= 512 {
            let table = super::table(&mut whole);
            prop_assert_eq!(table.partitions, good.partitions);
        } else {
            any_read(&mut whole);
        }
    }
}
