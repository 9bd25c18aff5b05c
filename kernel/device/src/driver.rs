//! [`Driver`]: knows how to work with some devices of a bus; [`Bound`], what it keeps of one.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::any::Any;
use core::error::Error;
use core::fmt;

use crate::binding;
use crate::bus::Bus;
use crate::device::Device;

/// A driver for devices of one bus.
pub trait Driver: Sync {
    /// Its name, a file name.
    fn name(&self) -> &'static str;

    /// The bus whose devices it is for.
    fn bus(&self) -> &'static Bus;

    /// Whether the device is one that the driver knows, by its identity alone: the device is
    /// not touched.
    fn matches(&self, device: &Device) -> bool;

    /// Takes the device. What is returned owns all that the driver has of it: mapped
    /// registers, interrupts, memory for DMA, devices that it has found behind this one. May
    /// sleep, with a bound. Called for one device once at a time.
    ///
    /// # Errors
    /// As [`ProbeError`] says; the device is left as it was.
    fn probe(&self, device: &Arc<Device>) -> Result<Box<dyn Bound>, ProbeError>;
}

/// What a driver keeps of a device. Dropping it is the removal: the device is made quiet
/// first (no more interrupts or DMA), then everything is given back.
pub trait Bound: Any + Send + Sync {
    /// Makes the device quiet before the machine is switched off or reset, and what it has
    /// not yet written lasting. With a bound. Nobody uses the device afterwards.
    fn shutdown(&self) {}
}

/// Why a driver does not take a device.
#[derive(Debug)]
pub enum ProbeError {
    /// It turned out to be none of the driver's; another one may try.
    NotMine,
    /// Something is not there yet, which it names: to be tried again when another device has
    /// got its driver.
    Defer(&'static str),
    /// It does not work.
    Failed(Box<dyn Error + Send + Sync>),
}

impl<E: Error + Send + Sync + 'static> From<E> for ProbeError {
    fn from(error: E) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMine => f.write_str("not a device of this driver"),
            Self::Defer(what) => write!(f, "waits for {what}"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

/// Makes a driver known for good, and has it try the devices that are there and have none.
/// One whose name is taken on its bus stays out, with a log line.
pub fn register_driver(driver: &'static dyn Driver) {
    if driver.bus().add_driver(driver) {
        binding::try_driver(driver);
    } else {
        log::error!("{}: there is a driver {} already", driver.bus().name(), driver.name());
    }
}
