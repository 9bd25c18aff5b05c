//! `list-pci`: the PCI functions.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base::irq::{self, Source};
use base::{print, println};
use drivers::pci::{self, BarInfo, Function};
use pci_config::{BarKind, ConfigSpace, Windows, capability_id, command, extended_id, offset};

use crate::shell::command::{Context, Outcome, usage};

/// Prints a line for each function; with `-v` also what it has.
pub(in crate::shell) fn list_pci(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let verbose = match arguments {
        [] => false,
        [option] if option == "-v" => true,
        [option, ..] => return Err(usage(alloc::format!("{option} is no option"))),
    };
    println!("{:13} {:32} {:9}  {:6}  DRIVER", "ADDRESS", "CLASS", "IDS", "REV");
    let mut devices = pci::BUS.devices();
    devices.retain(|device| device.identity::<Function>().is_some());
    devices.sort_by_key(|device| device.identity().map(Function::address));
    for device in devices {
        let Some(function) = device.identity::<Function>() else { continue };
        let identity = function.identity();
        print!(
            "{:13} {:32} {:04x}:{:04x}  {:#04x}    ",
            function.address().to_string(),
            function.class_name(),
            identity.vendor,
            identity.device,
            identity.revision
        );
        match (device.driver(), device.why_unbound()) {
            (Some(driver), _) => println!("{}", driver.name()),
            (None, Some(why)) => println!("none: {why}"),
            (None, None) => println!("-"),
        }
        if verbose {
            print_details(function);
        }
    }
    Ok(())
}

/// What may follow the command.
pub(in crate::shell) fn options() -> Vec<String> {
    [String::from("-v")].into()
}

fn print_details(function: &Function) {
    let identity = function.identity();
    println!(
        "    class {:06x}, subsystem {:04x}:{:04x}",
        identity.class, identity.subsystem_vendor, identity.subsystem
    );
    let register = function.config().read_u16(offset::COMMAND);
    let rights = [
        (command::IO, "I/O"),
        (command::MEMORY, "memory"),
        (command::BUS_MASTER, "bus master"),
        (command::INTX_DISABLE, "no INTx"),
    ];
    let rights: Vec<_> =
        rights.iter().filter(|(bit, _)| register & bit != 0).map(|(_, name)| *name).collect();
    println!("    command {register:#06x}: {}", rights.join(", "));
    for index in 0..identity.layout.bars() {
        print_bar(index, function.bar(index));
    }
    if let Some(bridge) = function.bridge() {
        let (buses, Windows { io, memory, prefetchable }) = (bridge.buses, bridge.windows);
        let subtractive = if bridge.subtractive { ", subtractive" } else { "" };
        println!("    buses {:02x} to {:02x}{subtractive}", buses.secondary, buses.subordinate);
        for (what, window) in [("ports", io), ("memory", memory), ("prefetchable", prefetchable)] {
            if let Some(window) = window {
                println!("    lets through {what} {window}");
            }
        }
    }
    print_capabilities(function);
    print_interrupts(function);
}

fn print_bar(index: usize, bar: BarInfo) {
    match bar {
        BarInfo::Absent => {}
        BarInfo::Bad(error) => println!("    BAR {index}: {error}"),
        BarInfo::Present { kind, size, span, claimed } => {
            let what = match kind {
                BarKind::Io => "ports",
                BarKind::Memory { is_64_bits: false, prefetchable: false } => "memory, 32 bits",
                BarKind::Memory { is_64_bits: false, prefetchable: true } => {
                    "memory, 32 bits, prefetchable"
                }
                BarKind::Memory { is_64_bits: true, prefetchable: false } => "memory, 64 bits",
                BarKind::Memory { is_64_bits: true, prefetchable: true } => {
                    "memory, 64 bits, prefetchable"
                }
            };
            let place = span.map_or("without a place".to_string(), |span| span.to_string());
            let claimed = if claimed { ", claimed" } else { "" };
            println!("    BAR {index}: {place}, {size:#x} of {what}{claimed}");
        }
    }
}

fn print_capabilities(function: &Function) {
    for found in function.capabilities() {
        println!("    at {:#04x}: {}", found.offset, capability_id::name(found.id));
    }
    for found in function.extended_capabilities() {
        let name = extended_id::name(found.id);
        println!(
            "    at {:#05x}: {name} ({:#06x}), version {}",
            found.offset, found.id, found.version
        );
    }
}

fn print_interrupts(function: &Function) {
    if let Some(pin) = function.identity().pin {
        println!("    pin INT{}", char::from(b'A' + pin - 1));
    }
    for (index, vector) in function.vectors().into_iter().enumerate() {
        let what = match irq::source(vector) {
            Source::Message => "a message".to_string(),
            Source::Gsi { gsi, .. } => alloc::format!("line {gsi}"),
            Source::Pic(line) => alloc::format!("ISA line {line}"),
            Source::Local => continue,
        };
        let cpu = irq::cpu_of(vector).unwrap_or(0);
        println!("    interrupt {index}: {what}, vector {vector}, CPU {cpu}");
    }
}
