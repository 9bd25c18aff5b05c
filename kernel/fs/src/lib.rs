//! Floor 8: the file tree and open files.
