//! The stack of a new program, as bytes: [`build`].
//!
//! The layout is that of the System V ABI for x86_64, section 3.4.1, with what
//! Linux puts where (`create_elf_tables` in fs/binfmt_elf.c), from high to low
//! addresses:
//!
//! ```text
//! top           one null word
//!               path of the program (AT_EXECFN)
//!               environment strings, argument strings
//!               platform string (AT_PLATFORM), 16 random bytes (AT_RANDOM)
//!               padding
//!               auxiliary vector, ended by AT_NULL
//!               pointers to the environment, 0
//!               pointers to the arguments, 0
//! sp            number of arguments; sp is a multiple of 16
//! ```

use alloc::vec::Vec;
use core::ops::Range;

use crate::auxv::{AT_EXECFN, AT_NULL, AT_PLATFORM, AT_RANDOM};
use crate::errno::{Errno, Result};

/// One word of the stack, in bytes.
const WORD: u64 = 8;
/// The alignment of the stack pointer at a program's entry, in bytes.
const STACK_ALIGN: u64 = 16;
/// The keys that [`build`] adds itself.
const OWN_KEYS: [u32; 4] = [AT_NULL, AT_PLATFORM, AT_RANDOM, AT_EXECFN];

/// What the new program is given. No string has a NUL, neither inside nor at
/// its end.
#[derive(Clone, Copy, Debug)]
pub struct StackRequest<'a> {
    /// The arguments, with the program's name as the first.
    pub args: &'a [&'a [u8]],
    /// The environment, each `NAME=value`.
    pub env: &'a [&'a [u8]],
    /// Keys and values of the auxiliary vector, without `AT_RANDOM`,
    /// `AT_PLATFORM`, `AT_EXECFN` and `AT_NULL`.
    pub auxv: &'a [(u64, u64)],
    /// The bytes that `AT_RANDOM` points to.
    pub random: [u8; 16],
    /// The name of the machine that `AT_PLATFORM` points to, `x86_64`.
    pub platform: &'a [u8],
    /// The path of the program that `AT_EXECFN` points to.
    pub exec_path: &'a [u8],
    /// The address just past the stack.
    pub top: u64,
    /// The most bytes that the image may take.
    pub limit: usize,
}

/// The stack, ready to be copied to [`sp`](Self::sp).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackImage {
    /// The bytes from `sp` to the top of the stack.
    pub bytes: Vec<u8>,
    /// The address of the first byte and the stack pointer at the program's
    /// entry; a multiple of 16.
    pub sp: u64,
    /// Where the argument strings lie, each ended by NUL (`/proc/PID/cmdline`).
    pub args: Range<u64>,
    /// Where the environment strings lie, each ended by NUL (`/proc/PID/environ`).
    pub env: Range<u64>,
}

/// Builds the stack of a new program.
///
/// # Errors
/// - `EINVAL`: a string with a NUL inside, or a key in `auxv` that is added here.
/// - `E2BIG`: more bytes than the limit, or than there are below `top`.
/// - `ENOMEM`: no memory for the image.
pub fn build(request: &StackRequest<'_>) -> Result<StackImage> {
    check(request)?;
    let mut space = Space { address: request.top, top: request.top, limit: request.limit };
    space.take(WORD)?;
    let exec_path = space.take_string(request.exec_path)?;
    let env_end = space.address;
    let env = space.take_strings(request.env)?;
    let args_end = space.address;
    let args = space.take_strings(request.args)?;
    let args_start = space.address;
    let platform = space.take_string(request.platform)?;
    let random = space.take(request.random.len() as u64)?;

    let own = [(AT_RANDOM, random), (AT_EXECFN, exec_path), (AT_PLATFORM, platform), (AT_NULL, 0)]
        .map(|(key, value)| (u64::from(key), value));
    // The number of arguments, two null pointers, and two words for each pair.
    let words = 3 + args.len() + env.len() + 2 * (request.auxv.len() + own.len());
    space.take(words as u64 * WORD)?;
    let sp = space.align_down()?;

    let mut image = Writer::new((request.top - sp) as usize, sp)?;
    image.word(args.len() as u64);
    // `args` and `env` were taken from the last to the first.
    args.iter().rev().for_each(|address| image.word(*address));
    image.word(0);
    env.iter().rev().for_each(|address| image.word(*address));
    image.word(0);
    for (key, value) in request.auxv.iter().chain(&own) {
        image.word(*key);
        image.word(*value);
    }
    image.pad_to(random);
    image.bytes.extend_from_slice(&request.random);
    image.string(request.platform);
    request.args.iter().for_each(|arg| image.string(arg));
    request.env.iter().for_each(|variable| image.string(variable));
    image.string(request.exec_path);
    image.pad_to(request.top);
    Ok(StackImage { bytes: image.bytes, sp, args: args_start..args_end, env: args_end..env_end })
}

/// Refuses what cannot be represented.
fn check(request: &StackRequest<'_>) -> Result<()> {
    let single = [request.platform, request.exec_path];
    let mut strings = request.args.iter().chain(request.env).chain(&single);
    let own = |(key, _): &(u64, u64)| OWN_KEYS.iter().any(|own| u64::from(*own) == *key);
    if strings.any(|string| string.contains(&0)) || request.auxv.iter().any(own) {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// The stack space still to be given out, from the top down.
struct Space {
    /// Everything from here to `top` is given out.
    address: u64,
    top: u64,
    limit: usize,
}

impl Space {
    /// Takes `len` bytes; their address.
    fn take(&mut self, len: u64) -> Result<u64> {
        self.address = self.address.checked_sub(len).ok_or(Errno::E2BIG)?;
        if self.top - self.address > self.limit as u64 {
            return Err(Errno::E2BIG);
        }
        Ok(self.address)
    }

    /// Takes a string and its NUL; its address.
    fn take_string(&mut self, string: &[u8]) -> Result<u64> {
        self.take(string.len() as u64 + 1)
    }

    /// Takes strings so that the first has the lowest address; their addresses,
    /// the last string's first.
    fn take_strings(&mut self, strings: &[&[u8]]) -> Result<Vec<u64>> {
        let mut addresses = Vec::new();
        addresses.try_reserve_exact(strings.len()).map_err(|_| Errno::ENOMEM)?;
        for string in strings.iter().rev() {
            addresses.push(self.take_string(string)?);
        }
        Ok(addresses)
    }

    /// Takes what is needed to align the address for a stack pointer.
    fn align_down(&mut self) -> Result<u64> {
        self.take(self.address % STACK_ALIGN)
    }
}

/// Writes the image from low to high addresses.
struct Writer {
    bytes: Vec<u8>,
    start: u64,
}

impl Writer {
    fn new(len: usize, start: u64) -> Result<Self> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
        Ok(Self { bytes, start })
    }

    fn word(&mut self, word: u64) {
        self.bytes.extend_from_slice(&word.to_le_bytes());
    }

    fn string(&mut self, string: &[u8]) {
        self.bytes.extend_from_slice(string);
        self.bytes.push(0);
    }

    /// Zeros up to `address`.
    fn pad_to(&mut self, address: u64) {
        self.bytes.resize((address - self.start) as usize, 0);
    }
}

#[cfg(test)]
mod tests;
