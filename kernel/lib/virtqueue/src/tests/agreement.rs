//! All sizes and agreements, each with full queues, finished out of order, past the wrap.

use super::model::{Device, Memory, Taken};
use super::{AGREEMENTS, size};
use crate::{Buffer, Layout, QueueSize, Queueing, Virtqueue};

pub(super) fn pair(size: QueueSize, queueing: Queueing) -> (Virtqueue<Memory, u64>, Device) {
    let layout = Layout::new(size);
    let memory = Memory::for_queue(&layout);
    let queue = Virtqueue::new(memory.clone(), size, queueing).expect("memory enough");
    (queue, Device::new(memory, layout, queueing))
}

/// A chain of one buffer through all stations; the memory of both indexes moves by one.
pub(super) fn cycle(queue: &mut Virtqueue<Memory, u64>, device: &mut Device, token: u64) {
    queue.add([Buffer::writable(token, 8)], token).expect("room");
    assert!(queue.publish(), "a device that has taken all wants to be told");
    let taken = device.take().expect("published");
    assert_eq!(taken.buffers, [Buffer::writable(token, 8)]);
    device.want(true);
    assert!(device.finish(taken.head, 3), "armed");
    let done = queue.pop().expect("a good device").expect("finished");
    assert_eq!((done.token, done.written), (token, 3));
    assert!(queue.arm());
}

#[test]
fn one_after_the_other_past_the_wrap() {
    for queueing in AGREEMENTS {
        for bit in [0, 1, 8, 15] {
            let (mut queue, mut device) = pair(size(1 << bit), queueing);
            for token in 0..66_000 {
                cycle(&mut queue, &mut device, token);
            }
            assert_eq!((queue.taken(), queue.in_flight(), device.used), (66_000, 0, 464));
        }
    }
}

#[test]
fn full_queues_past_the_wrap() {
    for queueing in AGREEMENTS {
        for bit in 0..16 {
            let entries = 1u64 << bit;
            let (mut queue, mut device) = pair(size(1 << bit), queueing);
            for round in 0..(70_000 / entries + 2) {
                fill(&mut queue, &mut device, round * entries, entries);
            }
        }
    }
}

/// Fills the queue with `entries` chains of one buffer, and empties it.
fn fill(queue: &mut Virtqueue<Memory, u64>, device: &mut Device, first: u64, entries: u64) {
    for token in first..first + entries {
        queue.add([Buffer::writable(token, 8)], token).expect("room");
    }
    assert_eq!((queue.free(), u64::from(queue.in_flight())), (0, entries));
    let refused = queue.add([Buffer::writable(1, 8)], 7).expect_err("no room");
    assert_eq!((refused.reason, refused.token), (crate::AddError::Full, 7));
    device.want(true);
    assert!(queue.publish() && !queue.publish());
    let mut taken: Vec<Taken> = core::iter::from_fn(|| device.take()).collect();
    let addresses: Vec<u64> = taken.iter().map(Taken::address).collect();
    assert_eq!(addresses, (first..first + entries).collect::<Vec<_>>(), "in the order of adding");
    // Finished last to first, then with some exchanged.
    taken.reverse();
    let middle = taken.len() / 3;
    taken.rotate_left(middle);
    for (index, chain) in taken.iter().enumerate() {
        let interrupts = device.finish(chain.head, index as u32 % 9);
        // By the index only the first of them; by the flag all.
        assert_eq!(interrupts, index == 0 || !queue.queueing().event_index);
    }
    assert!(!queue.arm(), "there are some");
    for (index, chain) in taken.iter().enumerate() {
        let done = queue.pop().expect("a good device").expect("finished");
        assert_eq!((done.token, done.written), (chain.address(), index as u32 % 9));
    }
    assert_eq!(queue.pop(), Ok(None));
    assert!(queue.arm());
    assert_eq!((u64::from(queue.free()), queue.in_flight()), (entries, 0));
}

/// The descriptors of a chain that stays long are never given to another, and it may come back
/// after any number of others.
#[test]
fn a_chain_may_stay_while_indexes_wrap() {
    for queueing in AGREEMENTS {
        for others in [65_535, 65_536, 65_537, 131_072] {
            let (mut queue, mut device) = pair(size(4), queueing);
            let long = [Buffer::readable(u64::MAX, 1), Buffer::writable(1 << 40, 100)];
            queue.add(long, u64::MAX).expect("room");
            assert!(queue.publish());
            let held = device.take().expect("published");
            assert_eq!(held.buffers, long);
            device.want(true);
            for token in 0..others {
                cycle(&mut queue, &mut device, token);
            }
            // One waits unpublished, with the number that the long one had.
            queue.add([Buffer::writable(5, 5)], 5).expect("room");
            device.finish(held.head, 100);
            let done = queue.pop().expect("a good device").expect("finished");
            assert_eq!((done.token, done.written), (u64::MAX, 100));
            assert_eq!((queue.free(), queue.in_flight()), (3, 1));
        }
    }
}

#[test]
fn a_reset_queue_is_as_new() {
    for queueing in AGREEMENTS {
        let (mut queue, mut device) = pair(size(8), queueing);
        (0..100).for_each(|token| cycle(&mut queue, &mut device, token));
        (0..5).for_each(|token| queue.add([Buffer::readable(token, 1)], token).expect("room"));
        assert!(queue.publish());
        let head = device.take().expect("published").head;
        device.finish(head, 0);
        queue.add([Buffer::readable(5, 1)], 5).expect("room");
        queue.disarm();
        let mut tokens = Vec::from([queue.recall().expect("six"), queue.recall().expect("five")]);
        queue.reset(|token| tokens.push(token));
        assert_eq!(queue.recall(), None);
        tokens.sort_unstable();
        assert_eq!(tokens, [0, 1, 2, 3, 4, 5]);
        assert_eq!((queue.free(), queue.in_flight(), queue.taken()), (8, 0, 0));
        let mut device = Device::new(device.memory, device.layout, queueing);
        (0..100).for_each(|token| cycle(&mut queue, &mut device, token));
    }
}
