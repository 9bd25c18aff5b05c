//! The calls that change an address space: mmap, munmap, mprotect, mremap, madvise, brk.
//! Errors are those of the manual pages.

use core::ops::Range;

use abi::mman::{
    MADV_COLD, MADV_DODUMP, MADV_DONTDUMP, MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE,
    MADV_NOHUGEPAGE, MADV_NORMAL, MADV_PAGEOUT, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED,
};
use abi::{Errno, Result};
use arch::paging::VirtAddr;
use memory::frames;
use memory::user::Access;

use crate::PAGE;
use crate::layout::{MMAP_TOP, USER_END, USER_START};
use crate::space::{AddressSpace, State};
use crate::vma::{Backing, Vma};

/// Where a new mapping goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// There if it is free, else where there is room; 0 for no wish.
    Hint(u64),
    /// There; what is there goes away.
    Fixed(u64),
    /// There; `EEXIST` if something is there.
    FixedNoReplace(u64),
}

/// What mmap is asked for.
#[derive(Clone, Debug)]
pub struct MapRequest {
    /// Where.
    pub placement: Placement,
    /// Bytes; rounded up to pages.
    pub len: u64,
    /// What the program may do.
    pub access: Access,
    /// What the pages hold.
    pub backing: Backing,
    /// Address space that may never be filled: not measured against the memory there is.
    pub no_reserve: bool,
}

/// What mremap is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemapRequest {
    /// Where the mapping is.
    pub address: u64,
    /// Its length in bytes.
    pub old_len: u64,
    /// The length that it is to have.
    pub new_len: u64,
    /// Whether it may move.
    pub may_move: bool,
    /// Where it must move to.
    pub fixed: Option<u64>,
}

fn is_aligned(address: u64) -> bool {
    address.is_multiple_of(PAGE)
}

/// `len` rounded up to pages; `None` if it wraps.
fn round_up(len: u64) -> Option<u64> {
    len.checked_next_multiple_of(PAGE)
}

fn in_user_space(start: u64, len: u64) -> Option<Range<u64>> {
    let end = start.checked_add(len)?;
    (start >= USER_START && end <= USER_END).then_some(start..end)
}

/// Refuses what could never be filled: more writable memory in one piece than the
/// machine has (Linux's heuristic overcommit).
fn check_commit(len: u64, access: Access) -> Result<()> {
    if access.write && len / PAGE > frames::statistics().total as u64 {
        return Err(Errno::ENOMEM);
    }
    Ok(())
}

impl AddressSpace {
    fn drop_pages(&self, range: &Range<u64>) {
        self.table.unmap_range(VirtAddr::new(range.start), VirtAddr::new(range.end));
    }

    /// Takes `range` out of the map and frees its pages.
    fn take_away(&self, state: &mut State, range: Range<u64>) -> Result<()> {
        state.map.remove(range.clone())?;
        self.drop_pages(&range);
        Ok(())
    }

    /// Makes a mapping; its address.
    ///
    /// # Errors
    /// `EINVAL`: no bytes, or a fixed address that is not of a page. `EEXIST`. `ENOMEM`:
    /// no room, addresses that are not the user's, or more than the machine has.
    pub fn map(&self, request: MapRequest) -> Result<u64> {
        if request.len == 0 {
            return Err(Errno::EINVAL);
        }
        let len = round_up(request.len).ok_or(Errno::ENOMEM)?;
        if !request.no_reserve {
            check_commit(len, request.access)?;
        }
        let mut state = self.state.lock();
        let range = match request.placement {
            Placement::Hint(hint) => {
                let wish = in_user_space(hint & !(PAGE - 1), len);
                match wish.filter(|range| hint != 0 && state.map.is_free(range.clone())) {
                    Some(range) => range,
                    None => {
                        let gap = state.map.find_gap(len, USER_START..MMAP_TOP);
                        let start = gap.ok_or(Errno::ENOMEM)?;
                        start..start + len
                    }
                }
            }
            Placement::Fixed(start) | Placement::FixedNoReplace(start) => {
                if !is_aligned(start) {
                    return Err(Errno::EINVAL);
                }
                let range = in_user_space(start, len).ok_or(Errno::ENOMEM)?;
                if !state.map.is_free(range.clone()) {
                    if matches!(request.placement, Placement::FixedNoReplace(_)) {
                        return Err(Errno::EEXIST);
                    }
                    self.take_away(&mut state, range.clone())?;
                }
                range
            }
        };
        let Range { start, end } = range;
        let vma = Vma { start, end, access: request.access, backing: request.backing };
        state.map.insert(vma)?;
        Ok(start)
    }

    /// Takes mappings away.
    ///
    /// # Errors
    /// `EINVAL`: not pages of the user's. `ENOMEM`.
    pub fn unmap(&self, address: u64, len: u64) -> Result<()> {
        let len = round_up(len).filter(|&len| len > 0).ok_or(Errno::EINVAL)?;
        let end = address.checked_add(len).filter(|&end| end <= USER_END);
        if !is_aligned(address) || end.is_none() {
            return Err(Errno::EINVAL);
        }
        self.take_away(&mut self.state.lock(), address..address + len)
    }

    /// Changes what the program may do in a range.
    ///
    /// # Errors
    /// `EINVAL`: not of a page. `ENOMEM`: a hole in the range; what comes before it has
    /// been changed.
    pub fn protect(&self, address: u64, len: u64, access: Access) -> Result<()> {
        if !is_aligned(address) {
            return Err(Errno::EINVAL);
        }
        if len == 0 {
            return Ok(());
        }
        let end = round_up(len).and_then(|len| address.checked_add(len)).ok_or(Errno::ENOMEM)?;
        let mut state = self.state.lock();
        let mapped_end = state.map.covered_end(address..end).min(end);
        if mapped_end > address {
            state.map.change(address..mapped_end, |vma| vma.access = access)?;
            self.table.protect_range(VirtAddr::new(address), VirtAddr::new(mapped_end), access);
        }
        if mapped_end < end { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// Takes advice about a range. The kinds that only ask for speed are taken without
    /// effect: there is nothing yet that they could steer.
    ///
    /// # Errors
    /// `EINVAL`: not of a page, or an advice that is not known. `ENOMEM`: a hole in the
    /// range; the rest has been done.
    pub fn advise(&self, address: u64, len: u64, advice: u32) -> Result<()> {
        let drops = matches!(advice, MADV_DONTNEED | MADV_FREE);
        let hint = matches!(
            advice,
            MADV_NORMAL
                | MADV_RANDOM
                | MADV_SEQUENTIAL
                | MADV_WILLNEED
                | MADV_HUGEPAGE
                | MADV_NOHUGEPAGE
                | MADV_DONTDUMP
                | MADV_DODUMP
                | MADV_COLD
                | MADV_PAGEOUT
        );
        if !is_aligned(address) || !(drops || hint) {
            return Err(Errno::EINVAL);
        }
        let len = round_up(len).ok_or(Errno::EINVAL)?;
        let end = address.checked_add(len).ok_or(Errno::EINVAL)?;
        let state = self.state.lock();
        if drops {
            for vma in state.map.overlapping(address..end) {
                let range = vma.start.max(address)..vma.end.min(end);
                self.drop_pages(&range);
            }
        }
        if state.map.is_covered(address..end) { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    /// Makes a mapping longer or shorter, and moves it if it must; its address.
    ///
    /// # Errors
    /// `EINVAL`: not pages, no new bytes, or source and target overlap. `EFAULT`: the
    /// range is not one mapping. `ENOMEM`: no room where it must be.
    pub fn remap(&self, request: RemapRequest) -> Result<u64> {
        let RemapRequest { address, old_len, new_len, may_move, fixed } = request;
        let old_len = round_up(old_len).ok_or(Errno::EINVAL)?;
        let new_len = round_up(new_len).ok_or(Errno::ENOMEM)?;
        if !is_aligned(address) || new_len == 0 || fixed.is_some_and(|to| !is_aligned(to)) {
            return Err(Errno::EINVAL);
        }
        if old_len == 0 {
            return Err(Errno::EINVAL); // a copy of a shared mapping; there are none yet
        }
        let old = address..address.checked_add(old_len).ok_or(Errno::EINVAL)?;
        let mut state = self.state.lock();
        let vma = state.map.find(address).ok_or(Errno::EFAULT)?.clone();
        if old.end > USER_END {
            return Err(Errno::EINVAL);
        }
        if new_len <= old_len && fixed.is_none() {
            if new_len < old_len {
                self.take_away(&mut state, address + new_len..old.end)?;
            }
            return Ok(address);
        }
        if old.end > vma.end {
            return Err(Errno::EFAULT);
        }
        check_commit(new_len, vma.access)?;
        let tail = old.end..address.checked_add(new_len).ok_or(Errno::ENOMEM)?;
        if fixed.is_none()
            && old.end == vma.end
            && tail.end <= USER_END
            && state.map.is_free(tail.clone())
        {
            let backing = at_offset(&vma, tail.start);
            state.map.insert(Vma { start: tail.start, end: tail.end, access: vma.access, backing })?;
            return Ok(address);
        }
        if !may_move {
            return Err(Errno::ENOMEM);
        }
        // One is added and two are cut; once pages have moved nothing may fail.
        state.map.reserve(5)?;
        let to = match fixed {
            Some(to) => {
                let target = in_user_space(to, new_len).ok_or(Errno::EINVAL)?;
                if target.start < old.end && old.start < target.end {
                    return Err(Errno::EINVAL);
                }
                self.take_away(&mut state, target)?;
                to
            }
            None => state.map.find_gap(new_len, USER_START..MMAP_TOP).ok_or(Errno::ENOMEM)?,
        };
        let backing = at_offset(&vma, address);
        state.map.insert(Vma { start: to, end: to + new_len, access: vma.access, backing })?;
        let moved = address + old_len.min(new_len);
        let (from, target) = (VirtAddr::new(address), VirtAddr::new(to));
        if let Err(error) = self.table.move_range(from, VirtAddr::new(moved), target) {
            state.map.remove(to..to + new_len)?;
            return Err(error.into());
        }
        self.take_away(&mut state, old)?;
        Ok(to)
    }

    /// Says where the program break begins, for a new program.
    pub fn set_break_start(&self, start: u64) {
        let mut state = self.state.lock();
        state.break_start = start;
        state.break_now = start;
    }

    /// Moves the program break if it can be moved to `to`; where it then is (brk(2)
    /// knows no errors).
    pub fn set_break(&self, to: u64) -> u64 {
        let mut state = self.state.lock();
        let (start, now) = (state.break_start, state.break_now);
        let (Some(old_end), Some(new_end)) = (round_up(now), round_up(to)) else { return now };
        if to < start || new_end > MMAP_TOP {
            return now;
        }
        let access = Access { read: true, write: true, execute: false };
        let moved = if new_end > old_end {
            if check_commit(new_end - start, access).is_err()
                || !state.map.is_free(old_end..new_end)
            {
                return now;
            }
            let backing = Backing::Anonymous;
            state.map.insert(Vma { start: old_end, end: new_end, access, backing }).is_ok()
        } else {
            new_end == old_end || self.take_away(&mut state, new_end..old_end).is_ok()
        };
        if moved {
            state.break_now = to;
        }
        state.break_now
    }
}

/// The backing of `vma` as it is from address `at` on, which may be its end.
fn at_offset(vma: &Vma, at: u64) -> Backing {
    match &vma.backing {
        Backing::Anonymous => Backing::Anonymous,
        Backing::Object { object, offset, end } => Backing::Object {
            object: object.clone(),
            offset: offset + (at - vma.start),
            end: *end,
        },
    }
}
