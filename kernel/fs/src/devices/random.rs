//! `/dev/random` and `/dev/urandom` (random(4)), and what getrandom(2) gives.
//!
//! The generator is seeded before the first program starts, so neither ever waits. What is
//! written is mixed into the pool and counts for nothing.

use abi::random::{
    RNDADDENTROPY, RNDADDTOENTCNT, RNDCLEARPOOL, RNDGETENTCNT, RNDRESEEDCRNG, RNDZAPENTCNT,
};
use abi::{Errno, Result};
use memory::user::UserSlice;

use super::memory::status;
use crate::buffer::{Destination, Source};
use crate::file::{File, Readiness};
use crate::status::Status;

/// Minor numbers.
pub(super) const RANDOM: u32 = 8;
pub(super) const URANDOM: u32 = 9;

/// Bytes that are made or taken at a time.
const CHUNK: usize = 256;
/// Bits that a full pool has, as `RNDGETENTCNT` tells: as Linux's.
const POOL_BITS: i32 = 256;

/// Fills `to` with random bytes; how many. A signal ends it early.
///
/// # Errors
/// `EFAULT` if the first bytes cannot be put there.
pub fn read_random(to: &mut Destination<'_>) -> Result<usize> {
    let mut chunk = [0; CHUNK];
    let mut done = 0;
    while !to.is_empty() && (done == 0 || !task::signal_pending()) {
        let len = to.len().min(CHUNK);
        let (part, _) = chunk.split_at_mut(len);
        drivers::random::fill(part);
        match to.put(part) {
            Ok(put) => done += put,
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Mixes bytes into the pool, all together for `bits` bits; how many bytes.
fn mix(from: &mut Source<'_>, bits: u32) -> Result<usize> {
    let mut chunk = [0; CHUNK];
    let (mut done, mut bits) = (0, bits);
    while !from.is_empty() && (done == 0 || !task::signal_pending()) {
        match from.take(&mut chunk) {
            Ok(len) => {
                let (part, _) = chunk.split_at(len);
                let most = (len * 8) as u32;
                drivers::random::contribute(part, bits.min(most));
                bits = bits.saturating_sub(most);
                done += len;
            }
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Either of them.
#[derive(Debug)]
pub(super) struct Random {
    pub(super) minor: u32,
}

impl File for Random {
    fn read(&self, _position: u64, to: &mut Destination<'_>) -> Result<usize> {
        read_random(to)
    }

    fn write(&self, _position: u64, from: &mut Source<'_>) -> Result<usize> {
        mix(from, 0)
    }

    fn status(&self) -> Status {
        status(self.minor)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn has_position(&self) -> bool {
        false
    }

    fn readiness(&self) -> Readiness {
        // Of a full pool random(4) wants no more; the other never says so.
        Readiness { read: true, write: self.minor == URANDOM }
    }

    /// Every program runs as root, who may do all of this.
    fn ioctl(&self, request: u32, argument: u64) -> Result<usize> {
        match request {
            RNDGETENTCNT => UserSlice::write_value(argument, &POOL_BITS)?,
            RNDADDTOENTCNT => {
                let bits: i32 = UserSlice::read_value(argument)?;
                // Bits without bytes: the pool is full already, and takes none on trust.
                u32::try_from(bits).map_err(|_| Errno::EINVAL)?;
            }
            RNDADDENTROPY => {
                let [bits, len]: [i32; 2] = UserSlice::read_value(argument)?;
                let bits = u32::try_from(bits).map_err(|_| Errno::EINVAL)?;
                let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
                let start = argument.checked_add(8).ok_or(Errno::EFAULT)?;
                if mix(&mut UserSlice::new(start, len).into(), bits)? < len {
                    return Err(Errno::EFAULT);
                }
            }
            // The pool cannot be made worse.
            RNDZAPENTCNT | RNDCLEARPOOL => {}
            RNDRESEEDCRNG => drivers::random::reseed(),
            _ => return Err(Errno::EINVAL),
        }
        Ok(0)
    }
}
