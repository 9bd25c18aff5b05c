//! Floor 12: the kernel binary.
//!
//! The boot story, from the first Rust function to the shell, in order: [`boot`] on the
//! boot stack with interrupts off, then [`start`] in a task of its own. The shell is in
//! `shell/`, the kernel command line in `settings.rs`, what is mounted at boot in `mounting.rs`, what is said
//! at boot in `banner.rs`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod banner;
mod mounting;
mod settings;
mod shell;

use alloc::boxed::Box;

use base::entry::LoaderInformation;
use base::initcall::Stage;
use drivers::random::SeedSource;
use memory::boot_data::{BootData, BootMemory};
use settings::Settings;

base::entry!(boot);
base::module!();

/// The boot CPU comes here from `long_mode.S`: on the boot stack, interrupts off, with the
/// boot code's page tables, which show the image and the first 4 GiB. It becomes the idle
/// task.
fn boot(loader: LoaderInformation) -> ! {
    // Time zero, and a log that can be read: all it needs is the serial port.
    base::time::start();
    base::log_sink::init();
    let serial = drivers::serial::init_output();

    // From here on a fault is a report and not a reset: our own descriptor tables, and
    // handlers for all 256 vectors.
    arch::trap::build_idt();
    base::trap::init();
    arch::cpu::tables::load();
    arch::trap::load();

    // What the CPU has to protect the kernel with. Before the kernel's own page tables,
    // since it may have to patch the text.
    let features = arch::cpu::features();
    arch::cpu::init_boot(&features);

    // What the loader says: the memory map starts the frame allocator and the heap; the
    // symbol table makes backtraces readable; the command line sets the log's level.
    let mut data = match memory::boot_data::start(loader) {
        // Some kilobytes, which no stack is to hold.
        Ok(data) => Box::new(data),
        Err(error) => panic!("{error}"),
    };
    let symbols = data.symbols.as_mut().and_then(BootMemory::take);
    let symbols = symbols.map(|symbols| base::symbols::install(symbols.leak()));
    let settings = Settings::parse(data.command_line);
    base::exit::set_exit_on_panic(settings.has_commands());
    settings.apply();

    // The clock, first of what can be missing in a machine; the HPET may still help. From
    // here on a report has names, and ends a run that was given commands.
    if let Err(error) = base::time::init() {
        log::warn!("{error}");
    }
    banner::log_machine(&data, &features);
    match symbols {
        Some(Ok(())) => {}
        Some(Err(error)) => log::warn!("the symbol table cannot be used: {error}"),
        None => log::warn!("the image has no symbol table; backtraces are numbers"),
    }
    if let Err(error) = serial {
        log::warn!("no serial console: {error}");
    }

    // The kernel's own page tables: text r-x, rodata r--, data rw-, no identity map.
    if let Err(error) = memory::kernel_space::init(&features) {
        panic!("no memory for the kernel's page tables: {error}");
    }
    banner::log_protections();

    // This CPU's copy of the per-CPU variables; GDT and TSS are among them.
    if let Err(error) = memory::install_boot_cpu_area() {
        panic!("no memory for the per-CPU variables: {error}");
    }
    arch::cpu::tables::load();

    // What the firmware's tables say of the machine: CPUs, interrupt controllers, timers.
    let platform = drivers::acpi::init(&data);
    banner::log_platform(platform);
    if platform.avoid_x2apic {
        log::info!("ACPI: the firmware asks not to use x2APIC mode");
        arch::irqchip::lapic::avoid_x2apic();
    }

    // The clock again, and for good: checked against the HPET and the 8254, or the HPET.
    match base::time::choice::choose(drivers::acpi::start_hpet(platform)) {
        Ok(report) => {
            if report.is_guest {
                // The host takes CPUs away in the middle of everything.
                base::sync::statistics::set_hold_limit(1_000_000_000);
            }
            banner::log_clock(report);
        }
        Err(_) => panic!("no clock: nothing tells the TSC's rate, and there is no HPET"),
    }

    // Interrupts: all lines masked until a driver claims one. Tasks; this code is the
    // first. The timer interrupts when something is due.
    if let Err(error) = base::irq::init() {
        panic!("no interrupts: {error}");
    }
    match drivers::acpi::use_io_apics(platform) {
        0 => log::info!("interrupts: through the 8259A pair"),
        1 => log::info!("interrupts: through the I/O APIC"),
        count => log::info!("interrupts: through {count} I/O APICs"),
    }
    task::ktest::init();
    task::init();
    if let Err(error) = task::timer::init() {
        panic!("no timer: {error:?}");
    }
    base::irq::init_local_pins();
    log::info!("timer: local APIC at {} Hz", task::timer::rate());

    // What CPUs ask each other, also when there is only one.
    memory::shootdown::init();
    if let Err(error) = base::smp::init() {
        panic!("no vector for requests between CPUs: {error}");
    }

    // The rest of the story may sleep. From the first switch on interrupts are on.
    if let Err(error) = task::spawn("shell", move || start(data, settings)) {
        panic!("no memory for the first task: {error}");
    }
    task::become_idle()
}

/// The second half of the story, in the task that becomes the shell.
///
/// The steps are functions of their own, not parts of this one: its frame stays on the stack
/// as long as the shell runs, and below that of the devices' drivers, which need much.
fn start(mut data: Box<BootData>, settings: Settings) {
    start_cpus();
    find_devices();
    start_programs(&mut data, &settings);
    shell::run(data, settings.commands())
}

/// The other CPUs, and the tasks that do deferred work.
#[inline(never)]
fn start_cpus() {
    let usable = drivers::acpi::platform().cpus.iter().filter(|cpu| cpu.usable);
    let cpus = task::smp::start(usable.map(|cpu| cpu.apic_id));
    match cpus {
        1 => log::info!("smp: 1 CPU runs"),
        cpus => log::info!("smp: {cpus} CPUs run"),
    }
    if let Err(error) = task::work::init() {
        log::error!("no memory for the tasks that do deferred work: {error}");
    }
}

/// Devices: drivers make themselves known, and buses look for devices.
#[inline(never)]
fn find_devices() {
    for stage in [Stage::Buses, Stage::Drivers, Stage::Devices] {
        base::initcall::run(stage);
    }
    for (device, what) in device::binding::deferred() {
        log::warn!("{device}: no driver yet, it waits for {what}");
    }
}

/// Input, time, random numbers, files, and what programs need.
#[inline(never)]
fn start_programs(data: &mut BootData, settings: &Settings) {
    match drivers::serial::init_input() {
        Ok(()) => base::exit::announce_input(),
        Err(error) => log::error!("no input from the serial line: {error}"),
    }

    match drivers::rtc::init() {
        Ok(seconds) => log::info!("rtc: {seconds} s since 1970"),
        Err(error) => log::warn!("no real-time clock: {error}; it is 1970"),
    }
    if drivers::random::init() == SeedSource::Jitter {
        log::warn!("random: no RDRAND, seeded from the clock's jitter alone");
    }

    // The file tree, from the first module that the loader brought.
    mount_initramfs(data);

    // User programs: their system calls, faults and signals.
    syscall::init();
    if let Err(error) = process::init() {
        log::error!("no task for ^C: {error}");
    }
    mounting::mount_at_boot(settings);
}

fn mount_initramfs(data: &mut BootData) {
    if let Err(error) = fs::init() {
        return log::error!("files: {error}; there are none");
    }
    fs::procfs::set_command_line(data.command_line.unwrap_or_default());
    let archive = data.modules.first_mut().and_then(|module| module.memory.take());
    if archive.is_none() {
        log::warn!("the loader brought no initramfs: there are no files");
    }
    match fs::mount_initramfs(archive.as_deref().unwrap_or_default()) {
        Ok(contents) => log::info!(
            "initramfs: {} inodes, {} bytes of contents",
            contents.inodes,
            contents.bytes
        ),
        Err(error) => log::error!("initramfs: {}; there are no files", error.description()),
    }
}
