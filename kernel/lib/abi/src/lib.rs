//! Floor 0: the Linux ABI: errno, constants, structs, initial stack.
