//! Floor 0: the kernel command line: settings, then shell commands.
