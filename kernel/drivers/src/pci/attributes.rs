//! What sysfs shows of a function, as Linux does (`Documentation/ABI/testing/sysfs-bus-pci`).

use alloc::vec::Vec;
use core::fmt::{self, Write};

use abi::{Errno, Result};
use base::irq::{self, Source};
use device::{Attribute, Device};
use pci_config::{BarKind, ConfigSpace, Span, Windows, command, offset};

use super::bar::BarInfo;
use super::{Function, InterruptError, ResetError};

/// Flags of resources, as Linux has them (`include/linux/ioport.h`).
const IO: u64 = 0x100;
const MEMORY: u64 = 0x200;
const PREFETCHABLE: u64 = 0x2000;
const IS_64_BITS: u64 = 0x10_0000;
/// It cannot be used where it is.
const UNSET: u64 = 0x2000_0000;

/// Lines of `resource`: six ranges, and a ROM; four windows more for a bridge.
const RANGES: usize = 7;

fn of(device: &Device) -> Result<&Function> {
    device.identity().ok_or(Errno::ENODEV)
}

fn text(written: fmt::Result) -> Result<()> {
    written.map_err(|_| Errno::ENOMEM)
}

/// An attribute that `show` writes about a function.
fn show(
    name: &'static str,
    show: impl Fn(&Function, &mut dyn Write) -> fmt::Result + Send + Sync + 'static,
) -> Attribute {
    Attribute::new(name, move |device, to| text(show(of(device)?, to)))
}

/// The attributes of every function.
pub(super) fn all() -> Vec<Attribute> {
    [
        show("vendor", |function, to| writeln!(to, "{:#06x}", function.identity().vendor)),
        show("device", |function, to| writeln!(to, "{:#06x}", function.identity().device)),
        show("class", |function, to| writeln!(to, "{:#08x}", function.identity().class)),
        show("revision", |function, to| writeln!(to, "{:#04x}", function.identity().revision)),
        show("subsystem_vendor", |function, to| {
            writeln!(to, "{:#06x}", function.identity().subsystem_vendor)
        }),
        show("subsystem_device", |function, to| {
            writeln!(to, "{:#06x}", function.identity().subsystem)
        }),
        show("irq", |function, to| writeln!(to, "{}", line(function))),
        show("interrupts", interrupts).with_store(set_affinity),
        show("resource", resource),
        // What the command register says; Linux counts those who have switched the function on.
        show("enable", |function, to| {
            let on = command::IO | command::MEMORY;
            let enabled = function.config().read_u16(offset::COMMAND) & on != 0;
            writeln!(to, "{}", u8::from(enabled))
        }),
        show("modalias", modalias),
        Attribute::action("reset", reset),
        Attribute::bytes("config", |device, from, to| Ok(config(of(device)?, from, to))),
    ]
    .into()
}

/// The line that the function's pin arrives on, if it is used; 0: none.
fn line(function: &Function) -> u32 {
    match function.vectors().first().map(|&vector| irq::source(vector)) {
        Some(Source::Gsi { gsi, .. }) => gsi,
        Some(Source::Pic(line)) => line.into(),
        _ => 0,
    }
}

/// A line for each interrupt: its number, what it is, its vector and its CPU.
fn interrupts(function: &Function, to: &mut dyn Write) -> fmt::Result {
    let Some(kind) = function.interrupt_kind() else { return Ok(()) };
    for (index, vector) in function.vectors().into_iter().enumerate() {
        let cpu = irq::cpu_of(vector).unwrap_or(0);
        writeln!(to, "{index} {kind} vector {vector} cpu {cpu}")?;
    }
    Ok(())
}

/// Takes a number of an interrupt and one of a CPU: the one is to interrupt the other.
fn set_affinity(device: &Device, text: &str) -> Result<()> {
    let mut numbers = text.split_whitespace().map(|word| word.parse().map_err(|_| Errno::EINVAL));
    let (Some(index), Some(cpu), None) = (numbers.next(), numbers.next(), numbers.next()) else {
        return Err(Errno::EINVAL);
    };
    let (index, cpu): (u32, u32) = (index?, cpu?);
    of(device)?.set_affinity(index as usize, cpu).map_err(|error| match error {
        InterruptError::NoSuch => Errno::ENOENT,
        _ => Errno::EINVAL,
    })
}

/// `1` resets the function, which no driver may have.
fn reset(device: &Device, text: &str) -> Result<()> {
    let function = of(device)?;
    if text.trim() != "1" {
        return Err(Errno::EINVAL);
    }
    let reset = device.while_unbound(|| function.reset()).map_err(|_| Errno::EBUSY)?;
    reset.map_err(|error| match error {
        ResetError::NotOffered => Errno::ENOTTY,
        ResetError::InUse => Errno::EBUSY,
        ResetError::Busy | ResetError::Gone => Errno::EIO,
    })
}

/// What Linux tells udev of a function.
pub(super) fn tell(device: &Device, to: &mut dyn Write) -> fmt::Result {
    let Some(function) = device.identity::<Function>() else { return Ok(()) };
    let identity = function.identity();
    let (vendor, subsystem_vendor) = (identity.vendor, identity.subsystem_vendor);
    writeln!(to, "PCI_CLASS={:04X}", identity.class)?;
    writeln!(to, "PCI_ID={vendor:04X}:{:04X}", identity.device)?;
    writeln!(to, "PCI_SUBSYS_ID={subsystem_vendor:04X}:{:04X}", identity.subsystem)?;
    write!(to, "PCI_SLOT_NAME={}\nMODALIAS=", device.name())?;
    modalias(function, to)
}

fn modalias(function: &Function, to: &mut dyn Write) -> fmt::Result {
    let identity = function.identity();
    let [interface, sub, base, _] = identity.class.to_le_bytes();
    writeln!(
        to,
        "pci:v{:08X}d{:08X}sv{:08X}sd{:08X}bc{base:02X}sc{sub:02X}i{interface:02X}",
        identity.vendor, identity.device, identity.subsystem_vendor, identity.subsystem
    )
}

fn resource_line(to: &mut dyn Write, span: Option<Span>, flags: u64) -> fmt::Result {
    let (first, last) = span.map_or((0, 0), |span| (span.first(), span.last()));
    writeln!(to, "{first:#018x} {last:#018x} {flags:#018x}")
}

fn resource(function: &Function, to: &mut dyn Write) -> fmt::Result {
    for index in 0..RANGES {
        let (span, flags) = match function.bar(index) {
            BarInfo::Present { kind, span, size, .. } => {
                let flags = match kind {
                    BarKind::Io => IO,
                    BarKind::Memory { is_64_bits, prefetchable } => {
                        let wide = if is_64_bits { IS_64_BITS } else { 0 };
                        MEMORY | wide | if prefetchable { PREFETCHABLE } else { 0 }
                    }
                };
                match span {
                    Some(_) => (span, flags),
                    // How large it is can be told all the same.
                    None => (Span::with_size(0, size), flags | UNSET),
                }
            }
            BarInfo::Absent | BarInfo::Bad(_) => (None, 0),
        };
        resource_line(to, span, flags)?;
    }
    let Some(bridge) = function.bridge() else { return Ok(()) };
    let Windows { io, memory, prefetchable } = bridge.windows;
    let windows = [(io, IO), (memory, MEMORY), (prefetchable, MEMORY | PREFETCHABLE), (None, 0)];
    for (span, flags) in windows {
        resource_line(to, span, if span.is_some() { flags } else { 0 })?;
    }
    Ok(())
}

/// Copies bytes of the configuration space from `from` on; how many.
fn config(function: &Function, from: u64, to: &mut [u8]) -> usize {
    let config = function.config();
    let len = if config.is_extended() { 4096 } else { 256 };
    let rest = (from.min(len)..len).zip(to.iter_mut());
    rest.map(|(at, byte)| *byte = config.read_u8(at as u16)).count()
}
