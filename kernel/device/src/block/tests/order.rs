//! Flushes and durable writes.

use alloc::vec::Vec;

use super::super::test_disk::{Answers, TestDisk, description};
use super::super::{Operation, Request};
use super::{Ends, whole, write};

fn operations(disk: &TestDisk) -> Vec<Operation> {
    disk.asked().iter().map(|asked| asked.operation).collect()
}

#[base::kernel_test]
fn flushes_that_wait_become_one_that_begins_after_them() {
    let (disk, registration) = TestDisk::register(description(1024));
    let volume = whole(&registration);
    disk.set_answers(Answers::WhenAsked);
    let ends = Ends::new();
    let flush = || Request::flush(ends.clone()).expect("memory");
    volume.submit(flush());
    volume.submit(write(0, 8, &ends));
    volume.submit(flush());
    volume.submit(flush());
    // The write is not held up; the later flushes are, for the first may not cover what they do.
    assert_eq!(operations(&disk), [Operation::Flush, Operation::Write]);
    assert!(disk.answer(1));
    assert_eq!(operations(&disk), []);
    assert!(disk.answer(0));
    assert_eq!(operations(&disk), [Operation::Flush]);
    assert_eq!(ends.take().len(), 2);
    disk.answer_all();
    let ended = ends.take();
    assert_eq!(ended.len(), 2);
    assert!(ended.iter().all(|end| end.operation == Operation::Flush && end.result.is_ok()));
    assert_eq!(volume.statistics().flushes.done, 3);
    assert_eq!(volume.disk().load(), (0, 0));
}

#[base::kernel_test]
fn a_durable_write_is_one_or_is_followed_by_a_flush() {
    let (disk, registration) = TestDisk::register(description(1024));
    let volume = whole(&registration);
    let ends = Ends::new();
    volume.submit(write(0, 8, &ends).durable());
    assert!(disk.asked()[0].durable);
    drop(registration);

    let mut without = description(1024);
    without.features.force_unit_access = false;
    let (disk, registration) = TestDisk::register(without);
    let volume = whole(&registration);
    disk.set_answers(Answers::WhenAsked);
    ends.take();
    volume.submit(write(0, 8, &ends).durable());
    let asked = disk.asked();
    assert!(asked.len() == 1 && asked[0].operation == Operation::Write && !asked[0].durable);
    assert!(disk.answer(0));
    assert!(ends.take().is_empty(), "not durable yet");
    assert_eq!(operations(&disk), [Operation::Flush]);
    assert!(disk.answer(0));
    let ended = ends.take();
    assert!(ended.len() == 1 && ended[0].operation == Operation::Write);
    assert!(ended[0].result.is_ok() && ended[0].sectors == 8);
    // A write that fails is not followed by one.
    disk.plant(0..1);
    volume.submit(write(0, 8, &ends).durable());
    assert!(disk.answer(0));
    assert!(!disk.answer(0));
    assert!(ends.take()[0].result.is_err());
    // Merged ones are followed by one flush.
    disk.asked();
    disk.set_answers(Answers::AtOnce);
    volume.submit_all(&mut super::all((1..5).map(|at| write(at * 8, 8, &ends).durable())));
    assert_eq!(operations(&disk), [Operation::Write, Operation::Flush]);
    assert_eq!(ends.sectors(), [8, 16, 24, 32].map(|sector| (sector, true)));
}
