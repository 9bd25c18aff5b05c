//! What the map of VMAs must know about one: a [`Vma`] is an [`Area`].

use range_map::Area;

use crate::layout::GUARD_BYTES;
use crate::vma::{Backing, Vma, VmaFlags};

impl Area for Vma {
    fn start(&self) -> u64 {
        self.start
    }

    fn end(&self) -> u64 {
        self.end
    }

    fn set_start(&mut self, start: u64) {
        if let Backing::Object { offset, .. } = &mut self.backing {
            *offset = offset.wrapping_add(start.wrapping_sub(self.start));
        }
        self.start = start;
    }

    fn set_end(&mut self, end: u64) {
        self.end = end;
    }

    fn guard_below(&self) -> u64 {
        if self.flags.contains(VmaFlags::GROWS_DOWN) { GUARD_BYTES } else { 0 }
    }

    fn split_off(&mut self, at: u64) -> Self {
        Self::split_off(self, at)
    }

    fn can_absorb(&self, next: &Self) -> bool {
        Self::can_absorb(self, next)
    }
}
