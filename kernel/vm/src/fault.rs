//! Page faults: [`AddressSpace::fault`] brings the page of a touch that is allowed.
//!
//! What is brought, for a page that is not there:
//! - anonymous and read: the page of zeros, until it is written;
//! - anonymous and written, in a VMA with room for it: 2 MiB at once;
//! - else a page of zeros, or a copy of the object's bytes; and with it, where the program
//!   goes through its memory in order, the pages that come next (fault-around, [`Streams`]);
//! - of a file: the page cache's page, or a copy ([`super::file_fault`]);
//! - of another object with pages of its own: that page, read-only in a private mapping.
//!
//! A write to a page that is there and that others see too, after a fork, copies it.
//!
//! The most frequent of all, a write to a page of anonymous memory that is not there, by a
//! program that goes on where it was but not in order, has a short way ([`AddressSpace::fault`]
//! tries it first); all others, and what that does not get done, go the long one.
//!
//! Faults take the address space's lock for reading, so that threads fault side by side; what
//! two bring at once is mapped once, by the page table's lock.

use core::sync::atomic::{AtomicU64, Ordering};

use arch::paging::{PageSize, VirtAddr};
use arrayvec::ArrayVec;
use memory::frames::{Frame, FrameUse, LargeFrame};
use memory::user::{Access, WriteTouch};

use crate::PAGE;
use crate::layout::{GUARD_BYTES, STACK_BYTES, USER_START};
use crate::object::{MemoryObject, ObjectError};
use crate::space::{AddressSpace, addresses};
use crate::vma::{Backing, Vma, VmaFlags};

/// A touch of user memory that the page tables did not allow.
pub use base::trap::PageFault as Fault;

/// Why a touch is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// No VMA holds the address: SIGSEGV, `SEGV_MAPERR`.
    NotMapped,
    /// The VMA does not allow it: SIGSEGV, `SEGV_ACCERR`.
    NotAllowed,
    /// The page lies wholly behind the end of the mapped object, or the object cannot be
    /// read: SIGBUS.
    NoBytes,
    /// No memory for the page.
    OutOfMemory,
}

impl From<ObjectError> for FaultKind {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Io | ObjectError::NoSpace => Self::NoBytes,
            ObjectError::OutOfMemory => Self::OutOfMemory,
        }
    }
}

impl From<memory::OutOfMemory> for FaultKind {
    fn from(_: memory::OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

/// Most pages that one fault brings.
const WINDOW: usize = 16;
/// Bytes of a 2 MiB page.
const LARGE: u64 = PageSize::Large.bytes();

/// Where a program goes on through its memory in order: a few places at a time, one for each
/// 2 MiB of addresses that differ in their low bits. A hint: two threads may spoil it.
#[derive(Debug)]
pub(crate) struct Streams([AtomicU64; 8]);

impl Streams {
    pub(crate) const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 8])
    }

    /// Whether `page` is not the one that comes next; that is the one behind it then.
    #[inline(always)]
    fn is_alone(&self, page: u64) -> bool {
        let (number, index) = (page / PAGE, (page / LARGE) as usize % self.0.len());
        let Some(stream) = self.0.get(index) else { return false };
        let is_alone = stream.load(Ordering::Relaxed) >> 8 != number;
        if is_alone {
            stream.store(((number + 1) << 8) | 1, Ordering::Relaxed);
        }
        is_alone
    }

    /// How many pages to bring for a touch of `page`, at most `most`: twice as many as the
    /// last time if it is the page that comes next, else one.
    fn window(&self, page: u64, most: usize) -> usize {
        let (number, index) = (page / PAGE, (page / LARGE) as usize % self.0.len());
        let Some(stream) = self.0.get(index) else { return 1 };
        // The next page's number, and in the low byte how many came last.
        let last = stream.load(Ordering::Relaxed);
        let window = if last >> 8 == number { (last as usize & 0xff) * 2 } else { 1 };
        let window = window.min(WINDOW).min(most);
        stream.store((number + window as u64) << 8 | window as u64, Ordering::Relaxed);
        window
    }
}

/// Whether `vma` takes the whole 2 MiB that hold `page`, and may have a large page there.
#[inline(always)]
fn may_be_large(vma: &Vma, page: u64) -> bool {
    if vma.flags.intersects(VmaFlags::NO_HUGE | VmaFlags::GROWS_DOWN) {
        return false;
    }
    let block = page & !(LARGE - 1);
    block >= vma.start && vma.end - block >= LARGE
}

/// Whether `access` allows the fault.
fn allows(access: Access, fault: &Fault) -> bool {
    if fault.is_fetch() {
        access.execute
    } else if fault.is_write() {
        access.write
    } else {
        // The CPU cannot forbid reading what may be written or executed.
        access != Access::NONE
    }
}

impl AddressSpace {
    /// Brings the page of a touch that is allowed. Returns when the touch can be repeated.
    ///
    /// # Errors
    /// As [`FaultKind`] says.
    #[inline(always)]
    pub fn fault(&self, fault: Fault) -> Result<(), FaultKind> {
        if self.bring_one(&fault) { Ok(()) } else { self.fault_slowly(fault) }
    }

    /// The short way. False if it does not lead there; then nothing has changed.
    #[inline(always)]
    fn bring_one(&self, fault: &Fault) -> bool {
        if fault.is_present() || !fault.is_write() {
            return false;
        }
        let state = self.state.read();
        let Some(vma) = state.map.find_again(fault.address) else { return false };
        let page = fault.address & !(PAGE - 1);
        if !vma.access.write
            || !vma.is_private_anonymous()
            || may_be_large(vma, page)
            || !self.streams.is_alone(page)
        {
            return false;
        }
        let at_hand = Frame::zeroed_at_hand(FrameUse::Anonymous);
        let Some(frame) = at_hand.or_else(|| Frame::zeroed(FrameUse::Anonymous).ok()) else {
            return false;
        };
        self.table.map_at_hand(VirtAddr::new(page), frame, vma.access)
    }

    #[inline(never)]
    fn fault_slowly(&self, fault: Fault) -> Result<(), FaultKind> {
        for _ in 0..2 {
            let state = self.state.read();
            if let Some(vma) = state.map.find(fault.address) {
                let has_to_wait = self.touch(vma, &fault)?;
                drop(state);
                if has_to_wait {
                    self.wait_for_stored(fault.address);
                }
                return Ok(());
            }
            drop(state);
            self.grow_down_to(fault.address)?;
        }
        Err(FaultKind::NotMapped)
    }

    /// Has who made pages of the file at `address` dirty wait for some to be stored.
    #[cold]
    fn wait_for_stored(&self, address: u64) {
        let cache = {
            let state = self.state.read();
            let file = state.map.find(address).and_then(Vma::file);
            file.map(|file| file.cache().clone())
        };
        if let Some(cache) = cache {
            cache.throttle();
        }
    }

    /// Brings a page of `vma`. True if a page became dirty, and there are too many of those.
    fn touch(&self, vma: &Vma, fault: &Fault) -> Result<bool, FaultKind> {
        if !allows(vma.access, fault) {
            return Err(FaultKind::NotAllowed);
        }
        let page = fault.address & !(PAGE - 1);
        if fault.is_write()
            && fault.is_present()
            && !vma.is_shared()
            && self.make_writable(vma, page)?
        {
            return Ok(false);
        }
        match &vma.backing {
            Backing::Anonymous => self.bring_zeros(vma, page, fault.is_write())?,
            Backing::Object { object, offset, end } => {
                let from = offset + (page - vma.start);
                let len = object.len();
                // What is cut off within a page is zero, so that it has to be a copy.
                let is_cut = *end < len && *end - from.min(*end) < PAGE;
                let whole = end.saturating_sub(*offset) & !(PAGE - 1);
                let whole_end = vma.start.saturating_add(whole);
                let end = (*end).min(len);
                if from >= end {
                    return Err(FaultKind::NoBytes);
                }
                let is_write = fault.is_write();
                match object.file() {
                    Some(file) if from.is_multiple_of(PAGE) && vma.is_shared() && is_write => {
                        let (object, index) = (object.as_ref(), from / PAGE);
                        let is_dirty = self.bring_to_write(vma, page, object, file, index)?;
                        return Ok(is_dirty && file.cache().has_too_much());
                    }
                    Some(file) if from.is_multiple_of(PAGE) && !is_write && !is_cut => {
                        self.bring_to_read(vma, page, file, from / PAGE, whole_end)?;
                    }
                    _ => self.bring_bytes(vma, page, is_write, object.as_ref(), from..end)?,
                }
            }
        }
        Ok(false)
    }

    /// Makes a page of a private mapping writable. False if it is not there.
    fn make_writable(&self, vma: &Vma, page: u64) -> Result<bool, FaultKind> {
        let at = VirtAddr::new(page);
        let touch = match self.table.make_writable(at, vma.access, None)? {
            WriteTouch::NeedsCopy => {
                let copy = Frame::allocate(FrameUse::Anonymous)?;
                self.table.make_writable(at, vma.access, Some(copy))?
            }
            touch => touch,
        };
        Ok(touch == WriteTouch::Writable)
    }

    /// Pages from `page` to the end of its lowest table, or of `vma`.
    fn room(vma: &Vma, page: u64) -> usize {
        let table_end = (page & !(LARGE - 1)) + LARGE;
        ((vma.end.min(table_end) - page) / PAGE) as usize
    }

    fn bring_zeros(&self, vma: &Vma, page: u64, write: bool) -> Result<(), FaultKind> {
        let at = VirtAddr::new(page);
        if !write {
            return Ok(self.table.map_zeros(at, vma.access)?);
        }
        if self.bring_large(vma, page)? {
            return Ok(());
        }
        let window = self.streams.window(page, Self::room(vma, page));
        if window == 1 {
            let frame = Frame::zeroed(FrameUse::Anonymous)?;
            return Ok(self.table.map(at, [frame], vma.access)?);
        }
        let mut frames: ArrayVec<Frame, WINDOW> = ArrayVec::new();
        frames.push(Frame::zeroed(FrameUse::Anonymous)?);
        // The rest as far as there is memory.
        frames.extend((1..window).map_while(|_| Frame::zeroed(FrameUse::Anonymous).ok()));
        Ok(self.table.map(at, frames, vma.access)?)
    }

    /// Brings the 2 MiB that hold `page`, if `vma` takes them all, nothing of them is there
    /// yet, and there is memory in one piece.
    fn bring_large(&self, vma: &Vma, page: u64) -> Result<bool, FaultKind> {
        let block = page & !(LARGE - 1);
        if !may_be_large(vma, page) || !self.table.is_block_empty(VirtAddr::new(block)) {
            return Ok(false);
        }
        let Ok(frame) = LargeFrame::zeroed(FrameUse::Anonymous) else { return Ok(false) };
        self.table.map_large(VirtAddr::new(block), frame, vma.access)?;
        Ok(true)
    }

    /// Brings a page of `object`, whose bytes are `bytes`, from that of the page on.
    fn bring_bytes(
        &self,
        vma: &Vma,
        page: u64,
        write: bool,
        object: &dyn MemoryObject,
        bytes: core::ops::Range<u64>,
    ) -> Result<(), FaultKind> {
        let at = VirtAddr::new(page);
        let is_whole = bytes.start.is_multiple_of(PAGE);
        if is_whole && (vma.is_shared() || !write) {
            // What lies behind the end in the last page is zero, so that it has to be a copy
            // if the object has more bytes there.
            let is_cut = bytes.end - bytes.start < PAGE && bytes.end < object.len();
            if !is_cut && let Some(frame) = object.page(bytes.start / PAGE)? {
                let access = if vma.is_shared() { vma.access } else { vma.access.read_only() };
                return Ok(self.table.map(at, [frame], access)?);
            }
        }
        let rest = (bytes.end - bytes.start).div_ceil(PAGE) as usize;
        let window = self.streams.window(page, Self::room(vma, page).min(rest));
        let mut frames: ArrayVec<Frame, WINDOW> = ArrayVec::new();
        let starts = (bytes.start..bytes.end).step_by(PAGE as usize).take(window);
        for from in starts {
            let brought = copy_of(object, from..bytes.end);
            match brought {
                Ok(frame) => frames.push(frame),
                Err(kind) if frames.is_empty() => return Err(kind),
                Err(_) => break, // it may never be touched
            }
        }
        let end = page + frames.len() as u64 * PAGE;
        self.table.map(at, frames, vma.access)?;
        if object.file().is_some() {
            // What was cut off meanwhile goes, with the copies of it: who cuts the file says so
            // first, and looks for copies then.
            let left = object.len().saturating_sub(bytes.start).div_ceil(PAGE);
            let cut = page.saturating_add(left.saturating_mul(PAGE)).min(end)..end;
            if !cut.is_empty() {
                self.table.unmap_range(addresses(&cut), addresses(&cut));
            }
            if left == 0 {
                return Err(FaultKind::NoBytes);
            }
        }
        Ok(())
    }

    /// Lets a stack grow so that it holds `address`, if one may.
    fn grow_down_to(&self, address: u64) -> Result<(), FaultKind> {
        let mut state = self.state.write();
        let start = address & !(PAGE - 1);
        let Some(vma) = state.map.next_from(address) else { return Err(FaultKind::NotMapped) };
        if vma.contains(address) {
            return Ok(()); // another thread was faster
        }
        let may_grow = vma.flags.contains(VmaFlags::GROWS_DOWN)
            && start >= USER_START
            && vma.end - start <= STACK_BYTES;
        // The gap is kept to what may be touched, but for another stack that grows.
        let is_clear = state.map.prev_before(address).is_none_or(|below| {
            below.flags.contains(VmaFlags::GROWS_DOWN)
                || below.access == Access::NONE
                || start - below.end >= GUARD_BYTES
        });
        if !may_grow || !is_clear {
            return Err(FaultKind::NotMapped);
        }
        let (old_start, end) = (vma.start, vma.end);
        let grown = state.map.resize(old_start, start..end);
        if grown { Ok(()) } else { Err(FaultKind::NotMapped) }
    }
}

/// A frame with the bytes of `object` from the start of `bytes` on, zero behind their end.
fn copy_of(object: &dyn MemoryObject, bytes: core::ops::Range<u64>) -> Result<Frame, FaultKind> {
    let mut frame = Frame::zeroed(FrameUse::Anonymous)?;
    let len = (bytes.end - bytes.start).min(PAGE) as usize;
    let (to, _) = frame.bytes_mut().split_at_mut(len);
    object.read_at(bytes.start, to)?;
    Ok(frame)
}
