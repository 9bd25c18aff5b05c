//! The command register: what a function may do is what somebody holds a guard for.
//!
//! Nothing is left to the firmware. When a function is found its bus mastering, its interrupt
//! pin and its messages are switched off ([`Command::quiet`]); its decoding of addresses stays
//! as the firmware had it until a driver claims one of its ranges, and follows the claims from
//! then on. When the last guard of a kind goes, so does the function's right.

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

/// How many guards there are for each right.
#[derive(Debug)]
pub(super) struct Command {
    guards: SpinLock<[u32; Right::ALL.len()]>,
}

impl Command {
    pub(super) const fn new() -> Self {
        Self { guards: SpinLock::new("PCI command register", [0; Right::ALL.len()]) }
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
        let new = Self::register(old, &guards, right);
        if new != old {
            config.write_u16(offset::COMMAND, new);
        }
    }

    /// The register's value: the bit of `right` follows its guards, and once somebody has
    /// claimed something, so does the decoding.
    fn register(old: u16, guards: &[u32; Right::ALL.len()], right: Right) -> u16 {
        let has = guards[right as usize] > 0;
        let set = |bit: u16, on: bool| if on { old | bit } else { old & !bit };
        match right {
            Right::Io => set(command::IO, has),
            Right::Memory => set(command::MEMORY, has),
            Right::BusMaster => set(command::BUS_MASTER, has),
            Right::Intx => set(command::INTX_DISABLE, !has),
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
