//! Commands and completions, against the figures of the specification.

use crate::{
    Capabilities, Command, Completion, Configuration, ControllerStatus, Data, Identify, Status,
    Version, deallocate_range,
};

#[test]
fn commands_have_their_fields_where_they_belong() {
    let data = Data { first: 0x1_2345_6789_a000, second: 0xb_cdef_0000_1000 };
    let words = Command::read(7, 0x1_0000_0002, 8, data).with_id(0xabcd).words();
    let expected = [
        0xabcd_0002,
        7,
        0,
        0,
        0,
        0,
        0x6789_a000,
        0x0001_2345,
        0x0000_1000,
        0x000b_cdef,
        2,
        1,
        7,
        0,
        0,
        0,
    ];
    assert_eq!(words, expected);
    let word = |command: Command, index: usize| command.words()[index];
    // As many as 65536 blocks are 0 here, and 0xffff there.
    assert_eq!(word(Command::read(1, 0, 0, data), 12), 0xffff);
    let write = Command::write(1, 0, 1, data, true);
    assert_eq!((word(write, 0), word(write, 12)), (1, 1 << 30));
    assert_eq!(word(Command::write(1, 0, 1, data, false), 12), 0);
    let zeroes = Command::write_zeroes(3, 9, 100);
    assert_eq!((word(zeroes, 0), word(zeroes, 10), word(zeroes, 12)), (8, 9, 99));
    assert_eq!(Command::flush(3).words()[..2], [0, 3]);
    let trim = Command::deallocate(3, 0x5000);
    assert_eq!((word(trim, 0), word(trim, 6), word(trim, 10), word(trim, 11)), (9, 0x5000, 0, 4));
    assert_eq!(deallocate_range(0x10, 0x20), [0x20_0000_0000, 0x10]);

    let identify = Command::identify(Identify::Controller, 0x3000);
    assert_eq!((word(identify, 0), word(identify, 1), word(identify, 10)), (6, 0, 1));
    let identify = Command::identify(Identify::Namespace(5), 0x3000);
    assert_eq!((word(identify, 1), word(identify, 6), word(identify, 10)), (5, 0x3000, 0));
    assert_eq!(word(Command::identify(Identify::NamespacesAfter(1), 0), 10), 2);
    assert_eq!(word(Command::identify(Identify::Descriptors(7), 0), 10), 3);
    let queue = Command::create_completion_queue(2, 64, 0x4000, 3);
    assert_eq!((word(queue, 0), word(queue, 10), word(queue, 11)), (5, 63 << 16 | 2, 3 << 16 | 3));
    let queue = Command::create_submission_queue(2, 64, 0x4000);
    assert_eq!((word(queue, 0), word(queue, 10), word(queue, 11)), (1, 63 << 16 | 2, 2 << 16 | 1));
    let features = Command::request_queues(4);
    assert_eq!((word(features, 0), word(features, 10), word(features, 11)), (9, 7, 3 << 16 | 3));
    let abort = Command::abort(2, 0x55);
    assert_eq!((word(abort, 0), word(abort, 10)), (8, 0x55_0002));
    assert_eq!(word(Command::delete_submission_queue(2), 10), 2);
    assert_eq!(word(Command::delete_completion_queue(2), 0), 4);
}

#[test]
fn a_command_is_64_bytes_in_memory() {
    let command = Command::write(1, 2, 3, Data::page(0x1000), false).with_id(4);
    let bytes: Vec<u8> = command.long_words().flat_map(u64::to_le_bytes).collect();
    let bytes: &[u8; 64] = bytes[..].try_into().expect("64 of them");
    assert_eq!(Command::from(bytes), command);
}

#[test]
fn completions_are_taken_apart() {
    let completion = Completion::new([5 << 16 | 3, 0, 2 << 16 | 0x1234, 0xc503_5678]);
    assert_eq!((completion.id(), completion.submission_head()), (0x5678, 0x1234));
    assert_eq!(completion.granted_queues(), 4);
    assert!(Completion::has_phase(0xc503_5678, true) && !Completion::has_phase(0x5678, true));
    // Phase 1; status 0x281 with "more" and "do not retry".
    let status = completion.status();
    assert!(status.is(Status::READ_ERROR) && status.is_media_error() && status.is_final());
    assert!(!status.is_success() && Completion::new([0; 4]).status().is_success());
    assert_eq!(status.to_string(), "unrecovered read error");
    assert_eq!(Status::new(0x3ff).to_string(), "status 0x3ff");
    assert_eq!(Completion::new([u32::MAX; 4]).granted_queues(), u16::MAX);
}

#[test]
fn registers_are_taken_apart() {
    // As QEMU's controller has it: 2048 entries, 7.5 s, contiguous queues, both command sets.
    let capabilities = Capabilities(0x0040_0030_0f01_07ff | 1 << 37);
    assert_eq!(capabilities.queue_entries(), 2048);
    assert_eq!(capabilities.timeout_ns(), 7_500_000_000);
    assert_eq!(capabilities.doorbell_stride(), 4);
    assert!(capabilities.has_nvm_commands() && capabilities.has_small_pages());
    let other = Capabilities(0x0011_0003_0000_ffff);
    assert_eq!((other.queue_entries(), other.doorbell_stride()), (65536, 32));
    assert_eq!(other.timeout_ns(), 500_000_000);
    assert!(!other.has_nvm_commands() && !other.has_small_pages());
    assert_eq!(Configuration::ON.bits(), 0x0046_0001);
    assert_eq!(Configuration::SHUT_DOWN.bits(), 0x0046_4001);
    assert_eq!(Configuration::OFF.bits(), 0x0046_0000);
    let status = ControllerStatus(0b1011);
    assert!(status.is_ready() && status.is_fatal() && status.is_shut_down() && !status.is_gone());
    assert!(ControllerStatus(u32::MAX).is_gone());
    assert_eq!(Version(0x0001_0400).to_string(), "1.4");
    assert_eq!(Version(0x0001_0201).to_string(), "1.2.1");
}
