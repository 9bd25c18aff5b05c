//! Devices that fail, do not answer, refuse or go away.

use core::sync::atomic::Ordering;

use alloc::vec;

use super::super::test_disk::{Answers, TestDisk, description};
use super::super::{BlockError, Description, Request, Segments};
use super::{Ends, numbered, read, waited, whole, write};

const MS: u64 = 1_000_000;

/// A disk whose requests may take 20 ms.
fn impatient() -> Description {
    Description { timeout_ns: 20 * MS, ..description(1024) }
}

#[base::kernel_test]
fn an_io_error_reaches_the_caller() {
    let (disk, registration) = TestDisk::register(description(4096));
    let volume = whole(&registration);
    disk.plant(700..701);
    let mut bytes = vec![0; 2048 * 512];
    assert_eq!(volume.read_at(0, &mut bytes), Err(BlockError::Io));
    assert_eq!(volume.write_at(0, &bytes), Err(BlockError::Io));
    assert_eq!(volume.read_at(0, &mut bytes[..700 * 512]), Ok(()));
    assert_eq!(volume.statistics().in_flight, 0, "all parts were waited for");
    assert!(volume.statistics().errors >= 2);
}

#[base::kernel_test]
fn a_request_that_takes_too_long_is_noticed() {
    let (disk, registration) = TestDisk::register(impatient());
    let volume = whole(&registration);
    disk.set_answers(Answers::Late);
    let before = base::time::now_ns();
    let late = volume.read_segments(0, Segments::allocate(512).expect("memory"));
    assert!(late.is_err_and(|error| error == BlockError::TimedOut));
    assert!(base::time::now_ns() - before >= 20 * MS);
    assert_eq!(disk.timeouts.load(Ordering::Relaxed), 1);
    // It goes on afterwards.
    disk.set_answers(Answers::AtOnce);
    assert_eq!(volume.write_at(0, &[1; 512]), Ok(()));
    assert!(!registration.is_gone());
}

#[base::kernel_test]
fn a_driver_that_never_brings_back_a_request_ends_the_disk() {
    let (disk, registration) = TestDisk::register(Description { depth: 1, ..impatient() });
    let volume = whole(&registration);
    disk.set_answers(Answers::Never);
    let (lost, waiter) = waited(|it| Request::write(0, numbered(0, 8), it).expect("memory"));
    volume.submit(lost);
    let (behind, waits) = waited(|it| Request::flush(it).expect("memory"));
    volume.submit(behind);
    assert_eq!(waiter.wait(&registration).err(), Some(BlockError::TimedOut));
    assert_eq!(waits.wait(&registration).err(), Some(BlockError::Gone));
    assert!(registration.is_gone() && disk.timeouts.load(Ordering::Relaxed) >= 4);
    assert_eq!(volume.flush(), Err(BlockError::Gone));
    // The memory is the driver's until it gives it back.
    assert_eq!(disk.kept(), 1);
    disk.answer_all();
    assert_eq!(waiter.wait(&registration).err(), None);
}

#[base::kernel_test]
fn a_full_device_is_tried_again() {
    let (disk, registration) = TestDisk::register(description(4096));
    let volume = whole(&registration);
    let ends = Ends::new();
    disk.set_answers(Answers::WhenAsked);
    disk.set_room(2);
    for index in 0..6 {
        volume.submit(write(index * 100, 8, &ends));
    }
    assert_eq!((disk.kept(), volume.disk().load()), (2, (2, 4)));
    disk.answer_all();
    assert_eq!(ends.take().len(), 6, "each that ends makes room");
    // With nothing in flight nobody tells of room: it is tried after a while.
    disk.set_answers(Answers::AtOnce);
    disk.set_room(0);
    let (request, waiter) = waited(|it| Request::flush(it).expect("memory"));
    volume.submit(request);
    volume.submit(read(0, 8, &ends));
    task::sleep(10 * MS);
    let (tried, waiting) = volume.disk().load();
    assert_eq!(tried + waiting, 2);
    disk.set_room(1);
    assert!(waiter.wait(&registration).is_ok());
    let mut ended = 0;
    for _ in 0..1000 {
        ended += ends.take().len();
        if ended > 0 {
            break;
        }
        task::sleep(MS);
    }
    assert_eq!(ended, 1);
}

#[base::kernel_test]
fn a_device_that_takes_nothing_is_given_up() {
    let (disk, registration) = TestDisk::register(impatient());
    let volume = whole(&registration);
    disk.set_room(0);
    assert_eq!(volume.write_at(0, &[1; 512]), Err(BlockError::Gone));
    assert!(registration.is_gone());
}

#[base::kernel_test]
fn a_device_that_goes_away_fails_what_waits_and_what_comes() {
    let (disk, registration) = TestDisk::register(Description { depth: 2, ..description(1024) });
    let volume = whole(&registration);
    let ends = Ends::new();
    disk.set_answers(Answers::WhenAsked);
    for index in 0..4 {
        volume.submit(write(index * 100, 8, &ends));
    }
    registration.handle().gone();
    let gone = |count| {
        let ended = ends.take();
        assert_eq!(ended.len(), count);
        assert!(ended.iter().all(|end| end.result == Err(BlockError::Gone)));
    };
    gone(2); // those that waited
    assert_eq!(volume.flush(), Err(BlockError::Gone));
    disk.drop_kept(); // those that the driver had
    gone(2);
    assert_eq!(volume.disk().load(), (0, 0));
    drop(registration);
    volume.submit(read(0, 8, &ends));
    gone(1);
}

#[base::kernel_test]
fn a_request_that_is_dropped_has_failed() {
    let ends = Ends::new();
    drop(read(0, 8, &ends));
    let ended = ends.take();
    assert!(ended.len() == 1 && ended[0].result == Err(BlockError::Gone));
    assert_eq!(ended[0].segments.bytes(), 4096);
}
