//! Random numbers: what is unpredictable is gathered in a [`Pool`] (`pool.rs`), from which a
//! ChaCha20 generator gets its key.
//!
//! [`init`] gives the pool what the CPU has: its own generator, and the jitter of its clock. A
//! device that makes random numbers [contributes](contribute) to it, whenever it likes, before
//! [`init`] as well. Each time that the pool holds enough the generator gets a new key from it and
//! from its old one, so that no source can make the output worse. When numbers are used and the
//! key is older than a minute the CPU's generator and all [sources](add_source) are asked again.
//! After each use the generator's key is replaced by a part of its own output: who learns the
//! state cannot tell what was given out before.
//!
//! Without RDRAND and a device the seed is jitter alone: the low bits of the time that reads of a
//! slow port take. That is better than nothing; [`init`] says which it is.

mod pool;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use arch::cpu::features::hardware_random;
use arch::timer::tsc;
use base::io_ports::IoPorts;
use base::sync::IrqSpinLock;
use base::time;
use memory::OutOfMemory;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use task::Work;

use pool::{Key, Pool};

/// Bytes made under the lock at a time, with interrupts off.
const CHUNK: usize = 256;
/// Samples of jitter; each gives a bit or less.
const SAMPLES: usize = 512;
/// A port whose reads leave the CPU: the line status of the second serial port, which has
/// no side effect that matters.
const SLOW_PORT: u16 = 0x2fd;
/// How long a key is good, in nanoseconds.
const KEY_NS: u64 = 60_000_000_000;

static GENERATOR: IrqSpinLock<Generator> = IrqSpinLock::new("random", Generator::new());

/// What asks devices for more.
static SOURCES: IrqSpinLock<Vec<Arc<Work>>> = IrqSpinLock::new("random sources", Vec::new());
/// When they were asked, in nanoseconds of the clock.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// Where the first seed came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeedSource {
    /// The CPU's generator, or a device, with jitter.
    Hardware,
    /// Jitter alone.
    Jitter,
}

/// What has become of contributions, for those who look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Bytes that devices have contributed.
    pub contributed: u64,
    /// How often the generator got a new key from the pool.
    pub reseeds: u64,
}

struct Generator {
    /// `None` before the first use.
    pool: Option<Pool>,
    rng: Option<ChaCha20Rng>,
    /// When it got its last key from the pool, in nanoseconds of the clock.
    keyed: u64,
    statistics: Statistics,
}

impl Generator {
    const fn new() -> Self {
        let statistics = Statistics { contributed: 0, reseeds: 0 };
        Self { pool: None, rng: None, keyed: 0, statistics }
    }

    fn pool(&mut self) -> &mut Pool {
        self.pool.get_or_insert_with(Pool::new)
    }

    /// A new key, from the pool and from the generator.
    fn reseed(&mut self) {
        let mut old = Key::default();
        if let Some(rng) = &mut self.rng {
            rng.fill_bytes(&mut old);
        }
        self.pool().add(&old, 0);
        let key = self.pool().key();
        self.rng = Some(ChaCha20Rng::from_seed(key));
        self.keyed = time::now_ns();
        self.statistics.reseeds += 1;
    }

    /// What the CPU gives; whether it gave 256 bits.
    fn add_from_cpu(&mut self) -> bool {
        let words = [(); 4].map(|()| hardware_random());
        self.pool().add(&tsc::read().to_le_bytes(), 0);
        for word in words.iter().flatten() {
            self.pool().add(&word.to_le_bytes(), 64);
        }
        words.iter().all(Option::is_some)
    }

    fn fill(&mut self, to: &mut [u8]) {
        let is_old = time::now_ns().saturating_sub(self.keyed) > KEY_NS;
        if self.rng.is_none() || (is_old && self.add_from_cpu()) {
            self.reseed();
        }
        let Some(rng) = &mut self.rng else { return };
        let mut next = Key::default();
        rng.fill_bytes(&mut next);
        rng.fill_bytes(to);
        *rng = ChaCha20Rng::from_seed(next);
    }
}

/// Seeds the generator. Call once, before the first program.
pub fn init() -> SeedSource {
    // Without the lock: it takes a while.
    let mut jitter = Pool::new();
    let port = IoPorts::claim(SLOW_PORT, 1, "random").ok();
    for _ in 0..SAMPLES {
        if let Some(port) = &port {
            let _ = port.read(0);
        }
        jitter.add(&tsc::read().to_le_bytes(), 0);
    }
    let mut generator = GENERATOR.lock();
    generator.pool().add(&jitter.key(), 0);
    // Enough was contributed if there was a key from it.
    let from_device = generator.statistics.reseeds > 0;
    let from_cpu = generator.add_from_cpu();
    generator.reseed();
    if from_cpu || from_device { SeedSource::Hardware } else { SeedSource::Jitter }
}

/// Adds bytes to the pool that an adversary cannot know, or only in part: they count for
/// `bits` bits. From any context.
pub fn contribute(bytes: &[u8], bits: u32) {
    let mut generator = GENERATOR.lock();
    generator.statistics.contributed += bytes.len() as u64;
    generator.pool().add(bytes, bits);
    if generator.pool().is_full() {
        generator.reseed();
    }
}

/// Gives the generator a new key from what is in the pool, and from what the CPU has, at once.
pub fn reseed() {
    let mut generator = GENERATOR.lock();
    generator.add_from_cpu();
    generator.reseed();
}

/// Fills `to` with random bytes. Before [`init`] they may come from the clock alone.
pub fn fill(to: &mut [u8]) {
    let mut keyed = u64::MAX;
    for chunk in to.chunks_mut(CHUNK) {
        let mut generator = GENERATOR.lock();
        keyed = keyed.min(generator.keyed);
        generator.fill(chunk);
    }
    let now = time::now_ns();
    let last = keyed.max(ASKED.load(Ordering::Relaxed));
    if now.saturating_sub(last) > KEY_NS {
        ASKED.store(now, Ordering::Relaxed);
        ask_sources();
    }
}

fn ask_sources() {
    for work in SOURCES.lock().iter() {
        work.queue();
    }
}

/// Has `ask` done when the generator's key is old, until the guard is dropped: it asks a device,
/// which then [contributes](contribute).
///
/// # Errors
/// [`OutOfMemory`].
pub fn add_source(ask: Arc<Work>) -> Result<SourceGuard, OutOfMemory> {
    let mut sources = SOURCES.lock();
    sources.try_reserve(1).map_err(|_| OutOfMemory)?;
    sources.push(ask.clone());
    Ok(SourceGuard(ask))
}

/// A source that is asked as long as this lives.
#[must_use = "the source is not asked any more when this is dropped"]
#[derive(Debug)]
pub struct SourceGuard(Arc<Work>);

impl Drop for SourceGuard {
    fn drop(&mut self) {
        SOURCES.lock().retain(|known| !Arc::ptr_eq(known, &self.0));
        self.0.cancel();
    }
}

/// What has become of contributions.
pub fn statistics() -> Statistics {
    GENERATOR.lock().statistics
}

#[cfg(not(test))]
mod tests {
    use super::*;

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

    #[base::kernel_test]
    fn the_key_is_replaced_after_each_use() {
        let mut generator = Generator::new();
        generator.keyed = time::now_ns();
        generator.rng = Some(ChaCha20Rng::from_seed([7; 32]));
        let mut first = [0; 40];
        generator.fill(&mut first);
        // What the known key gives: the next key, then the bytes.
        let (mut known, mut key) = (ChaCha20Rng::from_seed([7; 32]), [0; 32]);
        let mut same = [0; 40];
        known.fill_bytes(&mut key);
        known.fill_bytes(&mut same);
        assert_eq!(first, same);
        let mut second = [0; 40];
        generator.fill(&mut second);
        known.fill_bytes(&mut same);
        assert_ne!(second, same, "the stream goes on under the old key");
        let mut known = ChaCha20Rng::from_seed(key);
        known.fill_bytes(&mut key);
        known.fill_bytes(&mut same);
        assert_eq!(second, same);
    }

    #[base::kernel_test]
    fn enough_contributions_make_a_new_key() {
        let mut generator = Generator::new();
        generator.rng = Some(ChaCha20Rng::from_seed([7; 32]));
        let (mut one, mut other) = ([0; 16], [0; 16]);
        let before = statistics();
        contribute(b"nothing that counts", 0);
        contribute(&[1; 32], 255);
        contribute(&[2], 1);
        let after = statistics();
        assert!(after.reseeds > before.reseeds && after.contributed >= before.contributed + 52);
        // The old key is part of the new one, and so is the pool.
        for (rest, to) in [([3; 32], &mut one), ([4; 32], &mut other)] {
            let mut generator = Generator::new();
            generator.rng = Some(ChaCha20Rng::from_seed([7; 32]));
            generator.pool().add(&rest, 256);
            assert!(generator.pool().is_full());
            generator.reseed();
            generator.fill(to);
        }
        assert_ne!(one, other);
        generator.reseed();
        generator.fill(&mut other);
        assert_ne!(one, other);
    }
}
