//! Chains that are not taken, and queues that cannot be.

use super::agreement::{cycle, pair};
use super::model::Memory;
use super::{AGREEMENTS, size};
use crate::{AddError, Buffer, Layout, NewQueueError, Queueing, RingMemory, Virtqueue};

const BOTH: Queueing = Queueing { indirect: true, event_index: true };

#[test]
fn bad_chains_are_refused_and_change_nothing() {
    let reads = Buffer::readable(1, 1);
    let writes = Buffer::writable(2, 2);
    let bad: [(Vec<Buffer>, AddError); 9] = [
        (vec![], AddError::Empty),
        (vec![Buffer::readable(1, 0)], AddError::EmptyBuffer),
        (vec![reads, Buffer::writable(1, 0)], AddError::EmptyBuffer),
        (vec![writes, reads], AddError::ReadableLast),
        (vec![reads, writes, reads], AddError::ReadableLast),
        (vec![reads, Buffer::writable(1, u32::MAX)], AddError::TooManyBytes),
        (vec![Buffer::readable(1, 1 << 31), Buffer::readable(1, 1 << 31)], AddError::TooManyBytes),
        (vec![reads; 9], AddError::TooLong),
        (vec![reads; 100], AddError::TooLong),
    ];
    let (mut queue, mut device) = pair(size(8), BOTH);
    let table = Memory::new(8 * 16);
    for (chain, reason) in bad {
        let refused = queue.add(chain.clone(), 1).expect_err("bad");
        assert_eq!((refused.reason, refused.token), (reason, 1));
        let refused = queue.add_indirect(chain, &table, 0x100, 2).expect_err("bad");
        assert_eq!((refused.reason, refused.token), (reason, 2));
        assert_eq!((queue.free(), queue.in_flight(), queue.publish()), (8, 0, false));
        assert_eq!(device.take(), None);
    }
    // As long as may be.
    queue.add(vec![reads; 8], 3).expect("eight are free");
    assert!(queue.publish());
    let taken = device.take().expect("published");
    assert_eq!(taken.buffers, vec![reads; 8]);
    device.want(true);
    device.finish(taken.head, 0);
    assert_eq!(queue.pop().expect("good").expect("finished").token, 3);
    assert!(queue.arm());
    (0..20).for_each(|token| cycle(&mut queue, &mut device, token));
}

#[test]
fn a_chain_that_is_described_and_not_committed_changes_nothing() {
    let (mut queue, mut device) = pair(size(4), BOTH);
    let token = vec![Buffer::readable(3, 3), Buffer::writable(4, 4)];
    drop(queue.describe(token.iter().copied()).expect("room"));
    assert_eq!((queue.free(), queue.in_flight(), queue.publish()), (4, 0, false));
    queue.describe(token.iter().copied()).expect("room").commit(7);
    assert_eq!(queue.describe(vec![token[1]; 3]).err(), Some(AddError::Full));
    assert!(queue.publish());
    assert_eq!(device.take().expect("published").buffers, token);
    assert_eq!((queue.free(), queue.in_flight()), (2, 1));
}

#[test]
fn full_is_told_from_too_long() {
    let (mut queue, _) = pair(size(4), BOTH);
    queue.add(vec![Buffer::readable(1, 1); 3], 0).expect("room");
    let mut add = |count| queue.add(vec![Buffer::readable(1, 1); count], 0).map_err(|r| r.reason);
    assert_eq!(add(2), Err(AddError::Full));
    assert_eq!(add(4), Err(AddError::Full));
    assert_eq!(add(5), Err(AddError::TooLong));
    assert_eq!(add(1), Ok(()));
    assert_eq!(add(1), Err(AddError::Full));
    // Without an end, whether there is room or not.
    let endless = core::iter::repeat(Buffer::readable(1, 1));
    assert_eq!(queue.add(endless.clone(), 0).expect_err("endless").reason, AddError::TooLong);
    let (mut queue, _) = pair(size(4), BOTH);
    assert_eq!(queue.add(endless, 0).expect_err("endless").reason, AddError::TooLong);
}

#[test]
fn indirect_tables_hold_what_fits_and_what_was_agreed() {
    let chain = |count| vec![Buffer::readable(7, 1); count];
    for queueing in AGREEMENTS {
        let (mut queue, mut device) = pair(size(4), queueing);
        let table = Memory::new(3 * 16 + 8);
        device.tables.insert(0x1230, table.clone());
        let added = queue.add_indirect(chain(3), &table, 0x1230, 1);
        if !queueing.indirect {
            assert_eq!(added.expect_err("not agreed").reason, AddError::NoIndirect);
            continue;
        }
        added.expect("three fit");
        let other = Memory::new(3 * 16 + 8);
        let refused = queue.add_indirect(chain(4), &other, 0x1230, 1).expect_err("three fit");
        assert_eq!(refused.reason, AddError::TooLong);
        assert_eq!((queue.free(), queue.in_flight()), (3, 1));
        assert!(queue.publish());
        let taken = device.take().expect("published");
        assert_eq!(taken.buffers, chain(3));
        device.finish(taken.head, 0);
        assert_eq!(queue.pop().expect("good").expect("finished").token, 1);
        // A table for more, but the queue is shorter.
        let large = Memory::new(100 * 16);
        let refused = queue.add_indirect(chain(5), &large, 0, 1).expect_err("size is 4");
        assert_eq!(refused.reason, AddError::TooLong);
    }
}

#[test]
fn memory_must_hold_the_parts() {
    let layout = Layout::new(size(16));
    let needed = layout.bytes();
    let new = |bytes| {
        Virtqueue::<_, ()>::new(Memory::new(bytes), size(16), BOTH).map(|queue| queue.free())
    };
    assert_eq!(new(needed), Ok(16));
    assert_eq!(new(needed - 2), Err(NewQueueError::TooSmall { needed, available: needed - 2 }));
    assert_eq!(new(0), Err(NewQueueError::TooSmall { needed, available: 0 }));
    assert!(Memory::new(0).is_empty());
}
