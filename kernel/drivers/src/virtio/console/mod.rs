//! The driver of consoles (VirtIO 1.2, section 5.3): each port of a device is a [`Port`], a line
//! to the host with bytes both ways. [`ports`] lists them all.
//!
//! A device without the feature `multiport` is one console. One with it tells by messages which
//! ports it has (`control.rs`); they come and go.
//!
//! In the tree of devices a port is `vport0p1`: port 1 of `virtio0`. One that is a console
//! has a further device behind it, `hvc0`, which is its name among consoles.

mod control;
mod port;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt::Write;

use ::device::{
    AddError, Attribute, Bound, Bus, Device, DeviceGuard, Driver, ProbeError, register_driver,
};
use abi::Errno;
use base::sync::SpinLock;
use memory::OutOfMemory;
use memory::dma::DmaBuffer;
use task::{Work, WorkQueue};
use virtqueue::Buffer;

use super::{
    DeviceType, Features, Function, Queue, Session, Setup, VIRTIO, VirtioDevice, VirtioError,
};
use control::{Event, Message};
use port::BUFFERS;

pub use port::{ConsoleName, Label, OpenPort, Port, PortError};

/// The device tells the size of the console.
const SIZE: Features = Features::bit(0);
/// The device may have several ports.
const MULTIPORT: Features = Features::bit(1);

// Offsets in the configuration.
const COLUMNS: u16 = 0;
const ROWS: u16 = 2;
const MOST_PORTS: u16 = 4;

/// Ports of a device that are made; the others are refused.
const PORTS: u32 = 8;
/// Descriptors of a port's queues.
const QUEUE_SIZE: u16 = 16;
/// Messages that may be on their way to each side.
const MESSAGES: u16 = 16;

/// All ports that there are.
static ALL: SpinLock<Vec<Arc<Port>>> = SpinLock::new("ports", Vec::new());
/// The names of consoles that are taken, a bit for each number.
static CONSOLES: SpinLock<u64> = SpinLock::new("hvc numbers", 0);

/// All ports that there are.
pub fn ports() -> Vec<Arc<Port>> {
    ALL.lock().clone()
}

/// The port of that name: its own, the host's for it, or that of the console that it is.
pub fn find(name: &str) -> Option<Arc<Port>> {
    let is_named = |port: &&Arc<Port>| {
        port.name() == name
            || port.label().as_deref() == Some(name)
            || port.console_name().as_deref() == Some(name)
    };
    ports().iter().find(is_named).cloned()
}

struct ConsoleDriver;

struct Console {
    /// The device in the tree, which keeps this.
    device: Weak<Device>,
    virtio: Arc<VirtioDevice>,
    ports: Vec<Arc<Port>>,
    /// What is in the tree for each port. Held while ports come and go; `None` when they do no
    /// more.
    shown: task::Mutex<Option<Vec<Shown>>>,
    control: Option<Control>,
    has_size: bool,
}

/// A port in the tree, in the order in which its devices go.
#[derive(Default)]
struct Shown {
    console: Option<(DeviceGuard, Number)>,
    port: Option<DeviceGuard>,
}

/// The number of a console, from 0 on.
struct Number(u32);

/// The queues for messages.
struct Control {
    input: Arc<Queue<DmaBuffer>>,
    output: Arc<Queue<DmaBuffer>>,
    /// Looks at what came.
    work: Arc<Work>,
}

/// What is kept of a device.
struct Kept {
    session: Session,
    console: Arc<Console>,
}

base::initcall!(Drivers, register);

fn register() {
    register_driver(&ConsoleDriver);
}

impl Number {
    fn take() -> Option<Self> {
        let mut taken = CONSOLES.lock();
        let number = taken.trailing_ones();
        *taken |= 1_u64.checked_shl(number)?;
        Some(Self(number))
    }

    fn name(&self) -> ConsoleName {
        let mut name = ConsoleName::new();
        // It has room for all numbers.
        let _ = write!(name, "hvc{}", self.0);
        name
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        *CONSOLES.lock() &= !(1 << self.0);
    }
}

impl Driver for ConsoleDriver {
    fn name(&self) -> &'static str {
        "virtio-console"
    }

    fn bus(&self) -> &'static Bus {
        &VIRTIO
    }

    fn matches(&self, device: &Device) -> bool {
        super::is(device, DeviceType::CONSOLE)
    }

    fn probe(&self, device: &Arc<Device>) -> Result<Box<dyn Bound>, ProbeError> {
        let virtio = super::of(device).ok_or(ProbeError::NotMine)?;
        let mut setup = Setup::begin(virtio, SIZE | MULTIPORT)?;
        // Many queues, of which few are busy: one interrupt for each direction.
        setup.share_interrupts(2);
        let console = Console::new(&mut setup, device, virtio)?;
        let session = setup.start(console.clone())?;
        console.begin();
        Ok(Box::new(Kept { session, console }))
    }
}

impl Console {
    fn new(
        setup: &mut Setup,
        device: &Arc<Device>,
        virtio: &Arc<VirtioDevice>,
    ) -> Result<Arc<Self>, VirtioError> {
        let is_multiport = setup.features().has(MULTIPORT);
        let most =
            if is_multiport { virtio.config(|config| config.config32(MOST_PORTS))? } else { 1 };
        let mut queues = Vec::new();
        for id in 0..most.clamp(1, PORTS) {
            // The first port's queues come before those for messages.
            let index = if id == 0 { 0 } else { 2 * id as u16 + 2 };
            queues.try_reserve(1).map_err(|_| OutOfMemory)?;
            let input = setup.queue(index, "input", QUEUE_SIZE, None)?;
            queues.push((input, setup.queue(index + 1, "output", QUEUE_SIZE, None)?));
        }
        let messages = if is_multiport {
            let input = setup.queue(2, "messages in", MESSAGES, None)?;
            Some((input, setup.queue(3, "messages out", MESSAGES, None)?))
        } else {
            None
        };
        let has_size = setup.features().has(SIZE);
        Ok(Arc::new_cyclic(|this: &Weak<Self>| {
            let port = |(id, (input, output)): (u32, _)| {
                let name = format!("vport{}p{id}", virtio.number());
                Arc::new(Port::new(id, name, this.clone(), input, output, messages.is_some()))
            };
            let ports: Vec<_> = (0..).zip(queues).map(port).collect();
            let looking = this.clone();
            let look = move |_: &Arc<Work>| {
                if let Some(console) = looking.upgrade() {
                    console.look_at_messages();
                }
            };
            let control = messages.map(|(input, output)| Control {
                input,
                output,
                work: Work::new("virtio-console", WorkQueue::system(), look),
            });
            let shown = ports.iter().map(|_| Shown::default()).collect();
            Self {
                device: Arc::downgrade(device),
                virtio: virtio.clone(),
                ports,
                shown: task::named_mutex("ports of a console", Some(shown)),
                control,
                has_size,
            }
        }))
    }

    /// Begins with a device that has just been started.
    fn begin(&self) {
        match &self.control {
            Some(control) => {
                for _ in 0..MESSAGES {
                    match BUFFERS.allocate(control::MOST_BYTES) {
                        Ok(buffer) => control.give(buffer),
                        Err(error) => log::warn!("{}: {error}", self.virtio),
                    }
                }
                control.input.kick();
                self.tell(0, Event::DeviceReady);
            }
            // The one port is there from the start.
            None => {
                self.handle(Message { port: 0, event: Event::PortAdd });
                self.handle(Message { port: 0, event: Event::ConsolePort });
                self.read_size();
            }
        }
    }

    fn read_size(&self) {
        if !self.has_size || self.control.is_some() {
            return; // with several ports messages tell
        }
        let size =
            self.virtio.config(|config| Ok((config.config16(COLUMNS)?, config.config16(ROWS)?)));
        match (size, self.ports.first()) {
            (Ok((columns, rows)), Some(port)) => port.set_size(columns, rows),
            (Err(error), _) => log::warn!("{}: {error}", self.virtio),
            (_, None) => {}
        }
    }

    /// Tells the device of a port, if it takes messages.
    fn tell(&self, port: u32, event: Event) {
        let Some(control) = &self.control else { return };
        let Some(bytes) = (Message { port, event }).encode() else { return };
        let Ok(mut buffer) = BUFFERS.allocate(bytes.len()) else {
            return log::warn!("{}: no memory for a message", self.virtio);
        };
        buffer.bytes_mut().copy_from_slice(&bytes);
        let chain = [Buffer::readable(buffer.address().as_u64(), bytes.len() as u32)];
        match control.output.add(chain, buffer) {
            Ok(()) => control.output.kick(),
            Err(refused) => log::warn!("{}: a message is lost: {refused}", self.virtio),
        }
    }

    /// Looks at the messages that came. In a task.
    fn look_at_messages(&self) {
        let Some(control) = &self.control else { return };
        let any = control.input.used(|done| {
            let bytes = done.token.bytes().get(..done.written as usize).unwrap_or_default();
            let message = Message::decode(bytes);
            // Back before it is answered: the answer may be another message.
            control.give(done.token);
            match message {
                Some(message) => self.handle(message),
                None => log::debug!("{}: a message that is not known", self.virtio),
            }
        });
        if any {
            control.input.kick();
        }
    }

    fn handle(&self, message: Message) {
        let Message { port: id, event } = message;
        let Some(port) = self.ports.get(id as usize) else {
            if event == Event::PortAdd {
                log::warn!("{}: port {id} is one too many", self.virtio);
                self.tell(id, Event::PortReady(false));
            }
            return;
        };
        let mut shown = self.shown.lock();
        let Some(shown) = shown.as_mut().and_then(|all| all.get_mut(id as usize)) else { return };
        match event {
            Event::PortAdd => match self.show(port, shown) {
                Ok(()) => {
                    let is_open = port.appear();
                    self.tell(id, Event::PortReady(true));
                    if is_open {
                        self.tell(id, Event::PortOpen(true));
                    }
                }
                Err(error) => {
                    log::warn!("{}: {}: {error}", self.virtio, port.name());
                    self.tell(id, Event::PortReady(false));
                }
            },
            Event::PortRemove => Self::hide(port, shown),
            Event::ConsolePort => self.show_console(port, shown),
            Event::Resize(columns, rows) => port.set_size(columns, rows),
            Event::PortOpen(is_open) => port.set_host_open(is_open),
            Event::PortName(label) => port.set_label(label),
            Event::DeviceReady | Event::PortReady(_) => {}
        }
    }

    /// Puts a port into the tree, if it is not there, and into the list of all.
    fn show(&self, port: &Arc<Port>, shown: &mut Shown) -> Result<(), AddError> {
        if shown.port.is_some() {
            return Ok(()); // the device was reset meanwhile
        }
        let parent = self.device.upgrade().ok_or(AddError::ParentGone)?;
        ALL.lock().try_reserve(1).map_err(|_| AddError::OutOfMemory)?;
        let of = Arc::downgrade(port);
        let label = Attribute::new("name", move |_, to| {
            let port = of.upgrade().ok_or(Errno::ENODEV)?;
            let label = port.label();
            writeln!(to, "{}", label.as_deref().unwrap_or_default()).map_err(|_| Errno::EIO)
        });
        let device = Device::new(String::from(port.name())).class("port").attribute(label);
        shown.port = Some(::device::add(&parent, device)?);
        ALL.lock().push(port.clone());
        Ok(())
    }

    /// Gives a port that is a console its name as one.
    fn show_console(&self, port: &Arc<Port>, shown: &mut Shown) {
        let Some(parent) = shown.port.as_ref().filter(|_| shown.console.is_none()) else { return };
        let Some(number) = Number::take() else {
            return log::warn!("{}: too many consoles", port.name());
        };
        let name = number.name();
        match ::device::add(parent.device(), Device::new(String::from(&*name)).class("tty")) {
            Ok(guard) => {
                shown.console = Some((guard, number));
                log::info!("{name}: a console at {}", self.virtio);
                port.set_console(name);
            }
            Err(error) => log::warn!("{name}: {error}"),
        }
    }

    fn hide(port: &Arc<Port>, shown: &mut Shown) {
        port.vanish();
        ALL.lock().retain(|known| !Arc::ptr_eq(known, port));
        *shown = Shown::default();
    }

    /// All ports go for good.
    fn hide_all(&self) {
        let shown = self.shown.lock().take();
        for (port, mut shown) in self.ports.iter().zip(shown.into_iter().flatten()) {
            Self::hide(port, &mut shown);
        }
    }
}

impl Control {
    /// Adds a buffer for a message that is to come.
    fn give(&self, buffer: DmaBuffer) {
        let chain = [Buffer::writable(buffer.address().as_u64(), buffer.len() as u32)];
        // Refused while the device is reset: there are new ones after that.
        drop(self.input.add(chain, buffer));
    }
}

impl Function for Console {
    fn used(&self, queue: u16) {
        match (queue, &self.control) {
            (2, Some(control)) => {
                control.work.queue();
            }
            (3, Some(control)) => {
                control.output.used(drop);
            }
            _ => {
                let id = if queue < 2 { 0 } else { usize::from(queue - 2) / 2 };
                let Some(port) = self.ports.get(id) else { return };
                if queue.is_multiple_of(2) { port.input_used() } else { port.output_used() }
            }
        }
    }

    fn config_changed(&self) {
        self.read_size();
    }

    fn stopped(&self) {
        self.ports.iter().for_each(|port| port.stopped());
        if let Some(control) = &self.control {
            while control.input.recall().is_some() {}
            while control.output.recall().is_some() {}
        }
    }

    fn restarted(&self) {
        self.begin();
    }

    fn given_up(&self) {
        self.hide_all();
    }
}

impl Bound for Kept {
    fn shutdown(&self) {
        self.session.stop();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // No messages any more, then no ports.
        self.session.stop();
        self.console.hide_all();
    }
}
