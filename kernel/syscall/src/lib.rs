//! Floor 11: number to name to handler.
