//! Floor 0: checks a static ELF and plans how to load it.
