//! The table of MSI-X messages (PCI 3.0, section 6.8.2), in the range of one of the function's
//! base address registers. It is mapped for itself: the driver may have the same range.

use alloc::sync::Arc;

use base::irq::Message;
use base::registers;
use base::registers::ReadWrite;
use memory::kernel_space::{IoMem, RegisterArray};
use pci_config::{BarKind, ConfigSpace, MsiX};

use super::bar::{self, BarClaimError};
use super::command::{Held, Right};
use super::function::Inner;
use super::interrupts::Missing;

registers! {
    /// An entry of the table.
    struct Entry: 16 bytes {
        0x0 => address_low: ReadWrite<u32>,
        0x4 => address_high: ReadWrite<u32>,
        0x8 => data: ReadWrite<u32>,
        0xc => control: ReadWrite<u32>,
    }
}

/// Vector control: the message is not sent.
const MASKED: u32 = 1;

/// The table of a function, which keeps its memory decoding on. Whoever has it makes sure that
/// there is one change at a time.
#[derive(Debug)]
pub(super) struct Table {
    capability: MsiX,
    entries: RegisterArray<Entry>,
    _decoding: Held,
    function: Arc<Inner>,
}

impl Table {
    /// Maps the table, with all messages masked, and MSI-X off.
    ///
    /// # Errors
    /// `Table`: its range is not where it can be used, or does not hold it.
    pub(super) fn new(function: &Arc<Inner>, capability: MsiX) -> Result<Self, Missing> {
        let (kind, span) =
            bar::place(function, capability.table.bar.into()).map_err(Missing::Table)?;
        let bytes = capability.table_bytes();
        let offset = u64::from(capability.table.offset);
        let size = span.last() - span.first() + 1;
        let fits = offset.checked_add(bytes as u64).is_some_and(|end| end <= size);
        if kind == BarKind::Io || !fits {
            return Err(Missing::Table(BarClaimError::Absent));
        }
        let not_mapped = |error| Missing::Table(BarClaimError::NotMapped(error));
        let memory = IoMem::map(span.first() + offset, bytes).map_err(not_mapped)?;
        let count = usize::from(capability.count);
        let entries = RegisterArray::new(&Arc::new(memory), 0, MsiX::ENTRY, count);
        let table = Self {
            capability,
            entries: entries.map_err(not_mapped)?,
            _decoding: Held::new(function, Right::Memory),
            function: function.clone(),
        };
        for index in 0..count {
            table.set_masked(index, true);
        }
        Ok(table)
    }

    /// Has entry `index` send `message`. It is masked for that moment: no message goes out
    /// half changed, and one that was to go out then goes out afterwards.
    pub(super) fn set(&self, index: usize, message: Message) {
        let Some(entry) = self.entries.at(index) else { return };
        entry.control.update(|control| control | MASKED);
        entry.address_low.write(message.address as u32);
        entry.address_high.write((message.address >> 32) as u32);
        entry.data.write(message.data);
        entry.control.update(|control| control & !MASKED);
    }

    /// Masks entry `index`, or not any more.
    pub(super) fn set_masked(&self, index: usize, masked: bool) {
        let Some(entry) = self.entries.at(index) else { return };
        entry.control.update(|old| if masked { old | MASKED } else { old & !MASKED });
        // Reading waits until the write has arrived.
        entry.control.read();
    }

    /// The function sends messages from now on, and does not use its pin.
    pub(super) fn switch_on(&self) {
        self.change(|control| control & !MsiX::MASK_ALL | MsiX::ENABLE);
    }

    /// No message any more.
    pub(super) fn switch_off(&self) {
        self.change(|control| control | MsiX::MASK_ALL);
        self.change(|control| control & !(MsiX::ENABLE | MsiX::MASK_ALL));
    }

    fn change(&self, change: impl FnOnce(u16) -> u16) {
        let config = &self.function.config;
        let at = self.capability.control();
        config.write_u16(at, change(config.read_u16(at)));
        config.read_u16(at);
    }
}
