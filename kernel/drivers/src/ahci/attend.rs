//! What a task does about a port: finds its disk, recovers from errors (AHCI 1.3.1, section 6.2),
//! and notices that the disk is gone or a new one there.
//!
//! The port's lock [`Port::control`] is held, but not while a disk is registered or goes, for
//! that waits for requests, which may need this task's help.

use alloc::string::ToString;
use alloc::sync::Arc;

use ata::{Command, IDENTIFY_BYTES, Identify, MAX_BLOCKS, MAX_TRIM_BLOCKS, QueuedError, Signature};
use device::block::{
    BlockError, DEFAULT_TIMEOUT_NS, Description, DiskName, Features, Identity, Limits, Operation,
    RangeLimits, Registration, Request, SECTOR, register,
};

use super::error::AhciError;
use super::link::Data;
use super::memory::SEGMENTS;
use super::port::{Control, Format, Port, PortDisk, SLOTS};
use super::registers::PortInterrupts;

/// Nanoseconds that a command about the disk may take: it may have to spin up.
const IDENTIFY_NS: u64 = 10_000_000_000;
/// Nanoseconds that a command may take that is carried out to see whether it fails.
const SINGLE_NS: u64 = 10_000_000_000;
/// Nanoseconds that the cache may take to be written when the driver leaves.
const FLUSH_NS: u64 = 20_000_000_000;
/// Nanoseconds for which a link may be away before its disk counts as gone.
const DEBOUNCE_NS: u64 = 200_000_000;
/// How often requests are begun anew after an error that is not theirs.
const MOST_TRIES: u32 = 3;

impl Port {
    /// Looks after the port: what the attendant does.
    pub(super) fn attend(&self) {
        let mut control = self.control.lock();
        if control.is_over {
            return;
        }
        let events = {
            let mut state = self.state.lock();
            core::mem::replace(&mut state.events, PortInterrupts::empty())
        };
        let lost = control.left.take();
        let left = if control.has_disk() { self.recover(&mut control, events) } else { None };
        let is_empty = !control.has_disk();
        drop(control);
        drop((lost, left));
        if is_empty && let Some(finder) = self.finder.get() {
            finder.queue();
        }
    }

    /// Finds out what is at the port, and registers it if it is a disk.
    pub(super) fn look_for_disk(self: &Arc<Self>) {
        let mut control = self.control.lock();
        if control.is_over || control.has_disk() {
            return;
        }
        match self.examine() {
            Ok(Some((description, format))) => {
                control.is_registering = true;
                control.is_lost = false;
                control.tries = 0;
                drop(control);
                self.add_disk(description, format);
            }
            Ok(None) => self.set_interrupts(true),
            Err(error) => {
                log::warn!("{}: {error}", self.name);
                self.clear_events();
                self.set_interrupts(true);
            }
        }
    }

    /// Registers the disk that was found.
    fn add_disk(self: &Arc<Self>, description: Description, format: Format) {
        self.run(format);
        self.clear_events();
        self.set_interrupts(true);
        let registered = match self.parent.upgrade() {
            Some(parent) => {
                register(&parent, description, Arc::new(PortDisk(self.clone()))).map(Some)
            }
            None => Ok(None),
        };
        let registered = registered.unwrap_or_else(|error| {
            log::error!("{}: {error}", self.name);
            None
        });
        let mut control = self.control.lock();
        control.is_registering = false;
        let is_lost = control.is_lost || control.is_over;
        let left = match registered {
            Some(disk) if !is_lost => control.disk.replace(disk),
            other => other,
        };
        if control.disk.is_none() {
            self.pause();
        }
        drop(control);
        drop(left);
    }

    /// What is at the port: a disk, ready for commands, with its description; `None` if nothing
    /// is there, or something else than a disk.
    fn examine(&self) -> Result<Option<(Description, Format)>, AhciError> {
        if !self.has_link() && !self.is_coming() {
            self.clear_events();
            return Ok(None);
        }
        self.reset_link()?;
        let signature = Signature::new(self.registers.signature.read());
        match signature {
            Signature::Disk => {}
            Signature::Packet => {
                self.start()?;
                let identity = self.identify(&Command::identify_packet());
                self.stop()?;
                let name = identity.map(|bytes| Identify::new(&bytes).model());
                let name = name.as_ref().map_or("", |name| name.as_str());
                log::info!("{}: {name}: {signature}, which is left alone", self.name);
                return Ok(None);
            }
            _ => {
                log::info!("{}: {signature}, which is left alone", self.name);
                return Ok(None);
            }
        }
        self.start()?;
        let bytes = self.identify(&Command::identify())?;
        self.describe(&Identify::new(&bytes)).map(Some)
    }

    fn identify(&self, command: &Command) -> Result<[u8; IDENTIFY_BYTES], AhciError> {
        self.execute(command, &Data::Page, IDENTIFY_NS)?;
        let bytes = self.memory.page_bytes();
        if Identify::new(&bytes).is_intact() { Ok(bytes) } else { Err(AhciError::BadIdentity) }
    }

    /// The description of a disk.
    fn describe(&self, disk: &Identify<'_>) -> Result<(Description, Format), AhciError> {
        if !disk.is_usable() {
            return Err(AhciError::TooOld);
        }
        let block = disk.logical_block();
        if !block.is_power_of_two() || !(512..=4096).contains(&block) {
            return Err(AhciError::BlockSize(block));
        }
        let sector_shift = block.trailing_zeros() as u8 - 9;
        let depth = disk.queue_depth().min(self.slots);
        let queued = self.has_queueing && depth > 1;
        let has_cache = disk.has_write_cache() && disk.has_flush();
        let sectors = |blocks: u32| (u64::from(blocks) << sector_shift).min(u32::MAX.into()) as u32;
        let trim = RangeLimits {
            max_sectors: sectors(MAX_TRIM_BLOCKS) >> sector_shift << sector_shift,
            granularity: 1 << sector_shift,
        };
        let description = Description {
            name: DiskName::Lettered("sd"),
            sectors: disk.blocks().saturating_mul(1 << sector_shift),
            read_only: false,
            limits: Limits {
                logical_block: block,
                physical_block: block.saturating_mul(disk.blocks_per_physical()),
                max_sectors: sectors(MAX_BLOCKS).min((SEGMENTS as u64 * 4096 / SECTOR) as u32),
                max_segments: SEGMENTS as u16,
                max_segment_bytes: ata::MAX_DESCRIPTOR_BYTES,
                dma_below: if self.is_64_bits { u64::MAX } else { 1 << 32 },
                dma_alignment: 2,
                whole_pages: false,
            },
            features: Features {
                flush: has_cache,
                force_unit_access: has_cache && disk.has_durable_writes(),
                discard: disk.has_trim().then_some(trim),
                write_zeroes: None,
                non_rotational: disk.is_non_rotational(),
            },
            queues: 1,
            depth: if queued { depth.into() } else { 1 },
            timeout_ns: DEFAULT_TIMEOUT_NS,
            identity: Identity {
                model: disk.model().as_str().to_string(),
                serial: disk.serial().as_str().to_string(),
                firmware: disk.firmware().as_str().to_string(),
            },
        };
        Ok((description, Format { sector_shift, queued }))
    }

    /// Brings the port back to work after `events`. Returns the disk if it is gone, for the
    /// caller to drop without the lock.
    fn recover(&self, control: &mut Control, events: PortInterrupts) -> Option<Registration> {
        self.complete_done();
        self.pause();
        if events.intersects(PortInterrupts::LINK) && !self.link_comes_back() {
            return self.lose_disk(control, AhciError::NoLink);
        }
        let is_failure = events.contains(PortInterrupts::TASK_FILE_ERROR);
        let result = if is_failure {
            self.after_failure()
        } else {
            log::warn!("{}: {events:?}: the link is reset", self.name);
            self.reset_link().and_then(|()| self.start())
        };
        if let Err(error) = result {
            return self.lose_disk(control, error);
        }
        if is_failure {
            control.tries = 0;
        } else {
            control.tries += 1;
        }
        if control.tries > MOST_TRIES {
            self.fail_all(BlockError::Io);
            control.tries = 0;
        }
        self.resume();
        None
    }

    /// Takes requests again, and begins anew those that are there.
    fn resume(&self) {
        self.clear_events();
        self.run(self.format());
        self.set_interrupts(true);
    }

    /// Whether there is a link again soon.
    fn link_comes_back(&self) -> bool {
        super::link::wait(DEBOUNCE_NS, AhciError::NoLink, || self.has_link()).is_ok()
    }

    /// A command has failed: finds out which and ends its request. The port is started then.
    fn after_failure(&self) -> Result<(), AhciError> {
        let task_file = self.task_file();
        let alone = self.state.lock().alone;
        if self.stop().is_err() || (alone && task_file.is_busy()) {
            self.reset_link()?;
        }
        if alone {
            log::warn!("{}: {task_file}", self.name);
            self.fail_all(BlockError::Io);
            return self.start().or_else(|_| self.restart());
        }
        match self.failed_queued() {
            Some(error) => {
                log::warn!("{}: command {}: {}", self.name, error.tag, error.task_file);
                self.end_slot(usize::from(error.tag), Err(BlockError::Io));
                Ok(())
            }
            None => {
                self.restart()?;
                self.try_one_by_one()
            }
        }
    }

    fn restart(&self) -> Result<(), AhciError> {
        self.reset_link()?;
        self.start()
    }

    /// Starts the port, and asks the disk which of its queued commands has failed; until it was
    /// asked it takes no others.
    fn failed_queued(&self) -> Option<QueuedError> {
        self.start().ok()?;
        self.execute(&Command::read_queued_error(), &Data::Page, SINGLE_NS).ok()?;
        let error = QueuedError::new(&self.memory.page_bytes())?;
        let state = self.state.lock();
        let is_ours = state.slots.get(usize::from(error.tag)).is_some_and(Option::is_some);
        is_ours.then_some(error)
    }

    fn end_slot(&self, slot: usize, result: Result<(), BlockError>) {
        let request = self.state.lock().take(slot);
        if let Some(request) = request {
            request.complete(result);
        }
    }

    /// Carries out the requests that are there one after the other, without queueing, to see
    /// which of them fails: the disk does not tell.
    fn try_one_by_one(&self) -> Result<(), AhciError> {
        let format = Format { queued: false, ..self.format() };
        for slot in 0..SLOTS {
            let request = self.state.lock().take(slot);
            let Some(request) = request else { continue };
            match self.carry_out(&request, format) {
                Ok(()) => request.complete(Ok(())),
                Err(error) => {
                    log::warn!("{}: {error}", self.name);
                    // The memory is the disk's before that.
                    let restarted = self.stop().and_then(|()| self.start());
                    let restarted = restarted.or_else(|_| self.restart());
                    request.complete(Err(BlockError::Io));
                    restarted?;
                }
            }
        }
        Ok(())
    }

    fn carry_out(&self, request: &Request, format: Format) -> Result<(), AhciError> {
        let command = Self::command_of(request, format, 0);
        let data = match request.operation() {
            Operation::Discard => {
                self.set_trim(request, format);
                Data::Page
            }
            Operation::Read | Operation::Write => Data::Request(request),
            Operation::Flush | Operation::WriteZeroes => Data::None,
        };
        self.execute(&command, &data, SINGLE_NS)
    }

    /// The disk does not work, or is not there any more.
    fn lose_disk(&self, control: &mut Control, why: AhciError) -> Option<Registration> {
        let disk = control.disk.take();
        control.is_lost = true;
        let name = disk.as_ref().map_or("", |disk| disk.name());
        log::warn!("{}: {name}: {why}", self.name);
        if let Some(disk) = &disk {
            disk.handle().gone();
        }
        self.pause();
        let stopped = self.halt().or_else(|_| {
            let _ = self.reset_link(); // it also ends what is under way without a device
            self.halt()
        });
        match stopped {
            Ok(()) => self.fail_all(BlockError::Gone),
            // Their memory is not safe: the requests stay where they are.
            Err(error) => log::error!("{}: {error}", self.name),
        }
        self.power_up(&self.memory);
        disk
    }

    /// The request in slot `tag` takes too long: its link is reset, and it fails. May sleep.
    pub(super) fn timed_out(&self, tag: usize) {
        let mut control = self.control.lock();
        if control.is_over {
            return;
        }
        if self.complete_done() {
            log::warn!("{}: an interrupt was missing", self.name);
        }
        // Another one may have its slot by now.
        let is_overdue = |request: &Request| request.is_overdue();
        let is_there = {
            let state = self.state.lock();
            state.slots.get(tag).and_then(Option::as_ref).is_some_and(is_overdue)
        };
        if !is_there {
            return;
        }
        self.set_interrupts(false);
        self.pause();
        log::warn!("{}: command {tag} takes too long; the link is reset", self.name);
        match self.restart() {
            Ok(()) => {
                self.end_slot(tag, Err(BlockError::TimedOut));
                self.resume();
            }
            Err(error) => {
                // It cannot go here, in a call of the block layer's.
                control.left = self.lose_disk(&mut control, error);
                drop(control);
                self.call_attendant(PortInterrupts::empty());
            }
        }
    }

    /// The driver leaves: what was written is made durable, and the port stops. May sleep.
    pub(super) fn leave(&self) {
        let mut control = self.control.lock();
        if core::mem::replace(&mut control.is_over, true) {
            return;
        }
        if let Some(disk) = &control.disk {
            disk.handle().close();
        }
        self.set_interrupts(false);
        self.pause();
        let _ = self.stop(); // or the port is stopped with the controller
        if control.disk.is_some() && self.start().is_ok() {
            let _ = self.execute(&Command::flush(), &Data::None, FLUSH_NS); // or it has no cache
        }
        match self.halt() {
            Ok(()) => self.fail_all(BlockError::Gone),
            Err(error) => log::error!("{}: {error}", self.name),
        }
    }

    /// The disk is not registered any more, after [`Port::leave`]. May sleep.
    pub(super) fn forget_disk(&self) {
        let (disk, left) = {
            let mut control = self.control.lock();
            (control.disk.take(), control.left.take())
        };
        drop((disk, left));
    }
}

impl Control {
    /// Whether there is a disk, or will be at once.
    fn has_disk(&self) -> bool {
        self.disk.is_some() || (self.is_registering && !self.is_lost)
    }
}
