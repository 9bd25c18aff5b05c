//! Ways to crash, for the shell's `crash`, beside those of `base::crash`.

use alloc::boxed::Box;
use core::hint::black_box;

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

/// Writes to a frame after it was freed, which panics in debug builds when the frame is handed
/// out again.
///
/// # Errors
/// [`OutOfMemory`]: there is no frame to free.
#[inline(never)]
pub fn use_after_free() -> Result<(), OutOfMemory> {
    let frame = Frame::allocate(FrameUse::Other)?;
    let byte = frame.address().to_physmap().as_mut_ptr::<u8>().wrapping_add(0x123);
    drop(frame);
    // SAFETY: breaks the rule on purpose: the frame is this CPU's next one, and nobody's until
    // then. It holds nothing that anybody needs.
    unsafe { byte.write_volatile(0x5a) };
    drop(Frame::allocate(FrameUse::Other)?);
    Ok(())
}

/// Writes to a heap object after it was freed, which panics in debug builds when the object is
/// handed out again.
#[inline(never)]
pub fn heap_use_after_free() {
    let object = Box::into_raw(Box::new([0u8; 100]));
    // SAFETY: breaks the rule on purpose: the object is free when it is written to. It is the
    // next one of its size that this CPU hands out; the byte is no part of any list.
    unsafe {
        drop(Box::from_raw(object));
        black_box(object).cast::<u8>().add(50).write_volatile(0x5a);
    }
    drop(black_box(Box::new([0u8; 100])));
}

/// Frees a heap object twice, which panics in debug builds. Others, which would not see it and
/// hand the object out twice from then on, do not do it.
#[inline(never)]
pub fn heap_double_free() {
    let object = Box::into_raw(Box::new([0u8; 100]));
    // SAFETY: breaks the rule on purpose. The panic comes before the heap is changed.
    unsafe {
        drop(Box::from_raw(black_box(object)));
        if cfg!(debug_assertions) {
            drop(Box::from_raw(black_box(object)));
        }
    }
}
