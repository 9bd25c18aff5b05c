//! [`Tags`]: numbers for the requests in flight of a hardware queue.

use alloc::boxed::Box;
use alloc::vec::Vec;

use memory::OutOfMemory;

/// The numbers from 0 to a queue's depth, and which are free.
pub(super) struct Tags {
    /// A bit for each, set if it is free.
    free: Box<[u64]>,
    depth: u16,
    used: u16,
}

impl Tags {
    /// `depth` free ones.
    pub(super) fn new(depth: u16) -> Result<Self, OutOfMemory> {
        let words = usize::from(depth).div_ceil(64);
        let mut free = Vec::new();
        free.try_reserve_exact(words).map_err(|_| OutOfMemory)?;
        free.extend((0..words).map(|word| match usize::from(depth) - word * 64 {
            64.. => u64::MAX,
            rest => (1 << rest) - 1,
        }));
        Ok(Self { free: free.into_boxed_slice(), depth, used: 0 })
    }

    /// Takes the lowest that is free.
    pub(super) fn take(&mut self) -> Option<u16> {
        let (index, word) = self.free.iter_mut().enumerate().find(|(_, word)| **word != 0)?;
        let bit = word.trailing_zeros();
        *word &= *word - 1;
        self.used += 1;
        Some((index * 64) as u16 + bit as u16)
    }

    /// Gives one back.
    pub(super) fn put(&mut self, tag: u16) {
        if let Some(word) = self.free.get_mut(usize::from(tag / 64)) {
            debug_assert!(*word & 1 << (tag % 64) == 0, "tag {tag} was free");
            *word |= 1 << (tag % 64);
            self.used -= 1;
        }
    }

    /// Whether one is free.
    pub(super) fn any(&self) -> bool {
        self.used < self.depth
    }

    /// How many are taken.
    pub(super) fn used(&self) -> u16 {
        self.used
    }
}

#[cfg(not(test))]
#[base::kernel_test]
fn tags_are_handed_out_once_and_come_back() {
    for depth in [1, 63, 64, 65, 200, 1024] {
        let mut tags = Tags::new(depth).expect("memory");
        assert!((0..depth).all(|tag| tags.any() && tags.take() == Some(tag)), "{depth}");
        assert!(!tags.any() && tags.take().is_none() && tags.used() == depth);
        tags.put(depth / 2);
        assert!(tags.any() && tags.used() == depth - 1);
        assert_eq!(tags.take(), Some(depth / 2));
    }
}
