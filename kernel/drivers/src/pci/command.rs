//! The command register: what a function may do is what somebody holds a guard for.
//!
//! When a function is found its bus mastering, its interrupt pin and its messages are switched
//! off ([`Command::quiet`]). It goes on answering where the firmware had it answer, for that may
//! be what the firmware's console is shown by; nobody touches it as long as it has no driver.
//! With the first guard, of whatever kind, that ends: from then on its ports, its memory and its
//! bus mastering are on as long as somebody holds a guard for each, and off otherwise.
//!
//! Two kinds of functions are not made quiet, and keep what they had ([`Command::new`]): bridges
//! forward as long as they are there, and what the machine stands on
//! ([`bar::is_of_machine`](super::bar::is_of_machine)) goes on as the firmware left it.

use alloc::sync::Arc;

use base::sync::SpinLock;
use pci_config::{ConfigSpace, command, offset};

use super::config::Config;
use super::function::Inner;

/// What a function may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// Answer to its I/O ports.
    Io,
    /// Answer to its memory addresses.
    Memory,
    /// Read and write memory by itself, which sending messages is too.
    BusMaster,
    /// Use its interrupt pin.
    Intx,
}

impl Right {
    const ALL: [Self; 4] = [Self::Io, Self::Memory, Self::BusMaster, Self::Intx];
}

/// What follows the guards of all kinds from the first one on.
const FOLLOWS: u16 = command::IO | command::MEMORY | command::BUS_MASTER;

/// How many guards there are for each right.
#[derive(Debug)]
pub(super) struct Command {
    guards: SpinLock<[u32; Right::ALL.len()]>,
    /// Bits that stay on, guard or not.
    kept: u16,
}

impl Command {
    /// For a function in whose register these bits stay on whatever the guards are: for most,
    /// none.
    pub(super) const fn new(kept: u16) -> Self {
        let guards = SpinLock::new("PCI command register", [0; Right::ALL.len()]);
        Self { guards, kept: kept & FOLLOWS }
    }

    /// Switches off what the firmware may have left on: the function does nothing by itself
    /// from now on.
    pub(super) fn quiet(config: &Config) {
        let old = config.read_u16(offset::COMMAND);
        let new = old & !command::BUS_MASTER | command::INTX_DISABLE;
        if new != old {
            config.write_u16(offset::COMMAND, new);
        }
    }

    /// Adds `change` to the guards of `right`, and makes the register say what they are.
    fn change(&self, config: &Config, right: Right, change: impl FnOnce(u32) -> u32) {
        let mut guards = self.guards.lock();
        guards[right as usize] = change(guards[right as usize]);
        let old = config.read_u16(offset::COMMAND);
        let new = Self::register(old, self.kept, &guards, right);
        if new != old {
            config.write_u16(offset::COMMAND, new);
        }
    }

    /// The register's value after a guard for `right` has come or gone: ports, memory and bus
    /// mastering follow all guards, whatever was on before; the pin follows its own.
    fn register(old: u16, kept: u16, guards: &[u32; Right::ALL.len()], right: Right) -> u16 {
        let has = |right: Right| guards[right as usize] > 0;
        let bit = |right, bit: u16| if has(right) { bit } else { 0 };
        let follows = bit(Right::Io, command::IO)
            | bit(Right::Memory, command::MEMORY)
            | bit(Right::BusMaster, command::BUS_MASTER);
        let new = old & !FOLLOWS | kept | follows;
        match right {
            Right::Intx if has(right) => new & !command::INTX_DISABLE,
            Right::Intx => new | command::INTX_DISABLE,
            Right::Io | Right::Memory | Right::BusMaster => new,
        }
    }
}

/// A right of a function, until this is dropped.
#[must_use = "the right goes when this is dropped"]
#[derive(Debug)]
pub(super) struct Held {
    function: Arc<Inner>,
    right: Right,
}

impl Held {
    pub(super) fn new(function: &Arc<Inner>, right: Right) -> Self {
        function.command.change(&function.config, right, |guards| guards + 1);
        Self { function: function.clone(), right }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Self { function, right } = self;
        function.command.change(&function.config, *right, |guards| guards.saturating_sub(1));
    }
}

/// The function may read and write memory by itself, and send messages, until this is
/// dropped. Whoever holds it has made sure that the device uses no memory but what it was
/// given, and makes it stop before the memory goes.
#[must_use = "the device cannot reach memory when this is dropped"]
#[derive(Debug)]
pub struct BusMaster {
    _held: Held,
}

impl BusMaster {
    pub(super) fn new(function: &Arc<Inner>) -> Self {
        Self { _held: Held::new(function, Right::BusMaster) }
    }
}

#[cfg(not(test))]
mod tests {
    use super::*;
    use crate::pci::{BUS, Function};

    /// The bits are on, with the guards of one function, whatever the firmware had on.
    #[base::kernel_test]
    fn the_register_follows_the_guards_of_all_kinds() {
        let all = FOLLOWS | command::INTX_DISABLE;
        let value = |kept, guards, right| Command::register(all, kept, &guards, right);
        let pin_off = command::INTX_DISABLE;
        assert_eq!(value(0, [0, 1, 0, 0], Right::Memory), command::MEMORY | pin_off);
        assert_eq!(value(0, [2, 0, 0, 0], Right::Memory), command::IO | pin_off);
        assert_eq!(value(0, [0, 0, 1, 0], Right::BusMaster), command::BUS_MASTER | pin_off);
        assert_eq!(value(0, [0, 0, 0, 1], Right::Intx), 0);
        assert_eq!(value(0, [0; 4], Right::Intx), pin_off);
        assert_eq!(value(FOLLOWS, [0; 4], Right::BusMaster), all);
    }

    /// No driver's function has anything on that it holds no guard for.
    #[base::kernel_test]
    fn nothing_is_left_on_for_a_function_with_a_driver() {
        for device in BUS.devices() {
            let Some(Function(inner)) = device.identity::<Function>() else { continue };
            let guards = inner.command.guards.lock();
            if *guards == [0; Right::ALL.len()] {
                continue; // nobody has claimed anything, perhaps ever
            }
            let register = inner.config.read_u16(offset::COMMAND);
            let wanted = Command::register(register, inner.command.kept, &guards, Right::Io);
            assert_eq!(register, wanted, "{}: guards {:?}", inner.address, *guards);
        }
    }
}
