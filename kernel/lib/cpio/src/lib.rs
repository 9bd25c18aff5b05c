//! Floor 0: newc cpio archives as a file tree.
