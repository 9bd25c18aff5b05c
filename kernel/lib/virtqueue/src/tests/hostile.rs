//! Devices that break the rules: an error each time, no token twice, no memory but the queue's
//! (the model's memory panics beyond its end).

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::agreement::{cycle, pair};
use super::model::{Device, Memory};
use super::{AGREEMENTS, size};
use crate::{AddError, Buffer, DeviceError, RingMemory, Virtqueue};

/// A queue of four in which the device has two chains, heads 0 and 1, with room for 10 and 0
/// bytes; a third one is not published.
fn started() -> (Virtqueue<Memory, u64>, Device) {
    let (mut queue, mut device) = pair(size(4), AGREEMENTS[3]);
    queue.add([Buffer::writable(1, 10)], 1).expect("room");
    queue.add([Buffer::readable(2, 10)], 2).expect("room");
    assert!(queue.publish());
    assert_eq!([0, 1].map(|_| device.take().map(|taken| taken.head)), [Some(0), Some(1)]);
    queue.add([Buffer::readable(3, 10)], 3).expect("room");
    (queue, device)
}

fn fails(mut queue: Virtqueue<Memory, u64>, device: Device, expected: DeviceError) {
    let held = queue.in_flight();
    assert_eq!(queue.pop(), Err(expected));
    // For good, even if the device makes up for it.
    device.memory.store16(device.layout.used() + 2, 0);
    assert_eq!((queue.pop(), queue.error()), (Err(expected), Some(expected)));
    let refused = queue.add([Buffer::readable(4, 4)], 4).expect_err("broken");
    assert_eq!(refused.reason, AddError::Broken);
    let refused = queue.add_indirect([Buffer::readable(4, 4)], &Memory::new(16), 0, 4);
    assert_eq!(refused.expect_err("broken").reason, AddError::Broken);
    // The chains are kept until the reset, after which all is well.
    assert_eq!(queue.in_flight(), held);
    let mut tokens = 0;
    queue.reset(|_| tokens += 1);
    assert_eq!((tokens, queue.error()), (held, None));
    let mut device = Device::new(device.memory, device.layout, queue.queueing());
    (0..10).for_each(|token| cycle(&mut queue, &mut device, token));
}

#[test]
fn heads_that_are_none() {
    for id in [4, 5, 0x8000, 0xffff, 0x1_0000, u32::MAX] {
        let (queue, mut device) = started();
        device.finish(0, 0);
        device.memory.store32(device.layout.used() + 4, id);
        fails(queue, device, DeviceError::NoDescriptor { id });
    }
}

#[test]
fn chains_that_the_device_does_not_have() {
    // Never used; and not shown to the device yet.
    for id in [3, 2] {
        let (queue, mut device) = started();
        device.finish(id, 0);
        fails(queue, device, DeviceError::NotInFlight { id });
    }
    // Finished twice.
    let (mut queue, mut device) = started();
    device.finish(1, 0);
    device.finish(1, 0);
    assert_eq!(queue.pop().expect("the first time").expect("finished").token, 2);
    fails(queue, device, DeviceError::NotInFlight { id: 1 });
    // Not a head.
    let (mut queue, mut device) = pair(size(4), AGREEMENTS[0]);
    queue.add([Buffer::readable(1, 1); 3], 0).expect("room");
    assert!(queue.publish());
    device.finish(1, 0);
    fails(queue, device, DeviceError::NotInFlight { id: 1 });
}

#[test]
fn more_written_than_there_is_room_for() {
    for (id, written, room) in [(0, 11, 10), (0, u32::MAX, 10), (1, 1, 0)] {
        let (queue, mut device) = started();
        device.finish(id, written);
        fails(queue, device, DeviceError::TooMuchWritten { id, written, room });
    }
}

#[test]
fn an_index_that_is_ahead() {
    for used in [3, 4, 100, 0x8000, 0xffff] {
        let (queue, device) = started();
        device.memory.store16(device.layout.used() + 2, used);
        fails(queue, device, DeviceError::UsedIndex { used, in_flight: 2 });
    }
    // It went back.
    let (mut queue, mut device) = started();
    device.finish(0, 0);
    assert!(queue.pop().expect("good").is_some());
    device.memory.store16(device.layout.used() + 2, 0);
    fails(queue, device, DeviceError::UsedIndex { used: 0xffff, in_flight: 1 });
}

#[derive(Clone, Debug)]
enum Step {
    Add(usize),
    Publish,
    Pop,
    Arm,
    Reset,
    /// The device finishes the oldest that it has.
    Finish,
    /// The device writes a number somewhere.
    Scribble(u16, u16),
    /// It says that some are done.
    Used(u16, u32, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let small = prop_oneof![0..9_u32, any::<u32>()];
    let step = prop_oneof![
        6 => (1..4_usize).prop_map(Step::Add),
        6 => Just(Step::Publish),
        8 => Just(Step::Pop),
        1 => Just(Step::Arm),
        1 => Just(Step::Reset),
        4 => Just(Step::Finish),
        1 => any::<(u16, u16)>().prop_map(|(at, value)| Step::Scribble(at, value)),
        1 => (0..4_u16, small.clone(), small).prop_map(|(more, id, len)| Step::Used(more, id, len)),
    ];
    prop::collection::vec(step, 1..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Whatever the device writes, wherever: no panic, and each token comes back once.
    #[test]
    fn nonsense(bit in 0..5_u32, agreement in 0..4_usize, steps in steps()) {
        let (mut queue, device) = pair(size(1 << bit), AGREEMENTS[agreement]);
        let (memory, layout) = (device.memory, device.layout);
        let (mut next, mut held, mut used) = (0, BTreeSet::new(), 0_u16);
        for step in steps {
            match step {
                Step::Add(count) => {
                    let free = usize::from(queue.free());
                    let chain = (0..count).map(|_| Buffer::writable(next, 100));
                    if queue.add(chain, next).is_ok() {
                        prop_assert!(count <= free);
                        held.insert(next);
                    }
                    next += 1;
                }
                Step::Publish => drop(queue.publish()),
                Step::Arm => drop(queue.arm()),
                Step::Pop => {
                    let error = queue.error();
                    let result = queue.pop();
                    prop_assert!(error.is_none() || result.is_err());
                    if let Ok(Some(done)) = result {
                        prop_assert!(held.remove(&done.token), "not in flight");
                        prop_assert!(done.written <= 300);
                    }
                }
                Step::Reset => {
                    let mut returned = BTreeSet::new();
                    queue.reset(|token| assert!(returned.insert(token)));
                    prop_assert_eq!(&returned, &held);
                    held.clear();
                    used = 0;
                }
                Step::Finish => {
                    // As a device that has scribbled over its own rings would.
                    let head = memory.load16(layout.available() + 4 + 2 * layout.size().place(used));
                    let entry = layout.used() + 4 + 8 * layout.size().place(used);
                    memory.store32(entry, head.into());
                    memory.store32(entry + 4, 1);
                    used = used.wrapping_add(1);
                    memory.store16(layout.used() + 2, used);
                }
                Step::Scribble(at, value) => {
                    memory.store16(usize::from(at) % (memory.len() / 2) * 2, value);
                }
                Step::Used(more, id, len) => {
                    let entry = layout.used() + 4 + 8 * layout.size().place(used);
                    memory.store32(entry, id);
                    memory.store32(entry + 4, len);
                    used = used.wrapping_add(more);
                    memory.store16(layout.used() + 2, used);
                }
            }
            prop_assert_eq!(usize::from(queue.in_flight()), held.len());
        }
        let mut returned = BTreeSet::new();
        queue.reset(|token| assert!(returned.insert(token)));
        prop_assert_eq!(returned, held);
        prop_assert_eq!(queue.free(), 1 << bit);
    }
}
