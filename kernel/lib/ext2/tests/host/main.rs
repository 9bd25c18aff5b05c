//! ext2 against image files that mke2fs makes and that e2fsck and debugfs look at.

mod basics;
mod crash;
mod dice;
mod disk;
mod model;
mod promises;
mod random;
mod sparse;
mod tools;
mod volume;
