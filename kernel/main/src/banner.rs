//! What is said at boot: the machine, in a few lines of the log.

use alloc::string::String;
use alloc::vec::Vec;

use arch::cpu::control::{self, Cr0, Cr4};
use arch::cpu::{Features, features};
use base::time::choice::{ClockSource, Report};
use drivers::acpi::Platform;
use memory::boot_data::BootData;
use memory::frames::{self, RegionKind};

use crate::shell::{Count, Size};

/// Name and version of the kernel.
pub(crate) const VERSION: &str = concat!("Basalt ", env!("CARGO_PKG_VERSION"));
/// How it was built.
pub(crate) const BUILD: &str = if cfg!(debug_assertions) { "debug" } else { "release" };

/// The CPU's name.
pub(crate) fn cpu_brand() -> String {
    let (text, length) = features::brand();
    let brand = String::from_utf8_lossy(text.get(..length).unwrap_or(&[]));
    let brand = brand.split_whitespace().collect::<Vec<_>>().join(" ");
    if brand.is_empty() { "x86_64 CPU without a name".into() } else { brand }
}

/// What of the features that the kernel looks at the CPU has.
pub(crate) fn cpu_features(features: &Features) -> String {
    let all = [
        ("1g-pages", features.giant_pages),
        ("smep", features.smep),
        ("smap", features.smap),
        ("umip", features.umip),
        ("xsave", features.xsave),
        ("xsaveopt", features.xsaveopt),
        ("x2apic", features.x2apic),
        ("invariant-tsc", features.invariant_tsc),
        ("rdrand", features.rdrand),
    ];
    let has: Vec<&str> = all.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect();
    if has.is_empty() { "none".into() } else { has.join(" ") }
}

/// The protections of page tables that are switched on.
pub(crate) fn protections() -> String {
    let (cr0, cr4) = (control::read_cr0(), control::read_cr4());
    let all = [
        ("no-execute", true), // the boot code does not go on without it
        ("write-protect", cr0.contains(Cr0::WRITE_PROTECT)),
        ("smep", cr4.contains(Cr4::SMEP)),
        ("smap", cr4.contains(Cr4::SMAP)),
        ("umip", cr4.contains(Cr4::UMIP)),
    ];
    let on: Vec<&str> = all.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
    on.join(" ")
}

/// Bytes of RAM in the loader's map.
pub(crate) fn ram_bytes() -> u64 {
    let mut bytes = 0;
    frames::regions(|region| {
        if region.kind == RegionKind::Usable {
            bytes += region.end - region.start;
        }
    });
    bytes
}

/// The command line as the user wrote it.
pub(crate) fn command_line(data: &BootData) -> String {
    let line = boot_args::unquote(data.command_line.unwrap_or(""));
    if line.trim().is_empty() { "none".into() } else { line.trim().into() }
}

/// Logs what the kernel is and what it runs on.
pub(crate) fn log_machine(data: &BootData, features: &Features) {
    let loader = if data.loader.is_empty() { "an unnamed loader" } else { &data.loader };
    log::info!("{VERSION} ({BUILD} build), started by {loader}");
    log::info!("command line: {}", command_line(data));
    log::info!("CPU: {}; has {}", cpu_brand(), cpu_features(features));
    let clock = base::time::source();
    if let Some(source) = clock {
        log::info!("clock: TSC at {} Hz, {source}", base::time::tsc_rate());
    }
    let free = frames::statistics().free as u64 * arch::paging::PAGE_SIZE;
    log::info!("memory: {} RAM, {} free", Size(ram_bytes()), Size(free));
}

/// Logs how the kernel's own page tables protect it.
pub(crate) fn log_protections() {
    log::info!("page tables: image W^X, identity map gone; on: {}", protections());
}

/// Logs what the ACPI tables say of the machine.
pub(crate) fn log_platform(platform: &Platform) {
    let usable = platform.cpus.iter().filter(|cpu| cpu.usable).count();
    let io_apics = platform.madt.as_ref().map_or(0, |madt| madt.io_apics.len());
    let has = |there: bool| if there { "yes" } else { "no" };
    log::info!(
        "ACPI: {usable} CPUs usable of {}, {}, HPET: {}, PCI Express: {}",
        platform.cpus.len(),
        Count(io_apics as u64, "I/O APIC"),
        has(platform.hpet.is_some()),
        has(!platform.pci.is_empty())
    );
}

/// Logs what the clock is.
pub(crate) fn log_clock(report: &Report) {
    match (report.source, report.deviation_ppm) {
        (ClockSource::Tsc, Some(_)) => {
            log::info!("clock: TSC at {} Hz, on which two sources agree", base::time::tsc_rate())
        }
        (source, _) => log::info!("clock: {source}"),
    }
}
