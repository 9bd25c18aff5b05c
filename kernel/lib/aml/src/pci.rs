//! Host bridges, what they let through, and on which lines the pins of the functions behind
//! them arrive: `_PRT` (ACPI 6.5, section 6.2.13; PCI Firmware Specification 3.3, section 4).
//!
//! The firmware has two tables of lines for each bus, one for the 8259A pair and one for I/O
//! APICs. [`use_io_apics`] tells it that it is the latter.

use alloc::vec::Vec;

use crate::error::push;
use crate::field::Host;
use crate::namespace::NodeId;
use crate::resource::{Line, Range, Resource, resources};
use crate::value::eisa_id;
use crate::{Aml, Error, Value};

/// Ids of host bridges, and of devices that stand for a line.
const PCI_ROOT: &[u8; 7] = b"PNP0A03";
const PCI_EXPRESS_ROOT: &[u8; 7] = b"PNP0A08";
const LINK: &[u8; 7] = b"PNP0C0F";

/// `_STA`: the device is there; it works as it is set.
const PRESENT: u64 = 1 << 0;
const ENABLED: u64 = 1 << 1;

/// What a pin of a bus leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The device on the bus.
    pub device: u8,
    /// The function of it; `None`: all.
    pub function: Option<u8>,
    /// The pin: 0 for INTA to 3.
    pub pin: u8,
    /// The line.
    pub line: Result<Line, Error>,
}

/// The lines of a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing {
    /// The way from the root bus: device and function of each bridge. Empty for the root bus
    /// itself.
    pub bridges: Vec<(u8, u8)>,
    /// What its pins lead to.
    pub routes: Result<Vec<Route>, Error>,
}

/// A host bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostBridge {
    /// The segment of its buses.
    pub segment: u16,
    /// The root bus.
    pub bus: u8,
    /// What it lets through (`_CRS`).
    pub ranges: Result<Vec<Range>, Error>,
    /// The lines of buses behind it, of those whose lines the firmware tells.
    pub routing: Vec<Routing>,
}

/// Tells the firmware that interrupts go through I/O APICs: `\_PIC (1)`.
///
/// # Errors
/// As [`Error`] says; [`Error::Effect`] if the firmware would change something in the machine
/// for that. A firmware without `_PIC` has one table.
pub fn use_io_apics(aml: &mut Aml, host: &mut dyn Host) -> Result<(), Error> {
    match aml.find(aml.root(), "_PIC") {
        Some(method) => aml.evaluate(method, &[Value::Integer(1)], host).map(|_| ()),
        None => Ok(()),
    }
}

/// All host bridges that are there.
///
/// # Errors
/// `OutOfMemory`.
pub fn host_bridges(aml: &mut Aml, host: &mut dyn Host) -> Result<Vec<HostBridge>, Error> {
    let mut bridges = Vec::new();
    for index in 0..aml.space.len() {
        let node = NodeId(index);
        if !aml.is_device(node) || !is_host_bridge(aml, host, node) {
            continue;
        }
        if status(aml, host, node).is_ok_and(|status| status & PRESENT == 0) {
            continue;
        }
        let integer = |aml: &mut Aml, host: &mut dyn Host, name| {
            let value = aml.value_of(node, name, host);
            value.ok().flatten().and_then(|value| value.as_integer().ok()).unwrap_or(0)
        };
        let bridge = HostBridge {
            segment: integer(aml, host, "_SEG") as u16,
            bus: integer(aml, host, "_BBN") as u8,
            ranges: ranges(aml, host, node),
            routing: routing(aml, host, node)?,
        };
        push(&mut bridges, bridge)?;
    }
    Ok(bridges)
}

fn has_id(aml: &mut Aml, host: &mut dyn Host, node: NodeId, name: &str, id: &[u8; 7]) -> bool {
    let is_it = |value: &Value| match value {
        Value::Integer(number) => *number == eisa_id(id),
        Value::String(text) => text == id,
        _ => false,
    };
    match aml.value_of(node, name, host) {
        Ok(Some(Value::Package(ids))) => ids.iter().any(is_it),
        Ok(Some(value)) => is_it(&value),
        _ => false,
    }
}

fn is_host_bridge(aml: &mut Aml, host: &mut dyn Host, node: NodeId) -> bool {
    ["_HID", "_CID"].into_iter().any(|name| {
        has_id(aml, host, node, name, PCI_ROOT) || has_id(aml, host, node, name, PCI_EXPRESS_ROOT)
    })
}

/// `_STA`, or what it is for a device without: there, and all is well.
fn status(aml: &mut Aml, host: &mut dyn Host, node: NodeId) -> Result<u64, Error> {
    match aml.value_of(node, "_STA", host)? {
        Some(value) => value.as_integer(),
        None => Ok(0xf),
    }
}

fn ranges(aml: &mut Aml, host: &mut dyn Host, node: NodeId) -> Result<Vec<Range>, Error> {
    let value = aml.value_of(node, "_CRS", host)?.ok_or(Error::NotFound(*b"_CRS"))?;
    let mut ranges = Vec::new();
    for resource in resources(value.as_buffer()?) {
        if let Resource::Produced(Some(range)) = resource? {
            push(&mut ranges, range)?;
        }
    }
    Ok(ranges)
}

/// The lines of all buses behind the host bridge `root`.
fn routing(aml: &mut Aml, host: &mut dyn Host, root: NodeId) -> Result<Vec<Routing>, Error> {
    let mut all = Vec::new();
    let mut next = Vec::new();
    push(&mut next, (root, Vec::new()))?;
    while let Some((node, way)) = next.pop() {
        if aml.find(node, "_PRT").is_some() {
            let routes = routes(aml, host, node);
            push(&mut all, Routing { bridges: way.clone(), routes })?;
        }
        let mut inner = Vec::new();
        for child in aml.children(node).filter(|&child| aml.is_device(child)) {
            push(&mut inner, child)?;
        }
        for child in inner {
            // What has no address is on no PCI bus.
            let address = aml.value_of(child, "_ADR", host).ok().flatten();
            let Some(Ok(address)) = address.map(|value| value.as_integer()) else { continue };
            let mut way = way.clone();
            push(&mut way, ((address >> 16) as u8 & 31, address as u8 & 7))?;
            push(&mut next, (child, way))?;
        }
    }
    Ok(all)
}

/// The lines that the `_PRT` of a bridge tells.
fn routes(aml: &mut Aml, host: &mut dyn Host, node: NodeId) -> Result<Vec<Route>, Error> {
    let table = aml.value_of(node, "_PRT", host)?.ok_or(Error::NotFound(*b"_PRT"))?;
    let mut routes = Vec::new();
    // A link device is named by many entries.
    let mut links: Vec<(NodeId, Result<Line, Error>)> = Vec::new();
    for entry in table.as_package()? {
        // A table may have more places than entries.
        if *entry == Value::Uninitialized {
            continue;
        }
        let [address, pin, source, index, ..] = entry.as_package()? else {
            return Err(Error::Malformed);
        };
        let (address, pin) = (address.as_integer()?, pin.as_integer()?);
        if pin > 3 {
            return Err(Error::BadIndex);
        }
        let line = match source {
            // As PCI pins are, if nothing is said.
            Value::Integer(0) => {
                let gsi = u32::try_from(index.as_integer()?).map_err(|_| Error::BadIndex)?;
                Ok(Line { gsi, level: true, active_low: true })
            }
            source => match aml.object(source) {
                Ok(link) => match links.iter().find(|(known, _)| *known == link) {
                    Some((_, line)) => *line,
                    None => {
                        let line = line_of(aml, host, link);
                        push(&mut links, (link, line))?;
                        line
                    }
                },
                Err(error) => Err(error),
            },
        };
        let function = (address & 0xffff != 0xffff).then_some(address as u8 & 7);
        let device = (address >> 16) as u8 & 31;
        push(&mut routes, Route { device, function, pin: pin as u8, line })?;
    }
    Ok(routes)
}

/// The line that a link device is set to.
fn line_of(aml: &mut Aml, host: &mut dyn Host, link: NodeId) -> Result<Line, Error> {
    if !has_id(aml, host, link, "_HID", LINK) {
        return Err(Error::BadType);
    }
    if status(aml, host, link)? & ENABLED == 0 {
        return Err(Error::NotReadable);
    }
    let value = aml.value_of(link, "_CRS", host)?.ok_or(Error::NotFound(*b"_CRS"))?;
    for resource in resources(value.as_buffer()?) {
        if let Resource::Interrupt(line) = resource? {
            // Line 0 is that of no PCI device: so firmware says that it is not set.
            return line.filter(|line| line.gsi != 0).ok_or(Error::NotReadable);
        }
    }
    Err(Error::NotFound(*b"_CRS"))
}
