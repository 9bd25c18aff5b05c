//! Message-signalled interrupts: a device interrupts a CPU by a write to memory (Intel SDM
//! volume 3, section 11.11).
//!
//! [`MessageInterrupt`] is the right to one: a free vector with a handler, and the
//! [`Message`] that its owner has the device send. For MSI-X each entry of the table is one;
//! the several messages of MSI are [a row](MessageInterrupt::claim_row).

use alloc::vec::Vec;

use super::slots::{Action, Claim};
use super::{IrqError, count, vectors};

/// Where local APICs take messages.
const ADDRESS: u64 = 0xfee0_0000;
/// Position of the APIC id in the address. The redirection hint and the destination mode
/// below it are zero: this one APIC, by its id.
const APIC_ID_SHIFT: u32 = 12;

/// What a device writes, and where, to interrupt a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Physical address; it has 32 bits.
    pub address: u64,
    /// What is written there: the vector. The bits above it are zero: a fixed interrupt, by
    /// an edge.
    pub data: u32,
}

impl Message {
    const fn new(apic_id: u8, vector: u8) -> Self {
        Self { address: ADDRESS | (apic_id as u64) << APIC_ID_SHIFT, data: vector as u32 }
    }
}

// The figures 11-24 and 11-25 of the section.
const _: () = {
    let message = Message::new(0x12, 0xab);
    assert!(message.address == 0xfee1_2000 && message.data == 0xab);
};

/// A vector for a device, given back on drop.
#[derive(Debug)]
struct GivenVector(u8);

impl Drop for GivenVector {
    fn drop(&mut self) {
        count::forget(self.0);
        vectors::free(self.0);
    }
}

/// The right to one message-signalled interrupt. Dropping it takes the handler away, which
/// does not run any more afterwards; the device should have been told before, or its next
/// message is counted as nobody's.
#[must_use = "the handler is taken away when this is dropped"]
#[derive(Debug)]
pub struct MessageInterrupt {
    claim: Claim,
    cpu: u32,
    message: Message,
    // Declared last: free when nobody has it any more.
    _vector: GivenVector,
}

impl MessageInterrupt {
    /// Registers `action` for a free vector. It interrupts CPU number `cpu`; `None`: the one
    /// that the fewest devices interrupt.
    ///
    /// # Errors
    /// `NoVectors`: [`DEVICE_VECTORS`](super::DEVICE_VECTORS) interrupts are taken;
    /// `Unreachable`; `OutOfMemory`.
    pub fn claim(owner: &str, cpu: Option<u32>, action: Action) -> Result<Self, IrqError> {
        let vector = vectors::allocate_for_messages(1)?;
        Self::with_vector(GivenVector(vector), vector, 1, owner, cpu, action)
    }

    /// Registers all of `actions` for vectors in a row, the first a multiple of their number,
    /// with one CPU: for a function with MSI that sends several messages. The device puts the
    /// number of a message into the low bits of the first one's data. Their number must be a
    /// power of two, at most 32. They share an address, so whoever [changes the
    /// CPU](Self::set_affinity) of one must do so for all.
    ///
    /// # Errors
    /// As [`claim`](Self::claim); `NoVectors` also if no row is free.
    pub fn claim_row(
        owner: &str,
        cpu: Option<u32>,
        actions: Vec<Action>,
    ) -> Result<Vec<Self>, IrqError> {
        let mut row = Vec::new();
        row.try_reserve_exact(actions.len()).map_err(|_| IrqError::OutOfMemory)?;
        let mut vectors = Vec::new();
        vectors.try_reserve_exact(actions.len()).map_err(|_| IrqError::OutOfMemory)?;
        let count = u8::try_from(actions.len()).map_err(|_| IrqError::NoVectors)?;
        let first = vectors::allocate_for_messages(count)?;
        vectors.extend((first..).take(count.into()).map(GivenVector));
        for (vector, action) in vectors.into_iter().zip(actions) {
            // The first one chooses for all.
            let cpu = row.first().map_or(cpu, |first: &Self| Some(first.cpu));
            row.push(Self::with_vector(vector, first, count, owner, cpu, action)?);
        }
        Ok(row)
    }

    fn with_vector(
        vector: GivenVector,
        first: u8,
        count_of_row: u8,
        owner: &str,
        cpu: Option<u32>,
        action: Action,
    ) -> Result<Self, IrqError> {
        let target = vectors::direct(first, count_of_row, cpu)?;
        let claim = Claim::new(vector.0, None, false, owner, action, || Ok(()))?;
        let message = Message::new(target.apic_id, vector.0);
        Ok(Self { claim, cpu: target.cpu, message, _vector: vector })
    }

    /// Its vector.
    pub fn vector(&self) -> u8 {
        self.claim.vector()
    }

    /// The CPU that it interrupts.
    pub fn cpu(&self) -> u32 {
        self.cpu
    }

    /// What the device must be told to send.
    pub fn message(&self) -> Message {
        self.message
    }

    /// Makes it interrupt another CPU; what the device must be told to send from now on.
    /// Messages of before still arrive at the old CPU, and are handled.
    ///
    /// # Errors
    /// `Unreachable`; nothing has changed then.
    pub fn set_affinity(&mut self, cpu: u32) -> Result<Message, IrqError> {
        let target = vectors::direct(self.vector(), 1, Some(cpu))?;
        self.cpu = target.cpu;
        self.message = Message::new(target.apic_id, self.vector());
        Ok(self.message)
    }
}

#[cfg(not(test))]
mod tests {
    use core::sync::atomic::{AtomicU32, Ordering};

    use arch::irqchip::lapic;

    use super::super::{Handled, Source, action, cpu_of, source};
    use super::*;
    use crate::{smp, time};

    /// Sends what a device would: an interrupt on the vector of `message`, to its APIC.
    fn send(message: Message) {
        let apic_id = (message.address >> APIC_ID_SHIFT & 0xff) as u32;
        assert_eq!(message.address & 0xfff0_0fff, ADDRESS);
        lapic::send_ipi(apic_id, message.data as u8).expect("the APIC sends");
    }

    fn comes(done: impl Fn() -> bool) -> bool {
        let end = time::now_ns() + 500_000_000;
        while !done() && time::now_ns() < end {
            core::hint::spin_loop();
        }
        done()
    }

    #[macros::kernel_test]
    fn messages_reach_every_cpu() {
        static SEEN: [AtomicU32; 64] = [const { AtomicU32::new(0) }; 64];
        SEEN.iter().for_each(|seen| seen.store(0, Ordering::Relaxed));
        let note = action(|| {
            SEEN[arch::cpu::local::cpu_number() as usize].fetch_add(1, Ordering::Release);
            Handled::Yes
        });
        let note = note.expect("memory for a closure");
        let mut interrupt = MessageInterrupt::claim("test", None, note).expect("a free vector");
        assert_eq!(source(interrupt.vector()), Source::Message);
        for cpu in smp::online().iter() {
            let message = interrupt.set_affinity(cpu).expect("the CPU runs");
            assert_eq!((message, cpu_of(interrupt.vector())), (interrupt.message(), Some(cpu)));
            send(message);
            let seen = || SEEN[cpu as usize].load(Ordering::Acquire);
            assert!(comes(|| seen() > 0), "no message to CPU {cpu} arrives");
            assert_eq!(super::super::count_of(interrupt.vector(), cpu), 1);
        }
        assert!(SEEN.iter().all(|seen| seen.load(Ordering::Acquire) <= 1));
        let error = interrupt.set_affinity(63).err();
        assert!(smp::online().contains(63) || error == Some(IrqError::Unreachable { cpu: 63 }));
    }

    #[macros::kernel_test]
    fn a_dropped_message_finds_nobody() {
        use alloc::sync::Arc;
        let calls = Arc::new(AtomicU32::new(0));
        let counter = calls.clone();
        let note = action(move || {
            counter.fetch_add(1, Ordering::Release);
            Handled::Yes
        });
        let note = note.expect("memory for a closure");
        let interrupt = MessageInterrupt::claim("test", Some(0), note).expect("a free vector");
        let message = interrupt.message();
        send(message);
        assert!(comes(|| calls.load(Ordering::Acquire) == 1));
        assert_eq!(Arc::strong_count(&calls), 2);
        drop(interrupt);
        assert_eq!(Arc::strong_count(&calls), 1, "the handler is freed with the claim");
        let unclaimed = || {
            let of = |cpu| super::super::spurious_of(super::super::Spurious::Unclaimed, cpu);
            smp::online().iter().map(of).sum::<u64>()
        };
        let before = unclaimed();
        send(message); // a log line
        assert!(comes(|| unclaimed() == before + 1));
        assert_eq!(calls.load(Ordering::Acquire), 1);
    }

    #[macros::kernel_test]
    fn dropping_waits_for_the_handler() {
        use crate::irq::MessageInterrupt;
        static STATE: AtomicU32 = AtomicU32::new(0);
        STATE.store(0, Ordering::Relaxed);
        // On another CPU, so that it runs beside the drop.
        let here = {
            let _stay = crate::preempt::disable();
            arch::cpu::local::cpu_number()
        };
        let Some(other) = smp::online().iter().find(|&cpu| cpu != here) else { return };
        let slow = action(|| {
            STATE.store(1, Ordering::Release);
            let end = time::now_ns() + 20_000_000;
            while time::now_ns() < end {
                core::hint::spin_loop();
            }
            STATE.store(2, Ordering::Release);
            Handled::Yes
        });
        let slow = slow.expect("memory for a closure");
        let interrupt = MessageInterrupt::claim("test", Some(other), slow).expect("a vector");
        send(interrupt.message());
        assert!(comes(|| STATE.load(Ordering::Acquire) > 0));
        drop(interrupt);
        assert_eq!(STATE.load(Ordering::Acquire), 2, "the handler has ended");
    }

    #[macros::kernel_test]
    fn a_row_is_aligned_and_shares_an_address() {
        let four = (0..4).map(|_| action(|| Handled::Yes).expect("no memory needed")).collect();
        let row = MessageInterrupt::claim_row("test", None, four).expect("a free row");
        let first = row[0].message();
        assert!(first.data.is_multiple_of(4));
        for (number, one) in (0..).zip(&row) {
            let Message { address, data } = one.message();
            assert_eq!((address, data), (first.address, first.data + number));
            assert_eq!(cpu_of(one.vector()), Some(row[0].cpu()));
        }
        let three = (0..3).map(|_| action(|| Handled::Yes).expect("no memory needed")).collect();
        let error = MessageInterrupt::claim_row("test", None, three).err();
        assert_eq!(error, Some(IrqError::NoVectors));
    }

    #[macros::kernel_test]
    fn vectors_run_out_with_an_error_and_come_back() {
        let one = || {
            let nothing = action(|| Handled::Yes).expect("no memory needed");
            MessageInterrupt::claim("test", None, nothing)
        };
        let mut all = Vec::new();
        let error = loop {
            match one() {
                Ok(interrupt) => all.push(interrupt),
                Err(error) => break error,
            }
            assert!(all.len() <= super::super::DEVICE_VECTORS);
        };
        assert_eq!(error, IrqError::NoVectors);
        let cpus = smp::online();
        let on = |cpu: u32| all.iter().filter(|interrupt| interrupt.cpu() == cpu).count();
        let (least, most) = (cpus.iter().map(on).min(), cpus.iter().map(on).max());
        assert!(most.unwrap_or(0) - least.unwrap_or(0) < 30, "{least:?} to {most:?} for a CPU");
        drop(all);
        drop(one().expect("given back"));
    }
}
