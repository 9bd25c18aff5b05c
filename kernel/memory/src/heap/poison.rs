//! Poison on the heap, in debug builds: a free object is filled with a pattern, marked as
//! free and says who freed it; all that is looked at when it is handed out again. An object
//! that is freed while it is marked was freed before.
//!
//! The first word is left to the slab's list of free objects, the second holds the mark, the
//! third of those that have one a second return address.

use arch::paging::IMAGE_BASE;
use arch::unwind;
use base::symbols::Caller;

use crate::frames::PATTERN;

/// Two return addresses, innermost first, as offsets from the image's base. 0 for none.
pub(super) type Places = [u32; 2];

/// Where the function that this stands in, the allocator's entry, was called from.
#[inline(always)]
pub(super) fn places() -> Places {
    /// Most bytes of stack between two frames.
    const NEAR: u64 = 16 << 10;
    let (first, frame) = unwind::caller();
    let offset = |address: u64| address.wrapping_sub(IMAGE_BASE) as u32;
    let own = (&raw const frame) as u64;
    // On another stack the end of this one may be near.
    if frame < own || frame - own > NEAR {
        return [offset(first), 0];
    }
    // SAFETY: frame pointers lead outwards on the stack that this runs on.
    let [_, second] = unsafe { *(frame as *const [u64; 2]) };
    [offset(first), offset(second)]
}

/// The mark of a free object at `object`, in the upper half of its second word.
fn mark(object: *mut u8) -> u64 {
    ((object as u64 >> 4) ^ 0x5eed_f4ee) << 32
}

const UPPER: u64 = 0xffff_ffff << 32;

struct FreedBy(Places);

impl core::fmt::Display for FreedBy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let caller = |place: u32| Caller(IMAGE_BASE + u64::from(place));
        match self.0 {
            [0, _] => f.write_str("nobody"),
            [first, 0] => write!(f, "{}", caller(first)),
            [first, second] => write!(f, "{}, called by {}", caller(first), caller(second)),
        }
    }
}

/// # Safety
/// `object` is an object of `size` bytes (16 or more, a multiple of 8), that is marked as free.
unsafe fn freed_by(object: *mut u8, size: usize) -> FreedBy {
    let words = object.cast::<u64>();
    // SAFETY: within the object; `fill` wrote these words.
    let second = if size > 16 { unsafe { words.add(2).read() as u32 } } else { 0 };
    // SAFETY: as above.
    FreedBy([unsafe { words.add(1).read() as u32 }, second])
}

/// Fills and marks an object that is freed by `places`.
///
/// # Safety
/// `object` is an object of `size` bytes (16 or more, a multiple of 8), which the caller is
/// alone with.
///
/// # Panics
/// If it is marked as free already.
pub(super) unsafe fn fill(object: *mut u8, size: usize, places: Places) {
    let words = object.cast::<u64>();
    // SAFETY: all within the object, which is the caller's.
    unsafe {
        if words.add(1).read() & UPPER == mark(object) {
            panic!(
                "double free of the heap object at {object:p}, {size} bytes: freed by {}, \
                 and again by {}",
                freed_by(object, size),
                FreedBy(places),
            );
        }
        words.add(1).write(mark(object) | u64::from(places[0]));
        if size > 16 {
            words.add(2).write(u64::from(places[1]));
        }
        for index in 3..size / 8 {
            words.add(index).write(PATTERN);
        }
    }
}

/// Looks whether an object is as [`fill`] left it, and takes its mark away.
///
/// # Safety
/// As [`fill`], which was called for it before.
///
/// # Panics
/// If it is not, naming who freed it.
pub(super) unsafe fn check(object: *mut u8, size: usize) {
    let words = object.cast::<u64>();
    // SAFETY: all within the object, which is the caller's.
    unsafe {
        let is_marked = words.add(1).read() & UPPER == mark(object);
        let changed = (3..size / 8).find(|&index| words.add(index).read() != PATTERN);
        if let Some(index) = changed.or((!is_marked).then_some(1)) {
            let value = words.add(index).read();
            panic!(
                "use after free: the heap object at {object:p}, {size} bytes, was written to \
                 while it was free, {value:#x} at byte {:#x}: freed by {}",
                index * 8,
                freed_by(object, size)
            );
        }
        words.add(1).write(PATTERN);
    }
}
