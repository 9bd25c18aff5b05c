//! Floor 7: device drivers.
