//! The calls that make, change and take mappings: mmap, munmap, mprotect, brk. Errors are
//! those of the manual pages.

use core::ops::Range;

use abi::{Errno, Result};
use arch::paging::VirtAddr;
use memory::frames;
use memory::user::Access;

use crate::PAGE;
use crate::layout::{USER_END, USER_START};
use crate::reverse;
use crate::space::{AddressSpace, State, addresses};
use crate::vma::{Backing, Vma, VmaFlags};

/// The end of the half of the addresses that is the user's.
const LOWER_HALF_END: u64 = 1 << 47;

/// Where a new mapping goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// There if it is free, else where there is room; 0 for no wish.
    Hint(u64),
    /// Where there is room below this address.
    Below(u64),
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
    /// What is special about it.
    pub flags: VmaFlags,
    /// What the pages hold.
    pub backing: Backing,
}

pub(crate) fn is_aligned(address: u64) -> bool {
    address.is_multiple_of(PAGE)
}

/// `len` rounded up to pages; `None` if it wraps.
pub(crate) fn round_up(len: u64) -> Option<u64> {
    len.checked_next_multiple_of(PAGE)
}

/// The range from `start` on.
///
/// # Errors
/// `ENOMEM` if it ends above what is the user's; `EPERM` if it begins below.
pub(crate) fn user_range(start: u64, len: u64) -> Result<Range<u64>> {
    let end = start.checked_add(len).filter(|&end| end <= USER_END).ok_or(Errno::ENOMEM)?;
    if start < USER_START { Err(Errno::EPERM) } else { Ok(start..end) }
}

/// Refuses what could never be filled: more writable memory in one piece than the
/// machine has (Linux's heuristic overcommit).
pub(crate) fn check_commit(len: u64, access: Access) -> Result<()> {
    if access.write && len / PAGE > frames::total() as u64 {
        return Err(Errno::ENOMEM);
    }
    Ok(())
}

impl AddressSpace {
    /// Makes sure that no large page crosses an end of `range`. None crosses an end of a VMA.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn split_ends(&self, state: &State, range: &Range<u64>) -> Result<()> {
        for at in [range.start, range.end] {
            if state.map.is_cut_at(at) {
                self.table.split(VirtAddr::new(at))?;
            }
        }
        Ok(())
    }

    /// Takes `range` out of the map and frees its pages, and the tables between what is left
    /// on both sides.
    ///
    /// # Errors
    /// `ENOMEM`; nothing has changed then.
    pub(crate) fn take_away(&self, state: &mut State, range: Range<u64>) -> Result<()> {
        // No large page crosses an end of a VMA.
        if state.map.take_exact(&range).is_none() {
            if state.map.is_free(range.clone()) {
                return Ok(());
            }
            self.split_ends(state, &range)?;
            state.map.remove(range.clone())?;
        }
        let Range { start: below, end: above } = state.map.gap_around(range.start);
        let above = above.min(LOWER_HALF_END);
        self.table.unmap_range(addresses(&range), addresses(&(below..above)));
        Ok(())
    }

    /// Where a new mapping goes; what is there is taken away.
    fn make_room(&self, state: &mut State, placement: Placement, len: u64) -> Result<Range<u64>> {
        let top = self.layout.mmap_top;
        let (start, replaces) = match placement {
            Placement::Hint(hint) => {
                let wish = user_range(hint & !(PAGE - 1), len).ok();
                let is_free = |range: &Range<u64>| state.map.is_free_of_guards(range.clone());
                if let Some(range) = wish.filter(is_free) {
                    return Ok(range);
                }
                let gap = state.map.find_gap(len, USER_START..top).ok_or(Errno::ENOMEM)?;
                return Ok(gap..gap + len);
            }
            Placement::Below(limit) => {
                let within = USER_START..top.min(limit);
                let gap = state.map.find_gap(len, within).ok_or(Errno::ENOMEM)?;
                return Ok(gap..gap + len);
            }
            Placement::Fixed(start) => (start, true),
            Placement::FixedNoReplace(start) => (start, false),
        };
        if !is_aligned(start) {
            return Err(Errno::EINVAL);
        }
        let range = user_range(start, len)?;
        if !replaces && !state.map.is_free(range.clone()) {
            return Err(Errno::EEXIST);
        }
        self.take_away(state, range.clone())?;
        Ok(range)
    }

    /// Makes a mapping; its address.
    ///
    /// # Errors
    /// `EINVAL`: no bytes, or a fixed address that is not of a page. `EEXIST`. `ENOMEM`:
    /// no room, addresses above the user's, or more than the machine has. `EPERM`: a fixed
    /// address that is too low.
    pub fn map(&self, request: MapRequest) -> Result<u64> {
        if request.len == 0 {
            return Err(Errno::EINVAL);
        }
        let len = round_up(request.len).ok_or(Errno::ENOMEM)?;
        // What is written to a file has its room there.
        let is_file =
            || request.flags.contains(VmaFlags::SHARED) && request.backing.file().is_some();
        if !request.flags.contains(VmaFlags::NO_RESERVE) && !is_file() {
            check_commit(len, request.access)?;
        }
        let mut state = self.state.write();
        let Range { start, end } = self.make_room(&mut state, request.placement, len)?;
        let MapRequest { access, flags, backing, .. } = request;
        let mut vma = Vma { start, end, access, flags, backing, link: None };
        reverse::link(&self.table, &mut vma)?;
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
        self.take_away(&mut self.state.write(), address..address + len)
    }

    /// Changes what the program may do in a range.
    ///
    /// # Errors
    /// `EINVAL`: not of a page. `ENOMEM`: a hole in the range, or more to be written than the
    /// machine has; `EACCES`: an object that may not be written, or not executed; what comes before it has been
    /// changed.
    pub fn protect(&self, address: u64, len: u64, access: Access) -> Result<()> {
        if !is_aligned(address) {
            return Err(Errno::EINVAL);
        }
        if len == 0 {
            return Ok(());
        }
        let end = round_up(len).and_then(|len| address.checked_add(len)).ok_or(Errno::ENOMEM)?;
        let mut state = self.state.write();
        let mapped_end = state.map.covered_end(address..end).min(end);
        let mut result = if mapped_end < end { Err(Errno::ENOMEM) } else { Ok(()) };
        let refusal = |vma: &Vma| {
            if access.execute && vma.flags.contains(VmaFlags::NEVER_EXECUTE) {
                Err(Errno::EACCES)
            } else if !access.write {
                Ok(())
            } else if vma.flags.contains(VmaFlags::NEVER_WRITE) {
                Err(Errno::EACCES)
            } else if vma.access.write
                || vma.is_shared()
                || vma.flags.contains(VmaFlags::NO_RESERVE)
            {
                Ok(())
            } else {
                check_commit(vma.end.min(mapped_end) - vma.start.max(address), access)
            }
        };
        let mut end = mapped_end;
        for vma in state.map.overlapping(address..mapped_end) {
            if let Err(error) = refusal(vma) {
                (result, end) = (Err(error), vma.start.max(address));
                break;
            }
        }
        if end <= address {
            return result;
        }
        let range = address..end;
        self.split_ends(&state, &range)?;
        // Room for the change below is made before a page is changed: for no more than it adds,
        // so that what is a mapping of its own can be changed when there may be no more of them.
        let cuts = [range.start, range.end].map(|at| state.map.is_cut_at(at));
        state.map.reserve(cuts.into_iter().filter(|&is_cut| is_cut).count())?;
        for vma in state.map.overlapping(range.clone()) {
            let part = vma.start.max(address)..vma.end.min(end);
            self.table.protect_range(addresses(&part), access, vma.writes());
        }
        state.map.change(range, |vma| vma.access = access)?;
        result
    }

    /// Says where a new program ends; its break begins there, or a random bit further.
    pub fn set_break_start(&self, start: u64) {
        let mut state = self.state.write();
        state.break_start = round_up(start).unwrap_or(start) + self.layout.break_gap;
        state.break_now = state.break_start;
    }

    /// Moves the program break if it can be moved to `to`; where it then is (brk(2)
    /// knows no errors).
    pub fn set_break(&self, to: u64) -> u64 {
        let mut state = self.state.write();
        let (start, now) = (state.break_start, state.break_now);
        let (Some(old_end), Some(new_end)) = (round_up(now), round_up(to)) else { return now };
        if to < start || new_end > self.layout.mmap_top {
            return now;
        }
        let access = Access { read: true, write: true, execute: false };
        let moved = if new_end > old_end {
            if check_commit(new_end - start, access).is_err()
                || !state.map.is_free(old_end..new_end)
            {
                return now;
            }
            let (flags, backing) = (VmaFlags::empty(), Backing::Anonymous);
            let (start, end) = (old_end, new_end);
            state.map.insert(Vma { start, end, access, flags, backing, link: None }).is_ok()
        } else {
            new_end == old_end || self.take_away(&mut state, new_end..old_end).is_ok()
        };
        if moved {
            state.break_now = to;
        }
        state.break_now
    }
}
