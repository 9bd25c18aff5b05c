//! From GRUB to Rust: the Multiboot2 header, the 32-bit entry and the step into
//! long mode, all in assembly (`header.S`, `long_mode.S`); [`ap`] starts the other CPUs.
//!
//! The binary crate defines `extern "C" fn kernel_entry(information: u64) -> !`,
//! which long_mode.S calls on the boot stack, with the first 4 GiB of physical
//! memory visible at [`PHYSMAP_BASE`](crate::paging::PHYSMAP_BASE) and the kernel
//! image at its linked address.

pub mod ap;

use core::arch::global_asm;

use crate::paging::{PhysAddr, VirtAddr};

global_asm!(include_str!("header.S"));
global_asm!(include_str!("long_mode.S"));

/// Bytes of physical memory that the boot page tables map, from address 0.
pub const BOOT_MAPPED_BYTES: u64 = 4 << 30;

unsafe extern "C" {
    static __image_start_phys: u8;
    static __image_end_phys: u8;
    static __text_start: u8;
    static __text_end: u8;
    static __rodata_start: u8;
    static __rodata_end: u8;
    static __data_start: u8;
    static __data_end: u8;
    static __boot_stack_guard: u8;
    static __boot_stack_bottom: u8;
    static __boot_stack_top: u8;
}

/// The kernel image, as the linker laid it out. All bounds are page-aligned.
#[derive(Clone, Copy, Debug)]
pub struct ImageLayout {
    /// Physical bytes `[start, end)` that the image takes, boot part included.
    pub physical: (PhysAddr, PhysAddr),
    /// Kernel code, to be mapped r-x.
    pub text: (VirtAddr, VirtAddr),
    /// Constants and tables, to be mapped r--.
    pub rodata: (VirtAddr, VirtAddr),
    /// Variables and the boot stack, to be mapped rw-.
    pub data: (VirtAddr, VirtAddr),
    /// The one page inside `data` that stays unmapped, below the boot stack.
    pub boot_stack_guard: VirtAddr,
    /// The boot stack, `[bottom, top)`.
    pub boot_stack: (VirtAddr, VirtAddr),
}

/// The layout of the running kernel image.
pub fn image_layout() -> ImageLayout {
    let address = |symbol: *const u8| VirtAddr::new(symbol as u64);
    let physical = |symbol: *const u8| PhysAddr::new(symbol as u64);
    ImageLayout {
        physical: (physical(&raw const __image_start_phys), physical(&raw const __image_end_phys)),
        text: (address(&raw const __text_start), address(&raw const __text_end)),
        rodata: (address(&raw const __rodata_start), address(&raw const __rodata_end)),
        data: (address(&raw const __data_start), address(&raw const __data_end)),
        boot_stack_guard: address(&raw const __boot_stack_guard),
        boot_stack: (address(&raw const __boot_stack_bottom), address(&raw const __boot_stack_top)),
    }
}
