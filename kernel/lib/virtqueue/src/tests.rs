//! The queue against a model device: every size and agreement past the wrap, random steps, a
//! device that breaks the rules, and two threads.

mod agreement;
mod hostile;
mod model;
mod refusals;
mod steps;
mod threads;

use crate::{Layout, QueueSize, Queueing, notify};

fn size(size: u16) -> QueueSize {
    QueueSize::new(size).expect("a power of two")
}

/// All that can be agreed upon.
const AGREEMENTS: [Queueing; 4] = [
    Queueing { indirect: false, event_index: false },
    Queueing { indirect: false, event_index: true },
    Queueing { indirect: true, event_index: false },
    Queueing { indirect: true, event_index: true },
];

#[test]
fn sizes_are_powers_of_two() {
    let good: Vec<u16> = (0..=u16::MAX).filter(|&n| QueueSize::new(n).is_ok()).collect();
    assert_eq!(good, (0..16).map(|bit| 1 << bit).collect::<Vec<u16>>());
    assert_eq!(good.last(), Some(&QueueSize::MAX.get()));
}

#[test]
fn parts_lie_as_the_specification_says() {
    for bit in 0..16 {
        let entries = 1usize << bit;
        let layout = Layout::new(size(1 << bit));
        // Section 2.7: alignments 16, 2, 4; sizes 16 * n, 6 + 2 * n, 6 + 8 * n.
        assert_eq!(layout.descriptors(), 0);
        assert_eq!(layout.available(), 16 * entries);
        assert!(layout.used() >= layout.available() + 6 + 2 * entries);
        assert!(layout.used().is_multiple_of(Layout::ALIGN));
        assert!((6 + 8 * entries..14 + 8 * entries).contains(&(layout.bytes() - layout.used())));
        // Inside the rings, section 2.7.6 and 2.7.8.
        let last = (entries - 1) as u16;
        assert_eq!(layout.available_entry(last), layout.available() + 4 + 2 * (entries - 1));
        assert_eq!(layout.available_entry(last.wrapping_add(1)), layout.available() + 4);
        assert_eq!(layout.used_event(), layout.available() + 4 + 2 * entries);
        assert_eq!(layout.used_entry(last), layout.used() + 4 + 8 * (entries - 1));
        assert_eq!(layout.used_entry(u16::MAX), layout.used_entry(last));
        assert_eq!(layout.avail_event(), layout.used() + 4 + 8 * entries);
    }
}

#[test]
fn an_event_is_passed_by_the_entry_of_its_number() {
    for old in [0, 1, 100, 0x7fff, 0x8000, 0xfff0, 0xffff_u16] {
        for count in [0, 1, 2, 15, 16, 17, 255, 0x8000_u16] {
            let new = old.wrapping_add(count);
            for event in (0..=u16::MAX).step_by(7).chain([old, new, old.wrapping_sub(1)]) {
                let is_among = event.wrapping_sub(old) < count;
                assert_eq!(notify::passes(event, new, old), is_among, "{event} in {old}..{new}");
            }
        }
    }
}
