//! [`Bridge`]: what a PCI-to-PCI bridge is to the functions behind it.

use pci_config::{BusNumbers, ConfigSpace, Identity, Layout, Span, Windows, command, offset};

use super::config::Config;

/// Programming interface of a bridge that lets through what nobody else on its bus takes.
const SUBTRACTIVE: u8 = 1;

/// A PCI-to-PCI bridge, as the firmware has set it up: its bus numbers and windows stay.
#[derive(Clone, Copy, Debug)]
pub struct Bridge {
    /// Its buses.
    pub buses: BusNumbers,
    /// What it lets through.
    pub windows: Windows,
    /// It lets through what nobody else on its bus takes, too.
    pub subtractive: bool,
}

impl Bridge {
    /// The bridge with this space; `None` if it is none.
    pub(super) fn read(identity: &Identity, config: &Config) -> Option<Self> {
        (identity.layout == Layout::Bridge).then(|| Self {
            buses: BusNumbers::read(config),
            windows: Windows::read(config),
            subtractive: identity.class as u8 == SUBTRACTIVE,
        })
    }

    /// What a bridge has on in its command register to forward.
    pub(super) const FORWARDS: u16 = command::IO | command::MEMORY | command::BUS_MASTER;

    /// Lets the bridge forward, in both directions: what is behind it does nothing that nobody
    /// has allowed it.
    pub(super) fn open(config: &Config) {
        let old = config.read_u16(offset::COMMAND);
        let new = old | Self::FORWARDS | command::INTX_DISABLE;
        if new != old {
            config.write_u16(offset::COMMAND, new);
        }
    }

    /// The windows that can have `span`, ports if `io`.
    pub(super) fn lets_through(&self, span: Span, io: bool) -> bool {
        let windows = if io {
            [self.windows.io, None]
        } else {
            [self.windows.memory, self.windows.prefetchable]
        };
        windows.iter().flatten().any(|window| window.contains(span))
    }
}
