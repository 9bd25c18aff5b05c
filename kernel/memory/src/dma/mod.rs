//! Memory for devices: [`DmaPool`] hands out [`DmaBuffer`]s, physically contiguous, whose
//! physical addresses are known. Small ones share pages: those of 16 bytes to 4 KiB come in
//! powers of two, aligned to their size, so that none crosses a page; larger ones are frames
//! in a row. Dropping a buffer frees it: the device must have been told before.
//!
//! A [`DmaBuffer`] is the CPU's or the device's, one after the other; a [`SharedDma`] is both
//! sides' at any time (`shared.rs`).

mod shared;

use alloc::vec::Vec;

use arch::paging::{PAGE_SIZE, PhysAddr};
use base::sync::IrqSpinLock;

use crate::OutOfMemory;
use crate::frames::{FrameRun, FrameUse};

pub use shared::SharedDma;

/// Bytes of the smallest buffer.
const LEAST: usize = 16;
const PAGE: usize = PAGE_SIZE as usize;
/// Sizes: 16 bytes to a page.
const SIZES: usize = (PAGE / LEAST).trailing_zeros() as usize + 1;

/// A page that is shared by buffers of one size.
struct Page {
    run: FrameRun,
    /// A bit for each buffer, set if it is free.
    free: [u64; PAGE / LEAST / 64],
    used: usize,
}

type Pages = Vec<Page>;

/// Where buffers come from.
pub struct DmaPool {
    /// Physical address that the devices do not reach any more.
    below: u64,
    pages: [IrqSpinLock<Pages>; SIZES],
}

/// A buffer for a device, with a physical address. All its bytes are zero at first.
pub struct DmaBuffer {
    pool: &'static DmaPool,
    address: PhysAddr,
    bytes: usize,
    /// The frames of a large one.
    run: Option<FrameRun>,
}

fn size_index(bytes: usize) -> usize {
    (bytes.max(LEAST).next_power_of_two() / LEAST).trailing_zeros() as usize
}

impl Page {
    fn new(size: usize, below: u64) -> Result<Self, OutOfMemory> {
        let run = FrameRun::allocate_below(1, 1, below, FrameUse::Dma)?;
        let mut free = [0; PAGE / LEAST / 64];
        for index in 0..PAGE / size {
            free[index / 64] |= 1 << (index % 64);
        }
        Ok(Self { run, free, used: 0 })
    }

    fn take(&mut self) -> Option<usize> {
        let word = self.free.iter().position(|&word| word != 0)?;
        let bit = self.free[word].trailing_zeros() as usize;
        self.free[word] &= self.free[word] - 1;
        self.used += 1;
        Some(word * 64 + bit)
    }

    fn put(&mut self, index: usize) {
        self.free[index / 64] |= 1 << (index % 64);
        self.used -= 1;
    }
}

impl DmaPool {
    /// A pool for devices that reach all memory.
    pub const fn new() -> Self {
        Self::below(u64::MAX)
    }

    /// A pool whose buffers lie below physical address `below`: 1 << 32 for devices that know
    /// addresses of 32 bits.
    pub const fn below(below: u64) -> Self {
        Self { below, pages: [const { IrqSpinLock::new("DMA pool", Vec::new()) }; SIZES] }
    }

    /// A buffer of `bytes` bytes, aligned to the next power of two, or to a page if it is
    /// larger than one.
    ///
    /// # Errors
    /// [`OutOfMemory`], also for 0 bytes.
    pub fn allocate(&'static self, bytes: usize) -> Result<DmaBuffer, OutOfMemory> {
        let buffer = match bytes {
            0 => return Err(OutOfMemory),
            1..=PAGE => {
                let address = self.take(size_index(bytes))?;
                DmaBuffer { pool: self, address, bytes, run: None }
            }
            _ => {
                let frames = bytes.div_ceil(PAGE);
                let run = FrameRun::allocate_below(frames, 1, self.below, FrameUse::Dma)?;
                DmaBuffer { pool: self, address: run.start(), bytes, run: Some(run) }
            }
        };
        // SAFETY: the bytes are the buffer's alone, in the physical map.
        unsafe { buffer.address.to_physmap().as_mut_ptr::<u8>().write_bytes(0, bytes) };
        Ok(buffer)
    }

    fn take(&self, index: usize) -> Result<PhysAddr, OutOfMemory> {
        let size = LEAST << index;
        let mut pages = self.pages[index].lock();
        let at = pages.iter().position(|page| page.used < PAGE / size);
        if at.is_none() {
            pages.try_reserve(1).map_err(|_| OutOfMemory)?;
            let page = Page::new(size, self.below)?;
            pages.push(page);
        }
        let page = match at {
            Some(at) => &mut pages[at],
            None => pages.last_mut().ok_or(OutOfMemory)?,
        };
        let place = page.take().ok_or(OutOfMemory)?;
        Ok(page.run.start().offset((place * size) as u64))
    }

    fn put(&self, address: PhysAddr, index: usize) {
        let start = address.align_down(PAGE_SIZE);
        let mut pages = self.pages[index].lock();
        let Some(at) = pages.iter().position(|page| page.run.start() == start) else {
            panic!("the DMA buffer at {address} is not this pool's");
        };
        pages[at].put((address.as_u64() - start.as_u64()) as usize / (LEAST << index));
        // One page is kept.
        if pages[at].used == 0 && pages.len() > 1 {
            pages.swap_remove(at);
        }
    }
}

impl Default for DmaPool {
    fn default() -> Self {
        Self::new()
    }
}

impl DmaBuffer {
    /// What the device is told.
    pub fn address(&self) -> PhysAddr {
        self.address
    }

    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether it has no bytes; it always has.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Its bytes. While a device may write to them, they may change at any time: look at them
    /// when it has said that it is done.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the buffer's own, in the physical map; no other kernel code has them.
        unsafe { core::slice::from_raw_parts(self.address.to_physmap().as_ptr(), self.bytes) }
    }

    /// Its bytes, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `bytes`, and `self` is borrowed mutably.
        unsafe {
            core::slice::from_raw_parts_mut(self.address.to_physmap().as_mut_ptr(), self.bytes)
        }
    }
}

impl Drop for DmaBuffer {
    fn drop(&mut self) {
        if self.run.is_none() {
            self.pool.put(self.address, size_index(self.bytes));
        }
    }
}

#[cfg(not(test))]
#[base::kernel_test]
fn dma_buffers_share_pages_and_come_back() {
    static POOL: DmaPool = DmaPool::below(1 << 32);
    let frames = || crate::frames::frames_for(FrameUse::Dma);
    let before = frames();
    let mut buffers: Vec<DmaBuffer> = Vec::new();
    for round in 0..600usize {
        let bytes = 1 + round * 7 % 300;
        let mut buffer = POOL.allocate(bytes).expect("memory at boot");
        let (address, size) = (buffer.address().as_u64(), bytes.max(16).next_power_of_two());
        assert!(address.is_multiple_of(size as u64) && address < 1 << 32);
        assert!(buffer.bytes().iter().all(|&byte| byte == 0));
        buffer.bytes_mut().fill(round as u8);
        buffers.push(buffer);
    }
    let intact = |(round, buffer): (usize, &DmaBuffer)| {
        buffer.bytes().iter().all(|&byte| byte == round as u8)
    };
    assert!(buffers.iter().enumerate().all(intact));
    let sizes = |index: usize| buffers.iter().filter(|b| size_index(b.len()) == index).count();
    let pages: usize = (0..SIZES).map(|index| sizes(index).div_ceil((PAGE / LEAST) >> index)).sum();
    // The pool may have kept one page for each size.
    let all = frames();
    assert!(all <= before + pages && all + SIZES >= before + pages, "{all} for {pages}");
    let large = POOL.allocate(3 * PAGE + 1).expect("memory at boot");
    assert!(large.address().is_aligned(PAGE_SIZE) && frames() == all + 4);
    assert!(POOL.allocate(0).is_err() && POOL.allocate(1 << 40).is_err());
    drop((buffers, large));
    assert!(frames() <= before + SIZES, "one page for each size");
}
