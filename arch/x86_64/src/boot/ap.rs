//! Starting the other CPUs ("application processors"): the page of code that they begin
//! with (`ap_trampoline.S`), and what it needs to know.

use core::arch::global_asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::cpu::control::{self, Cr4};
use crate::paging::{PAGE_SIZE, PhysAddr};

global_asm!(include_str!("ap_trampoline.S"), AP_MAIN = sym ap_main);

unsafe extern "C" {
    static ap_trampoline: u8;
    static ap_trampoline_end: u8;
    static ap_parameters: u8;
    static ap_gdt: u8;
    static ap_long_mode: u8;
    static ap_higher_half: u8;
}

/// Physical addresses at which the page may lie: what real mode reaches, without the
/// first page.
pub const PAGE_RANGE: core::ops::Range<u64> = PAGE_SIZE..0xa_0000;

/// What a CPU begins with.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Page tables, below 4 GiB, that show the trampoline's page at its own address,
    /// executable, beside the kernel half.
    pub first_tables: PhysAddr,
    /// The kernel's page tables.
    pub tables: PhysAddr,
    /// The end of a kernel stack of its own.
    pub stack_top: u64,
    /// Given to the entry function.
    pub argument: u64,
}

/// The words at the end of the page, as `ap_trampoline.S` has them.
#[repr(C)]
struct Parameters {
    gdt_limit: u16,
    gdt_base: [u8; 4],
    padding0: u16,
    far_offset: u32,
    far_segment: u16,
    padding1: u16,
    cr3: u32,
    cr4: u32,
    kernel_cr3: u64,
    stack: u64,
    entry: u64,
    argument: u64,
    ticket: u32,
    padding2: u32,
}
static_assertions::const_assert_eq!(size_of::<Parameters>(), 64);

/// The function that a CPU calls first: on its stack, interrupts off, with the kernel's
/// page tables, no per-CPU area and the trampoline's GDT.
static ENTRY: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// First Rust code of a CPU.
extern "C" fn ap_main(argument: u64) -> ! {
    let entry = ENTRY.load(Ordering::Acquire);
    // SAFETY: `write_trampoline` stored a function of this type before any CPU started.
    let entry: fn(u64) -> ! = unsafe { core::mem::transmute(entry) };
    entry(argument)
}

/// Fills the page with the code and what it needs to know. `entry` is called on the new
/// CPU with `start.argument`.
///
/// # Safety
/// `page` must be a free page of RAM in [`PAGE_RANGE`], which the physical map shows, and
/// stay the caller's until the CPU has called `entry`; no other CPU may be starting with
/// it. The fields of `start` must be what their descriptions say.
pub unsafe fn write_trampoline(page: PhysAddr, start: &Start, entry: fn(u64) -> !) {
    ENTRY.store(entry as *mut (), Ordering::Release);
    let code = &raw const ap_trampoline;
    let bytes = &raw const ap_trampoline_end as usize - code as usize;
    assert!(bytes <= PAGE_SIZE as usize, "the trampoline is longer than a page");
    let offset = |symbol: *const u8| (symbol as usize - code as usize) as u32;
    let base = page.as_u64() as u32;
    // Global pages are switched on later, with the rest of CR4.
    let cr4 = control::read_cr4() & Cr4::PAE;
    let parameters = Parameters {
        gdt_limit: 23,
        gdt_base: (base + offset(&raw const ap_gdt)).to_le_bytes(),
        padding0: 0,
        far_offset: base + offset(&raw const ap_long_mode),
        far_segment: 8,
        padding1: 0,
        cr3: start.first_tables.as_u64() as u32,
        cr4: cr4.bits() as u32,
        kernel_cr3: start.tables.as_u64(),
        stack: start.stack_top,
        entry: &raw const ap_higher_half as u64,
        argument: start.argument,
        ticket: 1,
        padding2: 0,
    };
    let to = page.to_physmap().as_mut_ptr::<u8>();
    // SAFETY: the caller owns the page, and code and parameters fit into it; the
    // parameters are written unaligned.
    unsafe {
        core::ptr::copy_nonoverlapping(code, to, bytes);
        to.add(offset(&raw const ap_parameters) as usize)
            .cast::<Parameters>()
            .write_unaligned(parameters);
    }
}

/// Takes back what [`write_trampoline`] wrote, so that a CPU that comes late stops there.
/// False if one has come: it is on its way to the entry function.
///
/// # Safety
/// `page` must be as [`write_trampoline`] left it, and still the caller's.
pub unsafe fn withdraw_trampoline(page: PhysAddr) -> bool {
    let parameters = &raw const ap_parameters as usize - &raw const ap_trampoline as usize;
    let ticket = page.as_u64() + (parameters + offset_of!(Parameters, ticket)) as u64;
    // SAFETY: the word in the page that CPUs exchange; the trampoline and its parameters are
    // aligned to eight bytes.
    let ticket = unsafe { &*PhysAddr::new(ticket).to_physmap().as_ptr::<AtomicU32>() };
    ticket.swap(0, Ordering::AcqRel) != 0
}
