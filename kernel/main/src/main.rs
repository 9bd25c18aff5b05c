//! tmp
#![no_std]
#![no_main]
#![forbid(unsafe_code)]
extern crate alloc;
use base::entry::LoaderInformation;
base::entry!(main);
fn main(l: LoaderInformation) -> ! {
    base::time::start();
    base::log_sink::init();
    let _ = drivers::serial::init_output();
    arch::trap::build_idt();
    base::trap::init();
    arch::cpu::tables::load();
    arch::trap::load();
    let f = arch::cpu::features();
    arch::cpu::init(&f);
    let r = base::time::init();
    log::info!("hello {r:?} {}", base::time::tsc_rate());
    base::exit::set_exit_on_panic(true);
    let data = memory::boot_data::start(l).unwrap();
    log::info!("{data:#?}");
    memory::kernel_space::init(&f).unwrap();
    log::info!("own tables");
    memory::install_cpu_area(0).unwrap();
    arch::cpu::tables::load();
    log::info!("cpu area");
    base::irq::init();
    task::ktest::init();
    task::init();
    task::timer::init().unwrap();
    drivers::serial::init_input().unwrap();
    task::spawn("init", move || init(data)).unwrap();
    task::become_idle()
}
fn init(_d: memory::boot_data::BootData) {
    log::info!("init");
    let mut failed = 0;
    for t in base::ktest::all() {
        match task::ktest::run(t) { Ok(()) => log::info!("ok {}", t.name), Err(e) => { failed += 1; log::error!("FAIL {}: {e}", t.name) } }
    }
    log::info!("stats {:?}", memory::frames::statistics());
    base::exit::exit(failed);
}
