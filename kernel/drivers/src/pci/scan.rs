//! Looks for all functions: on the root buses, and behind every bridge that the firmware has
//! given bus numbers.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use device::{AddError, Builder, Device};
use pci_config::{ConfigSpace, Identity, capability_id};

use super::config::{Config, ConfigError, Mechanism};
use super::function::{Function, Inner};
use super::resources::{self, RootWindows};
use super::{Address, BUS, attributes};

/// A bus at which the CPU's accesses arrive, of which there may be several.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) segment: u16,
    pub(super) bus: u8,
    /// The highest number of the buses behind it.
    pub(super) last_bus: u8,
    pub(super) mechanism: Mechanism,
    /// What is let through to it, where the firmware says that.
    pub(super) windows: Option<Arc<RootWindows>>,
}

/// The buses that have been looked at.
#[derive(Debug, Default)]
pub(super) struct Seen(Vec<(u16, u8)>);

impl Seen {
    /// Whether the bus was not looked at before.
    fn visit(&mut self, segment: u16, bus: u8) -> bool {
        let is_new = !self.0.contains(&(segment, bus));
        if is_new {
            self.0.push((segment, bus));
        }
        is_new
    }
}

/// A bus to be looked at.
struct Bus {
    number: u8,
    last: u8,
    /// The bridge in front of it; its place among those that were found.
    bridge: Option<usize>,
}

/// A function that was found, with the place of the bridge that it is behind.
struct Found {
    inner: Arc<Inner>,
    bridge: Option<usize>,
}

/// Device/port types of PCI Express that have one device behind them, number 0: root ports
/// and downstream ports of switches.
const ROOT_PORT: u16 = 4;
const DOWNSTREAM_PORT: u16 = 6;

/// How many devices may be behind a bridge.
fn devices_behind(bridge: &Inner) -> u8 {
    let express = bridge.capability(capability_id::EXPRESS);
    let kind = express.map(|found| bridge.config.read_u16(u16::from(found.offset) + 2) >> 4 & 0xf);
    if matches!(kind, Some(ROOT_PORT | DOWNSTREAM_PORT)) { 1 } else { 32 }
}

/// Whether there is any function on the root bus.
pub(super) fn answers(root: &Root) -> bool {
    (0..32).any(|device| {
        let address = Address { segment: root.segment, bus: root.bus, device, function: 0 };
        let config = Config::new(address, &root.mechanism);
        config.is_ok_and(|config| Identity::read(&config).is_some())
    })
}

/// Finds the functions behind `root`, makes devices of them, and looks for their drivers.
pub(super) fn scan(root: &Root, seen: &mut Seen) {
    let found = find(root, seen);
    for one in &found {
        if let Err(error) = resources::add(&one.inner, root.windows.as_ref()) {
            log::error!("pci {}: {error}", one.inner.address);
        }
    }
    let name = format!("pci{:04x}:{:02x}", root.segment, root.bus);
    let host = match device::add(device::root(), Device::new(name.clone())) {
        Ok(guard) => guard.keep(),
        Err(error) => return log::error!("{name}: {error}; what is behind it is not there"),
    };
    // A bridge comes before what is behind it.
    let mut devices: Vec<Option<Arc<Device>>> = Vec::new();
    for Found { inner, bridge } in found {
        let address = inner.address;
        let parent = match bridge {
            Some(bridge) => devices.get(bridge).cloned().flatten(),
            None => Some(host.clone()),
        };
        let added = parent
            .ok_or(AddError::ParentGone)
            .and_then(|parent| device::add(&parent, builder(inner)).map(device::DeviceGuard::keep));
        if let Err(error) = &added {
            log::error!("pci {address}: {error}");
        }
        devices.push(added.ok());
    }
}

fn builder(inner: Arc<Inner>) -> Builder {
    let name: Cow<'static, str> = inner.address.to_string().into();
    let device = Device::new(name).bus(&BUS).identity(Function(inner)).tell(attributes::tell);
    attributes::all().into_iter().fold(device, Builder::attribute)
}

/// All functions behind `root`, each bridge before what is behind it.
fn find(root: &Root, seen: &mut Seen) -> Vec<Found> {
    let mut found = Vec::new();
    let mut buses = alloc::vec![Bus { number: root.bus, last: root.last_bus, bridge: None }];
    // Bus numbers rise on the way down, so this ends.
    while let Some(bus) = buses.pop() {
        if !seen.visit(root.segment, bus.number) {
            let (segment, number) = (root.segment, bus.number);
            log::warn!("pci: bus {segment:04x}:{number:02x} is behind two bridges");
            continue;
        }
        let first = found.len();
        if let Err(error) = look_at(root, &bus, &mut found) {
            let (segment, number) = (root.segment, bus.number);
            log::error!("pci: bus {segment:04x}:{number:02x} cannot be looked at: {error}");
        }
        for (place, one) in found.iter().enumerate().skip(first) {
            let Some(bridge) = &one.inner.bridge else { continue };
            let numbers = bridge.buses;
            if numbers.are_good(bus.number, bus.last) {
                buses.push(Bus {
                    number: numbers.secondary,
                    last: numbers.subordinate,
                    bridge: Some(place),
                });
            } else {
                log::warn!(
                    "pci {}: the firmware has given the bridge no good bus numbers ({} to {}): \
                     what is behind it is not there",
                    one.inner.address,
                    numbers.secondary,
                    numbers.subordinate
                );
            }
        }
    }
    found
}

/// Looks at all devices of a bus.
fn look_at(root: &Root, bus: &Bus, found: &mut Vec<Found>) -> Result<(), ConfigError> {
    let bridge = bus.bridge.and_then(|place| found.get(place)).map(|one| one.inner.clone());
    let devices = bridge.as_deref().map_or(32, devices_behind);
    for device in 0..devices {
        let mut functions = 1;
        let mut function = 0;
        while function < functions {
            let address = Address { segment: root.segment, bus: bus.number, device, function };
            let config = Config::new(address, &root.mechanism)?;
            function += 1;
            let Some(identity) = Identity::read(&config) else { continue };
            if address.function == 0 && identity.multifunction {
                functions = 8;
            }
            let Some(inner) = Inner::discover(address, config, bridge.as_ref()) else { continue };
            found.try_reserve(1).map_err(|_| ConfigError::OutOfMemory)?;
            found.push(Found { inner: Arc::new(inner), bridge: bus.bridge });
        }
    }
    Ok(())
}
