//! Floor 3: frames, heap, kernel address space, user slices.
