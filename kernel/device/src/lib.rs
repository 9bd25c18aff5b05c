//! Floor 6: the device model, and what devices of each kind can do.
//!
//! A [`Device`] is something in the machine, in one tree below [`root`]: a bridge, a function
//! behind it, a disk of that. A [`Bus`] is a way to find devices and says which driver may be
//! for which: PCI, VirtIO. A [`Driver`] looks at devices of its bus and takes those it knows:
//! what its probe returns ([`Bound`]) owns all that the driver has of the device, in guards
//! that give it back, so that dropping it is the removal. Devices and drivers may come in any
//! order, and a driver that misses something may ask to be tried again later ([`binding`]).
//! [`Attribute`]s are what a device tells, and lets one set, in text.
//!
//! | file | what |
//! |---|---|
//! | `device.rs` | [`Device`], the tree, adding and removing |
//! | `bus.rs` | [`Bus`], and the list of all |
//! | `driver.rs` | [`Driver`], [`Bound`], [`ProbeError`] |
//! | `binding.rs` | which driver has which device, and when that changes |
//! | `attribute.rs` | [`Attribute`] |
//! | [`block`] | the block layer: disks, their queues and partitions, whatever drives them |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

base::module!();

mod attribute;
pub mod binding;
pub mod block;
mod bus;
mod device;
mod driver;
#[cfg(not(test))]
mod tests;

pub use attribute::{Attribute, AttributeGuard, Read, Show, Store, Tell};
pub use binding::{BindError, shutdown};
pub use bus::{Bus, buses, register_bus};
pub use device::{AddError, Builder, Device, DeviceGuard, add, all, root};
pub use driver::{Bound, Driver, ProbeError, register_driver};
