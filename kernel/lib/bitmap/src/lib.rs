//! Floor 0: the bitmap that is the truth about physical frames.
//!
//! [`FrameBitmap`] holds one bit per frame, 1 for free, and above each 64 words
//! one summary word that says which of them have a free frame; blocks of 512 frames
//! that are free as a whole are known apart. It borrows its words and never allocates,
//! so it works before there is a heap.
//!
//! Files: `frames.rs` the bitmap, `error.rs` its errors, `bits.rs` arithmetic on
//! words. Used by the frame allocator (`kernel/memory`), which puts per-CPU
//! caches in front of it.
//!
//! ```
//! use bitmap::{FrameBitmap, summary_for, words_for};
//!
//! let (mut words, mut summary) = (vec![0; words_for(1000)], vec![0; summary_for(1000)]);
//! let mut frames = FrameBitmap::new(&mut words, &mut summary, 1000);
//! frames.release(100, 800)?;
//! assert_eq!(frames.allocate_one(0..1000), Some(100));
//! assert_eq!(frames.allocate(4, 0..1000), Some(112));
//! assert_eq!(frames.free_frames(), 800 - 1 - 16);
//! # Ok::<(), bitmap::FrameError>(())
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod bits;
mod error;
mod frames;

pub use error::FrameError;
pub use frames::{BLOCK_FRAMES, FrameBitmap, FreeRuns, summary_for, words_for};
