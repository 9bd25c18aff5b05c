//! Slabs: see the module above for what they are.

use core::alloc::Layout;
use core::ptr::{NonNull, null_mut};

use arch::paging::{PAGE_SIZE, PHYSMAP_BASE, PhysAddr};
use static_assertions::const_assert;

use super::{ClassStatistics, poison};
use crate::frames::{self, FrameRun, FrameUse};

/// A size class: bytes of an object, its alignment, and frames of a slab (a power of
/// two).
pub(super) struct Class {
    pub(super) size: usize,
    align: usize,
    frames: usize,
}

const fn class(size: usize, align: usize, frames: usize) -> Class {
    Class { size, align, frames }
}

/// The size classes, ascending.
pub(super) const CLASSES: [Class; 14] = [
    class(16, 16, 1),
    class(32, 32, 1),
    class(48, 16, 1),
    class(64, 64, 1),
    class(96, 32, 1),
    class(128, 128, 1),
    class(192, 64, 1),
    class(256, 256, 1),
    class(384, 128, 1),
    class(512, 512, 1),
    class(768, 256, 1),
    class(1024, 1024, 4),
    class(1536, 512, 4),
    class(2048, 2048, 4),
];

/// Sizes are looked up in steps of that many bytes.
const STEP: usize = 16;

/// For each number of steps the smallest class that is large enough.
static CLASS_BY_STEPS: [u8; CLASSES[CLASSES.len() - 1].size / STEP + 1] = {
    let mut table = [0; CLASSES[CLASSES.len() - 1].size / STEP + 1];
    let (mut steps, mut class) = (0, 0);
    while steps < table.len() {
        if CLASSES[class].size < steps * STEP {
            class += 1;
        }
        table[steps] = class as u8;
        steps += 1;
    }
    table
};

/// The class that serves `layout`, or `None` for what is too large.
#[inline]
pub(super) fn class_of(layout: Layout) -> Option<usize> {
    let mut class = usize::from(*CLASS_BY_STEPS.get(layout.size().div_ceil(STEP))?);
    while CLASSES.get(class)?.align < layout.align() {
        class += 1;
    }
    Some(class)
}

/// The first bytes of a slab.
#[repr(C)]
struct Slab {
    next: *mut Slab,
    previous: *mut Slab,
    /// First free object; each free object holds a pointer to the next.
    free: *mut u8,
    used: u32,
    /// Objects that fit; those past `started` have never been used and are on no list.
    capacity: u32,
    started: u32,
}
const_assert!(size_of::<Slab>() <= 64);

/// All slabs of one class.
///
/// When memory is out what is left lies scattered: an object whose slab would be several frames
/// then has a whole frame, told from those of slabs by its [`FrameUse`].
pub(super) struct Cache {
    class: usize,
    /// Slabs with free objects, doubly linked. Full slabs are on no list.
    partial: *mut Slab,
    used: usize,
    slabs: usize,
    /// Slabs on the list without a used object.
    empty: usize,
    /// Objects that have a frame each.
    single: usize,
}

// SAFETY: the pointers lead to slabs that only this cache, behind its lock, touches.
unsafe impl Send for Cache {}

impl Cache {
    pub(super) const fn new(class: usize) -> Self {
        Self { class, partial: null_mut(), used: 0, slabs: 0, empty: 0, single: 0 }
    }

    fn first_object(class: &Class) -> usize {
        size_of::<Slab>().next_multiple_of(class.align)
    }

    fn slab_bytes(class: &Class) -> usize {
        class.frames * PAGE_SIZE as usize
    }

    /// Makes a slab and puts it on the list.
    fn grow(&mut self) -> Option<NonNull<Slab>> {
        let class = &CLASSES[self.class];
        let run = FrameRun::allocate(class.frames, class.frames, FrameUse::Heap).ok()?;
        let slab = run.leak().to_physmap().as_mut_ptr::<Slab>();
        let capacity = (Self::slab_bytes(class) - Self::first_object(class)) / class.size;
        let header = Slab {
            next: null_mut(),
            previous: null_mut(),
            free: null_mut(),
            used: 0,
            capacity: capacity as u32,
            started: 0,
        };
        // SAFETY: the frames are ours and hold nothing yet.
        unsafe { slab.write(header) };
        self.slabs += 1;
        self.empty += 1;
        // SAFETY: a live slab on no list.
        unsafe { self.link(slab) };
        NonNull::new(slab)
    }

    /// # Safety
    /// `slab` is a live slab of this cache, on no list.
    unsafe fn link(&mut self, slab: *mut Slab) {
        // SAFETY: the caller's slab and the list's first are live and only reached
        // through this cache.
        unsafe {
            (*slab).previous = null_mut();
            (*slab).next = self.partial;
            if !self.partial.is_null() {
                (*self.partial).previous = slab;
            }
        }
        self.partial = slab;
    }

    /// # Safety
    /// `slab` is on the list.
    unsafe fn unlink(&mut self, slab: *mut Slab) {
        // SAFETY: neighbours of a slab on the list are on the list.
        unsafe {
            let (next, previous) = ((*slab).next, (*slab).previous);
            if !next.is_null() {
                (*next).previous = previous;
            }
            if previous.is_null() {
                self.partial = next;
            } else {
                (*previous).next = next;
            }
        }
    }

    /// An object, or null when memory is out.
    pub(super) fn allocate(&mut self) -> *mut u8 {
        if self.partial.is_null() && self.grow().is_none() {
            return self.allocate_single();
        }
        self.allocate_at_hand().unwrap_or_default()
    }

    /// An object with a frame of its own, where a slab is more than that.
    #[cold]
    fn allocate_single(&mut self) -> *mut u8 {
        let class = &CLASSES[self.class];
        if class.frames == 1 {
            return null_mut();
        }
        let Ok(run) = FrameRun::allocate(1, 1, FrameUse::HeapSingle) else { return null_mut() };
        let object = run.leak().to_physmap().as_mut_ptr::<u8>();
        // SAFETY: the frame is ours, and an object is smaller.
        unsafe { Self::prepare(object, class) };
        self.single += 1;
        self.used += 1;
        object
    }

    /// Makes an object that was never used look like a free one.
    ///
    /// # Safety
    /// The object's memory is the caller's.
    unsafe fn prepare(object: *mut u8, class: &Class) {
        if cfg!(debug_assertions) {
            // SAFETY: the caller's memory, of at least 16 bytes.
            unsafe {
                // Whatever the frame held is no mark.
                object.cast::<u64>().add(1).write(0);
                poison::fill(object, class.size, [0; 2]);
            }
        }
    }

    /// The frame of an object that has one for itself.
    fn frame_of_single(object: *mut u8, class: &Class) -> Option<PhysAddr> {
        if class.frames == 1 {
            return None;
        }
        let frame = PhysAddr::new(object as u64 - PHYSMAP_BASE);
        (frame.is_aligned(PAGE_SIZE) && frames::use_of(frame) == Some(FrameUse::HeapSingle))
            .then_some(frame)
    }

    /// An object of a slab that there is.
    pub(super) fn allocate_at_hand(&mut self) -> Option<*mut u8> {
        let slab = NonNull::new(self.partial)?.as_ptr();
        let class = &CLASSES[self.class];
        // SAFETY: the slab is on the list, so it is live and has a free object: one on
        // its own list, whose first word names the next, or one never used yet.
        unsafe {
            if (*slab).used == 0 {
                self.empty -= 1;
            }
            let object = if (*slab).free.is_null() {
                let index = (*slab).started as usize;
                (*slab).started += 1;
                let object = slab.cast::<u8>().add(Self::first_object(class) + index * class.size);
                Self::prepare(object, class);
                object
            } else {
                let object = (*slab).free;
                (*slab).free = object.cast::<*mut u8>().read();
                object
            };
            (*slab).used += 1;
            if (*slab).used == (*slab).capacity {
                self.unlink(slab);
            }
            self.used += 1;
            Some(object)
        }
    }

    /// Takes an object back.
    ///
    /// # Safety
    /// `object` came from [`Cache::allocate`] of this cache and is not used any more.
    pub(super) unsafe fn free(&mut self, object: *mut u8) {
        let class = &CLASSES[self.class];
        if let Some(frame) = Self::frame_of_single(object, class) {
            self.single -= 1;
            self.used -= 1;
            // SAFETY: `allocate_single` leaked this frame, and its object is given up.
            return drop(unsafe { FrameRun::from_parts(frame, 1) });
        }
        let slab = (object as usize & !(Self::slab_bytes(class) - 1)) as *mut Slab;
        // SAFETY: slabs are naturally aligned, so the header of the object's slab is at
        // the rounded address; the object is free memory of at least 16 bytes now.
        unsafe {
            object.cast::<*mut u8>().write((*slab).free);
            (*slab).free = object;
            if (*slab).used == (*slab).capacity {
                self.link(slab);
            }
            (*slab).used -= 1;
            self.used -= 1;
            if (*slab).used > 0 {
                return;
            }
            self.empty += 1;
            if self.empty > 1 {
                self.remove(slab);
            }
        }
    }

    /// Gives an empty slab back.
    ///
    /// # Safety
    /// `slab` is on the list and has no used object.
    unsafe fn remove(&mut self, slab: *mut Slab) {
        let class = &CLASSES[self.class];
        // SAFETY: the caller's argument.
        unsafe { self.unlink(slab) };
        self.slabs -= 1;
        self.empty -= 1;
        let start = PhysAddr::new(slab as u64 - PHYSMAP_BASE);
        // SAFETY: `grow` leaked this run; no object of it is in use and it is on no list.
        drop(unsafe { FrameRun::from_parts(start, class.frames) });
    }

    /// Gives all empty slabs back. Returns how many frames they had.
    pub(super) fn free_empty(&mut self) -> usize {
        let mut freed = 0;
        let mut slab = self.partial;
        while !slab.is_null() && self.empty > 0 {
            // SAFETY: a slab on the list; the next one is read before it goes.
            unsafe {
                let next = (*slab).next;
                if (*slab).used == 0 {
                    self.remove(slab);
                    freed += CLASSES[self.class].frames;
                }
                slab = next;
            }
        }
        freed
    }

    pub(super) fn statistics(&self) -> ClassStatistics {
        let class = &CLASSES[self.class];
        ClassStatistics {
            size: class.size,
            used: self.used,
            kept: 0,
            frames: self.slabs * class.frames + self.single,
        }
    }
}
