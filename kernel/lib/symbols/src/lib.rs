//! Floor 0: the kernel's symbol and line table.
