//! Floor 0: checks a static ELF and plans how to load it.
//!
//! [`Image::read`] reads the headers of a program (through `xmas-elf`) and
//! gives back its [`Segment`]s, entry point and program-header address, or an
//! [`ElfError`] that says what is wrong and with which values. After it the
//! loader need not check anything of the file again.
//!
//! Files: `image.rs` the checks, `headers.rs` the way into `xmas-elf`,
//! `source.rs` where the bytes come from, `error.rs` the errors. Used by exec (`kernel/process`).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;

mod error;
mod headers;
mod image;
mod source;

pub use error::ElfError;
pub use headers::MAX_PROGRAM_HEADERS;
pub use image::{Image, Kind, Limits, PAGE_SIZE, Segment, SegmentFlags};
pub use source::{ProgramFile, Unreadable};
