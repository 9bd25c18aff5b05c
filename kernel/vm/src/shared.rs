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

/// Pages that come with the first touch and stay until nobody maps the object any more.
#[derive(Debug)]
pub struct SharedMemory {
    len: u64,
    /// Blocks of [`BLOCK`] pages; an empty one has no page, and those past the end neither.
    blocks: Mutex<Vec<Vec<Option<Frame>>>>,
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

    fn place(index: u64) -> Option<(usize, usize)> {
        let index = usize::try_from(index).ok()?;
        Some((index / BLOCK, index % BLOCK))
    }
}

/// Makes `list` at least `len` long.
fn grow<T>(list: &mut Vec<T>, len: usize, fill: impl FnMut() -> T) -> Result<(), ObjectError> {
    if let Some(more) = len.checked_sub(list.len()).filter(|&more| more > 0) {
        frames::check_user_may_allocate().map_err(|_| ObjectError::OutOfMemory)?;
        list.try_reserve(more).map_err(|_| ObjectError::OutOfMemory)?;
        list.resize_with(len, fill);
    }
    Ok(())
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
        let (block, within) = Self::place(index).ok_or(ObjectError::OutOfMemory)?;
        let mut blocks = self.blocks.lock();
        grow(&mut blocks, block + 1, Vec::new)?;
        let block = blocks.get_mut(block).ok_or(ObjectError::OutOfMemory)?;
        grow(block, BLOCK, || None)?;
        let page = block.get_mut(within).ok_or(ObjectError::OutOfMemory)?;
        if page.is_none() {
            let frame = Frame::zeroed(FrameUse::SharedMemory);
            *page = Some(frame.map_err(|_| ObjectError::OutOfMemory)?);
        }
        Ok(page.as_ref().map(Frame::share))
    }

    fn is_resident(&self, index: u64) -> bool {
        let Some((block, within)) = Self::place(index) else { return false };
        let blocks = self.blocks.lock();
        blocks.get(block).and_then(|block| block.get(within)).is_some_and(Option::is_some)
    }

    fn name(&self) -> &[u8] {
        b"/dev/zero (deleted)"
    }
}
