//! The tables of QEMU 7.2's machines: `q35`, `pc`, `q35` with a second host bridge
//! (`-device pxb-pcie,bus_nr=128,id=p -device pcie-root-port,bus=p`), and the table that
//! SeaBIOS has for `pc` where QEMU gives none (`-machine acpi=off`). Read from the guest's
//! memory after SeaBIOS had run.

use crate::pci::{HostBridge, Route, host_bridges, use_io_apics};
use crate::resource::{Line, Range, RangeKind};
use crate::{Aml, Error, Host, NoHost, PciPlace};

pub(super) const Q35: &[u8] = include_bytes!("../../fixtures/q35.dsdt");
pub(super) const PC: &[u8] = include_bytes!("../../fixtures/pc.dsdt");
pub(super) const PXB: &[u8] = include_bytes!("../../fixtures/pxb.dsdt");
pub(super) const SEABIOS: &[u8] = include_bytes!("../../fixtures/seabios.dsdt");
const SEABIOS_SECOND: &[u8] = include_bytes!("../../fixtures/seabios.ssdt");

/// The revision is in the ninth byte of the header, which has 36.
fn load(table: &[u8], host: &mut dyn Host) -> Aml {
    let mut aml = Aml::new();
    let problems = aml.load(table[36..].to_vec(), table[8], host);
    assert_eq!(problems, []);
    aml
}

/// The PIRQ routing registers as SeaBIOS sets them: at 0x60 of the ISA bridge.
struct Piix;

impl Host for Piix {
    fn read_memory(&mut self, _: u64, _: usize) -> Option<u64> {
        None
    }

    fn read_pci(&mut self, place: PciPlace, offset: u16, bytes: usize) -> Option<u64> {
        assert_eq!(place, PciPlace { segment: 0, bus: 0, device: 1, function: 0 });
        let registers = [10, 10, 11, 11];
        let at = usize::from(offset.checked_sub(0x60)?);
        let bytes = registers.get(at..at + bytes)?;
        Some(bytes.iter().rev().fold(0, |value, &byte| value << 8 | byte))
    }
}

fn bridges(table: &[u8], host: &mut dyn Host) -> Vec<HostBridge> {
    let mut aml = load(table, host);
    assert_eq!(use_io_apics(&mut aml, host), Ok(()));
    host_bridges(&mut aml, host).expect("memory")
}

fn line(bridge: &HostBridge, device: u8, pin: u8) -> Result<Line, Error> {
    let routes = bridge.routing[0].routes.as_ref().expect("a table");
    let is_it = |route: &&Route| (route.device, route.pin, route.function) == (device, pin, None);
    routes.iter().find(is_it).expect("an entry").line
}

/// As QEMU's tables say of every line.
fn high(gsi: u32) -> Result<Line, Error> {
    Ok(Line { gsi, level: true, active_low: false })
}

#[test]
fn q35() {
    let bridges = bridges(Q35, &mut NoHost);
    let [bridge] = &bridges[..] else { panic!("one host bridge") };
    assert_eq!((bridge.segment, bridge.bus, bridge.routing.len()), (0, 0, 1));
    assert!(bridge.routing[0].bridges.is_empty());
    assert_eq!(bridge.routing[0].routes.as_ref().map(Vec::len), Ok(128));
    // GSIE to GSIH are 20 to 23: device 0 has all of them, and device 1 begins with the next.
    assert_eq!([0, 1, 2, 3].map(|pin| line(bridge, 0, pin)), [20, 21, 22, 23].map(high));
    assert_eq!([0, 1, 2, 3].map(|pin| line(bridge, 1, pin)), [21, 22, 23, 20].map(high));
    assert_eq!(line(bridge, 24, 0), high(20));
    // Devices 25 to 31, which are part of the chip set, have GSIA to GSID: 16 to 19.
    assert_eq!([0, 1, 2, 3].map(|pin| line(bridge, 31, pin)), [16, 17, 18, 19].map(high));
    let ranges = bridge.ranges.as_ref().expect("a template");
    let range = |kind, first, last| Range { kind, first, last };
    assert!(ranges.contains(&range(RangeKind::Buses, 0, 255)));
    assert!(ranges.contains(&range(RangeKind::Io, 0xd00, 0xffff)));
    assert!(ranges.contains(&range(RangeKind::Memory, 0xc000_0000, 0xfebf_ffff)));
    assert!(ranges.contains(&range(RangeKind::Memory, 0x1_0000_0000, 0x8_ffff_ffff)));
}

#[test]
fn q35_with_the_8259a_pair() {
    let mut aml = load(Q35, &mut NoHost);
    // Without _PIC: the links of the pair, which are set in registers that cannot be read.
    let bridges = host_bridges(&mut aml, &mut NoHost).expect("memory");
    assert_eq!(line(&bridges[0], 3, 0), Err(Error::NotReadable));
}

#[test]
fn pc() {
    let bridges = bridges(PC, &mut Piix);
    let [bridge] = &bridges[..] else { panic!("one host bridge") };
    assert_eq!(bridge.routing[0].routes.as_ref().map(Vec::len), Ok(128));
    // Device 0 begins with LNKD, and device 2 with LNKB.
    assert_eq!([0, 1, 2, 3].map(|pin| line(bridge, 0, pin)), [11, 10, 10, 11].map(high));
    assert_eq!([0, 1, 2, 3].map(|pin| line(bridge, 2, pin)), [10, 11, 11, 10].map(high));
    // The power management function of device 1 has a line of its own.
    assert_eq!(line(bridge, 1, 0), high(9));
    // Where the registers cannot be read there is no guess.
    let mut aml = load(PC, &mut NoHost);
    let bridges = host_bridges(&mut aml, &mut NoHost).expect("memory");
    assert_eq!(line(&bridges[0], 2, 0), Err(Error::NotReadable));
    assert_eq!(line(&bridges[0], 1, 0), high(9));
}

#[test]
fn a_second_host_bridge() {
    let bridges = bridges(PXB, &mut NoHost);
    let [first, second] = &bridges[..] else { panic!("two host bridges") };
    assert_eq!((first.bus, second.bus), (0, 0x80));
    assert_eq!(line(first, 31, 0), high(16));
    // It has the links of the 8259A pair, whatever _PIC said.
    assert_eq!(second.routing[0].routes.as_ref().map(Vec::len), Ok(128));
    assert_eq!(line(second, 0, 0), Err(Error::NotReadable));
    assert!(second.ranges.as_ref().is_ok_and(|ranges| ranges.len() > 2));
}

#[test]
fn seabios() {
    let bridges = bridges(SEABIOS, &mut Piix);
    let [bridge] = &bridges[..] else { panic!("one host bridge") };
    assert_eq!(line(bridge, 3, 0), high(11));
    assert_eq!(line(bridge, 1, 0), high(9));
    // The ends of the memory that it lets through are in another table.
    assert_eq!(bridge.ranges, Err(Error::NotFound(*b"P0S_")));
    let mut aml = load(SEABIOS, &mut Piix);
    assert_eq!(aml.load(SEABIOS_SECOND[36..].to_vec(), 1, &mut Piix), []);
    let bridges = host_bridges(&mut aml, &mut Piix).expect("memory");
    let ranges = bridges[0].ranges.as_ref().expect("a template");
    // As it is before SeaBIOS fills it in.
    let (first, last) = (0x1234_5678, 0x1234_5678);
    assert!(ranges.contains(&Range { kind: RangeKind::Memory, first, last }));
}

#[test]
fn every_object_of_the_tables_has_a_value_or_an_error() {
    for table in [Q35, PC, PXB, SEABIOS] {
        let mut aml = load(table, &mut NoHost);
        for node in aml.all().collect::<Vec<_>>() {
            match aml.evaluate(node, &[], &mut NoHost) {
                Ok(_) | Err(Error::NotReadable | Error::Effect | Error::BadType) => {}
                Err(Error::Unsupported(_)) => {} // sleeping, waiting
                Err(Error::NotFound(_)) => {}    // SeaBIOS's second table
                Err(error) => panic!("{}: {error}", aml.name(node).escape_ascii()),
            }
        }
    }
}
