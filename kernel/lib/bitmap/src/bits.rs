//! Arithmetic on words of bits: which bits of which words a range covers, and
//! where a run of set bits begins.

/// Bits in a word.
pub(crate) const WORD_BITS: usize = u64::BITS as usize;

/// The bits from `from` on; none from 64 on.
pub(crate) const fn bits_from(from: usize) -> u64 {
    if from < WORD_BITS { u64::MAX << from } else { 0 }
}

/// The bits from `from` to before `to`, both at most 64.
pub(crate) const fn bits_between(from: usize, to: usize) -> u64 {
    bits_from(from) & !bits_from(to)
}

/// The words that `start..end` covers, with the bits in each; none if it is empty.
pub(crate) fn spans(start: usize, end: usize) -> impl Iterator<Item = (usize, u64)> {
    let past = if start < end { end.div_ceil(WORD_BITS) } else { 0 };
    let words = start / WORD_BITS..past;
    words.map(move |word| {
        let first = word * WORD_BITS;
        let from = start.saturating_sub(first);
        let to = (end - first).min(WORD_BITS);
        (word, bits_between(from, to))
    })
}

/// The first set bit in `from..to` of a bit string; `None` if there is none.
pub(crate) fn next_set(words: &[u64], from: usize, to: usize) -> Option<usize> {
    next_bit(words, from, to, |word| word)
}

/// The first clear bit in `from..to` of a bit string; `None` if there is none.
pub(crate) fn next_clear(words: &[u64], from: usize, to: usize) -> Option<usize> {
    next_bit(words, from, to, |word| !word)
}

/// The first bit in `from..to` that is set in what `view` makes of its word.
#[inline]
fn next_bit(words: &[u64], from: usize, to: usize, view: impl Fn(u64) -> u64) -> Option<usize> {
    if from >= to {
        return None;
    }
    let mut index = from / WORD_BITS;
    let mut word = view(words[index]) & bits_from(from % WORD_BITS);
    let last = (to - 1) / WORD_BITS;
    while word == 0 {
        if index == last {
            return None;
        }
        index += 1;
        word = view(words[index]);
    }
    let bit = index * WORD_BITS + word.trailing_zeros() as usize;
    (bit < to).then_some(bit)
}

/// The first bit of `word` where `2^order` set bits begin at a multiple of
/// their number; `order` is at most 6.
pub(crate) fn aligned_block(word: u64, order: u32) -> Option<u32> {
    // ALIGNED[order] has a bit at each multiple of 2^order.
    const ALIGNED: [u64; 7] = [
        u64::MAX,
        u64::MAX / 0x3,
        u64::MAX / 0xf,
        u64::MAX / 0xff,
        u64::MAX / 0xffff,
        u64::MAX / 0xffff_ffff,
        1,
    ];
    // After each step a bit says that twice as many from it on are set.
    let runs = (0..order).fold(word, |runs, step| runs & (runs >> (1 << step)));
    let starts = runs & ALIGNED[order as usize];
    (starts != 0).then(|| starts.trailing_zeros())
}
