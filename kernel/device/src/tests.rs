//! Kernel tests of the device model, on a bus of their own.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use base::sync::SpinLock;
use task::spawn;

use crate::driver::register_driver;
use crate::{
    AddError, Attribute, BindError, Bound, Bus, Device, DeviceGuard, Driver, ProbeError, add,
    register_bus, root,
};

static BUS: Bus = Bus::new("test");

/// What a test device is.
struct Kind(&'static str);

/// How many devices each driver has.
static KEEPS: AtomicU32 = AtomicU32::new(0);
static HAS_CLOCK: AtomicU32 = AtomicU32::new(0);
/// What happened, in order.
static STORY: SpinLock<Vec<String>> = SpinLock::new("test story", Vec::new());

fn tell(what: String) {
    STORY.lock().push(what);
}

fn story() -> Vec<String> {
    core::mem::take(&mut *STORY.lock())
}

/// Keeps a device, and one more behind it.
struct Kept {
    name: String,
    behind: Option<DeviceGuard>,
}

impl Bound for Kept {
    fn shutdown(&self) {
        tell(format!("{} is quiet", self.name));
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.behind.take());
        KEEPS.fetch_sub(1, Ordering::Relaxed);
        tell(format!("{} is left", self.name));
    }
}

struct ParentDriver;
struct ClockDriver;
struct NeedsClock;
struct Broken;

fn is(device: &Device, kind: &str) -> bool {
    device.identity::<Kind>().is_some_and(|has| has.0 == kind)
}

fn keep(device: &Device, behind: Option<DeviceGuard>) -> Box<dyn Bound> {
    KEEPS.fetch_add(1, Ordering::Relaxed);
    Box::new(Kept { name: device.name().into(), behind })
}

impl Driver for ParentDriver {
    fn name(&self) -> &'static str {
        "parent"
    }
    fn bus(&self) -> &'static Bus {
        &BUS
    }
    fn matches(&self, device: &Device) -> bool {
        is(device, "parent")
    }
    fn probe(&self, device: &Arc<Device>) -> Result<Box<dyn Bound>, ProbeError> {
        let behind = add(device, Device::new("behind").bus(&BUS).identity(Kind("needs clock")))?;
        Ok(keep(device, Some(behind)))
    }
}

impl Driver for ClockDriver {
    fn name(&self) -> &'static str {
        "clock"
    }
    fn bus(&self) -> &'static Bus {
        &BUS
    }
    fn matches(&self, device: &Device) -> bool {
        is(device, "clock")
    }
    fn probe(&self, device: &Arc<Device>) -> Result<Box<dyn Bound>, ProbeError> {
        HAS_CLOCK.store(1, Ordering::Relaxed);
        Ok(keep(device, None))
    }
}

impl Driver for NeedsClock {
    fn name(&self) -> &'static str {
        "needs-clock"
    }
    fn bus(&self) -> &'static Bus {
        &BUS
    }
    fn matches(&self, device: &Device) -> bool {
        is(device, "needs clock")
    }
    fn probe(&self, device: &Arc<Device>) -> Result<Box<dyn Bound>, ProbeError> {
        if HAS_CLOCK.load(Ordering::Relaxed) == 0 {
            return Err(ProbeError::Defer("a clock"));
        }
        Ok(keep(device, None))
    }
}

impl Driver for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }
    fn bus(&self) -> &'static Bus {
        &BUS
    }
    fn matches(&self, device: &Device) -> bool {
        is(device, "broken")
    }
    fn probe(&self, _: &Arc<Device>) -> Result<Box<dyn Bound>, ProbeError> {
        Err(memory::OutOfMemory.into())
    }
}

fn register() {
    register_bus(&BUS);
    // A second time changes nothing but for a log line, so only once.
    if BUS.driver("parent").is_none() {
        let drivers: [&'static dyn Driver; 4] = [&ParentDriver, &ClockDriver, &NeedsClock, &Broken];
        drivers.into_iter().for_each(register_driver);
    }
}

fn of(name: &'static str, kind: &'static str) -> crate::Builder {
    Device::new(name).bus(&BUS).identity(Kind(kind))
}

fn driver_name(device: &Device) -> Option<&'static str> {
    device.driver().map(|driver| driver.name())
}

#[base::kernel_test]
fn devices_get_their_drivers_and_give_everything_back() {
    register();
    HAS_CLOCK.store(0, Ordering::Relaxed);
    story();
    let parent = add(root(), of("test parent", "parent")).expect("a name that nobody has");
    assert_eq!(driver_name(parent.device()), Some("parent"));
    let behind = parent.device().child("behind").expect("the driver has added it");
    assert_eq!((behind.depth(), driver_name(&behind)), (2, None));
    assert_eq!(behind.why_unbound().as_deref(), Some("waits for a clock"));
    // What it waits for comes.
    let clock = add(root(), of("test clock", "clock")).expect("a name that nobody has");
    assert_eq!(driver_name(clock.device()), Some("clock"));
    assert_eq!(driver_name(&behind), Some("needs-clock"));
    assert_eq!(KEEPS.load(Ordering::Relaxed), 3);
    // Not those of the machine, which go on.
    crate::binding::shut_down(&BUS.devices());
    let quiet = story();
    let at = |name: &str| quiet.iter().position(|line| line.starts_with(name));
    assert!(at("behind").is_some() && at("behind") < at("test parent"), "{quiet:?}");
    // Removal goes from the leaves to the root, and nothing stays.
    drop(parent);
    assert_eq!(story(), ["behind is left", "test parent is left"]);
    assert!(behind.is_gone() && behind.driver().is_none() && root().child("test parent").is_none());
    drop(clock);
    assert_eq!((KEEPS.load(Ordering::Relaxed), BUS.devices().len()), (0, 0));
}

#[base::kernel_test]
fn drivers_come_and_go_by_hand() {
    register();
    let guard = add(root(), of("test clock", "clock")).expect("a name that nobody has");
    let device = guard.device();
    let (clock, broken) = (BUS.driver("clock"), BUS.driver("broken"));
    let (clock, broken) = (clock.expect("registered"), broken.expect("registered"));
    assert!(matches!(device.bind(clock), Err(BindError::InUse)));
    assert!(matches!(device.unbind(Some(broken)), Err(BindError::NotBound)));
    assert!(device.unbind(Some(clock)).is_ok());
    assert_eq!((driver_name(device), KEEPS.load(Ordering::Relaxed)), (None, 0));
    assert!(matches!(device.bind(broken), Err(BindError::NoMatch)));
    assert!(device.bind(clock).is_ok());
    assert_eq!(device.with_bound(|kept: &Kept| kept.name.clone()).as_deref(), Some("test clock"));
    let bad = add(root(), of("test broken", "broken")).expect("a device without driver is one");
    assert_eq!(bad.device().why_unbound().as_deref(), Some("broken: out of memory"));
    assert!(matches!(bad.device().bind(broken), Err(BindError::Probe(ProbeError::Failed(_)))));
    let device = bad.device().clone();
    drop(bad);
    assert!(matches!(device.bind(broken), Err(BindError::Gone)));
}

#[base::kernel_test]
fn names_are_names_and_children_have_their_own() {
    let guard = add(root(), Device::new("test one")).expect("a name that nobody has");
    let one = guard.device();
    let error = |parent: &Arc<Device>, name: &'static str| add(parent, Device::new(name)).err();
    assert_eq!(error(root(), "test one"), Some(AddError::Exists));
    for name in ["", ".", "..", "a/b", "nul\0"] {
        assert_eq!(error(root(), name), Some(AddError::BadName), "{name:?}");
    }
    let child = add(one, Device::new("test one")).expect("another parent");
    let kept = one.clone();
    drop(guard);
    assert!(child.device().is_gone());
    drop(child);
    assert_eq!(error(&kept, "late"), Some(AddError::ParentGone));
}

#[base::kernel_test]
fn attributes_are_told_and_set() {
    static VALUE: AtomicU32 = AtomicU32::new(5);
    let show = |_: &Device, to: &mut dyn core::fmt::Write| {
        writeln!(to, "{}", VALUE.load(Ordering::Relaxed)).map_err(|_| abi::Errno::ENOMEM)
    };
    let store = |_: &Device, text: &str| {
        VALUE.store(text.parse().map_err(|_| abi::Errno::EINVAL)?, Ordering::Relaxed);
        Ok(())
    };
    let builder =
        Device::new("test attributes").attribute(Attribute::new("value", show).with_store(store));
    let guard = add(root(), builder).expect("a name that nobody has");
    let device = guard.device().clone();
    let value = device.attribute("value").expect("it has that one");
    let mut text = String::new();
    assert_eq!(value.store(&device, "17\n"), Ok(()));
    assert_eq!(value.store(&device, "seventeen"), Err(abi::Errno::EINVAL));
    assert_eq!((value.show(&device, &mut text), text.as_str()), (Ok(()), "17\n"));
    let other = device.add_attribute(Attribute::new("other", show)).expect("another name");
    assert!(device.add_attribute(Attribute::new("other", show)).is_err());
    assert_eq!(
        device.attribute("other").map(|other| other.store(&device, "1")),
        Some(Err(abi::Errno::EACCES))
    );
    drop(other);
    assert!(device.attribute("other").is_none());
    let grouped = device.add_attribute(Attribute::new("group/value", show)).expect("another name");
    let named = device.attribute("group/value").expect("it has that one");
    assert_eq!((named.in_group(), value.in_group()), (Some(("group", "value")), None));
    assert!(device.attribute("group").is_none());
    drop(grouped);
    drop(guard);
    assert_eq!(value.show(&device, &mut text), Err(abi::Errno::ENODEV));
}

/// Adding, removing, binding and unbinding of the same devices from several tasks.
#[base::kernel_test]
fn binding_is_one_at_a_time() {
    register();
    HAS_CLOCK.store(1, Ordering::Relaxed);
    let guard = add(root(), of("test shared", "clock")).expect("a name that nobody has");
    let device = guard.device().clone();
    let clock = BUS.driver("clock").expect("registered");
    let tasks: Vec<_> = (0..4)
        .filter_map(|_| {
            let device = device.clone();
            spawn("binding", move || {
                for round in 0..100 {
                    let _ = device.bind(clock);
                    let _ = device.unbind(None);
                    if round % 10 == 0
                        && let Ok(own) = add(root(), of("test parent", "parent"))
                    {
                        assert!(own.device().child("behind").is_some());
                    }
                }
            })
            .ok()
        })
        .collect();
    assert_eq!(tasks.len(), 4);
    tasks.iter().for_each(|task| task.join());
    drop(guard);
    assert_eq!((KEEPS.load(Ordering::Relaxed), BUS.devices().len()), (0, 0));
    assert!(root().child("test shared").is_none() && root().child("test parent").is_none());
    story();
}
