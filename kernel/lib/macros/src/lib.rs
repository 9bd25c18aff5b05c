//! Floor 0: the kernel_test attribute.
