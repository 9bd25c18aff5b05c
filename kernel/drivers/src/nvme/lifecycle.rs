//! How a controller is started, reset and stopped (NVM Express Base Specification 1.4, sections
//! 7.3 and 7.6).
//!
//! A reset takes all requests back once the controller has stopped, and gives it most of them
//! again. A controller that does not stop loses its right to memory and is given up: after that
//! its requests can be ended, too.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use base::{smp, time};
use device::block::DiskHandle;
use memory::OutOfMemory;
use nvme_protocol::{Command, Configuration, ControllerStatus};

use super::admin;
use super::controller::{Controller, interrupt_of};
use super::error::NvmeError;
use super::io_queue::{IoQueue, Overdue};
use crate::pci::{BusMaster, Function, Interrupts};

/// Most entries of an I/O queue.
const MOST_ENTRIES: u32 = 128;
/// Nanoseconds that the controller may take to give up a command.
const ABORT_NS: u64 = 2_000_000_000;
/// Nanoseconds that it may take to shut down, if it does not say; and at most.
pub(super) const SHUTDOWN_NS: u64 = 5_000_000_000;
pub(super) const MOST_SHUTDOWN_NS: u64 = 20_000_000_000;
/// Nanoseconds between two looks at its status.
const LOOK_NS: u64 = 1_000_000;
/// A controller that is reset more often than this ...
const MOST_RESETS: usize = 5;
/// ... in so many nanoseconds is given up.
const RESET_WINDOW_NS: u64 = 300_000_000_000;

/// The right of the controller to interrupt and to use memory.
struct Rights {
    interrupts: Interrupts,
    _bus_master: BusMaster,
}

/// What the lock of a controller is for.
pub(super) struct Control {
    /// `None` before the start, and when they were taken away.
    rights: Option<Rights>,
    is_over: bool,
    resets: usize,
    /// When the last ones were, in nanoseconds of the clock.
    reset_times: [u64; MOST_RESETS],
}

impl Control {
    pub(super) const fn new() -> Self {
        Self { rights: None, is_over: false, resets: 0, reset_times: [0; MOST_RESETS] }
    }

    /// Whether the controller may be reset once more, which is then counted.
    fn may_reset(&mut self, now: u64) -> bool {
        let place = self.resets % MOST_RESETS;
        let Some(oldest) = self.reset_times.get_mut(place) else { return false };
        if self.resets >= MOST_RESETS && now.saturating_sub(*oldest) < RESET_WINDOW_NS {
            return false;
        }
        *oldest = now;
        self.resets += 1;
        true
    }
}

impl Controller {
    /// Stops what the firmware may have left, and starts the controller with queues of its own.
    ///
    /// # Errors
    /// As [`NvmeError`] says; the controller is stopped then.
    pub(super) fn start(self: &Arc<Self>, function: &Function) -> Result<(), NvmeError> {
        let capabilities = self.hardware.capabilities();
        if !capabilities.has_nvm_commands() {
            return Err(NvmeError::NoBlocks);
        }
        if !capabilities.has_small_pages() {
            return Err(NvmeError::Unusual);
        }
        let started = self.bring_up(function);
        if started.is_err() {
            self.stop();
        }
        started
    }

    fn bring_up(self: &Arc<Self>, function: &Function) -> Result<(), NvmeError> {
        let mut control = self.control.lock();
        self.disable()?;
        let wanted = self.wanted_queues();
        let bus_master = function.enable_bus_master();
        let interrupts =
            function.interrupts(&self.name, usize::from(wanted) + 1, |which| self.action(which))?;
        self.interrupts.store(interrupts.count(), Ordering::Relaxed);
        control.rights = Some(Rights { interrupts, _bus_master: bus_master });
        self.enable()?;
        let granted = self.request_queues(wanted)?;
        let entries = self.hardware.capabilities().queue_entries().min(MOST_ENTRIES) as u16;
        let mut queues = Vec::new();
        queues.try_reserve_exact(granted.into()).map_err(|_| OutOfMemory)?;
        for number in 1..=granted {
            queues.push(IoQueue::new(&self.hardware, number, entries)?);
        }
        let queues = self.set_queues(queues);
        self.create_queues()?;
        queues.iter().for_each(IoQueue::start);
        if let Some(rights) = &control.rights {
            self.spread(&rights.interrupts);
        }
        Ok(())
    }

    /// One pair of queues for each CPU, as far as there are doorbells.
    fn wanted_queues(&self) -> u16 {
        (smp::online().len() as u16).min(self.hardware.queues()).max(1)
    }

    /// Has the interrupt of each queue go to the CPU that uses the queue.
    fn spread(&self, interrupts: &Interrupts) {
        if interrupts.count() < 2 {
            return;
        }
        for (place, cpu) in (0..self.queues().len()).zip(smp::online().iter()) {
            let index = interrupt_of(place, interrupts.count());
            if let Err(error) = interrupts.set_affinity(index, cpu) {
                log::debug!("{}: {error}", self.name);
            }
        }
    }

    /// Waits until the status is as `done` says, `patience` nanoseconds at most.
    fn wait_for(
        &self,
        patience: u64,
        late: NvmeError,
        done: impl Fn(ControllerStatus) -> bool,
    ) -> Result<(), NvmeError> {
        let end = time::now_ns().saturating_add(patience);
        loop {
            let (status, now) = (self.hardware.status(), time::now_ns());
            match status {
                _ if status.is_gone() => return Err(NvmeError::Gone),
                _ if done(status) => return Ok(()),
                _ if now >= end => return Err(late),
                _ => task::sleep(LOOK_NS),
            }
        }
    }

    /// Stops the controller: it uses no memory afterwards (section 7.3.2).
    fn disable(&self) -> Result<(), NvmeError> {
        self.admin.stop();
        self.hardware.configure(Configuration::OFF);
        let patience = self.hardware.capabilities().timeout_ns();
        self.wait_for(patience, NvmeError::NotStopped, |status| !status.is_ready())
    }

    /// Starts the controller, which is stopped, with its admin queues (section 7.6.1).
    fn enable(&self) -> Result<(), NvmeError> {
        self.admin.start();
        let (submission, completion) = self.admin.addresses();
        self.hardware.set_admin_queues(admin::ENTRIES, submission, completion);
        self.hardware.configure(Configuration::ON);
        let patience = self.hardware.capabilities().timeout_ns();
        self.wait_for(patience, NvmeError::NotReady, |status| {
            status.is_ready() || status.is_fatal()
        })?;
        if self.hardware.status().is_fatal() { Err(NvmeError::Fatal) } else { Ok(()) }
    }

    /// Asks for `wanted` pairs of queues; how many there may be, `wanted` at most.
    fn request_queues(&self, wanted: u16) -> Result<u16, NvmeError> {
        let granted = self.execute(Command::request_queues(wanted))?.granted_queues();
        Ok(granted.min(wanted))
    }

    /// Has the controller, which was just started, make its I/O queues.
    fn create_queues(&self) -> Result<(), NvmeError> {
        let interrupts = self.interrupts.load(Ordering::Relaxed);
        for (place, queue) in self.queues().iter().enumerate() {
            queue.reset();
            let (number, entries) = (queue.number(), queue.entries());
            let (submission, completion) = queue.addresses();
            let vector = interrupt_of(place, interrupts) as u16;
            self.execute(Command::create_completion_queue(number, entries, completion, vector))?;
            self.execute(Command::create_submission_queue(number, entries, submission))?;
        }
        Ok(())
    }

    /// The request with tag `tag` of `namespace` in the queue at `place` takes too long: asks the
    /// controller to give it up, and the next time resets the controller. May sleep.
    pub(super) fn timed_out(&self, place: usize, namespace: u32, tag: u16) {
        let Some(queue) = self.queues().get(place) else { return };
        // Perhaps only the interrupt is missing.
        if self.complete(queue) {
            log::warn!("{}: an interrupt of queue {} was missing", self.name, queue.number());
        }
        let status = self.hardware.status();
        let is_alive = !status.is_gone() && !status.is_fatal();
        match queue.overdue(namespace, tag) {
            Overdue::Done => {}
            Overdue::New(id) if is_alive => {
                match self.admin.execute(Command::abort(queue.number(), id), ABORT_NS) {
                    // Its answer comes in the queue, if it was given up.
                    Ok(_) | Err(NvmeError::Refused(_)) => {}
                    Err(_) => self.reset(),
                }
            }
            Overdue::New(_) | Overdue::Aborted => self.reset(),
        }
    }

    /// Resets the controller. Requests that it was asked to give up fail; all others are given to
    /// it again. May sleep.
    pub(super) fn reset(&self) {
        let mut control = self.control.lock();
        if control.is_over {
            return;
        }
        log::warn!("{}: reset", self.name);
        self.queues().iter().for_each(IoQueue::stop);
        let result = self.disable().and_then(|()| {
            self.queues().iter().for_each(IoQueue::fail_aborted);
            if !control.may_reset(time::now_ns()) {
                return Err(NvmeError::Unreliable);
            }
            self.enable()?;
            // As many as before, which it has granted once.
            self.request_queues(self.queues().len() as u16)?;
            self.create_queues()
        });
        match result {
            Ok(()) => {
                self.queues().iter().for_each(IoQueue::start);
                log::info!("{}: it works again", self.name);
            }
            Err(error) => {
                log::error!("{}: {error}; it is given up", self.name);
                self.disks.lock().iter().for_each(DiskHandle::gone);
                self.end(&mut control);
            }
        }
    }

    /// Stops the controller for good. What it had written lasts. May sleep.
    pub(super) fn stop(&self) {
        let mut control = self.control.lock();
        if control.is_over {
            return;
        }
        self.queues().iter().for_each(IoQueue::stop);
        if let Err(error) = self.shut_down() {
            log::warn!("{}: {error}", self.name);
        }
        self.end(&mut control);
    }

    /// Has the controller get ready to be switched off (section 7.6.2).
    fn shut_down(&self) -> Result<(), NvmeError> {
        let status = self.hardware.status();
        if !status.is_ready() || status.is_gone() {
            return Ok(());
        }
        self.hardware.configure(Configuration::SHUT_DOWN);
        let patience =
            self.shutdown_ns.load(Ordering::Relaxed).clamp(SHUTDOWN_NS, MOST_SHUTDOWN_NS);
        self.wait_for(patience, NvmeError::NotStopped, |status| status.is_shut_down())
    }

    /// Takes the controller's rights away, stopped or not, and ends what it has.
    fn end(&self, control: &mut Control) {
        control.is_over = true;
        if let Err(error) = self.disable() {
            log::debug!("{}: {error}", self.name);
        }
        control.rights = None;
        self.disks.lock().iter().for_each(DiskHandle::close);
        self.queues().iter().for_each(IoQueue::fail_all);
    }
}
