//! GDT and TSS of a CPU, and loading them (Intel SDM volume 3, sections 3.5 and 8.7).
//!
//! The selectors are Linux's, since user programs see theirs in signal frames.

use core::arch::asm;
use core::mem::size_of;

use static_assertions::const_assert_eq;

use super::local;

/// Kernel code segment.
pub const KERNEL_CODE: u16 = 0x10;
/// Kernel data segment.
pub const KERNEL_DATA: u16 = 0x18;
/// The 32-bit user code slot that `sysret` counts from; its descriptor is empty.
pub const USER_CODE_32: u16 = 0x23;
/// User data segment, with its privilege level.
pub const USER_DATA: u16 = 0x2b;
/// User code segment, with its privilege level.
pub const USER_CODE: u16 = 0x33;
const TSS_SELECTOR: u16 = 0x40;

/// Bytes of each interrupt stack.
pub const IST_STACK_BYTES: usize = 16 * 1024;

/// Which interrupt stack a vector uses; the number is that of the IDT entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum InterruptStack {
    /// Double fault.
    DoubleFault = 1,
    /// Non-maskable interrupt.
    Nmi = 2,
    /// Machine check.
    MachineCheck = 3,
    /// Debug exception, which can come before the first instruction of an entry.
    Debug = 4,
}

impl InterruptStack {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::DoubleFault, Self::Nmi, Self::MachineCheck, Self::Debug];
}

/// The 64-bit task-state segment.
#[repr(C, packed(4))]
struct Tss {
    reserved0: u32,
    rsp: [u64; 3],
    reserved1: u64,
    ist: [u64; 7],
    reserved2: u64,
    reserved3: u16,
    io_map_base: u16,
}
const_assert_eq!(size_of::<Tss>(), 104);

#[repr(C, align(16))]
struct Stack([u8; IST_STACK_BYTES]);

#[repr(C, align(64))]
struct Tables {
    gdt: [u64; 10],
    tss: Tss,
}

// Apart from the rest: zeros take no place in the image's file.
#[unsafe(link_section = ".bss.percpu")]
static mut STACKS: [Stack; 4] = [const { Stack([0; IST_STACK_BYTES]) }; 4];

#[unsafe(link_section = ".percpu")]
static mut TABLES: Tables = Tables {
    gdt: [
        0,
        0,
        0x00af_9b00_0000_ffff, // 0x10 kernel code, 64-bit
        0x00cf_9300_0000_ffff, // 0x18 kernel data
        0,                     // 0x20 32-bit user code: none
        0x00cf_f300_0000_ffff, // 0x28 user data
        0x00af_fb00_0000_ffff, // 0x30 user code, 64-bit
        0,
        0, // 0x40 TSS, two entries
        0,
    ],
    tss: Tss {
        reserved0: 0,
        rsp: [0; 3],
        reserved1: 0,
        ist: [0; 7],
        reserved2: 0,
        reserved3: 0,
        io_map_base: size_of::<Tss>() as u16, // past the limit: no port for user mode
    },
};

/// A pseudo-descriptor for `lgdt` and `lidt`.
#[repr(C, packed)]
pub(crate) struct TablePointer {
    pub(crate) limit: u16,
    pub(crate) base: u64,
}

fn tables() -> *mut Tables {
    (&raw mut TABLES).wrapping_byte_add(local::offset())
}

/// Fills in and loads this CPU's GDT and TSS. Call once per CPU, after
/// [`local::adopt_area`], with interrupts off.
pub fn load() {
    let tables = tables();
    // SAFETY: the tables are this CPU's own (interrupts are off, so it stays this
    // CPU), alive for ever, and nothing else refers to them before they are loaded.
    // The descriptors describe them; the new code and data segments are flat like
    // the ones in use, so execution goes on unchanged.
    unsafe {
        for which in InterruptStack::ALL {
            (*tables).tss.ist[which as usize - 1] = interrupt_stack(which).1;
        }
        let tss = &raw const (*tables).tss as u64;
        let limit = size_of::<Tss>() as u64 - 1;
        let low = limit | (tss & 0xff_ffff) << 16 | 0x89 << 40 | (tss >> 24 & 0xff) << 56;
        (*tables).gdt[8] = low;
        (*tables).gdt[9] = tss >> 32;
        let pointer = TablePointer {
            limit: size_of::<[u64; 10]>() as u16 - 1,
            base: &raw const (*tables).gdt as u64,
        };
        asm!(
            "lgdt [{pointer}]",
            "push {code}",
            "lea {scratch}, [rip + 2f]",
            "push {scratch}",
            "retfq",
            "2:",
            "mov ds, {data:e}",
            "mov es, {data:e}",
            "mov ss, {data:e}",
            "ltr {tss:x}",
            pointer = in(reg) &pointer,
            code = in(reg) u64::from(KERNEL_CODE),
            data = in(reg) u32::from(KERNEL_DATA),
            tss = in(reg) TSS_SELECTOR,
            scratch = out(reg) _,
        );
    }
}

/// Sets the stack that traps from user mode start on.
///
/// # Safety
/// Interrupts off; `top` as in [`local::set_current`].
pub unsafe fn set_trap_stack(top: u64) {
    // SAFETY: the TSS is this CPU's; the CPU reads rsp0 only on a trap from user mode.
    unsafe { (*tables()).tss.rsp[0] = top };
}

/// The bounds `[bottom, top)` of this CPU's interrupt stack.
pub fn interrupt_stack(which: InterruptStack) -> (u64, u64) {
    let first = (&raw const STACKS).wrapping_byte_add(local::offset()).cast::<Stack>();
    let stack = first.wrapping_add(which as usize - 1);
    (stack as u64, stack.wrapping_add(1) as u64)
}
