//! ext2 against image files that mke2fs makes and that e2fsck and debugfs look at.
//!
//! `EXT2_TESTS=n` tries n times as much by chance as usual. What fails by chance tells its
//! seed, and comes again with it.
//!
//! Files: `tools.rs` the programs, `disk.rs` a disk in memory whose power can be cut, and the
//! store over it, `volume.rs` a mounted file system with a page cache, `model.rs` the naive
//! file system, `promises.rs` what must outlive a power cut, `dice.rs` and `sparse.rs` help;
//! the others hold the tests.

#![expect(
    clippy::unwrap_used,
    reason = "what helps the tests fails as they do; Clippy knows tests by their attribute"
)]

mod basics;
mod crash;
mod dice;
mod disk;
mod faults;
mod fuzz;
mod images;
mod limits;
mod model;
mod mounting;
mod promises;
mod random;
mod sparse;
mod tools;
mod volume;
