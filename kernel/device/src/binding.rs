//! Which driver has which device. A device and a driver meet when either comes
//! ([`try_device`], [`try_driver`]), by hand ([`Device::bind`], [`Device::unbind`]), or when
//! something comes that the driver was missing: each time that a device gets its driver, those
//! that were deferred are tried again.
//!
//! A device is [`State::Busy`] while a driver probes or leaves it; whoever else wants it then
//! waits. No lock is held meanwhile: a probe may add devices, whose drivers probe in turn.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::Errno;
use base::sync::SpinLock;
use task::{RwLock, WaitQueue};

use crate::device::{Device, all};
use crate::driver::{Bound, Driver, ProbeError};

/// Where a device is with drivers.
#[derive(Clone)]
pub(crate) enum State {
    /// None has it.
    Free,
    /// A driver wants it, and waits for what the text names.
    Deferred(&'static str),
    /// The one that wanted it failed: why.
    Failed(&'static str, String),
    /// One is coming or going.
    Busy,
    /// This one has it.
    Bound(&'static dyn Driver),
}

/// The part of a device that is about its driver.
pub(crate) struct Binding {
    state: SpinLock<State>,
    /// Where others wait while it is busy.
    settled: WaitQueue,
    bound: RwLock<Option<Box<dyn Bound>>>,
}

/// Why a driver cannot be bound or unbound by hand.
#[derive(Debug)]
pub enum BindError {
    /// The device has a driver already.
    InUse,
    /// It has none, or not this one.
    NotBound,
    /// The driver is not for such a device.
    NoMatch,
    /// The device was removed.
    Gone,
    /// The driver does not take it.
    Probe(ProbeError),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("the device has a driver"),
            Self::NotBound => f.write_str("the device does not have this driver"),
            Self::NoMatch => f.write_str("the driver is not for this device"),
            Self::Gone => f.write_str("the device was removed"),
            Self::Probe(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for BindError {}

impl From<BindError> for Errno {
    fn from(error: BindError) -> Self {
        match error {
            BindError::InUse => Self::EBUSY,
            BindError::NotBound | BindError::NoMatch | BindError::Gone => Self::ENODEV,
            BindError::Probe(ProbeError::Defer(_)) => Self::EAGAIN,
            BindError::Probe(_) => Self::EIO,
        }
    }
}

/// Devices whose driver waits for something.
static DEFERRED: SpinLock<Vec<Weak<Device>>> = SpinLock::new("deferred devices", Vec::new());
/// Somebody tries the deferred ones again.
static RETRIES: AtomicBool = AtomicBool::new(false);
/// They are to be tried again.
static AGAIN: AtomicBool = AtomicBool::new(false);

impl Binding {
    pub(crate) fn new() -> Self {
        Self {
            state: SpinLock::new("driver of a device", State::Free),
            settled: WaitQueue::new("driver of a device"),
            bound: task::named_rwlock("bound driver", None),
        }
    }

    /// Waits until the device is not busy and makes it so; what it was.
    fn begin(&self) -> State {
        self.settled.wait(|| {
            let mut state = self.state.lock();
            (!matches!(*state, State::Busy)).then(|| core::mem::replace(&mut *state, State::Busy))
        })
    }

    /// As [`Binding::begin`], unless the device is busy.
    fn try_begin(&self) -> Option<State> {
        let mut state = self.state.lock();
        (!matches!(*state, State::Busy)).then(|| core::mem::replace(&mut *state, State::Busy))
    }

    /// The device is as `state` says from now on.
    fn end(&self, state: State) {
        let old = core::mem::replace(&mut *self.state.lock(), state);
        drop(old);
        self.settled.wake_all();
    }
}

impl Device {
    /// The driver that has the device.
    pub fn driver(&self) -> Option<&'static dyn Driver> {
        match &*self.binding.state.lock() {
            State::Bound(driver) => Some(*driver),
            _ => None,
        }
    }

    /// Why no driver has the device, if one wanted it.
    pub fn why_unbound(&self) -> Option<String> {
        match &*self.binding.state.lock() {
            State::Deferred(what) => Some(alloc::format!("waits for {what}")),
            State::Failed(driver, why) => Some(alloc::format!("{driver}: {why}")),
            _ => None,
        }
    }

    /// Calls `look` with what the driver keeps of the device, if that is a `T`. The driver
    /// stays meanwhile.
    pub fn with_bound<T: Bound, R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        let bound = self.binding.bound.read();
        let bound: &dyn Any = bound.as_deref()?;
        bound.downcast_ref().map(look)
    }

    /// Has `driver` take the device. May sleep.
    ///
    /// # Errors
    /// As [`BindError`] says.
    pub fn bind(self: &Arc<Self>, driver: &'static dyn Driver) -> Result<(), BindError> {
        if self.bus() != Some(driver.bus()) || !driver.matches(self) {
            return Err(BindError::NoMatch);
        }
        let before = self.binding.begin();
        if let State::Bound(_) = before {
            self.binding.end(before);
            return Err(BindError::InUse);
        }
        let (state, result) = match probe(self, driver) {
            Ok(()) => (State::Bound(driver), Ok(())),
            Err(error) => {
                let state = match &error {
                    BindError::Probe(ProbeError::Failed(why)) => {
                        State::Failed(driver.name(), why.to_string())
                    }
                    _ => State::Free,
                };
                (state, Err(error))
            }
        };
        self.binding.end(state);
        if result.is_ok() {
            retry_deferred();
        }
        result
    }

    /// Calls `work` on a device that no driver has, and has one wait meanwhile that wants it. May
    /// sleep.
    ///
    /// # Errors
    /// `InUse` if a driver has it.
    pub fn while_unbound<R>(&self, work: impl FnOnce() -> R) -> Result<R, BindError> {
        let before = self.binding.begin();
        if let State::Bound(_) = before {
            self.binding.end(before);
            return Err(BindError::InUse);
        }
        let result = work();
        self.binding.end(before);
        Ok(result)
    }

    /// Takes the device away from its driver, which is `driver` if one is named. May sleep.
    ///
    /// # Errors
    /// `NotBound`.
    pub fn unbind(self: &Arc<Self>, driver: Option<&'static dyn Driver>) -> Result<(), BindError> {
        match self.binding.begin() {
            State::Bound(has) if driver.is_none_or(|driver| driver.name() == has.name()) => {
                drop_bound(self);
                self.binding.end(State::Free);
                log::debug!("{self}: {} has left it", has.name());
                Ok(())
            }
            other => {
                self.binding.end(other);
                Err(BindError::NotBound)
            }
        }
    }
}

/// Drops what the driver keeps, without the lock: its drop may look at this device.
fn drop_bound(device: &Device) {
    let bound = device.binding.bound.write().take();
    drop(bound);
}

/// Has `driver` take the device, which is busy.
fn probe(device: &Arc<Device>, driver: &'static dyn Driver) -> Result<(), BindError> {
    if device.is_gone() {
        return Err(BindError::Gone);
    }
    let bound = driver.probe(device).map_err(BindError::Probe)?;
    *device.binding.bound.write() = Some(bound);
    log::debug!("{device}: driver {}", driver.name());
    Ok(())
}

/// Looks for a driver for a device that has none.
pub(crate) fn try_device(device: &Arc<Device>) {
    let Some(bus) = device.bus() else { return };
    let drivers = bus.drivers();
    if has_match(device, &drivers) {
        let before = device.binding.begin();
        try_drivers(device, &drivers, before);
    }
}

/// Has a driver look at all devices of its bus that have none.
pub(crate) fn try_driver(driver: &'static dyn Driver) {
    for device in driver.bus().devices() {
        if has_match(&device, &[driver]) {
            let before = device.binding.begin();
            try_drivers(&device, &[driver], before);
        }
    }
}

fn has_match(device: &Device, drivers: &[&'static dyn Driver]) -> bool {
    drivers.iter().any(|driver| driver.matches(device))
}

/// Tries drivers on a device that was made busy and is as `before` says.
fn try_drivers(device: &Arc<Device>, drivers: &[&'static dyn Driver], before: State) {
    if let State::Bound(_) = before {
        return device.binding.end(before);
    }
    let mut state = before;
    for driver in drivers.iter().filter(|driver| driver.matches(device)) {
        state = match probe(device, *driver) {
            Ok(()) => State::Bound(*driver),
            Err(BindError::Probe(ProbeError::Defer(what))) => State::Deferred(what),
            Err(BindError::Probe(ProbeError::Failed(why))) => {
                log::warn!("{device}: driver {}: {why}", driver.name());
                State::Failed(driver.name(), why.to_string())
            }
            Err(_) => continue,
        };
        if !matches!(state, State::Failed(..)) {
            break;
        }
    }
    let (is_bound, is_deferred) =
        (matches!(state, State::Bound(_)), matches!(state, State::Deferred(_)));
    if is_deferred {
        defer(device);
    }
    device.binding.end(state);
    if is_bound {
        retry_deferred();
    }
}

fn defer(device: &Arc<Device>) {
    let mut deferred = DEFERRED.lock();
    deferred.retain(|known| known.strong_count() > 0 && !known.ptr_eq(&Arc::downgrade(device)));
    if deferred.try_reserve(1).is_ok() {
        deferred.push(Arc::downgrade(device));
    } else {
        log::warn!("{device}: no memory to try it again later");
    }
}

/// Tries the deferred devices again. Whoever comes while somebody does, also from within a
/// probe, leaves it to that one.
fn retry_deferred() {
    AGAIN.store(true, Ordering::SeqCst);
    while AGAIN.load(Ordering::SeqCst) && !RETRIES.swap(true, Ordering::SeqCst) {
        while AGAIN.swap(false, Ordering::SeqCst) {
            let deferred = core::mem::take(&mut *DEFERRED.lock());
            deferred.iter().filter_map(Weak::upgrade).for_each(|device| try_again(&device));
        }
        RETRIES.store(false, Ordering::SeqCst);
    }
}

/// Tries a deferred device again. One that is busy is left to whoever has it so: that may be what
/// led here, a probe of the device itself.
fn try_again(device: &Arc<Device>) {
    let Some(bus) = device.bus() else { return };
    match device.binding.try_begin() {
        Some(before) => try_drivers(device, &bus.drivers(), before),
        None => defer(device),
    }
}

/// The devices whose drivers wait for something, and for what: to be told at the end of the
/// boot.
pub fn deferred() -> Vec<(Arc<Device>, &'static str)> {
    let devices: Vec<Arc<Device>> = DEFERRED.lock().iter().filter_map(Weak::upgrade).collect();
    let waits_for = |device: &Arc<Device>| match &*device.binding.state.lock() {
        State::Deferred(what) => Some(*what),
        _ => None,
    };
    devices.into_iter().filter_map(|device| Some((device.clone(), waits_for(&device)?))).collect()
}

/// Takes a device that is gone away from its driver for good.
pub(crate) fn release(device: &Arc<Device>) {
    device.binding.begin();
    drop_bound(device);
    device.binding.end(State::Free);
}

/// Tells all drivers that the machine is about to be switched off or reset: each device after
/// those that are part of it. May sleep.
pub fn shutdown() {
    shut_down(&all());
}

/// As [`shutdown`], for some: a device comes before those that are part of it.
pub(crate) fn shut_down(devices: &[Arc<Device>]) {
    for device in devices.iter().rev() {
        if let Some(bound) = device.binding.bound.read().as_deref() {
            bound.shutdown();
        }
    }
}
