//! [`SharedMemory`]: anonymous memory that several address spaces map
//! (`MAP_SHARED | MAP_ANONYMOUS`).

use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;

use memory::OutOfMemory;
use memory::frames::{self, Frame, FrameUse};
use task::{Mutex, named_mutex};

use crate::PAGE;
use crate::object::{MemoryObject, ObjectError};

/// Bits of a page's number that choose an entry at each level.
const LEVEL_BITS: u32 = 9;
/// Pages in a leaf, and entries of what is above it.
const ENTRIES: usize = 1 << LEVEL_BITS;

/// Empty, or [`ENTRIES`] pages of which some are there.
type Leaf = Vec<Option<Frame>>;
/// Pages by number. As deep as page tables are, so that what it takes depends on the pages that
/// are there and not on their numbers; what is not there is an empty list, or past the end of one.
type Tree = Vec<Vec<Vec<Leaf>>>;

/// Pages that come with the first touch and stay until nobody maps the object any more.
#[derive(Debug)]
pub struct SharedMemory {
    len: u64,
    pages: Mutex<Tree>,
}

impl SharedMemory {
    /// Memory of `len` bytes, all zero.
    ///
    /// # Errors
    /// [`OutOfMemory`] while only the kernel's reserve is left.
    pub fn new(len: u64) -> Result<Arc<Self>, OutOfMemory> {
        frames::check_user_may_allocate()?;
        Ok(Arc::new(Self { len, pages: named_mutex("shared memory", Vec::new()) }))
    }

    /// The entry of a page at each level, from the top.
    fn place(index: u64) -> [usize; 4] {
        let above = |level: u32| (index >> (LEVEL_BITS * level)) as usize;
        [above(3), above(2) % ENTRIES, above(1) % ENTRIES, above(0) % ENTRIES]
    }
}

/// Makes `list` at least `len` long.
fn grow<T: Default>(list: &mut Vec<T>, len: usize) -> Result<(), ObjectError> {
    if let Some(more) = len.checked_sub(list.len()).filter(|&more| more > 0) {
        frames::check_user_may_allocate().map_err(|_| ObjectError::OutOfMemory)?;
        list.try_reserve(more).map_err(|_| ObjectError::OutOfMemory)?;
        list.resize_with(len, T::default);
    }
    Ok(())
}

/// The entry at `index`, which is made if it is not there.
fn entry<T: Default>(list: &mut Vec<T>, index: usize) -> Result<&mut T, ObjectError> {
    grow(list, index + 1)?;
    list.get_mut(index).ok_or(ObjectError::OutOfMemory)
}

impl MemoryObject for SharedMemory {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, to: &mut [u8]) -> Result<(), ObjectError> {
        let mut at = offset;
        let mut rest = &mut to[..];
        while !rest.is_empty() && at < self.len {
            let within = (at % PAGE) as usize;
            let len = rest.len().min(PAGE as usize - within);
            let (part, after) = rest.split_at_mut(len);
            self.page(at / PAGE)?.ok_or(ObjectError::Io)?.read(within, part);
            at += len as u64;
            rest = after;
        }
        Ok(())
    }

    fn page(&self, index: u64) -> Result<Option<Frame>, ObjectError> {
        let [top, upper, lower, within] = Self::place(index);
        let mut pages = self.pages.lock();
        let leaf = entry(entry(entry(&mut pages, top)?, upper)?, lower)?;
        grow(leaf, ENTRIES)?;
        let page = entry(leaf, within)?;
        if page.is_none() {
            let frame = Frame::zeroed(FrameUse::SharedMemory);
            *page = Some(frame.map_err(|_| ObjectError::OutOfMemory)?);
        }
        if page.as_ref().is_some_and(frames::is_shared_by_many) {
            return Err(ObjectError::OutOfMemory);
        }
        Ok(page.as_ref().map(Frame::share))
    }

    fn is_resident(&self, index: u64) -> bool {
        let [top, upper, lower, within] = Self::place(index);
        let pages = self.pages.lock();
        let leaf = pages.get(top).and_then(|list| list.get(upper)?.get(lower));
        leaf.and_then(|leaf| leaf.get(within)).is_some_and(Option::is_some)
    }

    fn name(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(b"/dev/zero (deleted)")
    }
}

#[cfg(not(test))]
#[base::kernel_test]
fn a_page_far_out_costs_no_more_than_a_near_one() {
    let object = SharedMemory::new(1 << 46).expect("memory");
    let last = (1 << 46) / PAGE - 1;
    let heap = || {
        let uses = [FrameUse::Heap, FrameUse::Vmalloc];
        uses.map(frames::frames_for).iter().sum::<usize>()
    };
    let before = heap();
    for index in [last, 0, last / 2] {
        assert!(!object.is_resident(index));
        assert!(object.page(index).is_ok_and(|page| page.is_some()), "page {index}");
        assert!(object.is_resident(index));
    }
    assert!(!object.is_resident(1) && !object.is_resident(last - 1));
    assert!(heap() < before + 64, "{} frames for three pages", heap() - before);
}
