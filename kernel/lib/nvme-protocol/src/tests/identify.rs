//! What controllers and namespaces say.

use proptest::prelude::*;

use crate::{Controller, Format, IDENTIFY_BYTES, Namespace, foreign_command_set, namespace_list};

fn with(parts: &[(usize, &[u8])]) -> [u8; IDENTIFY_BYTES] {
    let mut bytes = [0; IDENTIFY_BYTES];
    for (at, part) in parts {
        bytes[*at..at + part.len()].copy_from_slice(part);
    }
    bytes
}

#[test]
fn a_controller_tells_of_itself() {
    let bytes = with(&[
        (4, b"deadbeef            "),
        (24, b"QEMU NVMe Ctrl                          "),
        (64, b"7.2.0   "),
        (77, &[7]),
        (88, &5_000_000u32.to_le_bytes()),
        (512, &[0x66, 0x44]),
        (516, &256u32.to_le_bytes()),
        (520, &0x5du16.to_le_bytes()),
        (525, &[7]),
    ]);
    let controller = Controller::new(&bytes);
    assert_eq!(controller.serial(), "deadbeef");
    assert_eq!(controller.model(), "QEMU NVMe Ctrl");
    assert_eq!(controller.firmware(), "7.2.0");
    assert_eq!(controller.max_transfer_bytes(), Some(512 << 10));
    assert!(controller.has_usual_entries() && controller.namespaces() == 256);
    assert!(controller.has_dataset_management() && controller.has_write_zeroes());
    assert!(controller.has_volatile_cache());
    assert_eq!(controller.shutdown_ns(), Some(5_000_000_000));
    let nothing = with(&[]);
    let nothing = Controller::new(&nothing);
    assert_eq!(nothing.max_transfer_bytes(), None);
    assert!(!nothing.has_usual_entries() && !nothing.has_write_zeroes());
    let large = with(&[(77, &[255]), (24, b"not\xfftext")]);
    assert_eq!(Controller::new(&large).max_transfer_bytes(), Some(1 << 40));
    assert_eq!(Controller::new(&large).model(), "");
}

#[test]
fn a_namespace_tells_of_itself() {
    let bytes = with(&[
        (0, &0x1_0000_0000u64.to_le_bytes()),
        (24, &[1 << 4]),
        (26, &[0b0010_0001]), // format 17
        (64, &7u16.to_le_bytes()),
        (68, &15u16.to_le_bytes()),
        (99, &[1]),
        (128 + 4, &[0, 0, 9, 0]),
        (128 + 17 * 4, &[8, 0, 12, 0]),
    ]);
    let namespace = Namespace::new(&bytes);
    assert_eq!(namespace.blocks(), 1 << 32);
    assert_eq!(namespace.format(), Format { block_shift: 12, metadata_bytes: 8 });
    assert_eq!((namespace.write_unit(), namespace.deallocate_unit()), (Some(8), Some(16)));
    assert!(namespace.is_write_protected() && !namespace.has_protection());
    let plain = with(&[(26, &[1]), (29, &[1]), (132, &[0, 0, 9, 0])]);
    let plain = Namespace::new(&plain);
    assert_eq!(plain.format(), Format { block_shift: 9, metadata_bytes: 0 });
    assert!(plain.has_protection() && plain.write_unit().is_none());
    let list = with(&[(0, &1u32.to_le_bytes()), (4, &9u32.to_le_bytes())]);
    assert!(namespace_list(&list).eq([1, 9]));
}

#[test]
fn descriptors_tell_the_command_set() {
    let set = |parts: &[(usize, &[u8])]| foreign_command_set(&with(parts));
    let uuid: &[u8] = &[3, 16];
    // After a UUID of 16 bytes.
    assert_eq!(set(&[(0, uuid), (20, &[4, 1, 0, 0, 2])]), Some(2));
    assert_eq!(set(&[(0, uuid), (20, &[4, 1, 0, 0, 0])]), None);
    assert_eq!(set(&[(0, &[4, 1, 0, 0, 2])]), Some(2));
    // None; one past the end of the list; one of a length that is not its own.
    assert_eq!(set(&[(0, uuid)]), None);
    assert_eq!(set(&[(0, uuid), (24, &[4, 1, 0, 0, 2])]), None);
    assert_eq!(set(&[(0, &[4, 2, 0, 0, 2])]), None);
    // The last byte there is, and one that would lie behind it.
    let long: Vec<(usize, &[u8])> = (0..15).map(|at| (at * 259, &[1, 255][..])).collect();
    let end = |last: &'static [u8]| [&long[..], &[(3885, &[1, 202]), (4091, last)]].concat();
    assert_eq!(set(&end(&[4, 1, 0, 0, 2])), Some(2));
    assert_eq!(set(&end(&[4, 2, 0, 0, 2])), None);
}

proptest! {
    #[test]
    fn any_bytes_are_taken(parts in proptest::collection::vec((0usize..4088, any::<u64>()), 0..100)) {
        let parts: Vec<_> = parts.into_iter().map(|(at, word)| (at, word.to_le_bytes())).collect();
        let parts: Vec<_> = parts.iter().map(|(at, word)| (*at, &word[..])).collect();
        let bytes = with(&parts);
        let controller = Controller::new(&bytes);
        let _ = (controller.max_transfer_bytes(), controller.has_usual_entries());
        let _ = (controller.serial(), controller.model(), controller.firmware());
        let _ = foreign_command_set(&bytes);
        let namespace = Namespace::new(&bytes);
        let _ = (namespace.format(), namespace.write_unit(), namespace_list(&bytes).count());
    }
}
