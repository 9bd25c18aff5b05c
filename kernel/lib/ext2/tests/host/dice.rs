//! Numbers by chance that come again: [`Dice`].

/// A sequence of numbers: given ones first, then what a seed makes.
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    given: std::vec::IntoIter<u32>,
    state: u64,
}

impl Dice {
    /// Numbers that a seed makes.
    pub(crate) fn new(seed: u64) -> Self {
        Self { given: Vec::new().into_iter(), state: seed.wrapping_mul(2).wrapping_add(1) }
    }

    /// The given numbers, and then always the same.
    pub(crate) fn of(given: Vec<u32>) -> Self {
        Self { given: given.into_iter(), state: 1 }
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u32 {
        if let Some(given) = self.given.next() {
            return given;
        }
        // splitmix64
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) >> 16) as u32
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((u64::from(self.next()) * end as u64) >> 32) as usize
    }

    /// True once in `times` times.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of several.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() { None } else { from.get(self.below(from.len())) }
    }
}
