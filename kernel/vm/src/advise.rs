//! madvise, mincore and msync: advice about a range, and questions.

use core::ops::Range;

use abi::mman::{
    MADV_COLD, MADV_DODUMP, MADV_DOFORK, MADV_DONTDUMP, MADV_DONTFORK, MADV_DONTNEED, MADV_FREE,
    MADV_HUGEPAGE, MADV_KEEPONFORK, MADV_NOHUGEPAGE, MADV_NORMAL, MADV_PAGEOUT, MADV_POPULATE_READ,
    MADV_POPULATE_WRITE, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_WIPEONFORK,
};
use abi::{Errno, Result};

use crate::PAGE;
use crate::change::{is_aligned, round_up};
use crate::fault::{Fault, FaultKind};
use crate::remap::is_in_object;
use crate::space::{AddressSpace, addresses};
use crate::vma::{Backing, Vma, VmaFlags};

/// What an advice comes to.
enum Advice {
    /// The pages are dropped; if only for anonymous private ones, the flag says so.
    Drop { only_private: bool },
    /// A flag is set or taken.
    Flag { flag: VmaFlags, set: bool },
    /// The pages are brought, to be written or not.
    Populate { write: bool },
    /// Pages of files are read that are not there.
    ReadAhead,
    /// It only asks for speed.
    Hint,
}

fn meaning(advice: u32) -> Option<Advice> {
    let flag = |flag, set| Some(Advice::Flag { flag, set });
    match advice {
        MADV_DONTNEED => Some(Advice::Drop { only_private: false }),
        MADV_FREE => Some(Advice::Drop { only_private: true }),
        MADV_NOHUGEPAGE => flag(VmaFlags::NO_HUGE, true),
        MADV_HUGEPAGE => flag(VmaFlags::NO_HUGE, false),
        MADV_DONTFORK => flag(VmaFlags::DONT_FORK, true),
        MADV_DOFORK => flag(VmaFlags::DONT_FORK, false),
        MADV_WIPEONFORK => flag(VmaFlags::WIPE_ON_FORK, true),
        MADV_KEEPONFORK => flag(VmaFlags::WIPE_ON_FORK, false),
        MADV_POPULATE_READ => Some(Advice::Populate { write: false }),
        MADV_POPULATE_WRITE => Some(Advice::Populate { write: true }),
        MADV_WILLNEED => Some(Advice::ReadAhead),
        MADV_NORMAL | MADV_RANDOM | MADV_SEQUENTIAL | MADV_DONTDUMP | MADV_DODUMP | MADV_COLD
        | MADV_PAGEOUT => Some(Advice::Hint),
        _ => None,
    }
}

impl AddressSpace {
    /// Takes advice about a range. The kinds that only ask for speed are taken without
    /// effect: there is nothing yet that they could steer.
    ///
    /// # Errors
    /// `EINVAL`: not of a page, an advice that is not known, or not for such memory.
    /// `ENOMEM`: a hole in the range; the rest has been done. `EFAULT`: a page that cannot be
    /// brought.
    pub fn advise(&self, address: u64, len: u64, advice: u32) -> Result<()> {
        let advice = meaning(advice).filter(|_| is_aligned(address)).ok_or(Errno::EINVAL)?;
        let len = round_up(len).ok_or(Errno::EINVAL)?;
        let range = address..address.checked_add(len).ok_or(Errno::EINVAL)?;
        if range.is_empty() {
            return Ok(());
        }
        match advice {
            Advice::Populate { write } => self.populate(range, write),
            Advice::Drop { only_private } => self.drop_pages(&range, only_private),
            Advice::Flag { flag, set } => {
                let mut state = self.state.write();
                let private = |vma: &Vma| vma.is_private_anonymous();
                Self::for_each_part(&state, &range, |vma, _| {
                    let fits = flag != VmaFlags::WIPE_ON_FORK || !set || private(vma);
                    if fits { Ok(()) } else { Err(Errno::EINVAL) }
                })
                .or_else(|error| if error == Errno::ENOMEM { Ok(()) } else { Err(error) })?;
                self.split_ends(&state, &range)?; // each end becomes one of a VMA
                state.map.change(range.clone(), |vma| vma.flags.set(flag, set))?;
                Self::for_each_part(&state, &range, |_, _| Ok(()))
            }
            Advice::ReadAhead => Self::for_each_part(&self.state.read(), &range, |vma, part| {
                if let (Some(file), Backing::Object { offset, .. }) = (vma.file(), &vma.backing) {
                    let first = (offset + (part.start - vma.start)) / PAGE;
                    file.cache().will_need(first..first + (part.end - part.start) / PAGE);
                }
                Ok(())
            }),
            Advice::Hint => Self::for_each_part(&self.state.read(), &range, |_, _| Ok(())),
        }
    }

    fn drop_pages(&self, range: &Range<u64>, only_private: bool) -> Result<()> {
        // For reading: faults may bring pages meanwhile, to tables that are still there.
        let state = self.state.read();
        self.split_ends(&state, range)?;
        Self::for_each_part(&state, range, |vma, part| {
            if only_private && !vma.is_private_anonymous() {
                return Err(Errno::EINVAL);
            }
            self.table.unmap_range(addresses(&part), addresses(&part));
            Ok(())
        })
    }

    /// Brings all pages of a range.
    ///
    /// # Errors
    /// `ENOMEM`: a hole, or no memory; `EINVAL`: the program may not touch them so; `EFAULT`:
    /// an object's page cannot be brought. `EINTR`: a signal is there. What comes before has
    /// been done.
    pub fn populate(&self, range: Range<u64>, write: bool) -> Result<()> {
        let mut address = range.start;
        while address < range.end {
            if task::signal_pending() {
                return Err(Errno::EINTR);
            }
            // A page that others see is copied only if it is said to be there.
            let present =
                write && self.table.access(arch::paging::VirtAddr::new(address)).is_some();
            self.fault(Fault::touch(address, write, present)).map_err(|kind| match kind {
                FaultKind::NotMapped | FaultKind::OutOfMemory => Errno::ENOMEM,
                FaultKind::NotAllowed => Errno::EINVAL,
                FaultKind::NoBytes => Errno::EFAULT,
            })?;
            address += PAGE;
        }
        Ok(())
    }

    /// Writes 1 for each page from `address` on that is in memory, else 0.
    ///
    /// # Errors
    /// `ENOMEM`: a hole in the range.
    pub fn residency(&self, address: u64, bytes: &mut [u8]) -> Result<()> {
        bytes.fill(0);
        let range = address..address + bytes.len() as u64 * PAGE;
        let state = self.state.read();
        Self::for_each_part(&state, &range, |vma, part| {
            for page in part.step_by(PAGE as usize) {
                let index = ((page - address) / PAGE) as usize;
                if let Some(byte) = bytes.get_mut(index) {
                    *byte = is_in_object(vma, page).into();
                }
            }
            Ok(())
        })?;
        self.table.residency(addresses(&range), bytes);
        Ok(())
    }

    /// Makes sure that what was written to shared mappings in a range is where it belongs; if
    /// not `wait`, that is seen to in any case, in a while.
    ///
    /// # Errors
    /// `EINVAL`: not of a page. `ENOMEM`: a hole in the range; the rest has been done. `EIO`.
    pub fn sync(&self, address: u64, len: u64, wait: bool) -> Result<()> {
        if !is_aligned(address) {
            return Err(Errno::EINVAL);
        }
        let len = round_up(len).ok_or(Errno::ENOMEM)?;
        let range = address..address.checked_add(len).ok_or(Errno::ENOMEM)?;
        if range.is_empty() {
            return Ok(());
        }
        let covered = Self::for_each_part(&self.state.read(), &range, |_, _| Ok(()));
        let mut at = range.start;
        while wait && at < range.end {
            // One after the other, and without the lock while it is stored.
            let state = self.state.read();
            let Some(vma) = state.map.next_from(at).filter(|vma| vma.start < range.end) else {
                break;
            };
            let part = vma.start.max(at)..vma.end.min(range.end);
            at = part.end;
            if let (true, Backing::Object { object, offset, .. }) = (vma.is_shared(), &vma.backing)
            {
                let from = offset + (part.start - vma.start);
                let bytes = from..from + (part.end - part.start);
                let object = object.clone();
                drop(state);
                object.sync(bytes)?;
            }
        }
        covered
    }
}
