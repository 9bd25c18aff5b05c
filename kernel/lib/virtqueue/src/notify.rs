//! Who has to tell whom: notifications that the device wants, interrupts that the driver
//! wants (VirtIO 1.2, sections 2.7.7 and 2.7.10).
//!
//! Without the event index each side has a flag for "not now". With it each says at which index
//! of the other's ring it wants to be told, and is told once when that is passed.

use core::sync::atomic::{Ordering, fence};

use crate::{Layout, RingMemory};

/// In the used ring's flags: the device wants no notification.
const NO_NOTIFY: u16 = 1;
/// In the available ring's flags: the driver wants no interrupt.
const NO_INTERRUPT: u16 = 1;

/// Whether an index that went from `old` to `new` has passed `event`: the entry number
/// `event` is among the new ones. All count modulo 65536.
pub(crate) const fn passes(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

/// Whether the device wants to be told that the available ring's index went from `old` to
/// `new`. The index has been stored.
pub(crate) fn is_wanted(
    memory: &impl RingMemory,
    layout: &Layout,
    event_index: bool,
    old: u16,
    new: u16,
) -> bool {
    // The index is stored before the device's wish is read: the device says its wish, then
    // looks at the index. One of the two sees what the other did.
    fence(Ordering::SeqCst);
    if event_index {
        passes(memory.load16(layout.avail_event()), new, old)
    } else {
        memory.load16(layout.used_flags()) & NO_NOTIFY == 0
    }
}

/// Asks for an interrupt at the used ring's entry `seen`, the first that the driver has not
/// seen. What is there already is not told of: the caller has to look at the index, after this.
pub(crate) fn ask(memory: &impl RingMemory, layout: &Layout, event_index: bool, seen: u16) {
    if event_index {
        memory.store16(layout.used_event(), seen);
    } else {
        memory.store16(layout.available_flags(), 0);
    }
    // As above, with the parts exchanged.
    fence(Ordering::SeqCst);
}

/// Asks for no interrupt. The device may not have seen that yet when it interrupts.
pub(crate) fn ask_not(memory: &impl RingMemory, layout: &Layout, event_index: bool, seen: u16) {
    if event_index {
        // An entry that was passed: its number comes again after 65535 others.
        memory.store16(layout.used_event(), seen.wrapping_sub(1));
    } else {
        memory.store16(layout.available_flags(), NO_INTERRUPT);
    }
}
