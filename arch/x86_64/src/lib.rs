//! Floor 1: x86_64 mechanism without policy.
