//! [`Host`]: a controller: taken over from the firmware, reset, its ports and its interrupt
//! (AHCI 1.3.1, sections 10.1 and 10.6).

use alloc::format;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use base::irq::{self, Action, Handled, IrqError};
use base::sync::IrqSpinLock;
use device::Device;
use memory::OutOfMemory;
use memory::kernel_space::{IoMem, Registers};
use spin::Once;
use task::{Mutex, Work, WorkQueue};

use super::error::AhciError;
use super::link::wait;
use super::memory::PortMemory;
use super::port::{Control, Port, State};
use super::registers::{
    HAS_HANDOFF, Handoff, HostCapabilities, HostControl, HostRegisters, MOST_PORTS, PORT_STRIDE,
    PORTS, SLOTS,
};

const MS: u64 = 1_000_000;
/// Within which the firmware lets go (section 10.6.3).
const HANDOFF_NS: u64 = 2_000 * MS;
/// Within which a reset ends (section 10.4.3).
const RESET_NS: u64 = 1_000 * MS;
/// For which disks are waited that are there at boot; those that come later are noticed.
const APPEAR_NS: u64 = 50 * MS;
/// Tasks that look after ports: one may need the other.
const WORKERS: usize = 2;

/// A controller with its ports.
pub(super) struct Host {
    name: String,
    registers: Registers<HostRegisters>,
    ports: Vec<Arc<Port>>,
    /// Which number each has, as a bit.
    numbers: Vec<u32>,
}

/// The tasks that look after ports.
fn work_queue() -> Result<Arc<WorkQueue>, OutOfMemory> {
    static QUEUE: Mutex<Option<Arc<WorkQueue>>> = task::named_mutex("AHCI work", None);
    let mut queue = QUEUE.lock();
    if let Some(queue) = &*queue {
        return Ok(queue.clone());
    }
    let new = WorkQueue::start("ahci", WORKERS)?;
    *queue = Some(new.clone());
    Ok(new)
}

impl Host {
    /// Takes the controller whose registers are in `memory` over and resets it. Disks will be
    /// part of `parent`.
    ///
    /// # Errors
    /// As [`AhciError`] says.
    pub(super) fn new(
        name: String,
        memory: &Arc<IoMem>,
        parent: &Arc<Device>,
    ) -> Result<Self, AhciError> {
        let registers = Registers::<HostRegisters>::new(memory, 0)?;
        if registers.capabilities.read() == u32::MAX {
            return Err(AhciError::Gone);
        }
        take_over(&registers, &name);
        // Written by the firmware, and cleared by a reset on some controllers.
        let implemented = registers.ports.read();
        reset(&registers)?;
        let mut host = Self { name, registers, ports: Vec::new(), numbers: Vec::new() };
        for number in (0..MOST_PORTS).filter(|number| implemented & 1 << number != 0) {
            // A port whose registers are not there is none.
            let Ok(port_registers) = Registers::new(memory, PORTS + number * PORT_STRIDE) else {
                continue;
            };
            let port = host.port(number, port_registers, Arc::downgrade(parent))?;
            host.ports.try_reserve(1).map_err(|_| OutOfMemory)?;
            host.numbers.try_reserve(1).map_err(|_| OutOfMemory)?;
            host.ports.push(port);
            host.numbers.push(1 << number);
        }
        Ok(host)
    }

    fn port(
        &self,
        number: usize,
        registers: Registers<super::registers::PortRegisters>,
        parent: Weak<Device>,
    ) -> Result<Arc<Port>, AhciError> {
        let capabilities = self.registers.capabilities.read();
        let has = |capability: HostCapabilities| capabilities & capability.bits() != 0;
        let slots = SLOTS.of(capabilities) as u8 + 1;
        let is_64_bits = has(HostCapabilities::ADDRESSES_64);
        let port = Arc::new(Port {
            name: format!("{} port {number}", self.name),
            registers,
            memory: PortMemory::new(slots.into(), is_64_bits)?,
            parent,
            slots,
            has_queueing: has(HostCapabilities::QUEUING),
            is_64_bits,
            state: IrqSpinLock::new("AHCI port", State::new()),
            control: task::named_mutex("AHCI port", Control::default()),
            attendant: Once::new(),
            finder: Once::new(),
        });
        let queue = work_queue()?;
        let (attended, found) = (Arc::downgrade(&port), Arc::downgrade(&port));
        port.attendant.call_once(|| {
            Work::new("AHCI port", &queue, move |_| {
                if let Some(port) = attended.upgrade() {
                    port.attend();
                }
            })
        });
        port.finder.call_once(|| {
            Work::new("AHCI disk", &queue, move |_| {
                if let Some(port) = found.upgrade() {
                    port.look_for_disk();
                }
            })
        });
        Ok(port)
    }

    /// Its ports.
    pub(super) fn ports(&self) -> &[Arc<Port>] {
        &self.ports
    }

    /// What is done about its interrupt.
    pub(super) fn action(self: &Arc<Self>) -> Result<Action, IrqError> {
        let host = self.clone();
        irq::action(move || host.on_interrupt())
    }

    fn on_interrupt(&self) -> Handled {
        let events = self.registers.interrupts.read();
        if events == 0 || events == u32::MAX {
            return Handled::No;
        }
        for (port, number) in self.ports.iter().zip(&self.numbers) {
            if events & number != 0 {
                port.on_interrupt();
            }
        }
        // Only now: the ports' own registers come first (section 5.5.3).
        self.registers.interrupts.write(events);
        Handled::Yes
    }

    /// Powers all ports up, switches interrupts on, and looks for disks.
    pub(super) fn start(&self) {
        for port in &self.ports {
            port.set_interrupts(false);
            // They were stopped by the reset.
            port.power_up(&port.memory);
        }
        self.registers.interrupts.write(u32::MAX);
        self.registers
            .control
            .update(|bits| bits | (HostControl::AHCI | HostControl::INTERRUPTS).bits());
        let all_there = || self.ports.iter().all(|port| port.has_link());
        let _ = wait(APPEAR_NS, AhciError::NoLink, all_there); // those that are there are enough
        for port in &self.ports {
            port.look_for_disk();
        }
    }

    /// Stops all ports and interrupts.
    pub(super) fn stop(&self) {
        self.ports.iter().for_each(|port| port.leave());
        self.registers.control.update(|bits| bits & !HostControl::INTERRUPTS.bits());
    }
}

/// Has the firmware let go of the controller, if it may have it (section 10.6.3).
fn take_over(registers: &HostRegisters, name: &str) {
    if registers.more_capabilities.read() & HAS_HANDOFF == 0 {
        return;
    }
    registers.handoff.update(|bits| bits | Handoff::SYSTEM_OWNS.bits());
    let has = || Handoff::from_bits_truncate(registers.handoff.read());
    let lets_go = || !has().intersects(Handoff::FIRMWARE_OWNS | Handoff::FIRMWARE_BUSY);
    if wait(HANDOFF_NS, AhciError::Busy, lets_go).is_err() {
        log::warn!("{name}: the firmware does not let go of the controller");
    }
}

/// Resets the controller: all ports are stopped then.
fn reset(registers: &HostRegisters) -> Result<(), AhciError> {
    registers.control.update(|bits| bits | HostControl::AHCI.bits());
    registers.control.update(|bits| bits | HostControl::RESET.bits());
    let is_reset = || registers.control.read() & HostControl::RESET.bits() == 0;
    wait(RESET_NS, AhciError::NotReset, is_reset)?;
    registers.control.update(|bits| bits | HostControl::AHCI.bits());
    Ok(())
}
