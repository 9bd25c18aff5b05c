//! The current thread's FPU registers as bytes, for signal frames.

use alloc::vec::Vec;

use arch::cpu::fpu::{FpuState, state_bytes};
use memory::OutOfMemory;

use crate::task::with_current;

/// Appends the registers' state, in the CPU's format, to `to`. Nothing is appended in a
/// task without a user side.
///
/// # Errors
/// [`OutOfMemory`].
pub fn save_fpu(to: &mut Vec<u8>) -> Result<(), OutOfMemory> {
    // Before the lock, under which nothing may be allocated.
    to.try_reserve(state_bytes()).map_err(|_| OutOfMemory)?;
    with_current(|task| {
        if let Some(fpu) = task.fpu.lock().as_mut() {
            fpu.save();
            to.extend_from_slice(fpu.bytes());
        }
    });
    Ok(())
}

/// A copy of the registers' state, for a new thread.
///
/// # Errors
/// [`OutOfMemory`].
pub fn copy_fpu() -> Result<FpuState, OutOfMemory> {
    let mut copy = FpuState::try_new().ok_or(OutOfMemory)?;
    with_current(|task| {
        if let Some(fpu) = task.fpu.lock().as_mut() {
            fpu.save();
            let _ = copy.set_bytes(fpu.bytes()); // they are as many as it wants
        }
    });
    Ok(copy)
}

/// Gives the registers the values in which a program starts.
///
/// # Errors
/// [`OutOfMemory`]; nothing has changed then.
pub fn reset_fpu() -> Result<(), OutOfMemory> {
    let fresh = FpuState::try_new().ok_or(OutOfMemory)?;
    let old = with_current(|task| {
        let mut fpu = task.fpu.lock();
        if fpu.is_none() {
            return None;
        }
        fresh.restore();
        fpu.replace(fresh)
    });
    drop(old); // outside the lock
    Ok(())
}

/// Loads the registers from bytes that anybody may have written, made harmless. False if
/// they are too few.
#[must_use]
pub fn load_fpu(from: &[u8]) -> bool {
    with_current(|task| {
        let mut fpu = task.fpu.lock();
        let Some(fpu) = fpu.as_mut() else { return false };
        let good = fpu.set_bytes(from);
        if good {
            fpu.restore();
        }
        good
    })
    .unwrap_or(false)
}

#[base::kernel_test]
fn any_bytes_make_a_state_that_loads() {
    use arch::cpu::fpu::{FpuState, LEGACY_BYTES, mxcsr_mask};
    const DAZ: u32 = 1 << 6;
    assert_eq!(mxcsr_mask() & !0xffff, 0);
    assert_ne!(mxcsr_mask() & DAZ, 0, "every CPU of 64 bits has DAZ but the very first");
    let mut state = FpuState::try_new().expect("memory for a state");
    for (byte, len) in [
        (0xff, state_bytes()),
        (0xff, LEGACY_BYTES),
        (0x55, state_bytes()),
        (0, state_bytes() + 64),
    ] {
        assert!(state.set_bytes(&alloc::vec![byte; len]));
        // What the CPU does not take would be a fault here. The kernel has nothing in these
        // registers, and a user program gets its own back when it runs.
        state.restore();
        state.save();
    }
    assert!(!state.set_bytes(&[0; LEGACY_BYTES - 1]));
    let mut bytes = alloc::vec![0; state_bytes()];
    bytes[24..28].fill(0xff);
    assert!(state.set_bytes(&bytes));
    assert_eq!(state.bytes()[24..28], mxcsr_mask().to_le_bytes());
}
