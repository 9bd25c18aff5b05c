//! [`Port`]: a port with its disk, and the requests that the disk has.
//!
//! A request's tag is its command slot. A disk with queueing has several reads and writes at a
//! time; all other commands are alone: one is refused as long as others are going on, and others
//! as long as it is. The layer then waits with all, so that neither has to wait for ever.

use alloc::string::String;
use alloc::sync::{Arc, Weak};

use arrayvec::ArrayVec;
use ata::{Command, CommandHeader};
use base::sync::IrqSpinLock;
use device::Device;
use device::block::{BlockDevice, BlockError, Operation, Refused, Registration, Request};
use memory::kernel_space::Registers;
use spin::Once;
use task::{Mutex, Work};

use super::memory::PortMemory;
use super::registers::{PortInterrupts, PortRegisters};

/// Command slots of a port.
pub(super) const SLOTS: usize = CommandHeader::COUNT;

/// What of a disk matters for its commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Format {
    /// Bytes of a block, as a power of two, less that of a sector.
    pub(super) sector_shift: u8,
    /// Reads and writes are queued.
    pub(super) queued: bool,
}

/// The requests of a port.
pub(super) struct State {
    /// Requests are taken.
    pub(super) running: bool,
    format: Format,
    pub(super) slots: [Option<Request>; SLOTS],
    /// Slots whose commands the port has, and those of which it was not told.
    pub(super) issued: u32,
    pending: u32,
    /// The one command that there is needs to be alone.
    pub(super) alone: bool,
    /// What has happened and is to be looked after.
    pub(super) events: PortInterrupts,
}

/// What a task that looks after a port has the lock for.
#[derive(Default)]
pub(super) struct Control {
    /// The disk, while there is one.
    pub(super) disk: Option<Registration>,
    /// One that does not work any more, for the attendant to let go.
    pub(super) left: Option<Registration>,
    /// One is being registered; and it is gone already.
    pub(super) is_registering: bool,
    pub(super) is_lost: bool,
    /// The driver leaves.
    pub(super) is_over: bool,
    /// How often the requests that are there were begun anew.
    pub(super) tries: u32,
}

/// A port of a controller.
pub(super) struct Port {
    /// For the log: ahci0 port 1.
    pub(super) name: String,
    pub(super) registers: Registers<PortRegisters>,
    pub(super) memory: PortMemory,
    /// The controller, of which disks are part in the tree.
    pub(super) parent: Weak<Device>,
    /// Command slots, and whether the controller has queueing and 64-bit addresses.
    pub(super) slots: u8,
    pub(super) has_queueing: bool,
    pub(super) is_64_bits: bool,
    pub(super) state: IrqSpinLock<State>,
    pub(super) control: Mutex<Control>,
    /// Looks after the port, for interrupt handlers.
    pub(super) attendant: Once<Arc<Work>>,
    /// Looks for a disk, which may need the attendant meanwhile.
    pub(super) finder: Once<Arc<Work>>,
}

impl State {
    pub(super) const fn new() -> Self {
        Self {
            running: false,
            format: Format { sector_shift: 0, queued: false },
            slots: [const { None }; SLOTS],
            issued: 0,
            pending: 0,
            alone: false,
            events: PortInterrupts::empty(),
        }
    }

    fn has_any(&self) -> bool {
        self.issued | self.pending != 0
    }

    /// Takes out a request that the port does not have any more.
    pub(super) fn take(&mut self, slot: usize) -> Option<Request> {
        let request = self.slots.get_mut(slot)?.take()?;
        let bit = 1u32 << slot;
        self.issued &= !bit;
        self.pending &= !bit;
        if !self.has_any() {
            self.alone = false;
        }
        Some(request)
    }
}

/// The numbers of the bits that are set in `bits`.
fn bits(mut bits: u32) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let bit = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(bit)
    })
}

impl Port {
    /// The command of a request; `slot` is its number if it is queued.
    pub(super) fn command_of(request: &Request, format: Format, slot: usize) -> Command {
        let lba = request.sector() >> format.sector_shift;
        let blocks = (request.sectors() >> format.sector_shift) as u32;
        let durable = request.force_unit_access();
        match request.operation() {
            Operation::Read if format.queued => Command::read_queued(slot as u8, lba, blocks),
            Operation::Read => Command::read(lba, blocks),
            Operation::Write if format.queued => {
                Command::write_queued(slot as u8, lba, blocks, durable)
            }
            Operation::Write => Command::write(lba, blocks, durable),
            Operation::Discard => Command::trim(),
            // The disk says that it has no writing of zeros, so that none is asked for.
            Operation::Flush | Operation::WriteZeroes => Command::flush(),
        }
    }

    /// Writes the command of a request into its slot; whether it is queued.
    fn set_up(&self, request: &Request, format: Format, slot: usize) -> bool {
        let command = Self::command_of(request, format, slot);
        if request.operation() == Operation::Discard {
            self.set_trim(request, format);
            self.memory.set(slot, &command, [self.memory.page()].into_iter());
        } else {
            let segments = request.segments().map(|it| (it.address.as_u64(), it.len));
            self.memory.set(slot, &command, segments);
        }
        command.is_queued()
    }

    /// Puts the blocks of a discard into the page, which nothing else needs meanwhile.
    pub(super) fn set_trim(&self, request: &Request, format: Format) {
        let lba = request.sector() >> format.sector_shift;
        self.memory.set_trim(lba, (request.sectors() >> format.sector_shift) as u32);
    }

    /// Takes requests from now on, for a disk of this format; those that are there already it
    /// begins anew.
    pub(super) fn run(&self, format: Format) {
        {
            let mut state = self.state.lock();
            state.format = format;
            state.running = true;
            state.issued = 0;
            let mut pending = 0;
            for (slot, request) in state.slots.iter().enumerate() {
                if let Some(request) = request {
                    request.begin_anew();
                    self.set_up(request, format, slot);
                    pending |= 1 << slot;
                }
            }
            state.pending = pending;
        }
        self.tell();
    }

    pub(super) fn format(&self) -> Format {
        self.state.lock().format
    }

    /// Tells the port of commands that it does not know.
    fn tell(&self) {
        let mut state = self.state.lock();
        let pending = core::mem::take(&mut state.pending);
        if pending == 0 || !state.running {
            state.pending = pending;
            return;
        }
        state.issued |= pending;
        self.memory.publish();
        if !state.alone {
            self.registers.active.write(pending);
        }
        self.registers.issue.write(pending);
    }

    /// Completes the requests that are done. Whether there were any. A controller that is not
    /// there any more has done nothing, whatever its registers seem to say.
    pub(super) fn complete_done(&self) -> bool {
        let mut done: ArrayVec<Request, SLOTS> = ArrayVec::new();
        {
            let mut state = self.state.lock();
            if state.issued == 0 {
                return false;
            }
            // A queued command leaves the second register when it is under way.
            let busy = self.registers.active.read() | self.registers.issue.read();
            let done_now = state.issued & !busy;
            // All at once: or the registers read 0, since nobody answers.
            if done_now == state.issued && !self.is_processing() {
                return false;
            }
            for slot in bits(done_now) {
                done.extend(state.take(slot));
            }
        }
        let any = !done.is_empty();
        done.into_iter().for_each(|request| request.complete(Ok(())));
        any
    }

    /// In an interrupt handler: completes what is done, and leaves the rest to the attendant.
    pub(super) fn on_interrupt(&self) {
        let events = PortInterrupts::from_bits_retain(self.registers.interrupts.read());
        self.registers.interrupts.write(events.bits());
        self.complete_done();
        let serious = events & (PortInterrupts::ERROR | PortInterrupts::LINK);
        if !serious.is_empty() {
            self.call_attendant(serious);
        }
    }

    /// Has a task look after the port, which takes no requests meanwhile.
    pub(super) fn call_attendant(&self, events: PortInterrupts) {
        self.set_interrupts(false);
        {
            let mut state = self.state.lock();
            state.running = false;
            state.events |= events;
        }
        if let Some(attendant) = self.attendant.get() {
            attendant.queue();
        }
    }

    /// Takes no requests, and forgets what the port was told of: none of that is done any more,
    /// whatever the registers say when the port stops.
    pub(super) fn pause(&self) {
        let mut state = self.state.lock();
        state.running = false;
        state.issued = 0;
    }

    /// Fails all requests that are there: the port does not have them any more.
    pub(super) fn fail_all(&self, error: BlockError) {
        for slot in 0..SLOTS {
            let request = self.state.lock().take(slot);
            if let Some(request) = request {
                request.complete(Err(error));
            }
        }
    }
}

/// The disk at a port, for the block layer.
pub(super) struct PortDisk(pub(super) Arc<Port>);

impl BlockDevice for PortDisk {
    fn submit(&self, request: Request) -> Result<(), Refused> {
        let port = &*self.0;
        let mut state = port.state.lock();
        let slot = usize::from(request.tag());
        let queued = state.format.queued && request.operation().has_data();
        let is_free = state.slots.get(slot).is_some_and(Option::is_none);
        if !state.running || !is_free || state.alone || (!queued && state.has_any()) {
            return Err(Refused(request));
        }
        state.alone = !port.set_up(&request, state.format, slot);
        state.pending |= 1 << slot;
        if let Some(place) = state.slots.get_mut(slot) {
            *place = Some(request);
        }
        Ok(())
    }

    fn kick(&self, _: usize) {
        self.0.tell();
    }

    fn timed_out(&self, _: usize, tag: u16) {
        self.0.timed_out(usize::from(tag));
    }
}
