//! The commands, one file for each family. The table that lists them is `../table.rs`.

pub(super) mod acpi;
pub(super) mod block;
mod block_cost;
mod block_overwrite;
pub(super) mod boot_info;
pub(super) mod change_files;
pub(super) mod crash;
pub(super) mod devices;
pub(super) mod exec;
pub(super) mod files;
pub(super) mod help;
pub(super) mod irqs;
pub(super) mod locks;
pub(super) mod log;
pub(super) mod memory;
pub(super) mod mounts;
pub(super) mod page_table;
pub(super) mod pci;
pub(super) mod port;
pub(super) mod power;
pub(super) mod tasks;
pub(super) mod test;
pub(super) mod timer;
pub(super) mod tools;
pub(super) mod virtio;
