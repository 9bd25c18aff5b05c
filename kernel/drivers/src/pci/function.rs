//! [`Function`]: a PCI function, the identity of a device of the bus `pci`.
//!
//! A driver gets it from its device (`device.identity::<Function>()`), looks at what the
//! function is, and takes what it needs as guards that give it back: ranges of addresses
//! ([`Function::claim_bar`]), interrupts ([`Function::interrupts`]), the right to use memory
//! ([`Function::enable_bus_master`]).

use alloc::sync::Arc;
use alloc::vec::Vec;

use base::sync::SpinLock;
use pci_config::{
    Capability, ConfigSpace, ExtendedCapability, Identity, Msi, MsiX, capabilities, capability_id,
    class_name, extended_capabilities, offset,
};

use super::Address;
use super::bar::{self, Bar, BarClaimError, BarInfo};
use super::bridge::Bridge;
use super::command::{BusMaster, Command};
use super::config::Config;
use super::interrupts;

/// What the guards of a function share.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) address: Address,
    pub(super) identity: Identity,
    pub(super) config: Config,
    pub(super) command: Command,
    pub(super) capabilities: Vec<Capability>,
    pub(super) extended: Vec<ExtendedCapability>,
    pub(super) bars: [SpinLock<BarInfo>; 6],
    pub(super) interrupts: interrupts::Slot,
    /// What it is to those behind it, if it is a bridge.
    pub(super) bridge: Option<Bridge>,
    /// The bridge that it is behind.
    pub(super) parent: Option<Arc<Inner>>,
}

impl Inner {
    /// The function with this space, made quiet: no bus mastering, no interrupts. `None` if
    /// there is none.
    pub(super) fn discover(
        address: Address,
        config: Config,
        parent: Option<&Arc<Self>>,
    ) -> Option<Self> {
        let identity = Identity::read(&config)?;
        let list = |error: pci_config::ListError| log::warn!("pci {address}: {error}");
        let capabilities: Vec<_> =
            capabilities(&config).filter_map(|found| found.map_err(list).ok()).collect();
        // Only PCI Express has more than 256 bytes; elsewhere the first ones may come again.
        let is_express = capabilities.iter().any(|found| found.id == capability_id::EXPRESS);
        let extended = if is_express {
            extended_capabilities(&config).filter_map(|found| found.map_err(list).ok()).collect()
        } else {
            Vec::new()
        };
        let bridge = Bridge::read(&identity, &config);
        let kept = match bridge {
            Some(_) => Bridge::FORWARDS,
            None if bar::is_of_machine(&identity) => config.read_u16(offset::COMMAND),
            None => 0,
        };
        let inner = Self {
            address,
            identity,
            command: Command::new(kept),
            bars: [const { SpinLock::new("PCI base address register", BarInfo::Absent) }; 6],
            interrupts: interrupts::Slot::new(),
            bridge,
            parent: parent.cloned(),
            capabilities,
            extended,
            config,
        };
        inner.quiet();
        bar::discover(&inner.config, &identity, address, &inner.bars);
        Some(inner)
    }

    /// Switches off what the firmware has left on, but that the function answers at its addresses.
    /// Bridges forward, as long as there is something behind them that may want it; what the
    /// machine stands on loses its messages alone.
    fn quiet(&self) {
        let control = |at: u16, bits: u16| {
            let old = self.config.read_u16(at);
            if old & bits != 0 {
                self.config.write_u16(at, old & !bits);
            }
        };
        if let Some(msi) = self.msi() {
            control(msi.control(), Msi::ENABLE);
        }
        if let Some(msi_x) = self.msi_x() {
            control(msi_x.control(), MsiX::ENABLE);
        }
        match self.bridge {
            Some(_) => Bridge::open(&self.config),
            None if bar::is_of_machine(&self.identity) => {}
            None => Command::quiet(&self.config),
        }
    }

    pub(super) fn capability(&self, id: u8) -> Option<Capability> {
        self.capabilities.iter().copied().find(|found| found.id == id)
    }

    pub(super) fn msi(&self) -> Option<Msi> {
        Msi::read(&self.config, self.capability(capability_id::MSI)?.offset)
    }

    pub(super) fn msi_x(&self) -> Option<MsiX> {
        MsiX::read(&self.config, self.capability(capability_id::MSI_X)?.offset)
    }
}

/// A PCI function. There is one value for each, which its device owns.
#[derive(Debug)]
pub struct Function(pub(super) Arc<Inner>);

impl Function {
    /// Where it is.
    pub fn address(&self) -> Address {
        self.0.address
    }

    /// Who made it, and what it is.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// Whether it has this vendor and device id.
    pub fn is(&self, vendor: u16, device: u16) -> bool {
        (self.0.identity.vendor, self.0.identity.device) == (vendor, device)
    }

    /// What its class is called.
    pub fn class_name(&self) -> &'static str {
        class_name(self.0.identity.class)
    }

    /// Its configuration space, to be read.
    pub fn config(&self) -> &impl ConfigSpace {
        &self.0.config
    }

    /// Its capabilities, in the order of their list.
    pub fn capabilities(&self) -> &[Capability] {
        &self.0.capabilities
    }

    /// The first of its capabilities with this id (of [`capability_id`]).
    pub fn capability(&self, id: u8) -> Option<Capability> {
        self.0.capability(id)
    }

    /// Its extended capabilities, in the order of their list.
    pub fn extended_capabilities(&self) -> &[ExtendedCapability] {
        &self.0.extended
    }

    /// What base address register `index` is; [`BarInfo::Absent`] past the last one.
    pub fn bar(&self, index: usize) -> BarInfo {
        self.0.bars.get(index).map_or(BarInfo::Absent, |bar| *bar.lock())
    }

    /// What it is to those behind it, if it is a bridge.
    pub fn bridge(&self) -> Option<&Bridge> {
        self.0.bridge.as_ref()
    }

    /// Takes the range of base address register `index`: maps its memory, or claims its
    /// ports, and has the function answer there. The guard gives all of it back.
    ///
    /// # Errors
    /// As [`BarClaimError`] says.
    pub fn claim_bar(&self, index: usize) -> Result<Bar, BarClaimError> {
        Bar::claim(&self.0, index)
    }

    /// Lets the function read and write memory by itself, until the guard is dropped.
    pub fn enable_bus_master(&self) -> BusMaster {
        BusMaster::new(&self.0)
    }
}
