//! `poweroff` and `reboot`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base::exit::{self, End};
use base::{print, println};
use drivers::acpi::{self, ResetWay, power_off, reset};

use crate::shell::command::{Context, Failure, Outcome, at_most_one, none, usage};

/// Nanoseconds for the last bytes on the serial line.
const DRAIN_NS: u64 = 20_000_000;

fn status(context: &Context<'_>) -> u8 {
    u8::from(!context.last_succeeded)
}

/// Switches the machine off.
pub(in crate::shell) fn poweroff(context: &mut Context<'_>, arguments: &[String]) -> Outcome {
    none(arguments)?;
    println!("Switching the machine off.");
    fs::shutdown();
    device::shutdown();
    task::sleep(DRAIN_NS);
    let status = status(context);
    let error = power_off(acpi::platform(), || exit::announce(End::PowerOff, status));
    exit::announce(End::None, status);
    println!("It cannot be switched off: {error}.");
    exit::exit(1)
}

/// Resets the machine.
pub(in crate::shell) fn reboot(context: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let wanted = match at_most_one(arguments)? {
        None => None,
        Some(name) => {
            let way = ResetWay::ALL.into_iter().find(|way| way.name() == name);
            Some(way.ok_or_else(|| usage(alloc::format!("{name} is no way to reset")))?)
        }
    };
    println!("Resetting the machine.");
    fs::shutdown();
    device::shutdown();
    task::sleep(DRAIN_NS);
    exit::announce(End::Reset, status(context));
    for way in ResetWay::ALL.into_iter().filter(|&way| wanted.is_none_or(|wanted| wanted == way)) {
        print!("{}: ", way.name());
        println!("{}", reset(acpi::platform(), way));
    }
    exit::announce(End::None, 1);
    Err(Failure::Message("the machine was not reset".into()))
}

/// The ways to reset.
pub(in crate::shell) fn ways() -> Vec<String> {
    ResetWay::ALL.iter().map(|way| way.name().to_string()).collect()
}
