//! Names of classes (PCI Code and ID Assignment Specification 1.11, chapter 1).

/// Base class, subclass, programming interface (`None`: any), name. The first that fits
/// counts.
type Entry = (u8, u8, Option<u8>, &'static str);

const fn any(base: u8, sub: u8, name: &'static str) -> Entry {
    (base, sub, None, name)
}

const fn with(base: u8, sub: u8, interface: u8, name: &'static str) -> Entry {
    (base, sub, Some(interface), name)
}

const NAMES: &[Entry] = &[
    any(0x00, 0x00, "unclassified device"),
    any(0x00, 0x01, "VGA-compatible device"),
    any(0x01, 0x00, "SCSI controller"),
    any(0x01, 0x01, "IDE controller"),
    any(0x01, 0x02, "floppy disk controller"),
    any(0x01, 0x03, "IPI controller"),
    any(0x01, 0x04, "RAID controller"),
    any(0x01, 0x05, "ATA controller"),
    with(0x01, 0x06, 0x01, "SATA controller (AHCI)"),
    any(0x01, 0x06, "SATA controller"),
    any(0x01, 0x07, "SAS controller"),
    with(0x01, 0x08, 0x02, "NVMe controller"),
    any(0x01, 0x08, "non-volatile memory controller"),
    any(0x01, 0x09, "universal flash storage controller"),
    any(0x02, 0x00, "Ethernet controller"),
    any(0x02, 0x01, "token ring controller"),
    any(0x02, 0x02, "FDDI controller"),
    any(0x02, 0x03, "ATM controller"),
    any(0x02, 0x04, "ISDN controller"),
    any(0x02, 0x07, "InfiniBand controller"),
    any(0x02, 0x08, "fabric controller"),
    any(0x03, 0x00, "VGA controller"),
    any(0x03, 0x01, "XGA controller"),
    any(0x03, 0x02, "3D controller"),
    any(0x04, 0x00, "video device"),
    any(0x04, 0x01, "audio device"),
    any(0x04, 0x02, "telephony device"),
    any(0x04, 0x03, "high definition audio"),
    any(0x05, 0x00, "RAM controller"),
    any(0x05, 0x01, "flash memory controller"),
    any(0x05, 0x02, "CXL memory controller"),
    any(0x06, 0x00, "host bridge"),
    any(0x06, 0x01, "ISA bridge"),
    any(0x06, 0x02, "EISA bridge"),
    any(0x06, 0x03, "MCA bridge"),
    any(0x06, 0x04, "PCI bridge"),
    any(0x06, 0x05, "PCMCIA bridge"),
    any(0x06, 0x07, "CardBus bridge"),
    any(0x06, 0x09, "semi-transparent PCI bridge"),
    any(0x06, 0x0a, "InfiniBand host bridge"),
    any(0x07, 0x00, "serial controller"),
    any(0x07, 0x01, "parallel controller"),
    any(0x07, 0x02, "multiport serial controller"),
    any(0x07, 0x03, "modem"),
    any(0x07, 0x04, "GPIB controller"),
    any(0x07, 0x05, "smart card controller"),
    with(0x08, 0x00, 0x10, "I/O APIC"),
    with(0x08, 0x00, 0x20, "I/O x APIC"),
    any(0x08, 0x00, "interrupt controller"),
    any(0x08, 0x01, "DMA controller"),
    any(0x08, 0x02, "timer"),
    any(0x08, 0x03, "real-time clock"),
    any(0x08, 0x04, "hot-plug controller"),
    any(0x08, 0x05, "SD host controller"),
    any(0x08, 0x06, "IOMMU"),
    any(0x08, 0x07, "root complex event collector"),
    any(0x09, 0x00, "keyboard controller"),
    any(0x09, 0x01, "digitizer"),
    any(0x09, 0x02, "mouse controller"),
    any(0x09, 0x03, "scanner controller"),
    any(0x09, 0x04, "game port"),
    any(0x0a, 0x00, "docking station"),
    any(0x0b, 0x40, "co-processor"),
    any(0x0c, 0x00, "FireWire controller"),
    with(0x0c, 0x03, 0x00, "USB controller (UHCI)"),
    with(0x0c, 0x03, 0x10, "USB controller (OHCI)"),
    with(0x0c, 0x03, 0x20, "USB 2 controller (EHCI)"),
    with(0x0c, 0x03, 0x30, "USB 3 controller (xHCI)"),
    with(0x0c, 0x03, 0x40, "USB4 controller"),
    with(0x0c, 0x03, 0xfe, "USB device"),
    any(0x0c, 0x03, "USB controller"),
    any(0x0c, 0x04, "fibre channel controller"),
    any(0x0c, 0x05, "SMBus controller"),
    any(0x0c, 0x06, "InfiniBand controller"),
    any(0x0c, 0x07, "IPMI interface"),
    any(0x0c, 0x09, "CANbus controller"),
    any(0x0d, 0x00, "IrDA controller"),
    any(0x0d, 0x10, "RF controller"),
    any(0x0d, 0x11, "Bluetooth controller"),
    any(0x0d, 0x20, "wireless controller (802.11a)"),
    any(0x0d, 0x21, "wireless controller (802.11b)"),
    any(0x0e, 0x00, "I2O controller"),
    any(0x10, 0x00, "network encryption device"),
    any(0x10, 0x10, "entertainment encryption device"),
    any(0x11, 0x00, "DPIO module"),
    any(0x11, 0x01, "performance counters"),
    any(0x11, 0x10, "communication synchronizer"),
    any(0x11, 0x20, "signal processing management card"),
];

/// What a whole base class is, for subclasses that have no name here.
const BASES: [&str; 0x14] = [
    "unclassified device",
    "storage controller",
    "network controller",
    "display controller",
    "multimedia device",
    "memory controller",
    "bridge",
    "communication controller",
    "system peripheral",
    "input device",
    "docking station",
    "processor",
    "serial bus controller",
    "wireless controller",
    "intelligent controller",
    "satellite controller",
    "encryption controller",
    "signal processing controller",
    "processing accelerator",
    "instrumentation",
];

/// The name of a class: base class, subclass and programming interface in three bytes.
pub fn class_name(class: u32) -> &'static str {
    let [interface, sub, base, _] = class.to_le_bytes();
    let fits = |entry: &&Entry| {
        entry.0 == base && entry.1 == sub && entry.2.is_none_or(|wanted| wanted == interface)
    };
    match NAMES.iter().find(fits) {
        Some(entry) => entry.3,
        None if base == 0xff => "unassigned class",
        None => BASES.get(usize::from(base)).copied().unwrap_or("unknown class"),
    }
}
