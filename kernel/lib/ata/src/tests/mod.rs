//! Tests.

use proptest::prelude::*;

use crate::*;

/// An answer with these words.
fn identify(words: &[(usize, u16)]) -> [u8; IDENTIFY_BYTES] {
    let mut bytes = [0; IDENTIFY_BYTES];
    for (index, word) in words {
        bytes[2 * index..][..2].copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn bytes(frame: [u32; 5]) -> Vec<u8> {
    frame.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn frames_have_their_fields_where_they_belong() {
    let frame = bytes(Command::read(0x0605_0403_0201, 0x0807).frame());
    let expected = [
        0x27, 0x80, 0x25, 0, 0x01, 0x02, 0x03, 0x40, 0x04, 0x05, 0x06, 0, 0x07, 0x08, 0, 0, 0, 0,
        0, 0,
    ];
    assert_eq!(frame, expected);
    // Queued: the count is where features are, and the number where the count is.
    let queued = Command::write_queued(31, 0x0605_0403_0201, 0x0807, true);
    let expected = [
        0x27,
        0x80,
        0x61,
        0x07,
        0x01,
        0x02,
        0x03,
        0xc0,
        0x04,
        0x05,
        0x06,
        0x08,
        31 << 3,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ];
    assert_eq!(bytes(queued.frame()), expected);
    assert!(queued.is_queued() && queued.writes());
    let read = Command::read_queued(2, 1, MAX_BLOCKS);
    let frame = bytes(read.frame());
    assert_eq!((frame[2], frame[3], frame[7], frame[11], frame[12]), (0x60, 0, 0x40, 0, 2 << 3));
    assert!(!read.writes());
    let opcode = |command: Command| bytes(command.frame())[2];
    assert_eq!(opcode(Command::write(0, 1, false)), 0x35);
    assert_eq!(opcode(Command::write(0, 1, true)), 0x3d);
    assert_eq!(opcode(Command::flush()), 0xea);
    assert_eq!((opcode(Command::identify()), opcode(Command::identify_packet())), (0xec, 0xa1));
    let trim = bytes(Command::trim().frame());
    assert_eq!((trim[2], trim[3], trim[12], Command::trim().writes()), (0x06, 1, 1, true));
    let log = bytes(Command::read_queued_error().frame());
    assert_eq!((log[2], log[4], log[12]), (0x2f, 0x10, 1));
}

#[test]
fn headers_point_to_tables() {
    let header = CommandHeader { writes: true, descriptors: 3, table: 0x1_2345_6780 };
    assert_eq!(header.words(), [5 | 1 << 6 | 3 << 16, 0, 0x2345_6780, 1]);
    let header = CommandHeader { writes: false, descriptors: 0, table: 0x80 };
    assert_eq!(header.words(), [5, 0, 0x80, 0]);
    assert_eq!(descriptor(0x1_0000_2000, 512), [0x2000, 1, 0, 511]);
    assert_eq!(descriptor(0x2000, MAX_DESCRIPTOR_BYTES)[3], (4 << 20) - 1);
}

#[test]
fn a_disk_tells_of_itself() {
    let mut words: Vec<(usize, u16)> = Vec::new();
    for (index, pair) in "QEMU HARDDISK   ".as_bytes().chunks(2).enumerate() {
        words.push((27 + index, u16::from_be_bytes([pair[0], pair[1]])));
    }
    words.extend([
        (49, 0x0300),
        (75, 31),
        (76, 1 << 8),
        (82, 1 << 5),
        (83, 0x4000 | 1 << 13 | 1 << 10),
        (84, 0x4000 | 1 << 6),
        (85, 1 << 5),
        (100, 0x5678),
        (101, 0x1234),
        (106, 0x4000 | 1 << 13 | 3),
        (169, 1),
        (217, 1),
    ]);
    let bytes = identify(&words);
    let disk = Identify::new(&bytes);
    assert_eq!(disk.model().as_str(), "QEMU HARDDISK");
    assert_eq!((disk.serial().as_str(), disk.firmware().as_str()), ("", ""));
    assert!(disk.is_usable() && disk.is_intact() && disk.has_write_cache() && disk.has_flush());
    assert!(disk.has_durable_writes() && disk.has_trim() && disk.is_non_rotational());
    assert_eq!((disk.blocks(), disk.queue_depth()), (0x1234_5678, 32));
    assert_eq!((disk.logical_block(), disk.blocks_per_physical()), (512, 8));
    let large = identify(&[(106, 0x4000 | 1 << 12), (117, 2048), (255, 0x00a5)]);
    let large = Identify::new(&large);
    assert_eq!((large.logical_block(), large.queue_depth()), (4096, 1));
    assert!(!large.is_usable() && !large.is_intact());
    // What is not told means nothing.
    let unsaid = identify(&[(76, 0xffff), (83, 0xffff), (106, 0xffff)]);
    let unsaid = Identify::new(&unsaid);
    assert_eq!((unsaid.queue_depth(), unsaid.logical_block()), (1, 512));
    assert!(!unsaid.is_usable() && !unsaid.has_flush());
}

#[test]
fn what_comes_back_is_understood() {
    assert_eq!(Signature::new(0x101), Signature::Disk);
    assert_eq!(Signature::new(0xeb14_0101), Signature::Packet);
    assert_eq!(Signature::new(0xffff_ffff), Signature::Other(u32::MAX));
    let failed = TaskFile(0x4041);
    assert!(failed.is_error() && !failed.is_busy());
    assert_eq!(failed.to_string(), "uncorrectable data");
    assert_eq!(TaskFile(0x0461).to_string(), "aborted, device fault");
    assert_eq!(TaskFile(0x50).to_string(), "status 0x0050");
    assert!(TaskFile(0x80).is_busy() && TaskFile(0x58).is_busy() && !TaskFile(0x50).is_error());
    let mut page = [0; 512];
    (page[0], page[2], page[3]) = (5, 0x41, 0x40);
    assert_eq!(QueuedError::new(&page), None, "a wrong checksum");
    page[511] = 0u8.wrapping_sub(5 + 0x41 + 0x40);
    assert_eq!(QueuedError::new(&page), Some(QueuedError { tag: 5, task_file: TaskFile(0x4041) }));
    page[0] |= 0x80;
    page[511] = page[511].wrapping_sub(0x80);
    assert_eq!(QueuedError::new(&page), None, "about no queued command");
}

proptest! {
    #[test]
    fn trims_cover_their_blocks(lba in 0u64..1 << 47, blocks in 0u32..=MAX_TRIM_BLOCKS) {
        let mut at = lba;
        for range in trim_ranges(lba, blocks) {
            let (start, count) = (range & 0xffff_ffff_ffff, range >> 48);
            prop_assert!(count == 0 || start == at);
            at += count;
        }
        prop_assert_eq!(at, lba + u64::from(blocks));
    }

    #[test]
    fn any_answer_is_taken(words in proptest::collection::vec((0usize..256, any::<u16>()), 0..256)) {
        let bytes = identify(&words);
        let disk = Identify::new(&bytes);
        prop_assert!((1..=32).contains(&disk.queue_depth()));
        prop_assert!(disk.blocks_per_physical().is_power_of_two());
        let _ = (disk.model().as_str().len(), disk.blocks(), disk.logical_block());
        let _ = (disk.is_usable(), disk.is_intact(), QueuedError::new(&bytes));
    }
}
