//! The interrupts of a device on PCI (VirtIO 1.2, section 4.1.5): by MSI-X one for the
//! configuration and one for each queue, or fewer that are shared; else by its pin.

use alloc::sync::Arc;
use alloc::vec::Vec;

use base::irq::{self, Action, Handled, IrqError};
use memory::kernel_space::Registers;

use super::registers::{Isr, IsrStatus};
use crate::pci::{Function, InterruptKind, Interrupts, Which};
use crate::virtio::{Callbacks, NO_VECTOR, VirtioError};

/// Interrupts that are connected.
pub(super) struct Connected {
    pub(super) interrupts: Interrupts,
    /// What they are, for the user: their kind and number.
    pub(super) kind: Described,
    pub(super) config_vector: u16,
    pub(super) queue_vectors: Vec<u16>,
}

/// Kind and number of interrupts.
pub(super) struct Described(InterruptKind, usize);

impl core::fmt::Display for Described {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match (self.0, self.1) {
            (InterruptKind::Intx, _) => write!(f, "{}", self.0),
            (kind, 1) => write!(f, "{kind}, 1 vector"),
            (kind, count) => write!(f, "{kind}, {count} vectors"),
        }
    }
}

/// Which of `count` interrupts queue number `index`, in the order of the callbacks, has: the
/// first is the configuration's, unless it is the only one.
fn vector_of(index: usize, count: usize) -> usize {
    match count {
        0 | 1 => 0,
        _ => 1 + index % (count - 1),
    }
}

/// Connects a function's interrupts, which are `owner`'s, to `callbacks`.
///
/// # Errors
/// `Interrupts`.
pub(super) fn connect(
    function: &Function,
    owner: &str,
    isr: &Registers<Isr>,
    callbacks: Callbacks,
) -> Result<Connected, VirtioError> {
    let callbacks = Arc::new(callbacks);
    let queues = callbacks.queues.len();
    let handler = &mut |which: Which| match which.kind {
        InterruptKind::Intx => pin(isr.clone(), callbacks.clone()),
        _ => message(which, &callbacks),
    };
    // The device knows of no other messages than MSI-X.
    let kinds = [InterruptKind::MsiX, InterruptKind::Intx];
    let wanted = queues.min(callbacks.most_interrupts) + 1;
    let interrupts = function.interrupts_of(&kinds, owner, wanted, handler)?;
    let (kind, count) = (interrupts.kind(), interrupts.count());
    let (config_vector, queue_vectors) = match kind {
        InterruptKind::Intx => (NO_VECTOR, alloc::vec![NO_VECTOR; queues]),
        _ => (0, (0..queues).map(|index| vector_of(index, count) as u16).collect()),
    };
    // One of its own goes to the CPU that uses the queue.
    if count == queues + 1 {
        for (index, (_, cpu)) in callbacks.queues.iter().enumerate() {
            if let Some(cpu) = *cpu
                && let Err(error) = interrupts.set_affinity(index + 1, cpu)
            {
                log::debug!("virtio: queue {index} does not interrupt CPU {cpu}: {error}");
            }
        }
    }
    Ok(Connected { interrupts, kind: Described(kind, count), config_vector, queue_vectors })
}

/// The handler of one message.
fn message(which: Which, callbacks: &Arc<Callbacks>) -> Result<Action, IrqError> {
    let Which { index, count, .. } = which;
    let is_shared = count == 1;
    if index == 0 && !is_shared {
        let config = callbacks.config.clone();
        return irq::action(move || {
            config();
            Handled::Yes
        });
    }
    let mine = (0..callbacks.queues.len()).filter(|&queue| vector_of(queue, count) == index);
    let mut mine = mine.filter_map(|queue| callbacks.queues.get(queue).map(|(queue, _)| queue));
    if let (Some(queue), None, false) = (mine.next(), mine.next(), is_shared) {
        let queue = queue.clone();
        return irq::action(move || {
            queue();
            Handled::Yes
        });
    }
    // Which of several it is for is not told.
    let callbacks = callbacks.clone();
    irq::action(move || {
        for (queue, (callback, _)) in callbacks.queues.iter().enumerate() {
            if vector_of(queue, count) == index {
                callback();
            }
        }
        if is_shared {
            (callbacks.config)();
        }
        Handled::Yes
    })
}

/// The handler of the pin.
fn pin(isr: Registers<Isr>, callbacks: Arc<Callbacks>) -> Result<Action, IrqError> {
    irq::action(move || {
        // Reading it releases the line.
        let status = IsrStatus::from_bits_retain(isr.take());
        if status.contains(IsrStatus::QUEUE) {
            callbacks.queues.iter().for_each(|(queue, _)| queue());
        }
        if status.contains(IsrStatus::CONFIG) {
            (callbacks.config)();
        }
        if status.is_empty() { Handled::No } else { Handled::Yes }
    })
}

#[base::kernel_test]
fn queues_share_what_vectors_there_are() {
    let vectors = |queues, count| (0..queues).map(|queue| vector_of(queue, count)).collect();
    let expect = |queues, count, expected: &[usize]| {
        let vectors: Vec<usize> = vectors(queues, count);
        assert_eq!(vectors, expected, "{count} for {queues}");
    };
    expect(3, 4, &[1, 2, 3]);
    expect(4, 3, &[1, 2, 1, 2]);
    expect(3, 2, &[1, 1, 1]);
    expect(3, 1, &[0, 0, 0]);
    expect(0, 1, &[]);
}
