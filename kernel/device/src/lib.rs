//! Floor 6: devices, seen from above.
//!
//! [`block`] is the block layer: disks, their queues and their partitions, whatever drives them.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod block;
