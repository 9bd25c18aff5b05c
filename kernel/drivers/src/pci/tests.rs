//! Tests with QEMU's devices, where they are there: `edu` (registers, DMA, MSI and INTx; QEMU,
//! `docs/specs/edu.txt`), and the network card `e1000e`, whose five MSI-X messages software
//! can ask for (Intel 82574 data sheet, section 10.2.4).

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use base::irq::{self, Handled};
use base::registers::{ReadOnly, ReadWrite, Reserved, WriteOnly};
use base::{registers, smp, time};
use device::{Bound, Bus, Device, Driver, ProbeError, register_driver};
use memory::dma::DmaPool;
use memory::kernel_space::{IoMem, Registers};
use pci_config::{ConfigSpace, command, offset};

use super::*;

registers! {
    struct Edu: 0xa0 bytes {
        0x00 => identification: ReadOnly<u32>,
        0x04 => liveness: ReadWrite<u32>,
        0x08 => factorial: ReadWrite<u32>,
        0x0c => gap_1: Reserved<0x14>,
        0x20 => status: ReadWrite<u32>,
        0x24 => interrupt_status: ReadOnly<u32>,
        0x28 => gap_2: Reserved<0x38>,
        0x60 => raise: WriteOnly<u32>,
        0x64 => acknowledge: WriteOnly<u32>,
        0x68 => gap_3: Reserved<0x18>,
        0x80 => dma_source: ReadWrite<u64>,
        0x88 => dma_destination: ReadWrite<u64>,
        0x90 => dma_count: ReadWrite<u64>,
        0x98 => dma_command: ReadWrite<u64>,
    }
    struct Network: 0xe8 bytes {
        0x00 => gap_1: Reserved<0xc0>,
        0xc0 => causes: ReadWrite<u32>,
        0xc4 => gap_2: Reserved<4>,
        0xc8 => cause_set: WriteOnly<u32>,
        0xcc => gap_3: Reserved<4>,
        0xd0 => mask_set: ReadWrite<u32>,
        0xd4 => gap_4: Reserved<4>,
        0xd8 => mask_clear: WriteOnly<u32>,
        0xdc => gap_5: Reserved<8>,
        0xe4 => allocation: ReadWrite<u32>,
    }
}

/// Where the device has its own buffer, as its DMA knows it, and commands of the DMA.
const EDU_BUFFER: u64 = 0x4_0000;
const DMA_START: u64 = 1;
const DMA_FROM_DEVICE: u64 = 2;

/// Takes devices for tests alone: what it keeps of one is nothing, the tests take the rest.
struct TestDriver;

/// That no other driver and no other test has the device.
struct Taken;

impl Bound for Taken {}

impl Driver for TestDriver {
    fn name(&self) -> &'static str {
        "test"
    }

    fn bus(&self) -> &'static Bus {
        &BUS
    }

    fn matches(&self, device: &Device) -> bool {
        device.identity().is_some_and(|function: &Function| {
            function.is(0x1234, 0x11e8) || function.is(0x8086, 0x10d3)
        })
    }

    fn probe(&self, _: &Arc<Device>) -> Result<Box<dyn Bound>, ProbeError> {
        Ok(Box::new(Taken))
    }
}

static DRIVER: TestDriver = TestDriver;

/// The functions with this id, each taken for the test.
fn devices(vendor: u16, device: u16) -> impl Iterator<Item = Arc<Device>> {
    if BUS.driver(DRIVER.name()).is_none() {
        register_driver(&DRIVER);
    }
    BUS.devices().into_iter().filter(move |found| {
        found.identity().is_some_and(|function: &Function| function.is(vendor, device))
    })
}

fn function(device: &Device) -> &Function {
    device.identity().expect("it has one")
}

fn command_of(function: &Function) -> u16 {
    function.config().read_u16(offset::COMMAND)
}

fn registers_of<L: registers::RegisterBlock>(memory: &Arc<IoMem>) -> Registers<L> {
    Registers::new(memory, 0).expect("the range is large enough")
}

/// Whether `done` comes within a second.
fn comes(done: impl Fn() -> bool) -> bool {
    let end = time::now_ns() + 1_000_000_000;
    while !done() && time::now_ns() < end {
        task::sleep(100_000);
    }
    done()
}

#[base::kernel_test]
fn a_range_is_had_once_and_given_back() {
    for device in devices(0x1234, 0x11e8) {
        let function = function(&device);
        let bar = function.claim_bar(0).expect("the range is free");
        let edu = registers_of::<Edu>(bar.memory().expect("it is memory"));
        assert_eq!(edu.identification.read() & 0xffff, 0x00ed, "{}", function.address());
        edu.liveness.write(0x1234_5678);
        assert_eq!(edu.liveness.read(), !0x1234_5678);
        assert_eq!(command_of(function) & command::MEMORY, command::MEMORY);
        assert_eq!(function.claim_bar(0).err(), Some(BarClaimError::InUse));
        assert_eq!(function.claim_bar(1).err(), Some(BarClaimError::Absent));
        assert_eq!(function.claim_bar(6).err(), Some(BarClaimError::Absent));
        drop(bar);
        assert_eq!(command_of(function) & command::MEMORY, 0);
        // Whoever keeps the registers reads what nobody answers.
        assert_ne!(edu.liveness.read(), !0x1234_5678);
        drop(function.claim_bar(0).expect("given back"));
    }
}

/// As the firmware may leave it, all on: with the first guard only what is claimed is on, with
/// the last one nothing.
#[base::kernel_test]
fn what_is_not_claimed_is_off() {
    let all = command::IO | command::MEMORY | command::BUS_MASTER;
    for device in devices(0x1234, 0x11e8).chain(devices(0x8086, 0x10d3)) {
        let function = function(&device);
        let before = command_of(function);
        function.0.config.write_u16(offset::COMMAND, before | all);
        let bar = function.claim_bar(0).expect("the range is free");
        assert_eq!(command_of(function) & all, command::MEMORY, "{}", function.address());
        let master = function.enable_bus_master();
        assert_eq!(command_of(function) & all, command::MEMORY | command::BUS_MASTER);
        drop(bar);
        assert_eq!(command_of(function) & all, command::BUS_MASTER);
        drop(master);
        assert_eq!(command_of(function) & all, 0);
    }
}

#[base::kernel_test]
fn a_bus_master_reaches_memory_as_long_as_it_may() {
    static POOL: DmaPool = DmaPool::below(1 << 28);
    for device in devices(0x1234, 0x11e8) {
        let function = function(&device);
        let bar = function.claim_bar(0).expect("the range is free");
        let edu = registers_of::<Edu>(bar.memory().expect("it is memory"));
        let mut buffer = POOL.allocate(64).expect("memory at boot");
        let dma = |source, destination, how| {
            edu.dma_source.write(source);
            edu.dma_destination.write(destination);
            edu.dma_count.write(64);
            edu.dma_command.write(DMA_START | how);
            assert!(comes(|| edu.dma_command.read() & DMA_START == 0), "the DMA ends");
        };
        let address = buffer.address().as_u64();
        assert_eq!(command_of(function) & command::BUS_MASTER, 0);
        let master = function.enable_bus_master();
        buffer.bytes_mut().fill(0xa5);
        dma(address, EDU_BUFFER, 0);
        buffer.bytes_mut().fill(0);
        dma(EDU_BUFFER, address, DMA_FROM_DEVICE);
        assert!(buffer.bytes().iter().all(|&byte| byte == 0xa5));
        drop(master);
        assert_eq!(command_of(function) & command::BUS_MASTER, 0);
        buffer.bytes_mut().fill(0x11);
        dma(EDU_BUFFER, address, DMA_FROM_DEVICE);
        assert!(buffer.bytes().iter().all(|&byte| byte == 0x11), "it writes without leave");
    }
}

/// Has `edu` interrupt in one way, at every CPU.
fn edu_interrupts(kind: InterruptKind) {
    static SEEN: [AtomicU32; 64] = [const { AtomicU32::new(0) }; 64];
    let seen = |cpu: u32| SEEN[cpu as usize].load(Ordering::Acquire);
    for device in devices(0x1234, 0x11e8) {
        SEEN.iter().for_each(|seen| seen.store(0, Ordering::Relaxed));
        let function = function(&device);
        let bar = function.claim_bar(0).expect("the range is free");
        let edu = registers_of::<Edu>(bar.memory().expect("it is memory"));
        let mut handler = |which: Which| {
            assert_eq!((which.index, which.count, which.kind), (0, 1, kind));
            let edu = edu.clone();
            irq::action(move || {
                let status = edu.interrupt_status.read();
                if status == 0 {
                    return Handled::No;
                }
                edu.acknowledge.write(status);
                SEEN[arch::cpu::local::cpu_number() as usize].fetch_add(1, Ordering::Release);
                Handled::Yes
            })
        };
        let interrupts = function
            .interrupts_of(&[kind], "edu", 3, &mut handler)
            .unwrap_or_else(|error| panic!("{}: {error}", function.address()));
        assert_eq!((interrupts.kind(), interrupts.count()), (kind, 1));
        let again = function.interrupts_of(&[kind], "edu", 1, &mut handler).err();
        assert_eq!(again, Some(InterruptError::InUse));
        for cpu in smp::online().iter() {
            if interrupts.set_affinity(0, cpu).is_err() {
                // The 8259A pair reaches one CPU alone.
                assert!(!irq::uses_io_apics() && kind == InterruptKind::Intx && cpu != 0);
                continue;
            }
            assert_eq!(interrupts.cpu(0).unwrap_or(0), cpu);
            let before = seen(cpu);
            edu.raise.write(0x10);
            assert!(comes(|| seen(cpu) > before), "{kind} of {} at CPU {cpu}", function.address());
            assert_eq!((seen(cpu), edu.interrupt_status.read()), (before + 1, 0));
        }
        assert_eq!(interrupts.set_affinity(1, 0), Err(InterruptError::NoSuch));
        let told = device.attribute("interrupts").expect("every function has it");
        let mut text = alloc::string::String::new();
        assert_eq!((told.store(&device, "0 0"), told.show(&device, &mut text)), (Ok(()), Ok(())));
        assert!(text.starts_with(&alloc::format!("0 {kind} vector ")), "{text}");
        assert!(text.ends_with(" cpu 0\n"), "{text}");
        assert_eq!(told.store(&device, "1 0"), Err(abi::Errno::ENOENT));
        for bad in ["", "0", "0 0 0", "0 x", "0 63"] {
            assert_eq!(told.store(&device, bad), Err(abi::Errno::EINVAL), "{bad}");
        }
        drop(interrupts);
        let before: u32 = (0..64).map(seen).sum();
        edu.raise.write(0x20);
        task::sleep(5_000_000);
        assert_eq!((0..64).map(seen).sum::<u32>(), before, "an interrupt after the drop");
        edu.acknowledge.write(0x20);
        assert_eq!(command_of(function) & command::BUS_MASTER, 0);
        assert!(function.vectors().is_empty());
    }
}

#[base::kernel_test]
fn msi_reaches_every_cpu() {
    edu_interrupts(InterruptKind::Msi);
}

#[base::kernel_test]
fn the_pin_reaches_every_cpu() {
    edu_interrupts(InterruptKind::Intx);
}

/// All of them at once, on lines that some share: each handler sees its own device's.
#[base::kernel_test]
fn lines_are_shared() {
    static SEEN: [AtomicU32; 16] = [const { AtomicU32::new(0) }; 16];
    SEEN.iter().for_each(|seen| seen.store(0, Ordering::Relaxed));
    let seen = |index: usize| SEEN[index].load(Ordering::Acquire);
    let all: alloc::vec::Vec<_> = devices(0x1234, 0x11e8).take(SEEN.len()).collect();
    let mut held = alloc::vec::Vec::new();
    for (index, device) in all.iter().enumerate() {
        let bar = function(device).claim_bar(0).expect("the range is free");
        let edu = registers_of::<Edu>(bar.memory().expect("it is memory"));
        let registers = edu.clone();
        let mut handler = |_: Which| {
            let edu = registers.clone();
            irq::action(move || {
                let status = edu.interrupt_status.read();
                if status == 0 {
                    return Handled::No;
                }
                edu.acknowledge.write(status);
                SEEN[index].fetch_add(1, Ordering::Release);
                Handled::Yes
            })
        };
        let interrupts =
            function(device).interrupts_of(&[InterruptKind::Intx], "edu", 1, &mut handler);
        held.push((interrupts.expect("it has a pin"), edu, bar));
    }
    for round in 1..=3 {
        for (index, (_, edu, _)) in held.iter().enumerate() {
            edu.raise.write(1);
            assert!(comes(|| seen(index) == round), "interrupt {round} of device {index}");
        }
    }
    let total: u32 = (0..SEEN.len()).map(seen).sum();
    assert_eq!(total as usize, 3 * held.len(), "a handler took another device's interrupt");
}

/// QEMU's NVMe controller is reset without its driver, and works for it afterwards; functions
/// without such a reset say so.
#[base::kernel_test]
fn a_function_is_as_after_power_on_when_it_was_reset() {
    for device in BUS.devices() {
        let function = function(&device);
        if !function.can_reset() {
            assert_eq!(function.reset(), Err(ResetError::NotOffered));
        } else if function.is(0x1b36, 0x0010) {
            let driver = device.driver();
            if driver.is_some() {
                device.unbind(None).expect("it has a driver");
            }
            reset(function);
            if let Some(driver) = driver {
                device.bind(driver).expect("it works as before");
            }
        }
    }
}

fn reset(function: &Function) {
    let words =
        || -> [u32; 16] { core::array::from_fn(|at| function.config().read(4 * at as u16)) };
    let before = words();
    let master = function.enable_bus_master();
    assert_eq!(function.reset(), Err(ResetError::InUse));
    assert_ne!(command_of(function) & command::BUS_MASTER, 0);
    drop(master);
    assert_eq!(function.reset(), Ok(()), "{}", function.address());
    assert_eq!(words(), before, "{}", function.address());
}

/// As if the firmware had not given a range its place: it gets one, where it works.
#[base::kernel_test]
fn a_range_without_a_place_gets_one() {
    // The network card's is smaller than what VGA has below the first MiB.
    let cards = devices(0x8086, 0x10d3).map(|device| (device, 3));
    for (device, index) in devices(0x1234, 0x11e8).map(|device| (device, 0)).chain(cards) {
        let function = function(&device);
        let before = function.bar(index);
        let BarInfo::Present { kind, size, span: Some(old), .. } = before else {
            panic!("{before:?}");
        };
        // From here on it does not answer at its old place, nor at 0.
        drop(function.claim_bar(index).expect("the range is free"));
        *function.0.bars[index].lock() =
            BarInfo::Present { kind, size, span: None, claimed: false };
        function.0.config.write_u32(bar::register(index), 0);
        match function.claim_bar(index) {
            Ok(bar) => {
                if function.is(0x1234, 0x11e8) {
                    let edu = registers_of::<Edu>(bar.memory().expect("it is memory"));
                    assert_eq!(edu.identification.read() & 0xffff, 0x00ed);
                }
                let first = bar.span().first();
                assert!(first.is_multiple_of(size) && first >= 1 << 20, "{first:#x}");
            }
            // The windows of its bridges may be full, those of its root bus not known.
            Err(BarClaimError::Place(PlaceError::NoRoom | PlaceError::NoWindow)) => {}
            Err(error) => panic!("{}: {error}", function.address()),
        }
        // Back where it was: in nobody's way.
        assert!(bar::move_to(&function.0.config, index, kind, old));
        *function.0.bars[index].lock() = before;
        drop(function.claim_bar(index).expect("its old place is good"));
    }
}

#[base::kernel_test]
fn ranges_in_bad_places_are_refused() {
    for device in devices(0x1234, 0x11e8) {
        let function = function(&device);
        let before = function.bar(0);
        let BarInfo::Present { kind, size, span: Some(old), .. } = before else {
            panic!("{before:?}");
        };
        let claim_at = |first: u64| {
            let span = pci_config::Span::with_size(first, size);
            *function.0.bars[0].lock() = BarInfo::Present { kind, size, span, claimed: false };
            let result = function.claim_bar(0).map(|bar| bar.span());
            *function.0.bars[0].lock() = before;
            result
        };
        // The register itself stays as it is: nothing is decoded anywhere else.
        assert!(matches!(claim_at(0x10_0000), Err(BarClaimError::Place(PlaceError::Ram(_)))));
        let met = BUS.devices().into_iter().find_map(|other| {
            let other = other.identity::<Function>()?;
            let is_next = other.address() != function.address() && other.bridge().is_none();
            match other.bar(0) {
                BarInfo::Present { kind: other_kind, span: Some(span), .. }
                    if is_next && other_kind != pci_config::BarKind::Io =>
                {
                    Some(span)
                }
                _ => None,
            }
        });
        if let Some(met) = met {
            let error = claim_at(met.first() & !(size - 1));
            let refused = matches!(
                error,
                Err(BarClaimError::Place(PlaceError::Meets(..) | PlaceError::Outside(..)))
            );
            assert!(refused, "{error:?}");
        }
        if function.0.parent.is_some() {
            let outside = claim_at(0xd000_0000);
            assert!(matches!(outside, Err(BarClaimError::Place(PlaceError::Outside(..)))));
        }
        assert_eq!(claim_at(old.first()), Ok(old));
    }
}

#[base::kernel_test]
fn msi_x_reaches_every_cpu() {
    static SEEN: [[AtomicU32; 5]; 64] = [const { [const { AtomicU32::new(0) }; 5] }; 64];
    let seen = |cpu: u32, index: usize| SEEN[cpu as usize][index].load(Ordering::Acquire);
    for device in devices(0x8086, 0x10d3) {
        let function = function(&device);
        let bar = function.claim_bar(0).expect("the range is free");
        let network = registers_of::<Network>(bar.memory().expect("it is memory"));
        let handler = |which: Which| {
            irq::action(move || {
                let cpu = arch::cpu::local::cpu_number() as usize;
                SEEN[cpu][which.index].fetch_add(1, Ordering::Release);
                Handled::Yes
            })
        };
        let interrupts = function.interrupts("e1000e", 100, handler).expect("it has some");
        assert_eq!((interrupts.kind(), interrupts.count()), (InterruptKind::MsiX, 5));
        // Cause 20 + n (receive 0 and 1, transmit 0 and 1, others) sends message n.
        network.allocation.write(0x000c_ba98);
        network.mask_set.write(0x1f << 20);
        for (cpu, index) in smp::online().iter().flat_map(|cpu| (0..5).map(move |n| (cpu, n))) {
            interrupts.set_affinity(index, cpu).expect("the CPU runs");
            let before = seen(cpu, index);
            network.causes.write(u32::MAX);
            network.cause_set.write(1 << (20 + index));
            let address = function.address();
            assert!(comes(|| seen(cpu, index) > before), "message {index} of {address} at {cpu}");
        }
        // One that is masked waits.
        let total = |index| smp::online().iter().map(|cpu| seen(cpu, index)).sum::<u32>();
        assert_eq!(interrupts.set_masked(4, true), Ok(()));
        let before = total(4);
        network.causes.write(u32::MAX);
        network.cause_set.write(1 << 24);
        task::sleep(5_000_000);
        assert_eq!(total(4), before, "a masked message came");
        assert_eq!(interrupts.set_masked(4, false), Ok(()));
        assert!(comes(|| total(4) == before + 1), "it does not come when it may");
        assert_eq!(interrupts.set_masked(5, false), Err(InterruptError::NoSuch));
        network.mask_clear.write(u32::MAX);
    }
}

#[base::kernel_test]
fn functions_are_quiet_until_somebody_has_them() {
    for device in BUS.devices() {
        let function = function(&device);
        let class = function.identity().class >> 16;
        if device.driver().is_none() && !matches!(class, 5 | 6 | 8) {
            let register = command_of(function);
            let quiet =
                register & command::BUS_MASTER == 0 && register & command::INTX_DISABLE != 0;
            assert!(quiet, "{}: {register:#x}", function.address());
        }
    }
}
