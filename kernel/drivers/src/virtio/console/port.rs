//! [`Port`]: a line to the host with bytes both ways, and [`OpenPort`], the right to use it.
//!
//! What the device sends lies in the buffers that it was given until somebody reads it, and then
//! the buffer goes back to the device: a host that sends faster than is read has to wait. What is
//! written is copied to a buffer that comes back when the host has taken it.
//!
//! A device throws away what is written while the host has not opened its side, and a device with
//! several ports tells when it has (VirtIO 1.2, section 5.3.6.2): writing waits for that. One with
//! a single port does not tell, and a console is written whether somebody looks or not.

use alloc::string::String;
use alloc::sync::{Arc, Weak};
use core::fmt;

use arrayvec::{ArrayString, ArrayVec};
use base::sync::IrqSpinLock;
use memory::OutOfMemory;
use memory::dma::{DmaBuffer, DmaPool};
use task::{WaitError, WaitOptions, WaitQueue};
use virtqueue::Buffer;

use super::Console;
use super::control::{Event, MOST_BYTES};
use crate::virtio::Queue;

/// Buffers that the device has for what it sends on a port, and their bytes.
const INPUT_BUFFERS: usize = 8;
const INPUT_BYTES: usize = 512;
/// Buffers that wait for the host to take them at most, and their bytes.
const OUTPUT_BUFFERS: u16 = 8;
const OUTPUT_BYTES: usize = 1024;

pub(super) static BUFFERS: DmaPool = DmaPool::new();

/// The host's name for a port.
pub type Label = ArrayString<MOST_BYTES>;
/// The name of a console: hvc and a number.
pub type ConsoleName = ArrayString<8>;

/// Why a port cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortError {
    /// The host has taken the port away, or the device is gone.
    Gone,
    /// The wait ended before there was anything.
    Wait(WaitError),
    /// The wait ended before the host had opened its side: nobody would get what is written.
    HostClosed,
    /// No memory.
    OutOfMemory,
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the port is gone"),
            Self::Wait(error) => error.fmt(f),
            Self::HostClosed => f.write_str("the host has not opened the port"),
            Self::OutOfMemory => f.write_str("out of memory"),
        }
    }
}

impl core::error::Error for PortError {}

impl From<OutOfMemory> for PortError {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

/// What was received and not yet read.
struct Filled {
    buffer: DmaBuffer,
    len: usize,
    /// How much of it was read.
    read: usize,
}

struct State {
    /// The device has the port.
    is_present: bool,
    /// The host's side is open.
    host_is_open: bool,
    /// Its name as a console.
    console_name: Option<ConsoleName>,
    /// How many have it open here.
    opens: u32,
    /// Columns and rows.
    size: Option<(u16, u16)>,
    /// The host's name for it; empty if it has none.
    label: Label,
    filled: ArrayVec<Filled, INPUT_BUFFERS>,
}

/// A port of a console device.
pub struct Port {
    id: u32,
    name: String,
    console: Weak<Console>,
    input: Arc<Queue<DmaBuffer>>,
    output: Arc<Queue<DmaBuffer>>,
    /// The device hears when the port is opened and closed here. If it does not, as one with a
    /// single port, what it sends meanwhile waits for whoever opens the port next.
    hears: bool,
    state: IrqSpinLock<State>,
    readable: WaitQueue,
    writable: WaitQueue,
}

/// A port that somebody has open.
pub struct OpenPort(Arc<Port>);

impl Port {
    pub(super) fn new(
        id: u32,
        name: String,
        console: Weak<Console>,
        input: Arc<Queue<DmaBuffer>>,
        output: Arc<Queue<DmaBuffer>>,
        hears: bool,
    ) -> Self {
        let state = State {
            is_present: false,
            host_is_open: false,
            console_name: None,
            opens: 0,
            size: None,
            label: Label::new_const(),
            filled: ArrayVec::new(),
        };
        Self {
            id,
            name,
            console,
            input,
            output,
            hears,
            state: IrqSpinLock::new("virtio port", state),
            readable: WaitQueue::new("input from a port"),
            writable: WaitQueue::new("output to a port"),
        }
    }

    /// Its number at its device.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The number of its device, which no other VirtIO device has; `None` if that is gone.
    pub fn device_number(&self) -> Option<u32> {
        self.console.upgrade().map(|console| console.virtio.number())
    }

    /// Its name, which no other port has: vport0p1.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The host's name for it.
    pub fn label(&self) -> Option<Label> {
        let label = self.state.lock().label;
        (!label.is_empty()).then_some(label)
    }

    /// Its name as a console, if it is one: hvc0.
    pub fn console_name(&self) -> Option<ConsoleName> {
        self.state.lock().console_name
    }

    /// Whether the host has its side open.
    pub fn host_is_open(&self) -> bool {
        self.state.lock().host_is_open
    }

    /// Columns and rows of a console, if the device tells.
    pub fn size(&self) -> Option<(u16, u16)> {
        self.state.lock().size
    }

    pub(super) fn is_present(&self) -> bool {
        self.state.lock().is_present
    }

    /// Opens it; the host is told if nobody had it open.
    ///
    /// # Errors
    /// `Gone`.
    pub fn open(self: &Arc<Self>) -> Result<OpenPort, PortError> {
        let console = self.console.upgrade().ok_or(PortError::Gone)?;
        let is_first = {
            let mut state = self.state.lock();
            if !state.is_present {
                return Err(PortError::Gone);
            }
            state.opens += 1;
            state.opens == 1
        };
        if is_first {
            console.tell(self.id, Event::PortOpen(true));
        }
        Ok(OpenPort(self.clone()))
    }

    /// What was not read by the last who had it open is not kept, if the device hears of it.
    fn close(&self) {
        let (is_last, unread) = {
            let mut state = self.state.lock();
            state.opens -= 1;
            let is_last = state.opens == 0;
            let is_over = is_last && self.hears;
            (is_last, if is_over { state.filled.take() } else { ArrayVec::new() })
        };
        if !is_last {
            return;
        }
        unread.into_iter().for_each(|filled| self.give(filled.buffer));
        self.input.kick();
        if let Some(console) = self.console.upgrade().filter(|_| self.is_present()) {
            console.tell(self.id, Event::PortOpen(false));
        }
    }

    /// The device has the port, again perhaps. Whether it is open here.
    pub(super) fn appear(&self) -> bool {
        self.fill();
        let is_open = {
            let mut state = self.state.lock();
            state.is_present = true;
            state.opens > 0
        };
        self.writable.wake_all();
        is_open
    }

    /// The device has it no more: whoever waits goes away.
    pub(super) fn vanish(&self) {
        {
            let mut state = self.state.lock();
            state.is_present = false;
            state.host_is_open = false;
            state.console_name = None;
            state.label.clear();
        }
        self.readable.wake_all();
        self.writable.wake_all();
    }

    pub(super) fn set_console(&self, name: ConsoleName) {
        self.state.lock().console_name = Some(name);
        self.writable.wake_all();
    }

    pub(super) fn set_size(&self, columns: u16, rows: u16) {
        self.state.lock().size = Some((columns, rows));
    }

    pub(super) fn set_host_open(&self, is_open: bool) {
        self.state.lock().host_is_open = is_open;
        self.readable.wake_all();
        self.writable.wake_all();
    }

    pub(super) fn set_label(&self, label: Label) {
        self.state.lock().label = label;
    }

    /// Gives the device as many buffers as it may have.
    fn fill(&self) {
        let has = usize::from(self.input.in_flight()) + self.state.lock().filled.len();
        for _ in has..INPUT_BUFFERS {
            match BUFFERS.allocate(INPUT_BYTES) {
                Ok(buffer) => self.give(buffer),
                Err(error) => {
                    log::warn!("{}: {error}: fewer buffers for input", self.name);
                    break;
                }
            }
        }
        self.input.kick();
    }

    /// Adds a buffer to the queue for input; it is dropped if the device does not work.
    fn give(&self, buffer: DmaBuffer) {
        let chain = [Buffer::writable(buffer.address().as_u64(), buffer.len() as u32)];
        drop(self.input.add(chain, buffer));
    }

    /// The device has sent something. In an interrupt handler.
    pub(super) fn input_used(&self) {
        let mut is_new = false;
        let any = self.input.used(|done| {
            let len = done.written as usize;
            // Of what was on its way when the port was closed, nothing is kept.
            if let Some(buffer) = self.keep(done.token, len) {
                self.give(buffer);
            } else {
                is_new = true;
            }
        });
        if any {
            self.input.kick();
        }
        if is_new {
            self.readable.wake_all();
        }
    }

    /// Keeps `len` bytes in `buffer` to be read; gives it back if they are not to be.
    fn keep(&self, buffer: DmaBuffer, len: usize) -> Option<DmaBuffer> {
        let mut state = self.state.lock();
        let is_wanted = state.opens > 0 || !self.hears;
        if len == 0 || !is_wanted || state.filled.is_full() {
            return Some(buffer);
        }
        state.filled.push(Filled { buffer, len, read: 0 });
        None
    }

    /// The host has taken something. In an interrupt handler.
    pub(super) fn output_used(&self) {
        if self.output.used(drop) {
            self.writable.wake_all();
        }
    }

    /// The device was reset: its buffers are given up.
    pub(super) fn stopped(&self) {
        while self.input.recall().is_some() {}
        while self.output.recall().is_some() {}
        self.writable.wake_all();
    }

    /// Takes what there is, as much as fits into `to`; `None` if there is nothing yet.
    fn take(&self, to: &mut [u8]) -> Option<Result<usize, PortError>> {
        let mut count = 0;
        loop {
            let used_up = {
                let mut state = self.state.lock();
                let Some(filled) = state.filled.first_mut().filter(|_| count < to.len()) else {
                    break;
                };
                let from = filled.buffer.bytes().get(filled.read..filled.len).unwrap_or_default();
                let len = from.len().min(to.len() - count);
                to[count..count + len].copy_from_slice(&from[..len]);
                filled.read += len;
                count += len;
                if filled.read == filled.len { state.filled.pop_at(0) } else { None }
            };
            if let Some(filled) = used_up {
                self.give(filled.buffer);
                self.input.kick();
            }
        }
        if count > 0 || to.is_empty() {
            return Some(Ok(count));
        }
        let state = self.state.lock();
        match (state.is_present, state.host_is_open || state.console_name.is_some()) {
            (false, _) => Some(Err(PortError::Gone)),
            (true, false) => Some(Ok(0)),
            (true, true) => None,
        }
    }
}

impl Port {
    /// Whether somebody gets what is written: whether it may be, or the wait goes on.
    ///
    /// # Errors
    /// `Gone`.
    fn has_listener(&self) -> Result<bool, PortError> {
        let state = self.state.lock();
        if !state.is_present {
            return Err(PortError::Gone);
        }
        Ok(state.host_is_open || state.console_name.is_some() || !self.hears)
    }

    /// What to say of a wait to write that has ended.
    fn why_ended(&self, error: WaitError) -> PortError {
        match (error, self.has_listener()) {
            (WaitError::TimedOut, Ok(false)) => PortError::HostClosed,
            (error, _) => PortError::Wait(error),
        }
    }
}

impl OpenPort {
    /// The port.
    pub fn port(&self) -> &Arc<Port> {
        &self.0
    }

    /// Reads at least a byte, as many as there are and fit. Waits until there are some. 0 means
    /// that the host has closed its side, which consoles do not tell.
    ///
    /// # Errors
    /// `Gone`, `Wait`.
    pub fn read(&self, to: &mut [u8], options: WaitOptions) -> Result<usize, PortError> {
        let port = &self.0;
        port.readable.wait_with(options, || port.take(to)).map_err(PortError::Wait)?
    }

    /// Writes, in pieces, and waits for each until the host has its side open, where that is
    /// known, and the device has room; the host takes them later. How many bytes were written:
    /// fewer than there are if the wait ended.
    ///
    /// # Errors
    /// `Gone`, `HostClosed`, `Wait`, `OutOfMemory`; not if something was written.
    pub fn write(&self, from: &[u8], options: WaitOptions) -> Result<usize, PortError> {
        let mut count = 0;
        for piece in from.chunks(OUTPUT_BYTES) {
            match self.write_piece(piece, options) {
                Ok(()) => count += piece.len(),
                Err(_) if count > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    fn write_piece(&self, piece: &[u8], options: WaitOptions) -> Result<(), PortError> {
        let port = &self.0;
        let mut buffer = BUFFERS.allocate(piece.len())?;
        buffer.bytes_mut().copy_from_slice(piece);
        let mut waiting = Some(buffer);
        let mut add = || {
            match port.has_listener() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
            if port.output.in_flight() >= OUTPUT_BUFFERS {
                return None;
            }
            let buffer = waiting.take()?;
            let chain = [Buffer::readable(buffer.address().as_u64(), buffer.len() as u32)];
            match port.output.add(chain, buffer) {
                Ok(()) => Some(Ok(())),
                Err(refused) => {
                    waiting = Some(refused.token);
                    None
                }
            }
        };
        port.writable.wait_with(options, &mut add).map_err(|error| port.why_ended(error))??;
        port.output.kick();
        Ok(())
    }
}

impl Drop for OpenPort {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Port({})", self.name)
    }
}

impl fmt::Debug for OpenPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenPort({})", self.0.name)
    }
}
