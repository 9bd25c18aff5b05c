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
