//! Where unpredictable bytes are gathered: [`Pool`], a running BLAKE2s hash.

use blake2::{Blake2s256, Digest};

/// A key of the generator.
pub(super) type Key = [u8; 32];

/// Bits after which a key can be made.
const FULL: u32 = 256;

/// Bytes that were added, hashed, and for how many bits they count.
pub(super) struct Pool {
    hash: Blake2s256,
    bits: u32,
}

impl Pool {
    pub(super) fn new() -> Self {
        Self { hash: Blake2s256::new(), bits: 0 }
    }

    /// Adds bytes of which an adversary does not know `bits` bits; no more than they have.
    pub(super) fn add(&mut self, bytes: &[u8], bits: u32) {
        self.hash.update(bytes);
        let most = u32::try_from(bytes.len()).unwrap_or(u32::MAX).saturating_mul(8);
        self.bits = self.bits.saturating_add(bits.min(most));
    }

    /// Whether it holds enough for a key.
    pub(super) fn is_full(&self) -> bool {
        self.bits >= FULL
    }

    /// A key from all that was ever added. The pool goes on from another part of the same: the
    /// key does not tell it.
    pub(super) fn key(&mut self) -> Key {
        let all = core::mem::replace(&mut self.hash, Blake2s256::new()).finalize();
        let derive = |purpose: &[u8]| Blake2s256::new().chain_update(all).chain_update(purpose);
        self.hash = derive(b"pool");
        self.bits = 0;
        derive(b"key").finalize().into()
    }
}

#[cfg(not(test))]
mod tests {
    use super::*;

    #[base::kernel_test]
    fn the_pool_hashes_as_blake2s_does() {
        // RFC 7693, appendix B: BLAKE2s-256 of "abc".
        let expected = [
            0x50, 0x8c, 0x5e, 0x8c, 0x32, 0x7c, 0x14, 0xe2, 0xe1, 0xa7, 0x2b, 0xa3, 0x4e, 0xeb,
            0x45, 0x2f, 0x37, 0x45, 0x8b, 0x20, 0x9e, 0xd6, 0x3a, 0x29, 0x4d, 0x99, 0x9b, 0x4c,
            0x86, 0x67, 0x59, 0x82,
        ];
        assert_eq!(Key::from(Blake2s256::digest(b"abc")), expected);
    }

    #[base::kernel_test]
    fn all_that_was_added_is_in_each_key() {
        let key = |first: &[u8], second: &[u8]| {
            let mut pool = Pool::new();
            pool.add(first, 256);
            let first = pool.key();
            pool.add(second, 256);
            (first, pool.key())
        };
        let one = key(b"one", b"two");
        assert_eq!(one, key(b"one", b"two"));
        assert_ne!(one.0, one.1);
        let (other, third) = (key(b"other", b"two"), key(b"one", b"three"));
        assert!(other.0 != one.0 && other.1 != one.1);
        assert!(third.0 == one.0 && third.1 != one.1);
    }

    #[base::kernel_test]
    fn bytes_count_for_no_more_bits_than_they_have() {
        let mut pool = Pool::new();
        pool.add(&[0; 31], u32::MAX);
        assert!(!pool.is_full());
        pool.add(&[0; 100], 7);
        assert!(!pool.is_full());
        pool.add(&[0], 1);
        assert!(pool.is_full());
        pool.key();
        assert!(!pool.is_full());
    }
}
