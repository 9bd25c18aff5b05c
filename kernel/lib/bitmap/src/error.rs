//! What can be wrong with a release: [`FrameError`].

use core::fmt;

/// Why frames cannot be released. Nothing has been changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// One of the frames is free already: a double free.
    AlreadyFree {
        /// The first such frame.
        frame: usize,
    },
    /// The frames are not all in the bitmap.
    OutOfRange {
        /// The first frame to be released.
        start: usize,
        /// How many were to be.
        count: usize,
        /// How many frames the bitmap has.
        frames: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyFree { frame } => write!(f, "frame {frame:#x} is free already"),
            Self::OutOfRange { start, count, frames } => {
                write!(f, "{count} frames from {start:#x} are not within the {frames:#x} there are")
            }
        }
    }
}

impl core::error::Error for FrameError {}
