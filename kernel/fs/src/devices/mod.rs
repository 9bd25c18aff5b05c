//! Character devices that are no hardware: what nodes of major number 1 stand for.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | minor numbers ([`MEMORY`]) |
//! | `memory.rs` | `null`, `zero`, `full` |
//! | `kmsg.rs` | `kmsg` |
//! | `random.rs` | `random`, `urandom` |
//!
//! There is no `mem`, `kmem` and `port`: programs have no way to the machine's memory and ports.

mod kmsg;
mod memory;
mod random;
#[cfg(not(test))]
mod tests;

use alloc::sync::Arc;

use abi::{Errno, Result};

use crate::file::File;
use crate::nodes::{Characters, register_characters};

pub use random::read_random;

/// The major number of all of them.
pub(crate) const MAJOR: u32 = 1;
/// Names, minor numbers and permissions.
pub(crate) const MEMORY: [(&str, u32, u32); 6] = [
    ("null", memory::NULL, 0o666),
    ("zero", memory::ZERO, 0o666),
    ("full", memory::FULL, 0o666),
    ("random", random::RANDOM, 0o666),
    ("urandom", random::URANDOM, 0o666),
    ("kmsg", kmsg::KMSG, 0o644),
];

struct Memory;

impl Characters for Memory {
    fn open(&self, minor: u32, flags: u32) -> Result<Arc<dyn File>> {
        Ok(match minor {
            memory::NULL => Arc::new(memory::Null),
            memory::ZERO => Arc::new(memory::Zero { is_full: false }),
            memory::FULL => Arc::new(memory::Zero { is_full: true }),
            random::RANDOM | random::URANDOM => Arc::new(random::Random { minor }),
            kmsg::KMSG => Arc::new(kmsg::Kmsg::new(flags)?),
            _ => return Err(Errno::ENXIO),
        })
    }
}

/// Makes the devices known.
pub(crate) fn init() {
    register_characters(MAJOR, &Memory);
}
