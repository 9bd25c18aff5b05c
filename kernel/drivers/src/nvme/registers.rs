//! The registers of a controller (NVM Express Base Specification 1.4, section 3.1), and the
//! doorbells behind them.

use alloc::sync::Arc;

use base::registers;
use base::registers::{ReadOnly, ReadWrite, Reserved, WriteOnly};
use memory::kernel_space::{DeviceMapError, IoMem, RegisterArray, Registers};
use nvme_protocol::{Capabilities, Configuration, ControllerStatus, Version};

registers! {
    /// The registers that any controller has.
    pub(super) struct ControllerRegisters: 0x38 bytes {
        0x00 => capabilities: ReadOnly<u64>,
        0x08 => version: ReadOnly<u32>,
        0x0c => interrupt_mask_set: ReadWrite<u32>,
        0x10 => interrupt_mask_clear: ReadWrite<u32>,
        0x14 => configuration: ReadWrite<u32>,
        0x18 => reserved: Reserved<4>,
        0x1c => status: ReadOnly<u32>,
        0x20 => subsystem_reset: ReadWrite<u32>,
        0x24 => admin_queue_sizes: ReadWrite<u32>,
        0x28 => admin_submission_queue: ReadWrite<u64>,
        0x30 => admin_completion_queue: ReadWrite<u64>,
    }

    /// A doorbell: the new tail of a submission queue, or head of a completion queue.
    pub(super) struct Doorbell: 4 bytes {
        0 => index: WriteOnly<u32>,
    }
}

/// Where the doorbells begin.
const DOORBELLS: usize = 0x1000;

/// The mapped registers of a controller.
#[derive(Clone)]
pub(super) struct Hardware {
    registers: Registers<ControllerRegisters>,
    doorbells: RegisterArray<Doorbell>,
}

impl Hardware {
    /// The registers in `memory`, with doorbells for the admin queues and as many I/O queues as
    /// there is memory for, up to `queues`.
    ///
    /// # Errors
    /// `BadRange` if there is not even memory for the doorbells of the admin queues.
    pub(super) fn new(memory: &Arc<IoMem>, queues: u16) -> Result<Self, DeviceMapError> {
        let registers = Registers::<ControllerRegisters>::new(memory, 0)?;
        let stride = Capabilities(registers.capabilities.read()).doorbell_stride();
        let room = memory.len().saturating_sub(DOORBELLS) / stride;
        let count = room.min(2 * (usize::from(queues) + 1)).max(2);
        let doorbells = RegisterArray::new(memory, DOORBELLS, stride, count)?;
        Ok(Self { registers, doorbells })
    }

    /// I/O queues for which there are doorbells.
    pub(super) fn queues(&self) -> u16 {
        (self.doorbells.len() / 2).saturating_sub(1) as u16
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        Capabilities(self.registers.capabilities.read())
    }

    pub(super) fn version(&self) -> Version {
        Version(self.registers.version.read())
    }

    pub(super) fn status(&self) -> ControllerStatus {
        ControllerStatus(self.registers.status.read())
    }

    pub(super) fn configure(&self, configuration: Configuration) {
        self.registers.configuration.write(configuration.bits());
    }

    /// Where the admin queues are, each of `entries` entries.
    pub(super) fn set_admin_queues(&self, entries: u16, submission: u64, completion: u64) {
        let size = u32::from(entries) - 1;
        self.registers.admin_queue_sizes.write(size | size << 16);
        self.registers.admin_submission_queue.write(submission);
        self.registers.admin_completion_queue.write(completion);
    }

    /// Tells the controller of the tail of submission queue `queue`.
    pub(super) fn ring_submission(&self, queue: u16, tail: u16) {
        if let Some(doorbell) = self.doorbells.at(2 * usize::from(queue)) {
            doorbell.index.write(tail.into());
        }
    }

    /// Tells the controller of the head of completion queue `queue`.
    pub(super) fn ring_completion(&self, queue: u16, head: u16) {
        if let Some(doorbell) = self.doorbells.at(2 * usize::from(queue) + 1) {
            doorbell.index.write(head.into());
        }
    }
}
