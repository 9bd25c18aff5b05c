//! The signal frame: what a handler finds on its stack, and [`sigreturn`], which takes it
//! off again (Linux `struct rt_sigframe`, arch/x86/include/asm/sigframe.h, and
//! `struct sigcontext`, uapi/asm/sigcontext.h; linux-raw-sys has neither).
//!
//! ```text
//! word  0        address that the handler returns to
//! word  1..      ucontext: flags, link, stack (3 words)
//! word  6..      sigcontext: r8…r15 rdi rsi rbp rbx rdx rax rcx rsp rip rflags,
//!                cs/gs/fs/ss, error code, vector, old mask, cr2, FPU state's address, 8 spare
//! word 38        blocked signals
//! word 39..55    siginfo
//! ```
//!
//! The FPU state lies above the frame, 64-byte aligned, and says in its bytes 464 to 511
//! (`struct _fpx_sw_bytes`) how long it is.

use alloc::vec::Vec;

use abi::Signal;
use abi::signal::SEGV_MAPERR;
use arch::cpu::fpu;
use arch::cpu::tables::{USER_CODE, USER_DATA};
use arch::paging::VirtAddr;
use arch::trap::TrapFrame;
use base::preempt::SIGNAL;
use memory::user::UserSlice;
use task::with_current;
use vm::layout::USER_END;

use super::state::{Action, SignalStack};
use crate::outcome::Cause;
use crate::thread::Thread;

const WORDS: usize = 55;
const FRAME_BYTES: u64 = WORDS as u64 * 8;
const STACK: usize = 3;
const REGISTERS: usize = 6;
const MASK: usize = 38;
const INFO: usize = 39;

/// `UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS`.
const UC_FLAGS: u64 = 0b111;
const FP_XSTATE_MAGIC1: u32 = 0x4650_5853;
const FP_XSTATE_MAGIC2: u32 = 0x4650_5845;
/// Where `struct _fpx_sw_bytes` lies in the FXSAVE area.
const SOFTWARE_BYTES: usize = 464;

/// Bytes below the stack pointer that belong to the interrupted function (psABI 3.2.2).
const RED_ZONE: u64 = 128;

/// RFLAGS bits that a program may set: CF PF AF ZF SF TF DF OF RF AC.
const USER_FLAGS: u64 = 0x5_0dd5;
/// RFLAGS bits that are always set in user mode: bit 1, and IF.
const FIXED_FLAGS: u64 = 0x202;
/// RFLAGS bits that a handler starts without: TF, DF, RF.
const CLEARED_FLAGS: u64 = 0x1_0500;

/// What siginfo tells beside the signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Info {
    /// `SI_*`, `SEGV_*` and so on.
    pub(super) code: i32,
    /// The union's first word: an address, or pid and uid.
    pub(super) word: u64,
    /// The second word: a child's status.
    pub(super) status: i32,
    /// The exception's vector and error code.
    pub(super) trap: (u64, u64),
}

/// The frame could not be written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadFrame;

/// Appends the FPU state as a frame has it.
fn fpu_state() -> Result<Vec<u8>, BadFrame> {
    let mut state = Vec::new();
    task::save_fpu(&mut state).map_err(|_| BadFrame)?;
    if fpu::components() != 0 {
        let len = state.len() as u32;
        let mut software = Vec::new();
        software.extend_from_slice(&FP_XSTATE_MAGIC1.to_le_bytes());
        software.extend_from_slice(&(len + 4).to_le_bytes());
        software.extend_from_slice(&fpu::components().to_le_bytes());
        software.extend_from_slice(&len.to_le_bytes());
        software.resize(fpu::LEGACY_BYTES - SOFTWARE_BYTES, 0);
        if let Some(to) = state.get_mut(SOFTWARE_BYTES..fpu::LEGACY_BYTES) {
            to.copy_from_slice(&software);
        }
        state.try_reserve(4).map_err(|_| BadFrame)?;
        state.extend_from_slice(&FP_XSTATE_MAGIC2.to_le_bytes());
    }
    Ok(state)
}

/// Puts a frame for `signal` on the thread's stack and makes `regs` go on in the handler.
///
/// # Errors
/// If the stack cannot take it; `regs` are as before.
pub(super) fn push(
    thread: &Thread,
    regs: &mut TrapFrame,
    signal: Signal,
    action: &Action,
    info: Info,
) -> Result<(), BadFrame> {
    let stack = thread.signals.stack();
    let wanted = action.flags & u64::from(abi::signal::SA_ONSTACK) != 0 && stack.is_enabled();
    let nested = stack.holds(regs.rsp);
    let top = if wanted && !nested {
        stack.start.wrapping_add(stack.len)
    } else {
        regs.rsp.wrapping_sub(RED_ZONE)
    };
    let state = fpu_state()?;
    let fpu_at = top.checked_sub(state.len() as u64).ok_or(BadFrame)? & !63;
    // As behind a call: the stack pointer is 8 below a multiple of 16.
    let at = (fpu_at.checked_sub(FRAME_BYTES).ok_or(BadFrame)? & !15).wrapping_sub(8);
    // What lies below a signal stack is not the kernel's to write.
    if (wanted || nested) && !stack.spans(at) {
        return Err(BadFrame);
    }
    let blocked = thread.process.signals.blocked();

    let mut frame = [0u64; WORDS];
    let segments = u64::from(USER_CODE) | u64::from(USER_DATA) << 48;
    let registers = [
        regs.r8,
        regs.r9,
        regs.r10,
        regs.r11,
        regs.r12,
        regs.r13,
        regs.r14,
        regs.r15,
        regs.rdi,
        regs.rsi,
        regs.rbp,
        regs.rbx,
        regs.rdx,
        regs.rax,
        regs.rcx,
        regs.rsp,
        regs.rip,
        regs.rflags,
        segments,
        info.trap.1,
        info.trap.0,
        blocked,
        info.word,
        fpu_at,
    ];
    let [first, second, third] = stack.to_words(regs.rsp);
    let signal_and_errno = u64::from(signal.number());
    let code = u64::from(info.code as u32);
    let parts: [(usize, &[u64]); 5] = [
        (0, &[action.restorer, UC_FLAGS, 0]),
        (STACK, &[first, second, third]),
        (REGISTERS, &registers),
        (MASK, &[blocked]),
        (INFO, &[signal_and_errno, code, info.word, u64::from(info.status as u32)]),
    ];
    for (start, words) in parts {
        frame.iter_mut().skip(start).zip(words).for_each(|(to, from)| *to = *from);
    }

    UserSlice::new(fpu_at, state.len()).write(&state).map_err(|_| BadFrame)?;
    UserSlice::write_value(at, &frame).map_err(|_| BadFrame)?;
    if action.handler >= USER_END {
        return Err(BadFrame);
    }
    task::reset_fpu().map_err(|_| BadFrame)?;
    thread.signals.disarm();
    regs.rdi = u64::from(signal.number());
    regs.rsi = at + INFO as u64 * 8;
    regs.rdx = at + 8;
    regs.rax = 0;
    regs.rip = action.handler;
    regs.rsp = at;
    regs.rflags &= !CLEARED_FLAGS;
    Ok(())
}

/// The FPU state at `address`, as far as its own words say that it goes.
fn read_fpu(address: u64) -> Result<Vec<u8>, BadFrame> {
    let len = fpu::state_bytes();
    let mut state = Vec::new();
    state.try_reserve_exact(len).map_err(|_| BadFrame)?;
    state.resize(fpu::LEGACY_BYTES, 0);
    UserSlice::new(address, state.len()).read(&mut state).map_err(|_| BadFrame)?;
    let word = |at: usize| {
        let bytes = state.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        u32::from_le_bytes(bytes.unwrap_or_default())
    };
    let extended = word(SOFTWARE_BYTES) == FP_XSTATE_MAGIC1
        && word(SOFTWARE_BYTES + 16) as usize == len
        && UserSlice::read_value::<u32>(address.wrapping_add(len as u64)) == Ok(FP_XSTATE_MAGIC2);
    if extended {
        state.resize(len, 0);
        UserSlice::new(address, len).read(&mut state).map_err(|_| BadFrame)?;
    }
    Ok(state)
}

fn restore(thread: &Thread, regs: &mut TrapFrame) -> Result<(), BadFrame> {
    // The handler's `ret` took the first word off.
    let at = regs.rsp.wrapping_sub(8);
    let frame: [u64; WORDS] = UserSlice::read_value(at).map_err(|_| BadFrame)?;
    let mut words = frame.iter().copied().skip(REGISTERS);
    let mut next = || words.next().unwrap_or(0);
    let mut new = TrapFrame {
        vector: regs.vector,
        cs: u64::from(USER_CODE),
        ss: u64::from(USER_DATA),
        ..TrapFrame::default()
    };
    for register in [
        &mut new.r8,
        &mut new.r9,
        &mut new.r10,
        &mut new.r11,
        &mut new.r12,
        &mut new.r13,
        &mut new.r14,
        &mut new.r15,
        &mut new.rdi,
        &mut new.rsi,
        &mut new.rbp,
        &mut new.rbx,
        &mut new.rdx,
        &mut new.rax,
        &mut new.rcx,
        &mut new.rsp,
        &mut new.rip,
        &mut new.rflags,
    ] {
        *register = next();
    }
    let [_segments, _error, _vector, _old_mask, _cr2, fpu_at] = core::array::from_fn(|_| next());
    new.rflags = new.rflags & USER_FLAGS | FIXED_FLAGS;
    if fpu_at != 0 && !task::load_fpu(&read_fpu(fpu_at)?) {
        return Err(BadFrame);
    }
    let mut stack = [0; 3];
    stack.iter_mut().zip(frame.iter().skip(STACK)).for_each(|(to, from)| *to = *from);
    // As Linux does it: a stack that cannot be is left as it is.
    if !thread.signals.stack().holds(new.rsp)
        && let Ok(stack) = SignalStack::from_words(stack)
    {
        thread.signals.set_stack(stack);
    }
    let signals = &thread.process.signals;
    signals.set_blocked(frame.iter().copied().nth(MASK).unwrap_or(0));
    // What came while the handler ran, and was blocked, comes now.
    if signals.has_deliverable() {
        with_current(|task| task.set_pending(SIGNAL));
    }
    // The frame is no longer that of a system call: nothing restarts.
    new.error = u64::MAX;
    *regs = new;
    Ok(())
}

/// rt_sigreturn(2): goes on where the handler's frame says. A frame that cannot be read is
/// a SIGSEGV.
///
/// So is one that leads out of user space, as if the program had jumped there: the CPU may
/// not be asked to return to an address that is not canonical.
pub fn sigreturn(thread: &Thread, regs: &mut TrapFrame) {
    if restore(thread, regs).is_err() {
        super::deliver::kill_for_frame(regs);
    }
    let ip = regs.rip;
    if ip >= USER_END {
        let address = VirtAddr::new(ip).is_canonical().then_some(ip);
        let code = address.map(|_| SEGV_MAPERR as i32);
        let what = "return from a signal handler to an address that is not the user's";
        super::force(thread, regs, Signal::SIGSEGV, code, Cause { what, address, ip });
    }
}
