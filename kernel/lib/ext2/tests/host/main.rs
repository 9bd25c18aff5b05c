//! ext2 against image files that mke2fs makes and that e2fsck and debugfs look at.

mod basics;
mod disk;
mod tools;
mod volume;
