//! Floor 10: processes, exec, file descriptors.
