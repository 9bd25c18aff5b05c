//! Bitmaps of the disk: looking for clear bits word by word ([`Bits`]), and setting and
//! clearing ranges ([`set`], [`clear`]).
//!
//! Bit `n` is bit `n % 8` of byte `n / 8`; so eight bytes are a little-endian word. A bitmap
//! is a block, whose size is a multiple of eight bytes.

use core::ops::Range;

/// Bits of a word.
const WORD: usize = u64::BITS as usize;
/// How many runs of clear bits [`Bits::find_run`] looks at before it takes the longest.
const RUNS_TRIED: usize = 32;

/// A bitmap, with further ones laid over it: a bit is clear if it is so in all of them.
#[derive(Clone, Copy)]
pub(crate) struct Bits<'a> {
    layers: [&'a [u8]; 3],
}

impl<'a> Bits<'a> {
    /// A bitmap alone.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { layers: [bytes, &[], &[]] }
    }

    /// A bitmap with two laid over it; an empty one changes nothing.
    pub(crate) fn with(bytes: &'a [u8], over: [&'a [u8]; 2]) -> Self {
        Self { layers: [bytes, over[0], over[1]] }
    }

    /// A word; all ones behind the end.
    fn word(&self, index: usize) -> u64 {
        let [bytes, first, second] = self.layers.map(|layer| layer.as_chunks::<8>().0.get(index));
        let over = |layer: Option<&[u8; 8]>| layer.map_or(0, |word| u64::from_le_bytes(*word));
        bytes.map_or(u64::MAX, |word| u64::from_le_bytes(*word)) | over(first) | over(second)
    }

    /// The first bit in a range that is set in what `view` makes of its word.
    fn next(&self, range: Range<usize>, view: impl Fn(u64) -> u64) -> Option<usize> {
        if range.is_empty() {
            return None;
        }
        let mut index = range.start / WORD;
        let mut word = view(self.word(index)) & u64::MAX << (range.start % WORD);
        while word == 0 {
            index += 1;
            if index * WORD >= range.end {
                return None;
            }
            word = view(self.word(index));
        }
        let bit = index * WORD + word.trailing_zeros() as usize;
        (bit < range.end).then_some(bit)
    }

    /// The first clear bit in a range.
    pub(crate) fn next_clear(&self, range: Range<usize>) -> Option<usize> {
        self.next(range, |word| !word)
    }

    /// The first set bit in a range.
    pub(crate) fn next_set(&self, range: Range<usize>) -> Option<usize> {
        self.next(range, |word| word)
    }

    /// How many bits from `from` on are clear, up to `most` and before `end`.
    pub(crate) fn clear_from(&self, from: usize, most: usize, end: usize) -> usize {
        let end = from.saturating_add(most).min(end);
        self.next_set(from..end).unwrap_or(end.max(from)) - from
    }

    /// A run of clear bits in a range: the first that has `want` of them, or the longest of
    /// the first some.
    pub(crate) fn find_run(&self, range: Range<usize>, want: usize) -> Option<Range<usize>> {
        let mut best: Option<Range<usize>> = None;
        let mut from = range.start;
        for _ in 0..RUNS_TRIED {
            let Some(start) = self.next_clear(from..range.end) else { break };
            let count = self.clear_from(start, want, range.end);
            if best.as_ref().is_none_or(|best| count > best.len()) {
                best = Some(start..start + count);
            }
            if count >= want {
                break;
            }
            from = start + count;
        }
        best
    }
}

/// Goes through the words that a range covers, with the bits in each.
fn spans(range: Range<usize>) -> impl Iterator<Item = (usize, u64)> {
    let words = range.start / WORD..if range.is_empty() { 0 } else { range.end.div_ceil(WORD) };
    words.map(move |index| {
        let first = index * WORD;
        let from = range.start.saturating_sub(first);
        let to = (range.end - first).min(WORD);
        (index, (u64::MAX << from) & (u64::MAX >> (WORD - to)))
    })
}

/// Changes the words of a range if each passes `fits`; says whether they did.
fn change(
    bytes: &mut [u8],
    range: Range<usize>,
    fits: impl Fn(u64, u64) -> bool,
    change: impl Fn(u64, u64) -> u64,
) -> bool {
    let words = bytes.as_chunks_mut::<8>().0;
    let fit = spans(range.clone()).all(|(index, bits)| {
        words.get(index).is_some_and(|word| fits(u64::from_le_bytes(*word), bits))
    });
    if fit {
        for (index, bits) in spans(range) {
            if let Some(word) = words.get_mut(index) {
                *word = change(u64::from_le_bytes(*word), bits).to_le_bytes();
            }
        }
    }
    fit
}

/// Sets the bits of a range, all of which must be clear; if not, changes nothing and says so.
#[must_use]
pub(crate) fn set(bytes: &mut [u8], range: Range<usize>) -> bool {
    change(bytes, range, |word, bits| word & bits == 0, |word, bits| word | bits)
}

/// Clears the bits of a range, all of which must be set; if not, changes nothing and says so.
#[must_use]
pub(crate) fn clear(bytes: &mut [u8], range: Range<usize>) -> bool {
    change(bytes, range, |word, bits| word & bits == bits, |word, bits| word & !bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bit(bytes: &[u8], n: usize) -> bool {
        bytes[n / 8] >> (n % 8) & 1 != 0
    }

    /// Bytes with long runs of ones and zeros, and noise.
    fn bitmap() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![4 => Just(0u8), 4 => Just(0xff), 1 => any::<u8>()];
        prop::collection::vec(byte, 64)
    }

    proptest! {
        #[test]
        fn searches_find_what_bit_by_bit_finds(
            bytes in bitmap(), over in bitmap(), a in 0..520usize, b in 0..520usize, want in 1..99usize,
        ) {
            let range = a.min(b)..a.max(b);
            let both: Vec<u8> = bytes.iter().zip(&over).map(|(a, b)| a | b).collect();
            let bits = Bits::with(&bytes, [&over, &[]]);
            // Behind the end all bits are set.
            let is_set = |n: &usize| *n >= 512 || bit(&both, *n);
            prop_assert_eq!(bits.next_clear(range.clone()), range.clone().find(|n| !is_set(n)));
            prop_assert_eq!(bits.next_set(range.clone()), range.clone().find(is_set));
            if let Some(run) = bits.find_run(range.clone(), want) {
                prop_assert!(!run.is_empty() && run.len() <= want);
                prop_assert!(range.start <= run.start && run.end <= range.end);
                prop_assert!(run.clone().all(|n| !is_set(&n)));
            } else {
                prop_assert!(range.clone().all(|n| is_set(&n)));
            }
        }

        #[test]
        fn ranges_are_set_and_cleared_as_a_whole(bytes in bitmap(), a in 0..512usize, n in 0..70usize) {
            let range = a..(a + n).min(512);
            let all = |value| range.clone().all(|n| bit(&bytes, n) == value);
            let mut changed = bytes.clone();
            let fits = set(&mut changed, range.clone());
            prop_assert_eq!(fits, all(false));
            for n in 0..512 {
                prop_assert_eq!(bit(&changed, n), bit(&bytes, n) || fits && range.contains(&n));
            }
            let mut changed = bytes.clone();
            let fits = clear(&mut changed, range.clone());
            prop_assert_eq!(fits, all(true));
            for n in 0..512 {
                let cleared = fits && range.contains(&n);
                prop_assert_eq!(bit(&changed, n), bit(&bytes, n) && !cleared);
            }
        }
    }

    #[test]
    fn the_run_that_is_long_enough_comes_before_the_first() {
        let mut bytes = vec![0xff; 64];
        assert!(clear(&mut bytes, 3..5));
        assert!(clear(&mut bytes, 100..180));
        let bits = Bits::new(&bytes);
        assert_eq!(bits.find_run(0..512, 2), Some(3..5));
        assert_eq!(bits.find_run(0..512, 64), Some(100..164));
        assert_eq!(bits.find_run(0..512, 99), Some(100..180));
        assert_eq!(bits.find_run(5..100, 1), None);
    }

    #[test]
    fn bits_behind_the_end_are_never_clear() {
        assert_eq!(Bits::new(&[0xff; 8]).next_clear(0..1000), None);
        assert!(!set(&mut [0; 8], 60..70));
        assert!(!clear(&mut [0xff; 8], 60..70));
    }
}
