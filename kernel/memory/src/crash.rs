//! A way to crash, for the shell's `crash`, beside those of `base::crash`.

use crate::OutOfMemory;
use crate::frames::{Frame, FrameUse};

/// Frees a frame twice, which panics and (in debug builds) names both places.
///
/// # Errors
/// [`OutOfMemory`]: there is no frame to free.
#[inline(never)]
pub fn double_free() -> Result<(), OutOfMemory> {
    let address = Frame::allocate(FrameUse::Other)?.into_address();
    // SAFETY: the one owner.
    drop(unsafe { Frame::from_address(address) });
    // SAFETY: breaks the rule on purpose: there was an owner before. Nothing uses the
    // frame, and the panic comes before the allocator is changed.
    drop(unsafe { Frame::from_address(address) });
    Ok(())
}
