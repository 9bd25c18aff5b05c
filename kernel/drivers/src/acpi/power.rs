//! Switching the machine off and resetting it (ACPI specification 6.5, sections 4.8.3, 7.4
//! and 16.1.7), with what PCs had before ACPI where that does not do it.
//!
//! No AML is run, so `_PTS` and `_GTS` are not: machines of this century switch off without.

use core::fmt;

use aml_s5::{S5Error, SleepTypes};
use base::io_ports::{IoPorts, PortError};
use memory::firmware::{self, TableError, Tables};
use memory::kernel_space::DeviceMapError;

use super::{Fadt, Platform, Register, Space};

/// SCI_EN in a PM1 control register: ACPI mode is on.
const SCI_ENABLE: u16 = 1 << 0;
/// SLP_TYP.
const SLEEP_TYPE_SHIFT: u16 = 10;
const SLEEP_TYPE: u16 = 7 << SLEEP_TYPE_SHIFT;
/// SLP_EN: sleep now.
const SLEEP_ENABLE: u16 = 1 << 13;
/// WAK_STS in a PM1 status register, cleared by writing it.
const WAKE_STATUS: u16 = 1 << 15;

/// Milliseconds that firmware gets to switch ACPI mode on.
const ENABLE_MS: u64 = 3_000;
/// Milliseconds after which something has not reset the machine, or switched it off.
const PATIENCE_MS: u64 = 500;

/// Why the machine cannot be switched off, or reset in some way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerError {
    /// The tables do not say how.
    NoRegister,
    /// A register lies where the kernel cannot reach it.
    OutOfReach(Space),
    /// The table with the sleep types cannot be read.
    BadTable(TableError),
    /// The sleep types are not known.
    NoSleepType(S5Error),
    /// Ports are taken.
    Ports(PortError),
    /// The register's memory cannot be mapped.
    NotMapped(DeviceMapError),
    /// Firmware does not switch ACPI mode on.
    NoAcpiMode,
    /// The keyboard controller takes no command.
    Busy,
    /// All was done, and the machine still runs.
    NoEffect,
}

impl fmt::Display for PowerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRegister => f.write_str("the ACPI tables name no register for it"),
            Self::OutOfReach(space) => write!(f, "the register is out of reach ({space:?})"),
            Self::BadTable(error) => write!(f, "the DSDT: {error}"),
            Self::NoSleepType(error) => write!(f, "{error}"),
            Self::Ports(PortError::InUse { owner }) => write!(f, "its ports are taken by {owner}"),
            Self::Ports(error) => write!(f, "its ports cannot be had ({error:?})"),
            Self::NotMapped(error) => write!(f, "the register cannot be mapped: {error}"),
            Self::NoAcpiMode => f.write_str("the firmware does not switch ACPI mode on"),
            Self::Busy => f.write_str("the keyboard controller takes no command"),
            Self::NoEffect => f.write_str("it had no effect"),
        }
    }
}

fn wait_ms(ms: u64) {
    task::sleep(ms * 1_000_000);
}

fn io_port(register: &Register) -> Result<u16, PowerError> {
    match register.space {
        Space::Io => u16::try_from(register.address).map_err(|_| PowerError::OutOfReach(Space::Io)),
        space => Err(PowerError::OutOfReach(space)),
    }
}

/// A register of 16 bits behind ports.
fn word_register(register: &Register) -> Result<IoPorts, PowerError> {
    IoPorts::claim(io_port(register)?, 2, "ACPI power").map_err(PowerError::Ports)
}

/// The sleep types of S5: in the DSDT or an SSDT.
///
/// # Errors
/// `NoRegister`, `BadTable`, `NoSleepType`.
fn sleep_types(fadt: &Fadt, tables: &Tables) -> Result<SleepTypes, PowerError> {
    let dsdt = Tables::at(fadt.dsdt.ok_or(PowerError::NoRegister)?);
    let found = dsdt
        .body()
        .map_err(PowerError::BadTable)
        .and_then(|aml| aml_s5::find(&aml).map_err(PowerError::NoSleepType));
    let secondary = tables.listed.iter().filter(|table| table.signature == *b"SSDT");
    let mut others = secondary.filter_map(|table| aml_s5::find(&table.body().ok()?).ok());
    found.or_else(|error| others.next().ok_or(error))
}

/// Switches ACPI mode on if it is off, so that the PM1 registers do what they should.
fn enable_acpi_mode(fadt: &Fadt, control: &IoPorts) -> Result<(), PowerError> {
    if control.read_u16(0) & SCI_ENABLE != 0 || fadt.smi_command == 0 || fadt.acpi_enable == 0 {
        return Ok(());
    }
    let port = u16::try_from(fadt.smi_command).map_err(|_| PowerError::OutOfReach(Space::Io))?;
    let command = IoPorts::claim(port, 1, "ACPI mode").map_err(PowerError::Ports)?;
    command.write(0, fadt.acpi_enable);
    for _ in 0..ENABLE_MS {
        if control.read_u16(0) & SCI_ENABLE != 0 {
            return Ok(());
        }
        wait_ms(1);
    }
    Err(PowerError::NoAcpiMode)
}

/// What is written to a PM1 control register that shows `old`: first the type, then the
/// order to sleep.
fn sleep_orders(old: u16, sleep_type: u8) -> [u16; 2] {
    let kept = old & !(SLEEP_TYPE | SLEEP_ENABLE);
    let typed = kept | u16::from(sleep_type) << SLEEP_TYPE_SHIFT;
    [typed, typed | SLEEP_ENABLE]
}

/// Switches the machine off. Called in a task; returns only if it does not work.
/// `before` is called when nothing can fail any more but the hardware.
pub fn power_off(platform: &Platform, before: impl FnOnce()) -> PowerError {
    match try_power_off(platform, before) {
        Ok(()) => PowerError::NoEffect,
        Err(error) => error,
    }
}

fn try_power_off(platform: &Platform, before: impl FnOnce()) -> Result<(), PowerError> {
    let fadt = platform.fadt.as_ref().filter(|fadt| !fadt.hardware_reduced);
    let (Some(fadt), Some(tables)) = (fadt, super::tables()) else {
        return Err(PowerError::NoRegister);
    };
    let types = sleep_types(fadt, tables)?;
    let first = word_register(fadt.pm1a_control.as_ref().ok_or(PowerError::NoRegister)?)?;
    let second = fadt.pm1b_control.as_ref().map(word_register).transpose()?;
    enable_acpi_mode(fadt, &first)?;
    for event in [fadt.pm1a_event, fadt.pm1b_event].iter().flatten() {
        word_register(event)?.write_u16(0, WAKE_STATUS);
    }
    before();
    let orders = sleep_orders(first.read_u16(0), types.pm1a);
    let others = second.as_ref().map(|second| sleep_orders(second.read_u16(0), types.pm1b));
    for step in 0..2 {
        first.write_u16(0, orders[step]);
        if let (Some(second), Some(orders)) = (&second, others) {
            second.write_u16(0, orders[step]);
        }
    }
    wait_ms(PATIENCE_MS);
    Ok(())
}

/// A way to reset the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetWay {
    /// The register that the FADT names.
    Acpi,
    /// The keyboard controller's line to the CPU.
    Keyboard,
    /// The reset control register of PCI chip sets.
    Pci,
    /// A fault that the CPU cannot handle.
    TripleFault,
}

impl ResetWay {
    /// All, in the order in which they are tried.
    pub const ALL: [Self; 4] = [Self::Acpi, Self::Keyboard, Self::Pci, Self::TripleFault];

    /// Its name, as commands take it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Acpi => "acpi",
            Self::Keyboard => "keyboard",
            Self::Pci => "pci",
            Self::TripleFault => "triple-fault",
        }
    }
}

/// Resets the machine in one way. Called in a task; returns only if it does not work.
pub fn reset(platform: &Platform, way: ResetWay) -> PowerError {
    let done = match way {
        ResetWay::Acpi => reset_by_register(platform),
        ResetWay::Keyboard => reset_by_keyboard_controller(platform),
        ResetWay::Pci => reset_by_pci(),
        ResetWay::TripleFault => arch::trap::triple_fault(),
    };
    if let Err(error) = done {
        return error;
    }
    wait_ms(PATIENCE_MS);
    PowerError::NoEffect
}

fn reset_by_register(platform: &Platform) -> Result<(), PowerError> {
    let (register, value) =
        platform.fadt.and_then(|fadt| fadt.reset).ok_or(PowerError::NoRegister)?;
    match register.space {
        Space::Memory => {
            firmware::write_register(register.address, value).map_err(PowerError::NotMapped)
        }
        _ => {
            let port = io_port(&register)?;
            if port == PCI_RESET && crate::pci::reset_by_ports(&[value], 0, || ()) {
                return Ok(());
            }
            let ports = IoPorts::claim(port, 1, "ACPI reset").map_err(PowerError::Ports)?;
            ports.write(0, value);
            Ok(())
        }
    }
}

/// The keyboard controller's command and status port.
const KEYBOARD_COMMAND: u16 = 0x64;
/// Status: it has not yet taken the last byte.
const INPUT_FULL: u8 = 1 << 1;
/// Command: pulse output line 0, which is the CPU's reset.
const PULSE_RESET: u8 = 0xfe;

fn reset_by_keyboard_controller(platform: &Platform) -> Result<(), PowerError> {
    if platform.fadt.is_some_and(|fadt| !fadt.has_8042) {
        return Err(PowerError::NoRegister);
    }
    let ports = IoPorts::claim(KEYBOARD_COMMAND, 1, "reset").map_err(PowerError::Ports)?;
    for _ in 0..100 {
        if ports.read(0) & INPUT_FULL == 0 {
            ports.write(0, PULSE_RESET);
            return Ok(());
        }
        wait_ms(1);
    }
    Err(PowerError::Busy)
}

/// The reset control register, and what is written there: first the kind (a whole reset),
/// then the same with the order.
const PCI_RESET: u16 = 0xcf9;
const PCI_RESET_ORDERS: [u8; 2] = [0x02, 0x06];

fn reset_by_pci() -> Result<(), PowerError> {
    // Where there is no MCFG the PCI bus has the port.
    if crate::pci::reset_by_ports(&PCI_RESET_ORDERS, !0x06, || wait_ms(1)) {
        return Ok(());
    }
    let ports = IoPorts::claim(PCI_RESET, 1, "reset").map_err(PowerError::Ports)?;
    let kept = ports.read(0) & !0x06;
    for order in PCI_RESET_ORDERS {
        ports.write(0, kept | order);
        wait_ms(1);
    }
    Ok(())
}

#[base::kernel_test]
fn sleep_orders_keep_other_bits() {
    assert_eq!(sleep_orders(0x0001, 5), [0x1401, 0x3401]);
    assert_eq!(sleep_orders(0xffff, 0), [0xc3ff, 0xe3ff]);
}

#[base::kernel_test]
fn the_sleep_types_of_this_machine_are_known() {
    let (Some(fadt), Some(tables)) = (&super::platform().fadt, super::tables()) else { return };
    assert!(fadt.hardware_reduced || sleep_types(fadt, tables).is_ok());
}
