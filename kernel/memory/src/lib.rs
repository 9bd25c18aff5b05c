//! Floor 3: memory.
//!
//! Physical frames ([`frames`]), the kernel heap ([`heap`]), the kernel's address space
//! with device memory and kernel stacks ([`kernel_space`]), what CPUs are told when a mapping
//! goes ([`shootdown`]), memory for devices ([`dma`]), what is done when memory is out
//! ([`reclaim`]), the firmware's ACPI tables ([`firmware`]), and safe doors to user memory
//! ([`user`]).
//!
//! Start-up, in order, all from the boot CPU with interrupts off:
//!
//! 1. [`boot_data::start`] reads the loader's information and starts the frame allocator
//!    (and with it the heap) with its memory map.
//! 2. [`kernel_space::init`] builds the kernel's page tables and leaves the boot ones.
//! 3. [`install_boot_cpu_area`] gives the CPU its copy of the per-CPU variables.
#![no_std]

extern crate alloc;

base::module!();

pub mod boot_data;
pub mod crash;
pub mod dma;
pub mod firmware;
pub mod frames;
pub mod heap;
pub mod kernel_space;
pub mod reclaim;
pub mod shootdown;
pub mod user;

use core::fmt;

use arch::cpu::local;
use arch::paging::PAGE_SIZE;

/// No memory left, or not for this purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of memory")
    }
}

impl core::error::Error for OutOfMemory {}

impl From<OutOfMemory> for abi::Errno {
    fn from(_: OutOfMemory) -> Self {
        Self::ENOMEM
    }
}

/// Gives CPU `cpu` its copy of the per-CPU variables, for it to adopt.
///
/// # Errors
/// [`OutOfMemory`], also for a CPU number that is too large or has a copy.
pub fn prepare_cpu_area(cpu: u32) -> Result<(), OutOfMemory> {
    if cpu as usize >= local::MAX_CPUS || local::offset_of_cpu(cpu).is_some() {
        return Err(OutOfMemory);
    }
    let pages = local::area_bytes().div_ceil(PAGE_SIZE as usize);
    let area = frames::FrameRun::allocate(pages, 1, frames::FrameUse::PerCpu)?.leak();
    // SAFETY: the frames are ours for good, page-aligned, in the physical map (kernel
    // half), and as many as the area needs. The boot CPU is the first to get a copy, with
    // interrupts off until it has adopted it, so the template does not change any more.
    unsafe { local::prepare_area(area.to_physmap().as_mut_ptr(), cpu) };
    Ok(())
}

/// Gives the boot CPU its own copy of the per-CPU variables. Interrupts must be off, and
/// GDT and TSS loaded again afterwards, since they are among the variables.
///
/// # Errors
/// [`OutOfMemory`].
pub fn install_boot_cpu_area() -> Result<(), OutOfMemory> {
    prepare_cpu_area(0)?;
    // SAFETY: prepared just now; per-CPU references do not outlive a guard, and the
    // caller keeps interrupts off.
    unsafe { local::adopt_area(0) };
    frames::use_caches();
    reclaim::register("the heap", reclaim::Kind::Anywhere, heap::shrink);
    reclaim::register("kernel stacks", reclaim::Kind::Anywhere, kernel_space::stack::shrink);
    Ok(())
}
