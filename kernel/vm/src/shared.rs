//! [`SharedMemory`]: anonymous memory that several address spaces map
//! (`MAP_SHARED | MAP_ANONYMOUS`).

use alloc::sync::Arc;
use alloc::vec::Vec;

use memory::OutOfMemory;
use memory::frames::{self, Frame, FrameUse};
use task::{Mutex, named_mutex};

use crate::PAGE;
use crate::object::{MemoryObject, ObjectError};

/// Pages in a block.
const BLOCK: usize = 512;

/// Pages of the object in a row, of which one was touched.
#[derive(Debug)]
struct Block {
    /// Its place in the object, in blocks.
    number: u64,
    /// [`BLOCK`] pages; those past the object's end never come.
    pages: Vec<Option<Frame>>,
}

/// Pages that come with the first touch and stay until nobody maps the object any more.
#[derive(Debug)]
pub struct SharedMemory {
    len: u64,
    /// By rising number, and only those that were touched: an object may be as long as all
    /// addresses, and a list of what it could hold would take more memory than there is.
    blocks: Mutex<Vec<Block>>,
}

/// The page at `index`, as the number of its block and its place there.
fn place(index: u64) -> (u64, usize) {
    (index / BLOCK as u64, (index % BLOCK as u64) as usize)
}

/// Makes room for `more` in `list`, for as many again as there were.
fn reserve<T>(list: &mut Vec<T>, more: usize) -> Result<(), ObjectError> {
    if list.capacity() - list.len() < more {
        let more = more.max(list.capacity());
        let bytes = (list.len() + more) * size_of::<T>();
        frames::check_user_may_take(bytes.div_ceil(PAGE as usize))
            .map_err(|_| ObjectError::OutOfMemory)?;
        list.try_reserve_exact(more).map_err(|_| ObjectError::OutOfMemory)?;
    }
    Ok(())
}

impl SharedMemory {
    /// Memory of `len` bytes, all zero.
    ///
    /// # Errors
    /// [`OutOfMemory`] while only the kernel's reserve is left.
    pub fn new(len: u64) -> Result<Arc<Self>, OutOfMemory> {
        frames::check_user_may_allocate()?;
        Ok(Arc::new(Self { len, blocks: named_mutex("shared memory", Vec::new()) }))
    }
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
        let (number, within) = place(index);
        let mut blocks = self.blocks.lock();
        let at = match blocks.binary_search_by_key(&number, |block| block.number) {
            Ok(at) => at,
            Err(at) => {
                let mut pages = Vec::new();
                reserve(&mut pages, BLOCK)?;
                pages.resize_with(BLOCK, || None);
                reserve(&mut blocks, 1)?;
                blocks.insert(at, Block { number, pages });
                at
            }
        };
        let page = blocks.get_mut(at).and_then(|block| block.pages.get_mut(within));
        let page = page.ok_or(ObjectError::OutOfMemory)?;
        if page.is_none() {
            let frame = Frame::zeroed(FrameUse::SharedMemory);
            *page = Some(frame.map_err(|_| ObjectError::OutOfMemory)?);
        }
        Ok(page.as_ref().map(Frame::share))
    }

    fn is_resident(&self, index: u64) -> bool {
        let (number, within) = place(index);
        let blocks = self.blocks.lock();
        let block = blocks.binary_search_by_key(&number, |block| block.number).ok();
        let block = block.and_then(|at| blocks.get(at));
        block.and_then(|block| block.pages.get(within)).is_some_and(Option::is_some)
    }

    fn name(&self) -> &[u8] {
        b"/dev/zero (deleted)"
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
