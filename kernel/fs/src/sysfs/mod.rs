//! sysfs (sysfs(5)): the tree of devices, and the kernel's own objects, each a directory with
//! small files. What Linux has is called as there, as far as it is here; files and directories of
//! Basalt's own are named where they are made. Of the directory of a device Linux's `power` is
//! missing, of that of a disk `holders`, `slaves`, `mq`, `integrity` and `trace`.
//!
//! | file | where |
//! |---|---|
//! | `devices.rs` | `/sys/devices`: the tree of `kernel/device`, with attributes and links |
//! | `attribute.rs`, `group.rs` | an attribute of a device, and a directory with several |
//! | `uevent.rs` | `uevent` of a device |
//! | `bus.rs`, `driver.rs` | `/sys/bus/NAME`, and its drivers with `bind` and `unbind` |
//! | `class.rs` | `/sys/class/NAME` |
//! | `block.rs` | `/sys/block`, `/sys/dev/block` |
//! | `cpu.rs` | `/sys/devices/system/cpu` |
//! | `node.rs` | `/sys/devices/system/node`: the memory |
//! | `mm.rs`, `slab.rs` | `/sys/kernel/mm`, `/sys/kernel/slab`: what memory is used for |
//! | `irq.rs` | `/sys/kernel/irq/N` |
//! | `tasks.rs` | `/sys/kernel/tasks/N` |
//! | `module.rs` | `/sys/module/NAME`: the kernel's crates, and what each logs |
//! | `acpi.rs` | `/sys/firmware/acpi/tables` |
//! | `link.rs`, `keys.rs` | what several of them need |
//!
//! Other floors add what they have to [`root`] or the folders below it ([`kernel`]).

mod acpi;
mod attribute;
mod block;
mod bus;
mod class;
mod cpu;
mod devices;
mod driver;
mod group;
mod irq;
mod keys;
mod link;
mod mm;
mod module;
mod node;
mod slab;
mod tasks;
#[cfg(not(test))]
mod tests;
mod uevent;

use alloc::sync::Arc;

use spin::Once;

use crate::pseudo::{Folder, Manners, Node, PseudoKind};
use crate::vfs::register;

static KIND: PseudoKind = PseudoKind::new("sysfs", "/sys", Manners::Sys, root);

/// The root directory, to which any floor may add.
pub fn root() -> &'static Arc<Folder> {
    static ROOT: Once<Arc<Folder>> = Once::new();
    ROOT.call_once(|| Folder::with_mode(0o555))
}

/// `/sys/kernel`, to which any floor may add.
pub fn kernel() -> &'static Arc<Folder> {
    static KERNEL: Once<Arc<Folder>> = Once::new();
    KERNEL.call_once(Folder::new)
}

/// Makes the file system known, with what this floor has of it. Call once.
pub(crate) fn init() {
    let root = root();
    root.put("block", Node::Directory(Arc::new(block::Disks)));
    root.put("bus", Node::Directory(Arc::new(bus::Buses)));
    root.put("class", Node::Directory(Arc::new(class::Classes)));
    root.put_folder("dev").put("block", Node::Directory(Arc::new(block::Numbers)));
    let devices = root.put_folder("devices");
    let system = devices.put_folder("system");
    cpu::add(&system.put_folder("cpu"));
    node::add(&system.put_folder("node"));
    devices.compute(Arc::new(devices::Top));
    let tables = root.put_folder("firmware").put_folder("acpi").put_folder("tables");
    acpi::add(&tables);
    root.put("kernel", Node::folder(kernel()));
    root.put("module", Node::Directory(Arc::new(module::Modules)));

    let kernel = kernel();
    kernel.put("address_bits", Node::text(|to| to.push(b"64\n")));
    kernel.put("cpu_byteorder", Node::text(|to| to.push(b"little\n")));
    kernel.put("irq", Node::Directory(Arc::new(irq::Vectors)));
    mm::add(&kernel.put_folder("mm"));
    kernel.put("slab", Node::Directory(Arc::new(slab::Classes)));
    kernel.put("tasks", Node::Directory(Arc::new(tasks::Tasks)));
    register(&KIND);
}
