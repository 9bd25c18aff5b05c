//! Floor 5: address spaces, VMAs, page faults.
