//! Random numbers: a ChaCha20 generator, seeded from the CPU's own generator and from the
//! jitter of its clock.
//!
//! Without RDRAND the seed is jitter alone: the low bits of the time that reads of a slow
//! port take. That is better than nothing and worse than a device; [`init`] says which it
//! is.

use arch::cpu::features::hardware_random;
use arch::timer::tsc;
use base::io_ports::IoPorts;
use base::sync::IrqSpinLock;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Bytes made under the lock at a time, with interrupts off.
const CHUNK: usize = 256;
/// Samples of jitter; each gives a bit or less.
const SAMPLES: usize = 512;
/// A port whose reads leave the CPU: the line status of the second serial port, which has
/// no side effect that matters.
const SLOW_PORT: u16 = 0x2fd;

static GENERATOR: IrqSpinLock<Option<ChaCha20Rng>> = IrqSpinLock::new("random", None);

/// Where the seed came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeedSource {
    /// The CPU's generator, with jitter.
    Hardware,
    /// Jitter alone.
    Jitter,
}

/// Mixes `word` into the seed, so that each of its bits reaches every word in time.
fn mix(seed: &mut [u64; 4], word: u64) {
    let [a, b, c, d] = seed;
    *a = (*a ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    *b = b.wrapping_add(*a).rotate_left(17);
    *c ^= b.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    *d = d.wrapping_add(*c).rotate_left(41) ^ *a;
}

/// Seeds the generator. Call once, before the first program.
pub fn init() -> SeedSource {
    let mut seed = [tsc::read(), 0, 0, 0];
    let port = IoPorts::claim(SLOW_PORT, 1, "random").ok();
    for _ in 0..SAMPLES {
        if let Some(port) = &port {
            let _ = port.read(0);
        }
        mix(&mut seed, tsc::read());
    }
    let mut source = SeedSource::Jitter;
    let words = [(); 4].map(|()| hardware_random());
    if words.iter().all(Option::is_some) {
        source = SeedSource::Hardware;
    }
    let mut bytes = [0; 32];
    for ((to, mixed), word) in bytes.chunks_exact_mut(8).zip(seed).zip(words) {
        to.copy_from_slice(&(mixed ^ word.unwrap_or(0)).to_le_bytes());
    }
    *GENERATOR.lock() = Some(ChaCha20Rng::from_seed(bytes));
    source
}

/// Fills `to` with random bytes. Before [`init`] they come from the clock alone.
pub fn fill(to: &mut [u8]) {
    for chunk in to.chunks_mut(CHUNK) {
        GENERATOR
            .lock()
            .get_or_insert_with(|| ChaCha20Rng::seed_from_u64(tsc::read()))
            .fill_bytes(chunk);
    }
}

#[base::kernel_test]
fn random_bytes_differ() {
    let (mut first, mut second) = ([0u8; 600], [0u8; 600]);
    fill(&mut first);
    fill(&mut second);
    assert_ne!(first, second);
    // Of 4800 bits about half are set: far from it means that something is stuck.
    let ones: u32 = first.iter().map(|byte| byte.count_ones()).sum();
    assert!((2000..2800).contains(&ones), "{ones} of 4800 bits are set");
}
