//! A port's link and engine: starting, stopping, resetting (AHCI 1.3.1, section 10), and commands
//! that a task waits for while nothing else is going on.

use ata::{Command, TaskFile};
use base::time;

use super::error::AhciError;
use super::memory::PortMemory;
use super::port::Port;
use super::registers::{
    ACTIVE, ALWAYS_ON, DETECTION, INITIALISE, NO_LINK, POWER, PRESENT, PortCommand, PortInterrupts,
};

const MS: u64 = 1_000_000;
/// Within which a port stops (section 10.1.2).
const STOP_NS: u64 = 500 * MS;
/// Within which a link comes up after a reset.
const LINK_NS: u64 = 1000 * MS;
/// Within which a device is ready after that: a disk may have to spin up.
const READY_NS: u64 = 10_000 * MS;
/// For which a reset is asked for (section 10.4.2).
const RESET_NS: u64 = 2 * MS;
/// Looks at a register before a task sleeps between them.
const QUICK_LOOKS: u32 = 200;

/// What a command that a task waits for is about.
pub(super) enum Data<'a> {
    /// Nothing.
    None,
    /// The port's page.
    Page,
    /// The memory of a request.
    Request(&'a device::block::Request),
}

/// Waits until `done`, `patience` nanoseconds at most.
pub(super) fn wait(
    patience: u64,
    late: AhciError,
    done: impl Fn() -> bool,
) -> Result<(), AhciError> {
    let end = time::now_ns().saturating_add(patience);
    let mut looks = 0;
    while !done() {
        if time::now_ns() >= end {
            return Err(late);
        }
        looks += 1;
        if looks < QUICK_LOOKS {
            core::hint::spin_loop();
        } else {
            task::sleep(MS);
        }
    }
    Ok(())
}

impl Port {
    fn command(&self) -> PortCommand {
        PortCommand::from_bits_retain(self.registers.command.read())
    }

    /// Whether the port, which is there, is to carry out commands.
    pub(super) fn is_processing(&self) -> bool {
        self.command().contains(PortCommand::START)
    }

    fn change_command(&self, change: impl FnOnce(PortCommand) -> PortCommand) {
        self.registers.command.update(|bits| change(PortCommand::from_bits_retain(bits)).bits());
    }

    pub(super) fn task_file(&self) -> TaskFile {
        TaskFile(self.registers.task_file.read())
    }

    /// Whether a device is there, and the link to it works.
    pub(super) fn has_link(&self) -> bool {
        let status = self.registers.status.read();
        DETECTION.of(status) == PRESENT && POWER.of(status) == ACTIVE
    }

    /// Whether there seems to be a device whose link is not up.
    pub(super) fn is_coming(&self) -> bool {
        DETECTION.of(self.registers.status.read()) == NO_LINK
    }

    /// Clears what the port says of errors and events.
    pub(super) fn clear_events(&self) {
        self.registers.error.write(u32::MAX);
        self.registers.interrupts.write(u32::MAX);
    }

    /// Switches the port's interrupts on or off.
    pub(super) fn set_interrupts(&self, on: bool) {
        let wanted = if on { PortInterrupts::WANTED } else { PortInterrupts::empty() };
        self.registers.interrupt_enable.write(wanted.bits());
    }

    /// Stops the port altogether: it uses no memory afterwards.
    pub(super) fn halt(&self) -> Result<(), AhciError> {
        self.stop()?;
        self.change_command(|command| command - PortCommand::RECEIVE);
        wait(STOP_NS, AhciError::NotStopped, || !self.command().contains(PortCommand::RECEIVING))
    }

    /// Powers the port up, and has it take what a device sends. It is stopped.
    pub(super) fn power_up(&self, memory: &PortMemory) {
        memory.tell(&self.registers);
        self.clear_events();
        self.registers.control.write(ALWAYS_ON);
        let on = PortCommand::POWER_ON | PortCommand::SPIN_UP | PortCommand::RECEIVE;
        self.change_command(|command| command | on);
    }

    /// Has the port carry out no commands any more; those that it has it forgets.
    pub(super) fn stop(&self) -> Result<(), AhciError> {
        self.change_command(|command| command - PortCommand::START);
        wait(STOP_NS, AhciError::NotStopped, || !self.command().contains(PortCommand::RUNNING))
    }

    /// Has the port, which is stopped, carry out commands.
    pub(super) fn start(&self) -> Result<(), AhciError> {
        if self.task_file().is_busy() {
            return Err(AhciError::Busy);
        }
        self.clear_events();
        self.change_command(|command| command | PortCommand::START);
        Ok(())
    }

    /// Begins a new link to the device, which forgets all commands, and waits until it is ready.
    /// The port is stopped then.
    pub(super) fn reset_link(&self) -> Result<(), AhciError> {
        // An engine that does not stop is stopped by the reset.
        let stopped = self.stop();
        self.registers.control.write(DETECTION.put(ALWAYS_ON, INITIALISE));
        task::sleep(RESET_NS);
        self.registers.control.write(ALWAYS_ON);
        stopped.or_else(|_| self.stop())?;
        self.wait_for_device()
    }

    /// Waits until the device is there and ready.
    pub(super) fn wait_for_device(&self) -> Result<(), AhciError> {
        wait(LINK_NS, AhciError::NoLink, || self.has_link())?;
        self.registers.error.write(u32::MAX);
        wait(READY_NS, AhciError::Busy, || !self.task_file().is_busy())
    }

    /// Carries out a command and waits up to `patience` nanoseconds, while the port has no other
    /// and interrupts nobody. A device that does not answer is to be reset.
    ///
    /// # Errors
    /// `TimedOut`, `Failed`, `NoLink`.
    pub(super) fn execute(
        &self,
        command: &Command,
        data: &Data<'_>,
        patience: u64,
    ) -> Result<(), AhciError> {
        match data {
            Data::None => self.memory.set(0, command, core::iter::empty()),
            Data::Page => self.memory.set(0, command, [self.memory.page()].into_iter()),
            Data::Request(request) => {
                let segments = request.segments().map(|it| (it.address.as_u64(), it.len));
                self.memory.set(0, command, segments);
            }
        }
        self.memory.publish();
        self.clear_events();
        self.registers.issue.write(1);
        let events = || PortInterrupts::from_bits_retain(self.registers.interrupts.read());
        wait(patience, AhciError::TimedOut, || {
            self.registers.issue.read() & 1 == 0 || events().intersects(PortInterrupts::ERROR)
        })?;
        if !self.has_link() {
            return Err(AhciError::NoLink);
        }
        let failed = events().intersects(PortInterrupts::ERROR) || self.task_file().is_error();
        if failed { Err(AhciError::Failed(self.task_file())) } else { Ok(()) }
    }
}
