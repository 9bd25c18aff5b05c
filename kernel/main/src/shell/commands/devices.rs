//! `devices`: the tree of devices.

use alloc::string::String;
use alloc::vec::Vec;

use base::{print, println};
use device::Device;

use crate::shell::command::{Context, Outcome, usage};

/// Most characters of an attribute that are shown; an ellipsis stands for the rest.
const MOST: usize = 60;

/// Prints the tree; with `-v` the attributes, too.
pub(in crate::shell) fn devices(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let verbose = match arguments {
        [] => false,
        [option] if option == "-v" => true,
        [option, ..] => return Err(usage(alloc::format!("{option} is no option"))),
    };
    for device in device::all() {
        let indent = 2 * device.depth().saturating_sub(1);
        print!("{:indent$}{}", "", device.name());
        if let Some(bus) = device.bus() {
            print!("  bus {}", bus.name());
        }
        if let Some(class) = device.class() {
            print!("  class {class}");
        }
        match (device.driver(), device.why_unbound()) {
            (Some(driver), _) => print!("  driver {}", driver.name()),
            (None, Some(why)) => print!("  no driver: {why}"),
            (None, None) => {}
        }
        println!();
        if verbose {
            attributes(&device, indent + 4);
        }
    }
    Ok(())
}

/// What may follow the command.
pub(in crate::shell) fn options() -> Vec<String> {
    [String::from("-v")].into()
}

fn attributes(device: &Device, indent: usize) {
    for attribute in device.attributes().iter().filter(|attribute| !attribute.is_binary()) {
        if !attribute.is_readable() {
            continue;
        }
        let mut text = String::new();
        match attribute.show(device, &mut text) {
            Ok(()) => {
                let line = text.trim_end().replace('\n', " | ");
                let (shown, rest) = match line.char_indices().nth(MOST) {
                    Some((at, _)) => (&line[..at], "…"),
                    None => (line.as_str(), ""),
                };
                println!("{:indent$}{} = {shown}{rest}", "", attribute.name());
            }
            Err(error) => println!("{:indent$}{}: {error}", "", attribute.name()),
        }
    }
}
