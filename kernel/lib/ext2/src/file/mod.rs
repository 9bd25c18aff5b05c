//! The blocks of files.
//!
//! Block `n` of a file is found over the pointers of its inode: the first 12 blocks directly,
//! the others over one, two or three levels of indirect blocks (`tree.rs`). A pointer of 0 is
//! a hole, which reads as zeros.
//!
//! Files: `tree.rs` where the pointer to a block is, `map.rs` which blocks a file has,
//! `grow.rs` it gets more, `truncate.rs` it gets shorter, `size.rs` its size.

mod grow;
mod map;
mod size;
mod tree;
mod truncate;

pub use grow::Placed;
pub use map::Run;
