//! Access to configuration space: memory-mapped (PCI Express Base Specification, section
//! 7.2.2), where the MCFG says, or through ports (mechanism #1, PCI 3.0, section 3.2.2.3.2).
//!
//! Each access is one of the width that is asked for. Nothing here is locked but the pair of
//! ports: who writes what in a function's space is for [`super::function`] to order.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use aml::PciPlace;
use base::io_ports::{IoPorts, PortError};
use base::registers::ReadWrite;
use base::sync::{IrqSpinLock, SpinLock};
use memory::kernel_space::{DeviceMapError, IoMem, RegisterArray};
use pci_config::ConfigSpace;
use spin::Once;

use super::Address;
use crate::acpi::PciRegion;

/// Bytes of a function's space in memory, and of a bus's.
const FUNCTION_BYTES: usize = 4096;
const BUS_BYTES: usize = FUNCTION_BYTES << 8;

/// The ports of mechanism #1: a double word with the address, and one with the data.
const FIRST_PORT: u16 = 0xcf8;
const PORTS: u16 = 8;
const DATA: u16 = 4;
/// In the address: the data port means configuration space.
const ENABLE: u32 = 1 << 31;
/// Offset of the machine's reset register in the ports (a byte of its own, in chip sets).
const RESET: u16 = 1;

/// Why a bus cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConfigError {
    /// The memory-mapped space cannot be mapped.
    NotMapped(DeviceMapError),
    /// The ports cannot be had.
    Ports(PortError),
    /// No memory to remember it.
    OutOfMemory,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMapped(error) => write!(f, "its configuration space: {error}"),
            Self::Ports(error) => write!(f, "the ports of configuration mechanism #1: {error}"),
            Self::OutOfMemory => f.write_str("no memory for it"),
        }
    }
}

static PORT_PAIR: Once<IrqSpinLock<IoPorts>> = Once::new();

/// The ports, claimed at the first use, for good.
fn ports() -> Result<&'static IrqSpinLock<IoPorts>, ConfigError> {
    PORT_PAIR.try_call_once(|| {
        let ports = IoPorts::claim(FIRST_PORT, PORTS, "PCI configuration");
        Ok(IrqSpinLock::new("PCI configuration ports", ports.map_err(ConfigError::Ports)?))
    })
}

/// Writes `orders` one after another, `wait`ing after each, to the reset register at port
/// 0xcf9, what else it holds kept; false if its port is not among those that are claimed here.
pub(crate) fn reset_by_ports(orders: &[u8], kept: u8, wait: impl Fn()) -> bool {
    let Some(ports) = PORT_PAIR.get() else { return false };
    let others = ports.lock().read(RESET) & kept;
    for order in orders {
        ports.lock().write(RESET, others | order);
        wait();
    }
    true
}

/// A bus whose configuration space is mapped.
struct MappedBus {
    segment: u16,
    bus: u8,
    memory: Arc<IoMem>,
}

static MAPPED: SpinLock<Vec<MappedBus>> = SpinLock::new("PCI buses in memory", Vec::new());

/// The configuration space of a bus that `region` has, mapped for good.
fn map_bus(region: &PciRegion, bus: u8) -> Result<Arc<IoMem>, ConfigError> {
    let is_it = |known: &&MappedBus| known.segment == region.segment && known.bus == bus;
    if let Some(known) = MAPPED.lock().iter().find(is_it) {
        return Ok(known.memory.clone());
    }
    // The region's address is that of bus 0, whatever its first bus is.
    let start = region.address.checked_add(u64::from(bus) * BUS_BYTES as u64);
    let start = start.ok_or(ConfigError::NotMapped(DeviceMapError::BadRange))?;
    let memory = Arc::new(IoMem::map(start, BUS_BYTES).map_err(ConfigError::NotMapped)?);
    let mut mapped = MAPPED.lock();
    mapped.try_reserve(1).map_err(|_| ConfigError::OutOfMemory)?;
    mapped.push(MappedBus { segment: region.segment, bus, memory: memory.clone() });
    Ok(memory)
}

/// How the buses of a segment are reached.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mechanism {
    /// Through memory.
    Memory(PciRegion),
    /// Through ports: segment 0, and 256 bytes of each space.
    Ports,
}

/// The configuration space of one function, there or not.
#[derive(Clone, Debug)]
pub(super) struct Config {
    address: Address,
    access: Access,
}

#[derive(Clone, Debug)]
enum Access {
    Memory { words: RegisterArray<ReadWrite<u16>>, doubles: RegisterArray<ReadWrite<u32>> },
    Ports(&'static IrqSpinLock<IoPorts>),
}

impl Config {
    /// The space of the function at `address`.
    ///
    /// # Errors
    /// As [`ConfigError`] says.
    pub(super) fn new(address: Address, mechanism: &Mechanism) -> Result<Self, ConfigError> {
        let access = match mechanism {
            Mechanism::Ports => Access::Ports(ports()?),
            Mechanism::Memory(region) => {
                let memory = map_bus(region, address.bus)?;
                let number = usize::from(address.device) << 3 | usize::from(address.function);
                let offset = number * FUNCTION_BYTES;
                let bad = ConfigError::NotMapped;
                Access::Memory {
                    words: RegisterArray::new(&memory, offset, 2, FUNCTION_BYTES / 2)
                        .map_err(bad)?,
                    doubles: RegisterArray::new(&memory, offset, 4, FUNCTION_BYTES / 4)
                        .map_err(bad)?,
                }
            }
        };
        Ok(Self { address, access })
    }

    /// What the address port takes for the double word with `offset`.
    fn port_address(&self, offset: u16) -> u32 {
        let Address { bus, device, function, .. } = self.address;
        ENABLE
            | u32::from(bus) << 16
            | u32::from(device & 31) << 11
            | u32::from(function & 7) << 8
            | u32::from(offset & 0xfc)
    }

    /// Calls `act` with the ports, the address set, if `offset` can be reached.
    fn through_ports(&self, ports: &IrqSpinLock<IoPorts>, offset: u16, act: impl FnOnce(&IoPorts)) {
        if offset < 256 {
            let ports = ports.lock();
            ports.write_u32(0, self.port_address(offset));
            act(&ports);
        }
    }

    /// Writes the word at `offset`, a multiple of two.
    pub(super) fn write_u16(&self, offset: u16, value: u16) {
        match &self.access {
            Access::Memory { words, .. } => {
                if let Some(cell) = words.at(usize::from(offset / 2)) {
                    cell.write(value);
                }
            }
            Access::Ports(ports) => self
                .through_ports(ports, offset, |ports| ports.write_u16(DATA + (offset & 2), value)),
        }
    }

    /// Writes the double word at `offset`, a multiple of four.
    pub(super) fn write_u32(&self, offset: u16, value: u32) {
        match &self.access {
            Access::Memory { doubles, .. } => {
                if let Some(cell) = doubles.at(usize::from(offset / 4)) {
                    cell.write(value);
                }
            }
            Access::Ports(ports) => {
                self.through_ports(ports, offset, |ports| ports.write_u32(DATA, value));
            }
        }
    }
}

impl ConfigSpace for Config {
    fn read(&self, offset: u16) -> u32 {
        match &self.access {
            Access::Memory { doubles, .. } => {
                doubles.at(usize::from(offset / 4)).map_or(u32::MAX, ReadWrite::read)
            }
            Access::Ports(ports) => {
                let mut value = u32::MAX;
                self.through_ports(ports, offset, |ports| value = ports.read_u32(DATA));
                value
            }
        }
    }

    fn is_extended(&self) -> bool {
        matches!(self.access, Access::Memory { .. })
    }
}

/// Reads `bytes` bytes at `offset` of the function at `place`, for the firmware's AML.
pub(super) fn read_for_firmware(
    regions: &[PciRegion],
    place: PciPlace,
    offset: u16,
    bytes: usize,
) -> Option<u64> {
    let PciPlace { segment, bus, device, function } = place;
    let mechanism = match regions.iter().find(|region| region.contains(segment, bus)) {
        Some(region) => Mechanism::Memory(*region),
        None if regions.is_empty() && segment == 0 => Mechanism::Ports,
        None => return None,
    };
    let config = Config::new(Address { segment, bus, device, function }, &mechanism).ok()?;
    let end = usize::from(offset).checked_add(bytes)?;
    let is_there = end <= if config.is_extended() { FUNCTION_BYTES } else { 256 };
    match bytes {
        1 if is_there => Some(config.read_u8(offset).into()),
        2 if is_there && offset.is_multiple_of(2) => Some(config.read_u16(offset).into()),
        4 if is_there && offset.is_multiple_of(4) => Some(config.read(offset).into()),
        _ => None,
    }
}

/// On a PC both ways lead to the same registers of segment 0's first 256 bytes.
#[base::kernel_test]
fn ports_and_memory_show_the_same_space() {
    let regions = &crate::acpi::platform().pci;
    let Some(region) = regions.iter().find(|region| region.segment == 0) else { return };
    if PORT_PAIR.is_completed() {
        return; // the MCFG leads nowhere
    }
    let address = Address { segment: 0, bus: region.first_bus, device: 0, function: 0 };
    let by_memory = Config::new(address, &Mechanism::Memory(*region)).expect("it can be mapped");
    // Not for good: where there is an MCFG the ports stay free.
    let claimed = IoPorts::claim(FIRST_PORT, PORTS, "test").expect("nobody uses them");
    let lock = IrqSpinLock::new("test, configuration ports", claimed);
    let by_ports = Config { address, access: by_memory.access.clone() };
    for offset in (0..64).step_by(4) {
        let mut value = 0;
        by_ports.through_ports(&lock, offset, |ports| value = ports.read_u32(DATA));
        assert_eq!(value, by_memory.read(offset), "at {offset:#x}");
    }
    assert_eq!(by_ports.port_address(0x43), 0x8000_0040 | u32::from(region.first_bus) << 16);
    let mut reached = false;
    by_ports.through_ports(&lock, 256, |_| reached = true);
    assert!(!reached, "there is nothing beyond");
    assert_eq!(by_memory.read(4096), u32::MAX);
}
