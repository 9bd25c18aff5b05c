//! mremap: makes a mapping longer or shorter, moves it, or maps the same object once more.

use core::ops::Range;

use abi::{Errno, Result};
use arch::paging::VirtAddr;

use crate::change::{check_commit, is_aligned, round_up, user_range};
use crate::layout::{USER_END, USER_START};
use crate::reverse;
use crate::space::{AddressSpace, State, addresses};
use crate::vma::{Backing, Vma};

/// What mremap is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemapRequest {
    /// Where the mapping is.
    pub address: u64,
    /// Its length in bytes; 0 to map the same shared object once more.
    pub old_len: u64,
    /// The length that it is to have.
    pub new_len: u64,
    /// Whether it may move.
    pub may_move: bool,
    /// Where it must move to.
    pub fixed: Option<u64>,
    /// The old addresses stay mapped, without pages (`MREMAP_DONTUNMAP`).
    pub keeps_old: bool,
}

impl AddressSpace {
    /// Makes a mapping longer or shorter, and moves it if it must; its address.
    ///
    /// # Errors
    /// `EINVAL`: not pages, no new bytes, or source and target overlap. `EFAULT`: the
    /// range is not one mapping. `ENOMEM`: no room where it must be. `EPERM`: the target is
    /// too low.
    pub fn remap(&self, request: RemapRequest) -> Result<u64> {
        let RemapRequest { address, old_len, new_len, may_move, fixed, keeps_old } = request;
        let old_len = round_up(old_len).ok_or(Errno::EINVAL)?;
        let new_len = round_up(new_len).filter(|&len| len > 0).ok_or(Errno::EINVAL)?;
        if !is_aligned(address) || (keeps_old && old_len != new_len) {
            return Err(Errno::EINVAL);
        }
        let old = address..address.checked_add(old_len).ok_or(Errno::EINVAL)?;
        let target = match fixed {
            Some(to) => {
                let bad = !is_aligned(to) || new_len > USER_END || to > USER_END - new_len;
                if bad || (to < old.end && address < to + new_len) {
                    return Err(Errno::EINVAL);
                }
                Some(user_range(to, new_len)?)
            }
            None => None,
        };
        let mut state = self.state.write();
        let vma = state.map.find(address).ok_or(Errno::EFAULT)?.clone();
        if old_len == 0 {
            if !vma.is_shared() || !may_move {
                return Err(Errno::EINVAL);
            }
            let to = self.room_for(&mut state, target, new_len)?;
            let mut again = vma.elsewhere(address, to.clone());
            reverse::link(&self.table, &mut again)?;
            state.map.insert(again)?;
            return Ok(to.start);
        }
        if old.end > USER_END {
            return Err(Errno::EINVAL);
        }
        if keeps_old && !vma.is_private_anonymous() {
            return Err(Errno::EINVAL);
        }
        if new_len <= old_len && fixed.is_none() && !keeps_old {
            if new_len < old_len {
                self.take_away(&mut state, address + new_len..old.end)?;
            }
            return Ok(address);
        }
        if old.end > vma.end {
            return Err(Errno::EFAULT);
        }
        if !vma.is_shared() || vma.file().is_none() {
            check_commit(new_len.saturating_sub(old_len), vma.access)?;
        }
        let tail = old.end..address.checked_add(new_len).ok_or(Errno::ENOMEM)?;
        if fixed.is_none() && !keeps_old && tail.end <= USER_END && state.map.is_free(tail.clone())
        {
            state.map.insert(vma.elsewhere(tail.start, tail))?;
            return Ok(address);
        }
        if !may_move {
            return Err(Errno::ENOMEM);
        }
        // One is added and two are cut; once pages have moved nothing may fail.
        state.map.reserve(5)?;
        self.split_ends(&state, &old)?;
        self.table.split(VirtAddr::new(address + old_len.min(new_len)))?;
        let to = self.room_for(&mut state, target, new_len)?;
        // Before a page moves: the cache looks at links in the order in which they were made.
        let mut new = vma.elsewhere(address, to.clone());
        reverse::link(&self.table, &mut new)?;
        // As long as pages move, whatever becomes of the VMA.
        let _link = new.link.clone();
        state.map.insert(new)?;
        let moved = address..address + old_len.min(new_len);
        if let Err(error) = self.table.move_range(addresses(&moved), VirtAddr::new(to.start)) {
            self.take_away(&mut state, to)?;
            return Err(error.into());
        }
        if !keeps_old {
            self.take_away(&mut state, old)?;
        }
        Ok(to.start)
    }

    /// Room for `len` bytes: `target`, with what is there taken away, or anywhere.
    fn room_for(
        &self,
        state: &mut State,
        target: Option<Range<u64>>,
        len: u64,
    ) -> Result<Range<u64>> {
        if let Some(target) = target {
            self.take_away(state, target.clone())?;
            return Ok(target);
        }
        let within = USER_START..self.layout.mmap_top;
        let gap = state.map.find_gap(len, within).ok_or(Errno::ENOMEM)?;
        Ok(gap..gap + len)
    }

    /// Calls `look` with each part of `range` that a VMA holds.
    ///
    /// # Errors
    /// `ENOMEM`: a hole in the range; all parts have been looked at. What `look` says.
    pub(crate) fn for_each_part(
        state: &State,
        range: &Range<u64>,
        mut look: impl FnMut(&Vma, Range<u64>) -> Result<()>,
    ) -> Result<()> {
        for vma in state.map.overlapping(range.clone()) {
            look(vma, vma.start.max(range.start)..vma.end.min(range.end))?;
        }
        if state.map.is_covered(range.clone()) { Ok(()) } else { Err(Errno::ENOMEM) }
    }
}

/// Whether the object of `vma`, if it has one, has the page at `address` in memory.
pub(crate) fn is_in_object(vma: &Vma, address: u64) -> bool {
    match &vma.backing {
        Backing::Anonymous => false,
        Backing::Object { object, offset, .. } => {
            object.is_resident((offset + (address - vma.start)) / crate::PAGE)
        }
    }
}
