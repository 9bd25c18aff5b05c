//! Per-CPU data: a linker section `.percpu` is the template, each CPU runs on its own
//! copy, and GS holds the distance from the template to the copy.
//!
//! A per-CPU variable is a `static` in that section; its address plus [`offset`] is
//! this CPU's instance. Until [`adopt_area`] has run, GS is 0 and the template
//! itself is the instance of the boot CPU, so per-CPU data works from the first
//! instruction. Floor 2 wraps this in a macro and a type that keeps preemption off;
//! here are only the few words that assembly needs ([`CpuLocal`]).

use core::arch::asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::msr;

/// Most CPUs that the kernel runs on; further ones are left alone.
pub const MAX_CPUS: usize = 64;

/// Where each CPU's area is: its distance from the template plus [`PREPARED`]; 0 for none.
static AREAS: [AtomicUsize; MAX_CPUS] = [const { AtomicUsize::new(0) }; MAX_CPUS];

/// Set beside the distance, which is a multiple of 64.
const PREPARED: usize = 1;

/// What the entry assembly keeps per CPU.
#[repr(C, align(64))]
pub struct CpuLocal {
    /// Distance from the template to this CPU's area: the value of GS.
    pub(crate) offset: usize,
    /// Top of the kernel stack of the current thread: where `syscall` and the moves
    /// off an IST stack go.
    pub(crate) kernel_stack_top: u64,
    /// User RSP during the first instructions of a system call.
    pub(crate) scratch: u64,
    /// The current thread's word of pending work; not zero: look before going back
    /// to user mode.
    pub(crate) pending: *const AtomicU32,
    /// The current thread, as floor 4 knows it.
    pub(crate) current: *const (),
    /// Number of this CPU, from 0.
    pub(crate) cpu: u32,
    /// Not zero: no preemption. Counted by floor 2.
    pub(crate) preempt_count: u32,
}

/// Stands in as pending word when no thread is current.
static NO_PENDING: AtomicU32 = AtomicU32::new(0);

#[unsafe(link_section = ".percpu")]
pub(crate) static mut CPU_LOCAL: CpuLocal = CpuLocal {
    offset: 0,
    kernel_stack_top: 0,
    scratch: 0,
    pending: &raw const NO_PENDING,
    current: core::ptr::null(),
    cpu: 0,
    preempt_count: 0,
};

unsafe extern "C" {
    static __percpu_start: u8;
    static __percpu_end: u8;
}

macro_rules! load {
    ($field:ident, $size:literal, $type:ty) => {{
        let value: $type;
        // SAFETY: GS leads to this CPU's area (or the template); the field is only
        // written on this CPU.
        unsafe {
            asm!(concat!("mov {value", $size, "}, gs:[{base} + {field}]"), value = out(reg) value,
                base = sym CPU_LOCAL, field = const offset_of!(CpuLocal, $field),
                options(nostack, preserves_flags, readonly));
        }
        value
    }};
}

macro_rules! store {
    ($field:ident, $size:literal, $value:expr) => {
        // SAFETY: as `load`; one instruction, so an interrupt sees it whole.
        unsafe {
            asm!(concat!("mov gs:[{base} + {field}], {value", $size, "}"), value = in(reg) $value,
                base = sym CPU_LOCAL, field = const offset_of!(CpuLocal, $field),
                options(nostack, preserves_flags));
        }
    };
}

/// Distance in bytes from a per-CPU variable's template to this CPU's instance. It is
/// this CPU's only as long as the caller cannot be moved to another one.
#[inline(always)]
pub fn offset() -> usize {
    load!(offset, "", usize)
}

/// Number of this CPU, from 0. May be stale at once if the caller can be preempted.
#[inline(always)]
pub fn cpu_number() -> u32 {
    load!(cpu, ":e", u32)
}

/// The current thread as [`set_current`] stored it; null before the first thread.
#[inline(always)]
pub fn current() -> *const () {
    load!(current, "", *const ())
}

/// Tells the entry code which thread runs: its kernel stack, its word of pending work
/// and the pointer that [`current`] returns.
///
/// # Safety
/// Interrupts must be off. Stack and word must live until the next call on this CPU;
/// `stack_top` must be 16-byte aligned and the end of a mapped stack on which no
/// frame is live when user mode is entered.
pub unsafe fn set_current(thread: *const (), stack_top: u64, pending: *const AtomicU32) {
    store!(current, "", thread);
    store!(kernel_stack_top, "", stack_top);
    store!(pending, "", pending);
}

/// This CPU's count of reasons not to preempt.
#[inline(always)]
pub fn preempt_count() -> u32 {
    load!(preempt_count, ":e", u32)
}

/// Adds one to the count, in one instruction.
#[inline(always)]
pub fn preempt_count_increment() {
    // SAFETY: GS leads to this CPU's area; one instruction, so no interrupt and no
    // move to another CPU comes between reading and writing.
    unsafe {
        asm!("inc dword ptr gs:[{base} + {field}]", base = sym CPU_LOCAL,
            field = const offset_of!(CpuLocal, preempt_count), options(nostack));
    }
}

/// Takes one from the count, in one instruction, and says whether it is zero now.
#[inline(always)]
pub fn preempt_count_decrement() -> bool {
    // SAFETY: as `preempt_count_increment`; the jump goes to the block below or on.
    unsafe {
        asm!("dec dword ptr gs:[{base} + {field}]", "jnz {more}", base = sym CPU_LOCAL,
            field = const offset_of!(CpuLocal, preempt_count), more = label { return false },
            options(nostack));
    }
    true
}

/// Sets the count: for the scheduler, which carries it from thread to thread.
#[inline(always)]
pub fn set_preempt_count(count: u32) {
    store!(preempt_count, ":e", count);
}

/// Bytes that one CPU's area takes.
pub fn area_bytes() -> usize {
    (&raw const __percpu_end as usize) - (&raw const __percpu_start as usize)
}

/// Distance in bytes from a per-CPU variable's template to the instance of CPU `cpu`;
/// `None` if it has no area yet.
pub fn offset_of_cpu(cpu: u32) -> Option<usize> {
    let area = AREAS.get(cpu as usize)?.load(Ordering::Acquire);
    (area & PREPARED != 0).then_some(area & !PREPARED)
}

/// Copies the template to `area`, the area of CPU `cpu`, which [`adopt_area`] then makes
/// its own.
///
/// # Safety
/// `area` must be [`area_bytes`] long, 64-byte aligned, in the kernel half and never
/// freed; `cpu` below [`MAX_CPUS`] and not prepared before. Nothing may write to the
/// template meanwhile: the boot CPU runs on it until it has an area itself.
pub unsafe fn prepare_area(area: *mut u8, cpu: u32) {
    let template = &raw const __percpu_start;
    let distance = (area as usize).wrapping_sub(template as usize);
    let own = (&raw const CPU_LOCAL).wrapping_byte_add(distance).cast_mut();
    // SAFETY: both ranges are `area_bytes` long, and the caller owns `area`; `own` lies in
    // it where CPU_LOCAL lies in the template.
    unsafe {
        core::ptr::copy_nonoverlapping(template, area, area_bytes());
        (*own).offset = distance;
        (*own).cpu = cpu;
    }
    AREAS[cpu as usize].store(distance | PREPARED, Ordering::Release);
}

/// Makes the area of CPU `cpu` this CPU's.
///
/// # Safety
/// [`prepare_area`] has prepared it, and no other CPU has adopted it. Interrupts must be
/// off, and nothing may hold a reference into the instance that this CPU used before.
pub unsafe fn adopt_area(cpu: u32) {
    let distance = AREAS[cpu as usize].load(Ordering::Acquire) & !PREPARED;
    // SAFETY: GS_BASE exists in long mode; from now on `gs:` means the prepared copy.
    // KERNEL_GS_BASE holds the user's base, zero at first.
    unsafe {
        msr::write(msr::GS_BASE, distance as u64);
        msr::write(msr::KERNEL_GS_BASE, 0);
    }
}

/// The current thread's word of pending work.
#[inline(always)]
pub fn pending() -> u32 {
    let word: *const AtomicU32 = load!(pending, "", *const AtomicU32);
    // SAFETY: `set_current`'s caller keeps the word alive until the next call on this
    // CPU. If the caller is moved to another CPU between the two loads, the word is
    // still that of a live thread: its own.
    unsafe { (*word).load(core::sync::atomic::Ordering::Relaxed) }
}

/// Sets bits of the running thread's word of pending work.
pub fn set_pending(bits: u32) {
    let word: *const AtomicU32 = load!(pending, "", *const AtomicU32);
    // SAFETY: as for `pending`.
    unsafe { (*word).fetch_or(bits, core::sync::atomic::Ordering::Relaxed) };
}
