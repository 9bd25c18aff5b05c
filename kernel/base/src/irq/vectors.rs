//! The vectors that devices get, and which CPU each interrupts.
//!
//! There is one table of handlers for all CPUs, so a vector stands for the same interrupt on
//! each of them, and an interrupt can change its CPU without changing its vector: nothing is
//! lost on the way. The price is the limit: [`DEVICE_VECTORS`] interrupts of devices in the
//! whole machine, lines of I/O APICs and messages together.
//!
//! Vectors are handed out in turn, so that one that was given back rests as long as possible:
//! a message that was still on its way then finds nobody, and not somebody else.

use arch::cpu::local::MAX_CPUS;
use arch::irqchip::pic;
use static_assertions::const_assert;

use super::IrqError;
use crate::cpu_set::CpuSet;
use crate::smp;
use crate::sync::IrqSpinLock;

/// First vector for devices: behind those of the 8259A pair.
pub(super) const FIRST: u8 = pic::FIRST_VECTOR + pic::LINES;
/// The vectors from here on are those of local APICs, what CPUs send each other, and tests.
pub(super) const FIRST_LOCAL: u8 = 0xe0;

/// Interrupts of devices that there can be at a time.
pub const DEVICE_VECTORS: usize = (FIRST_LOCAL - FIRST) as usize;

/// Of those, as many are kept for lines: a console is of more use than one more message.
const KEPT_FOR_LINES: usize = 24;
/// A device takes so much of what is left for messages at most, one part in this many.
const SHARE: usize = 4;

/// Most vectors in a row: what a PCI function can ask for by MSI.
const MOST_IN_A_ROW: u8 = 32;

// One byte names a CPU.
const_assert!(MAX_CPUS < 0xff);
const NO_CPU: u8 = 0xff;

/// A CPU as an interrupt controller or a device names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) cpu: u32,
    pub(super) apic_id: u8,
}

struct Table {
    given: [bool; DEVICE_VECTORS],
    /// The CPU of each vector that interrupts one, or `NO_CPU`.
    cpus: [u8; DEVICE_VECTORS],
    /// Where to look first.
    next: usize,
}

static TABLE: IrqSpinLock<Table> = IrqSpinLock::new("irq vectors", Table::new());

impl Table {
    const fn new() -> Self {
        Self { given: [false; DEVICE_VECTORS], cpus: [NO_CPU; DEVICE_VECTORS], next: 0 }
    }

    /// The first of `count` free vectors in a row, at a multiple of `count`, a power of two.
    fn allocate(&mut self, count: u8) -> Option<u8> {
        let step = usize::from(count);
        let free = |&first: &usize| {
            (usize::from(FIRST) + first).is_multiple_of(step)
                && self.given.get(first..first + step).is_some_and(|row| !row.contains(&true))
        };
        let first = (self.next..DEVICE_VECTORS).chain(0..self.next).find(free)?;
        self.given[first..first + step].fill(true);
        self.next = (first + step) % DEVICE_VECTORS;
        Some(FIRST + first as u8)
    }

    /// Vectors that messages may still have.
    fn left_for_messages(&self) -> usize {
        let free = self.given.iter().filter(|&&given| !given).count();
        free.saturating_sub(KEPT_FOR_LINES)
    }

    /// The CPU of `cpus` that the fewest devices interrupt; the lowest number of several.
    fn least_loaded(&self, cpus: CpuSet) -> Option<u32> {
        let load = |cpu: &u32| self.cpus.iter().filter(|&&one| u32::from(one) == *cpu).count();
        cpus.iter().min_by_key(load)
    }
}

/// The place of `vector` in the table, of one for devices.
fn index(vector: u8) -> Option<usize> {
    (FIRST..FIRST_LOCAL).contains(&vector).then(|| usize::from(vector - FIRST))
}

/// Whether `vector` is one of those that are handed out here.
pub(super) fn is_for_devices(vector: u8) -> bool {
    index(vector).is_some()
}

/// Takes `count` vectors in a row, a power of two, the first a multiple of `count`; the first.
///
/// # Errors
/// `NoVectors`: there are not so many in a row, or never.
pub(super) fn allocate(count: u8) -> Result<u8, IrqError> {
    if !count.is_power_of_two() || count > MOST_IN_A_ROW {
        return Err(IrqError::NoVectors);
    }
    TABLE.lock().allocate(count).ok_or(IrqError::NoVectors)
}

/// As [`allocate`], for messages: some vectors are left for lines.
///
/// # Errors
/// As [`allocate`].
pub(super) fn allocate_for_messages(count: u8) -> Result<u8, IrqError> {
    let left = TABLE.lock().left_for_messages();
    if usize::from(count) > left { Err(IrqError::NoVectors) } else { allocate(count) }
}

/// How many messages a device should take at most that could use `wanted`: fewer when there are
/// not many left, since others want some, too; one at least.
pub fn fair_share(wanted: usize) -> usize {
    let left = TABLE.lock().left_for_messages();
    wanted.min(left / SHARE).max(1)
}

/// Gives `vector` back. Nobody may have a handler for it any more.
pub(super) fn free(vector: u8) {
    if let Some(index) = index(vector) {
        let mut table = TABLE.lock();
        table.given[index] = false;
        table.cpus[index] = NO_CPU;
    }
}

/// How interrupt controllers and devices name an online CPU: with eight bits, of which all
/// ones mean every CPU. Without interrupt remapping that is so in x2APIC mode as well.
fn target(cpu: u32) -> Option<Target> {
    let apic_id = u8::try_from(smp::apic_id(cpu)?).ok().filter(|&id| id < 0xff)?;
    Some(Target { cpu, apic_id })
}

/// Chooses the CPU that the `count` vectors from `first` on interrupt: `wanted`, or the one
/// that has the fewest.
///
/// # Errors
/// `Unreachable`: the CPU does not run, or its APIC id has more than eight bits.
pub(super) fn direct(first: u8, count: u8, wanted: Option<u32>) -> Result<Target, IrqError> {
    let mut table = TABLE.lock();
    let target = match wanted {
        Some(cpu) => target(cpu).ok_or(IrqError::Unreachable { cpu })?,
        None => {
            let reachable = smp::online().iter().filter(|&cpu| target(cpu).is_some());
            let reachable = reachable.fold(CpuSet::EMPTY, |set, cpu| set.or(CpuSet::one(cpu)));
            let chosen = table.least_loaded(reachable).and_then(target);
            chosen.ok_or(IrqError::Unreachable { cpu: 0 })?
        }
    };
    for index in (first..).take(count.into()).filter_map(index) {
        table.cpus[index] = target.cpu as u8;
    }
    Ok(target)
}

/// `vector` interrupts nobody for now, but is kept.
pub(super) fn undirect(vector: u8) {
    if let Some(index) = index(vector) {
        TABLE.lock().cpus[index] = NO_CPU;
    }
}

/// The CPU that `vector`, one for devices, interrupts.
pub fn cpu_of(vector: u8) -> Option<u32> {
    let cpu = TABLE.lock().cpus[index(vector)?];
    (cpu != NO_CPU).then_some(cpu.into())
}

#[cfg(not(test))]
mod tests {
    use super::*;

    #[macros::kernel_test]
    fn vectors_are_handed_out_in_turn_until_there_are_none() {
        let mut table = Table::new();
        assert_eq!(table.allocate(1), Some(FIRST));
        table.given[0] = false;
        assert_eq!(table.allocate(1), Some(FIRST + 1), "the first one rests");
        let rest = core::iter::from_fn(|| table.allocate(1)).count();
        assert_eq!(rest, DEVICE_VECTORS - 1);
        table.given[7] = false;
        assert_eq!((table.allocate(1), table.allocate(1)), (Some(FIRST + 7), None));
    }

    #[macros::kernel_test]
    fn vectors_in_a_row_are_aligned() {
        let mut table = Table::new();
        assert_eq!(table.allocate(1), Some(48));
        assert_eq!(table.allocate(32), Some(64));
        assert_eq!(table.allocate(2), Some(96));
        assert_eq!(table.allocate(8), Some(104));
        assert_eq!((1..).find(|_| table.allocate(32).is_none()), Some(4), "at 128, 160, 192");
        assert_eq!(allocate(64), Err(IrqError::NoVectors));
        assert_eq!(allocate(0), Err(IrqError::NoVectors));
        assert_eq!(allocate(3), Err(IrqError::NoVectors));
    }

    #[macros::kernel_test]
    fn messages_leave_some_for_lines() {
        let mut table = Table::new();
        while table.left_for_messages() > 0 {
            assert!(table.allocate(1).is_some());
        }
        let lines = core::iter::from_fn(|| table.allocate(1)).count();
        assert_eq!(lines, KEPT_FOR_LINES);
        assert!(fair_share(1) == 1 && fair_share(usize::MAX) <= DEVICE_VECTORS / SHARE);
    }

    #[macros::kernel_test]
    fn interrupts_are_spread() {
        let mut table = Table::new();
        let cpus = CpuSet::from_bits(0b1011);
        let mut chosen = [0; 7];
        for (index, slot) in chosen.iter_mut().enumerate() {
            *slot = table.least_loaded(cpus).expect("three CPUs");
            table.cpus[index] = *slot as u8;
        }
        assert_eq!(chosen, [0, 1, 3, 0, 1, 3, 0]);
        assert_eq!(table.least_loaded(CpuSet::EMPTY), None);
    }
}
