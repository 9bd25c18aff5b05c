//! Kernel tests of sysfs, with devices and a driver of their own.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use abi::fcntl::{O_DIRECTORY, O_RDONLY, O_RDWR, O_WRONLY};
use abi::{Errno, Result};
use base::modules;
use base::sync::SpinLock;
use device::{Attribute, Bound, Bus, Device, DeviceGuard, Driver, ProbeError};
use task::{spawn, yield_now};

use crate::buffer::{Destination, Source};
use crate::credentials::Credentials;
use crate::open_file::OpenFile;
use crate::vfs::{
    FileSystem, LastLink, MountRequest, Path, detached, find_file_system, lookup, open,
};

/// The root of sysfs in a mount of its own.
fn sysfs() -> Path {
    let kind: &dyn FileSystem = find_file_system(b"sysfs").expect("it is registered");
    let superblock = kind.superblock(&MountRequest::default()).expect("memory");
    detached(superblock).expect("memory")
}

fn open_at(root: &Path, path: &str, flags: u32) -> Result<Arc<OpenFile>> {
    open(&Credentials::ROOT, root, path.as_bytes(), flags, 0)
}

fn read_open(file: &OpenFile) -> Result<String> {
    let mut text = Vec::new();
    let mut part = [0; 50];
    loop {
        match file.read(&mut Destination::Kernel(&mut part))? {
            0 => return Ok(String::from_utf8_lossy(&text).into_owned()),
            count => text.extend_from_slice(part.get(..count).unwrap_or_default()),
        }
    }
}

fn read(root: &Path, path: &str) -> Result<String> {
    read_open(&*open_at(root, path, O_RDONLY)?)
}

fn write(root: &Path, path: &str, text: &str) -> Result<usize> {
    open_at(root, path, O_WRONLY)?.write(&mut Source::Kernel(text.as_bytes()))
}

fn names(root: &Path, path: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    open_at(root, path, O_RDONLY | O_DIRECTORY)?.entries(&mut |entry| {
        names.push(String::from_utf8_lossy(entry.name).into_owned());
        ControlFlow::Continue(())
    })?;
    names.retain(|name| name != "." && name != "..");
    Ok(names)
}

/// The path in words of where a path leads.
fn end_of(root: &Path, path: &str) -> Result<String> {
    let found = lookup(&Credentials::ROOT, root, path.as_bytes(), LastLink::Follow)?;
    Ok(String::from_utf8_lossy(&found.text()?).into_owned())
}

static BUS: Bus = Bus::new("sysfs-test");

struct TestDriver;

/// Devices called so are taken.
const TAKEN: &str = "taken";

impl Driver for TestDriver {
    fn name(&self) -> &'static str {
        "test-driver"
    }
    fn bus(&self) -> &'static Bus {
        &BUS
    }
    fn matches(&self, device: &Device) -> bool {
        device.name().starts_with(TAKEN)
    }
    fn probe(&self, _: &Arc<Device>) -> core::result::Result<Box<dyn Bound>, ProbeError> {
        struct Nothing;
        impl Bound for Nothing {}
        Ok(Box::new(Nothing))
    }
}

fn prepare() {
    static DONE: spin::Once<()> = spin::Once::new();
    DONE.call_once(|| {
        device::register_bus(&BUS);
        device::register_driver(&TestDriver);
    });
}

/// A device with attributes of all kinds.
fn device(parent: &Arc<Device>, name: &'static str) -> DeviceGuard {
    static VALUE: SpinLock<String> = SpinLock::new("value of a test device", String::new());
    let value = Attribute::new("value", |_, to| {
        let value = VALUE.lock().clone();
        writeln!(to, "{value}").map_err(|_| Errno::ENOMEM)
    });
    let value = value.with_store(|_, text| {
        if text == "bad" {
            return Err(Errno::EINVAL);
        }
        *VALUE.lock() = text.to_string();
        Ok(())
    });
    let told = Attribute::new("told", |device, to| {
        writeln!(to, "{}", device.name()).map_err(|_| Errno::ENOMEM)
    });
    let long = Attribute::new("long", |_, to| {
        (0..1000).try_for_each(|_| to.write_str("long ")).map_err(|_| Errno::EIO)
    });
    let bytes = Attribute::bytes("bytes", |_, offset, to| {
        let all = [1, 2, 3, 4, 5];
        let from = usize::try_from(offset).ok().and_then(|at| all.get(at..)).unwrap_or_default();
        let count = from.len().min(to.len());
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        Ok(count)
    });
    let grouped = |name| Attribute::new(name, |_, to| to.write_str("7\n").map_err(|_| Errno::EIO));
    let builder = Device::new(name).bus(&BUS).class("test-class").attribute(value);
    let builder = builder.attribute(grouped("group/one")).attribute(grouped("group/two"));
    let builder = builder.tell(|device, to| writeln!(to, "NAME={}", device.name()));
    let builder = builder.attribute(told).attribute(long).attribute(bytes);
    let builder = builder.attribute(Attribute::action("act", |_, _| Err(Errno::EPERM)));
    device::add(parent, builder).expect("memory")
}

#[base::kernel_test]
fn a_device_has_its_attributes_links_and_children() {
    prepare();
    let root = sysfs();
    let parent = device(device::root(), "taken-parent");
    let child = device(parent.device(), "left-child");
    let path = "devices/taken-parent";
    let mut list = names(&root, path).expect("a directory");
    list.sort();
    let expected = [
        "act",
        "bytes",
        "driver",
        "group",
        "left-child",
        "long",
        "subsystem",
        "told",
        "uevent",
        "value",
    ];
    assert_eq!(list, expected);
    let mut group = names(&root, "devices/taken-parent/group").expect("a directory");
    group.sort();
    assert_eq!(group, ["one", "two"]);
    assert_eq!(read(&root, "devices/taken-parent/group/two"), Ok("7\n".into()));
    assert_eq!(names(&root, "devices/taken-parent/group/three"), Err(Errno::ENOENT));
    assert_eq!(read(&root, "devices/taken-parent/told"), Ok("taken-parent\n".into()));
    assert_eq!(read(&root, "devices/taken-parent/left-child/told"), Ok("left-child\n".into()));
    assert_eq!(
        read(&root, "devices/taken-parent/uevent"),
        Ok("DRIVER=test-driver\nNAME=taken-parent\n".into())
    );
    let told = read(&root, "devices/taken-parent/left-child/uevent");
    assert_eq!(told, Ok("NAME=left-child\n".into()));
    assert_eq!(read(&root, "devices/taken-parent/bytes").map(|bytes| bytes.len()), Ok(5));
    assert_eq!(read(&root, "devices/taken-parent/long"), Err(Errno::EFBIG));

    assert_eq!(write(&root, "devices/taken-parent/value", "seven\n"), Ok(6));
    assert_eq!(read(&root, "devices/taken-parent/value"), Ok("seven\n".into()));
    assert_eq!(write(&root, "devices/taken-parent/value", "bad\n"), Err(Errno::EINVAL));
    assert_eq!(write(&root, "devices/taken-parent/act", "x"), Err(Errno::EPERM));
    for (name, flags) in
        [("act", O_RDONLY), ("told", O_WRONLY), ("told", O_RDWR), ("bytes", O_RDWR)]
    {
        let file = open_at(&root, &format!("{path}/{name}"), flags).map(|_| ());
        assert_eq!(file, Err(Errno::EACCES), "{name}");
    }

    let place = Ok(String::from("/devices/taken-parent"));
    for link in ["bus/sysfs-test/devices/taken-parent", "class/test-class/taken-parent"] {
        assert_eq!(end_of(&root, link), place, "{link}");
    }
    let below = "devices/taken-parent/left-child";
    assert_eq!(end_of(&root, &format!("{below}/device")), place);
    assert_eq!(end_of(&root, &format!("{path}/device")), Err(Errno::ENOENT), "it is in the root");
    assert_eq!(end_of(&root, &format!("{below}/subsystem")), Ok("/bus/sysfs-test".into()));
    assert_eq!(end_of(&root, &format!("{below}/../driver/taken-parent")), place);
    assert_eq!(end_of(&root, &format!("{below}/driver")), Err(Errno::ENOENT), "it has none");

    drop((child, parent));
    assert_eq!(names(&root, path), Err(Errno::ENOENT));
    assert_eq!(names(&root, "bus/sysfs-test/devices"), Ok(Vec::new()));
    assert_eq!(names(&root, "class/test-class"), Err(Errno::ENOENT));
}

#[base::kernel_test]
fn drivers_are_bound_and_unbound_by_hand() {
    prepare();
    let root = sysfs();
    let _guards = [device(device::root(), "taken-one"), device(device::root(), "left")];
    let driver = "bus/sysfs-test/drivers/test-driver";
    let list = || names(&root, driver).expect("a directory");
    assert_eq!(list(), ["bind", "unbind", "taken-one"]);
    let (bind, unbind) = (format!("{driver}/bind"), format!("{driver}/unbind"));
    assert_eq!(write(&root, &bind, "taken-one"), Err(Errno::EBUSY));
    assert_eq!(write(&root, &unbind, "taken-one\n"), Ok(10));
    assert_eq!(list(), ["bind", "unbind"]);
    assert_eq!(write(&root, &unbind, "taken-one"), Err(Errno::ENODEV));
    assert_eq!(write(&root, &bind, "taken-one\n"), Ok(10));
    assert_eq!(end_of(&root, &format!("{driver}/taken-one")), Ok("/devices/taken-one".into()));
    for name in ["left", "nothing", "", "../taken-one", "\0"] {
        assert_eq!(write(&root, &bind, name), Err(Errno::ENODEV), "{name:?}");
    }
    assert_eq!(open_at(&root, &bind, O_RDONLY).map(|_| ()), Err(Errno::EACCES));
}

#[base::kernel_test]
fn a_device_vanishes_while_its_files_are_open() {
    prepare();
    let root = sysfs();
    let guard = device(device::root(), "vanishes");
    let told = open_at(&root, "devices/vanishes/told", O_RDONLY).expect("a file");
    let value = open_at(&root, "devices/vanishes/value", O_RDWR).expect("a file");
    let directory = open_at(&root, "devices/vanishes", O_RDONLY).expect("a directory");
    assert_eq!(read_open(&told), Ok("vanishes\n".into()));
    drop(guard);
    assert_eq!(told.seek(crate::Seek::Set(0)), Ok(0));
    assert_eq!(read_open(&told), Err(Errno::ENODEV));
    assert_eq!(value.write(&mut Source::Kernel(b"x")), Err(Errno::ENODEV));
    let inside = directory
        .path()
        .map(|path| lookup(&Credentials::ROOT, path, b"told", LastLink::Keep).map(|_| ()));
    assert_eq!(inside, Some(Err(Errno::ENOENT)));
    let entries = directory.entries(&mut |entry| {
        assert!(matches!(entry.name, b"." | b".."));
        ControlFlow::Continue(())
    });
    assert_eq!(entries, Err(Errno::ENOENT));
    // Another one of that name is another one.
    let again = device(device::root(), "vanishes");
    assert_eq!(read(&root, "devices/vanishes/told"), Ok("vanishes\n".into()));
    assert_eq!(told.seek(crate::Seek::Set(0)), Ok(0));
    assert_eq!(read_open(&told), Err(Errno::ENODEV));
    drop(again);
}

#[base::kernel_test]
fn the_kernels_own_objects_are_there() {
    let root = sysfs();
    let online = read(&root, "devices/system/cpu/online").expect("a text");
    assert_eq!(online, format!("{}\n", base::smp::online()));
    assert_eq!(read(&root, "devices/system/cpu/cpu0/online"), Ok("1\n".into()));
    assert_eq!(read(&root, "devices/system/cpu/cpu00/online"), Err(Errno::ENOENT));
    assert_eq!(read(&root, "kernel/address_bits"), Ok("64\n".into()));
    let memory = read(&root, "devices/system/node/node0/meminfo").expect("a text");
    assert!(memory.starts_with("Node 0 MemTotal:"), "{memory}");
    assert!(read(&root, "kernel/mm/frames").expect("a text").contains("\nfree "));
    assert_eq!(read(&root, "kernel/slab/kmalloc-64/object_size"), Ok("64\n".into()));

    let id = task::current().expect("a task").id();
    let path = |file| format!("kernel/tasks/{id}/{file}");
    assert_eq!(read(&root, &path("state")), Ok("runnable\n".into()));
    assert_eq!(write(&root, &path("nice"), "5"), Ok(1));
    assert_eq!(read(&root, &path("nice")), Ok("5\n".into()));
    for bad in ["20", "-21", "", "x", "1 "] {
        assert_eq!(write(&root, &path("nice"), bad), Err(Errno::EINVAL), "{bad:?}");
    }
    assert_eq!(write(&root, &path("cpus_allowed_list"), "0"), Ok(1));
    assert_eq!(read(&root, &path("cpus_allowed_list")), Ok("0\n".into()));
    for bad in ["63", "", "a", "3-1"] {
        assert_eq!(write(&root, &path("cpus_allowed_list"), bad), Err(Errno::EINVAL), "{bad:?}");
    }

    for vector in names(&root, "kernel/irq").expect("a directory") {
        for file in names(&root, &format!("kernel/irq/{vector}")).expect("a directory") {
            assert!(read(&root, &format!("kernel/irq/{vector}/{file}")).is_ok(), "{vector}/{file}");
        }
    }
    for table in names(&root, "firmware/acpi/tables").expect("a directory") {
        let path = format!("firmware/acpi/tables/{table}");
        let file = open_at(&root, &path, O_RDONLY).expect("a table");
        let mut header = [0; 36];
        assert_eq!(file.read(&mut Destination::Kernel(&mut header)), Ok(36), "{table}");
        assert!(header.starts_with(table.get(..4).unwrap_or_default().as_bytes()), "{table}");
        let length = header.get(4..8).and_then(|bytes| bytes.try_into().ok());
        assert_eq!(length.map(u32::from_le_bytes).map(u64::from), Some(file.status().size));
    }
}

#[base::kernel_test]
fn modules_log_as_they_are_told() {
    let root = sysfs();
    let path = "module/fs/parameters/log_level";
    assert_eq!(read(&root, path), Ok("default\n".into()));
    assert_eq!(write(&root, path, "warn\n"), Ok(5));
    assert_eq!(read(&root, path), Ok("warn\n".into()));
    assert!(!modules::is_logged("fs::sysfs", log::Level::Info));
    assert!(modules::is_logged("fs::sysfs", log::Level::Warn));
    for bad in ["loud", "WARN", "", "warn warn", "warn\n\n"] {
        assert_eq!(write(&root, path, bad), Err(Errno::EINVAL), "{bad:?}");
    }
    assert_eq!(write(&root, path, "default"), Ok(7));
    assert_eq!(read(&root, path), Ok("default\n".into()));
    let all = names(&root, "module").expect("a directory");
    assert!(["base", "fs", "process", "basalt"].iter().all(|name| all.iter().any(|it| it == name)));
}

/// Reads what can be read below a directory; how many files. What vanishes meanwhile is left
/// out, any other error counts.
fn read_all(root: &Path, path: &str, depth: usize, wrong: &AtomicUsize) -> usize {
    let mut count = 0;
    let Ok(list) = names(root, path) else { return 0 };
    for name in list {
        let path = format!("{path}/{name}");
        let Ok(found) = lookup(&Credentials::ROOT, root, path.as_bytes(), LastLink::Keep) else {
            continue;
        };
        match found.kind() {
            crate::Kind::Directory if depth > 0 => count += read_all(root, &path, depth - 1, wrong),
            crate::Kind::Regular => match read(root, &path) {
                Ok(_) => count += 1,
                // Gone; not to be read; too long for a page; nothing that could be told.
                Err(Errno::ENOENT | Errno::ENODEV | Errno::ESRCH | Errno::EACCES) => {}
                Err(Errno::EFBIG) if name == "long" => {}
                Err(error) => {
                    log::error!("{path}: {error}");
                    wrong.fetch_add(1, Ordering::Relaxed);
                }
            },
            crate::Kind::Symlink => {
                let _ = lookup(&Credentials::ROOT, root, path.as_bytes(), LastLink::Follow);
            }
            _ => {}
        }
    }
    count
}

#[base::kernel_test]
fn everything_is_read_while_devices_come_and_go() {
    static WRONG: AtomicUsize = AtomicUsize::new(0);
    static READ: AtomicU64 = AtomicU64::new(0);
    prepare();
    let work = |number: u32| {
        let root = sysfs();
        for _ in 0..4 {
            if number == 0 {
                for _ in 0..20 {
                    let parent = device(device::root(), "taken-comes");
                    let child = device(parent.device(), "taken-goes");
                    yield_now();
                    drop((child, parent));
                }
                continue;
            }
            let count = read_all(&root, ".", 8, &WRONG);
            READ.fetch_add(count as u64, Ordering::Relaxed);
        }
    };
    let tasks: Vec<_> = (0..3)
        .map(|number| spawn("reader of sysfs", move || work(number)).expect("memory"))
        .collect();
    tasks.iter().for_each(|task| task.join());
    assert_eq!(WRONG.load(Ordering::Relaxed), 0);
    assert!(READ.load(Ordering::Relaxed) > 300);
}

/// Every interrupt that goes to one CPU goes to another when it is told to; a CPU's own cannot.
#[base::kernel_test]
fn interrupts_are_moved() {
    use base::irq::{self, Source};
    let root = sysfs();
    for info in irq::vectors(base::smp::online()).filter(|info| !info.owners.is_empty()) {
        let path = format!("kernel/irq/{}/smp_affinity_list", info.vector);
        let before = read(&root, &path).expect("it can be read");
        match info.source {
            Source::Local => assert_eq!(write(&root, &path, &before), Err(Errno::EACCES)),
            Source::Pic(_) => {}
            Source::Gsi { .. } | Source::Message => {
                for cpu in base::smp::online().iter() {
                    let text = format!("{cpu}");
                    assert_eq!(write(&root, &path, &text), Ok(text.len()), "{path}: {text}");
                    assert_eq!(irq::cpu_of(info.vector), Some(cpu), "{path}");
                }
                assert_eq!(write(&root, &path, "63"), Err(Errno::EINVAL), "{path}");
                assert_eq!(write(&root, &path, &before), Ok(before.len()), "{path}");
            }
        }
    }
}
