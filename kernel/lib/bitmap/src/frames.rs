//! The bitmap: [`FrameBitmap`].

use core::ops::Range;

use crate::bits::{WORD_BITS, aligned_block, bits_between, bits_from, next_clear, next_set, spans};
use crate::error::FrameError;

/// How many words a bitmap of `frames` frames needs.
#[must_use]
pub const fn words_for(frames: usize) -> usize {
    frames.div_ceil(WORD_BITS)
}

/// Words of a block.
const BLOCK_WORDS: usize = 8;
/// Frames of a block: what a 2 MiB page maps.
pub const BLOCK_FRAMES: usize = BLOCK_WORDS * WORD_BITS;

/// How many words the summary of `frames` frames needs.
#[must_use]
pub const fn summary_for(frames: usize) -> usize {
    words_for(frames).div_ceil(WORD_BITS) + wholes_for(frames)
}

/// How many words say which blocks are whole.
const fn wholes_for(frames: usize) -> usize {
    words_for(frames).div_ceil(BLOCK_WORDS).div_ceil(WORD_BITS)
}

/// Which of the frames 0, 1, … are free.
///
/// 512 frames, naturally aligned, are a block; one that is free as a whole is kept so as
/// long as a request can be met elsewhere: single frames come from blocks that are in use
/// already.
///
/// A search begins where the last one ended (next fit) and comes round, so
/// that filled memory is not searched again and again. Allocating and releasing
/// one frame touch one word and one summary word unless the words near are used
/// up.
#[derive(Debug)]
pub struct FrameBitmap<'a> {
    /// Bit `f % 64` of word `f / 64` is set if frame `f` is free.
    words: &'a mut [u64],
    /// Bit `w % 64` of word `w / 64` is set if `words[w]` is not 0 and its block not whole.
    summary: &'a mut [u64],
    /// Bit `b % 64` of word `b / 64` is set if all frames of block `b` are free.
    whole: &'a mut [u64],
    frames: usize,
    free: usize,
    /// Where the next search for one frame begins.
    hint: usize,
    /// Where the next search for several begins.
    run_hint: usize,
}

impl<'a> FrameBitmap<'a> {
    /// A bitmap of `frames` frames, all used. The words need not be cleared.
    ///
    /// # Panics
    /// If there are less words than [`words_for`] and [`summary_for`] say.
    #[must_use]
    pub fn new(words: &'a mut [u64], summary: &'a mut [u64], frames: usize) -> Self {
        let words = &mut words[..words_for(frames)];
        let summary = &mut summary[..summary_for(frames)];
        words.fill(0);
        summary.fill(0);
        let (whole, summary) = summary.split_at_mut(wholes_for(frames));
        Self { words, summary, whole, frames, free: 0, hint: 0, run_hint: 0 }
    }

    /// How many frames there are, free and used.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// How many frames are free.
    #[must_use]
    pub fn free_frames(&self) -> usize {
        self.free
    }

    /// Whether a frame is free; a frame that is not there is not.
    #[must_use]
    pub fn is_free(&self, frame: usize) -> bool {
        frame < self.frames && self.words[frame / WORD_BITS] >> (frame % WORD_BITS) & 1 != 0
    }

    /// Frees `count` frames from `start` on.
    ///
    /// # Errors
    /// If one of them is free already or not there; then nothing is changed.
    pub fn release(&mut self, start: usize, count: usize) -> Result<(), FrameError> {
        let frames = self.frames;
        let end = start
            .checked_add(count)
            .filter(|end| *end <= frames)
            .ok_or(FrameError::OutOfRange { start, count, frames })?;
        for (word, bits) in spans(start, end) {
            let already = self.words[word] & bits;
            if already != 0 {
                let frame = word * WORD_BITS + already.trailing_zeros() as usize;
                return Err(FrameError::AlreadyFree { frame });
            }
        }
        for (word, bits) in spans(start, end) {
            self.set(word, bits, bits.count_ones());
        }
        Ok(())
    }

    /// Frees one frame.
    ///
    /// # Errors
    /// As [`FrameBitmap::release`].
    pub fn release_one(&mut self, frame: usize) -> Result<(), FrameError> {
        if frame >= self.frames {
            return Err(FrameError::OutOfRange { start: frame, count: 1, frames: self.frames });
        }
        let (word, bit) = (frame / WORD_BITS, 1 << (frame % WORD_BITS));
        if self.words[word] & bit != 0 {
            return Err(FrameError::AlreadyFree { frame });
        }
        self.set(word, bit, 1);
        Ok(())
    }

    /// Frees several frames, one by one; the fewer words they are in by turns, the faster.
    ///
    /// # Errors
    /// If one of them is free already or not there; some of those before it may be free then.
    pub fn release_some(
        &mut self,
        frames: impl IntoIterator<Item = usize>,
    ) -> Result<(), FrameError> {
        let (mut word, mut bits, mut count) = (0, 0, 0);
        for frame in frames {
            if frame >= self.frames {
                return Err(FrameError::OutOfRange { start: frame, count: 1, frames: self.frames });
            }
            if frame / WORD_BITS != word {
                self.set(word, bits, count);
                (word, bits, count) = (frame / WORD_BITS, 0, 0);
            }
            let bit = 1 << (frame % WORD_BITS);
            if (self.words[word] | bits) & bit != 0 {
                return Err(FrameError::AlreadyFree { frame });
            }
            bits |= bit;
            count += 1;
        }
        self.set(word, bits, count);
        Ok(())
    }

    /// Marks `count` frames from `start` on as used, those of them that are
    /// there. Returns how many of them were free.
    pub fn reserve(&mut self, start: usize, count: usize) -> usize {
        let end = start.saturating_add(count).min(self.frames);
        if start >= end {
            return 0;
        }
        let before = self.free;
        self.mark_used(start, end);
        before - self.free
    }

    /// Takes one free frame within a range.
    pub fn allocate_one(&mut self, within: Range<usize>) -> Option<usize> {
        let mut taken = None;
        self.allocate_some(1, within, |frame| taken = Some(frame));
        taken
    }

    /// Takes up to `count` frames within a range, neighbours where it can, and calls `each`
    /// with them. Returns how many there were.
    pub fn allocate_some(
        &mut self,
        count: usize,
        within: Range<usize>,
        mut each: impl FnMut(usize),
    ) -> usize {
        let mut left = count;
        while left > 0 {
            let Some(frame) = self.find_single(&within) else { break };
            let (word, from) = (frame / WORD_BITS, frame % WORD_BITS);
            let to = within.end.saturating_sub(word * WORD_BITS).min(WORD_BITS);
            let mut rest = self.words[word] & bits_between(from, to);
            let mut bits = 0;
            let mut taken = 0;
            while rest != 0 && left > 0 {
                let first = rest.trailing_zeros() as usize;
                let run = ((rest >> first).trailing_ones() as usize).min(left);
                (first..first + run).for_each(|bit| each(word * WORD_BITS + bit));
                let run_bits = bits_between(first, first + run);
                bits |= run_bits;
                rest &= !run_bits;
                left -= run;
                taken += run as u32;
            }
            self.clear(word, bits, taken);
            self.hint = word * WORD_BITS + WORD_BITS - bits.leading_zeros() as usize;
        }
        count - left
    }

    /// Takes `2^order` frames within a range, the first a multiple of their
    /// number. Returns the first.
    pub fn allocate(&mut self, order: u32, within: Range<usize>) -> Option<usize> {
        if order == 0 {
            return self.allocate_one(within);
        }
        let count = 1usize.checked_shl(order)?;
        if count < WORD_BITS {
            let find = |frames: &Self, from, to| frames.find_in_word(order, from, to);
            if let Some(start) = self.search(self.run_hint, &within, count, find) {
                return self.take(start, count);
            }
        }
        self.allocate_range(count, count, within)
    }

    /// Takes `count` frames that lie one behind the other within a range, the
    /// first a multiple of `align_frames` (0 is as good as 1). Returns the
    /// first; `None` also if `count` is 0.
    pub fn allocate_range(
        &mut self,
        count: usize,
        align_frames: usize,
        within: Range<usize>,
    ) -> Option<usize> {
        if count == 0 || count > self.free {
            return None;
        }
        let align = align_frames.max(1);
        let search = |find: fn(&Self, usize, usize) -> Option<usize>| {
            self.search(self.run_hint, &within, count, |frames, from, to| {
                frames.find_run(count, align, from, to, find)
            })
        };
        let needs_whole = count >= BLOCK_FRAMES && align.is_multiple_of(BLOCK_FRAMES);
        let start = if needs_whole {
            search(Self::find_whole)?
        } else {
            search(Self::find_partial).or_else(|| search(Self::find_any))?
        };
        self.take(start, count)
    }

    /// Every run of free frames, from the lowest on.
    #[must_use]
    pub fn free_runs(&self) -> FreeRuns<'_> {
        FreeRuns { words: self.words, frames: self.frames, next: 0 }
    }

    /// Looks with `find` from the hint to the end of `within`, then from its
    /// start to the hint, and as far past it as `count` frames can reach that
    /// begin before it.
    #[inline]
    fn search(
        &self,
        hint: usize,
        within: &Range<usize>,
        count: usize,
        find: impl Fn(&Self, usize, usize) -> Option<usize>,
    ) -> Option<usize> {
        let end = within.end.min(self.frames);
        let start = within.start;
        if hint <= start || hint >= end {
            return find(self, start, end);
        }
        let around = hint.saturating_add(count - 1).min(end);
        find(self, hint, end).or_else(|| find(self, start, around))
    }

    /// A free frame, in a block that is whole only if there is no other.
    fn find_single(&self, within: &Range<usize>) -> Option<usize> {
        self.search(self.hint, within, 1, Self::find_partial)
            .or_else(|| self.search(self.hint, within, 1, Self::find_any))
    }

    fn is_whole(&self, block: usize) -> bool {
        self.whole[block / WORD_BITS] >> (block % WORD_BITS) & 1 != 0
    }

    /// The first free frame in `from..to` whose block is not whole.
    fn find_partial(&self, from: usize, to: usize) -> Option<usize> {
        if from >= to {
            return None;
        }
        let mut word = from / WORD_BITS;
        let mut bits = self.words[word] & bits_from(from % WORD_BITS);
        if bits == 0 || self.is_whole(word / BLOCK_WORDS) {
            word = next_set(self.summary, word + 1, words_for(to))?;
            bits = self.words[word];
        }
        let frame = word * WORD_BITS + bits.trailing_zeros() as usize;
        (frame < to).then_some(frame)
    }

    /// The first frame in `from..to` that begins a whole block. The block need not end there.
    fn find_whole(&self, from: usize, to: usize) -> Option<usize> {
        let block = next_set(self.whole, from.div_ceil(BLOCK_FRAMES), to.div_ceil(BLOCK_FRAMES))?;
        Some(block * BLOCK_FRAMES)
    }

    /// The first free frame in `from..to`.
    fn find_any(&self, from: usize, to: usize) -> Option<usize> {
        if from >= to {
            return None;
        }
        if self.is_whole(from / BLOCK_FRAMES) {
            return Some(from);
        }
        let partial = self.find_partial(from, to);
        // No need to look for a whole block behind that.
        let whole = self.find_whole(from, partial.unwrap_or(to));
        whole.or(partial)
    }

    /// The first `2^order` free frames in `from..to` that begin at a multiple of
    /// their number; `order` is less than 6, so they are in one word.
    fn find_in_word(&self, order: u32, from: usize, to: usize) -> Option<usize> {
        let words = words_for(to);
        let mut word = next_set(self.summary, from / WORD_BITS, words)?;
        loop {
            let first = word * WORD_BITS;
            let lowest = from.saturating_sub(first).min(WORD_BITS);
            let highest = to.saturating_sub(first).min(WORD_BITS);
            let bits = self.words[word] & bits_between(lowest, highest);
            if let Some(bit) = aligned_block(bits, order) {
                return Some(first + bit as usize);
            }
            word = next_set(self.summary, word + 1, words)?;
        }
    }

    /// The first `count` free frames in `from..to` that lie one behind the other
    /// and begin at a multiple of `align`, among those that begin where `find` finds.
    fn find_run(
        &self,
        count: usize,
        align: usize,
        from: usize,
        to: usize,
        find: fn(&Self, usize, usize) -> Option<usize>,
    ) -> Option<usize> {
        let mut from = from;
        // Each round begins past a frame that is used.
        loop {
            let start = find(self, from, to)?.checked_next_multiple_of(align)?;
            let end = start.checked_add(count).filter(|end| *end <= to)?;
            match next_clear(self.words, start, end) {
                None => return Some(start),
                Some(used) => from = used + 1,
            }
        }
    }

    /// Marks free frames as used and remembers where to search on.
    fn take(&mut self, start: usize, count: usize) -> Option<usize> {
        self.mark_used(start, start + count);
        self.run_hint = start + count;
        Some(start)
    }

    fn mark_used(&mut self, start: usize, end: usize) {
        for (word, bits) in spans(start, end) {
            self.clear(word, bits, (self.words[word] & bits).count_ones());
        }
    }

    /// Marks `count` frames of a word that are used as free.
    fn set(&mut self, word: usize, bits: u64, count: u32) {
        if bits == 0 {
            return;
        }
        self.words[word] |= bits;
        self.free += count as usize;
        self.summary[word / WORD_BITS] |= 1 << (word % WORD_BITS);
        if self.words[word] == u64::MAX {
            let block = word / BLOCK_WORDS;
            let words = self.words.get(block * BLOCK_WORDS..(block + 1) * BLOCK_WORDS);
            if words.is_some_and(|words| words.iter().all(|&word| word == u64::MAX)) {
                self.whole[block / WORD_BITS] |= 1 << (block % WORD_BITS);
                self.summary[word / WORD_BITS] &= !Self::of_block(block);
            }
        }
    }

    /// The bits of a block's words in their summary word.
    fn of_block(block: usize) -> u64 {
        0xff << (block * BLOCK_WORDS % WORD_BITS)
    }

    /// Marks frames of a word as used, `count` of which are free.
    fn clear(&mut self, word: usize, bits: u64, count: u32) {
        let block = word / BLOCK_WORDS;
        if self.is_whole(block) && bits != 0 {
            self.whole[block / WORD_BITS] &= !(1 << (block % WORD_BITS));
            self.summary[word / WORD_BITS] |= Self::of_block(block);
        }
        self.free -= count as usize;
        self.words[word] &= !bits;
        if self.words[word] == 0 {
            self.summary[word / WORD_BITS] &= !(1 << (word % WORD_BITS));
        }
    }
}

/// The iterator that [`FrameBitmap::free_runs`] returns.
#[derive(Clone, Debug)]
pub struct FreeRuns<'a> {
    words: &'a [u64],
    frames: usize,
    next: usize,
}

impl Iterator for FreeRuns<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = next_set(self.words, self.next, self.frames)?;
        let end = next_clear(self.words, start, self.frames).unwrap_or(self.frames);
        self.next = end;
        Some(start..end)
    }
}

#[cfg(test)]
mod tests;
