//! [`FlaggedFrame`]: a reference to a frame with some bits beside it, in one word: what a page
//! cache keeps of each page.

use core::num::NonZeroU64;

use arch::paging::{PAGE_SIZE, PhysAddr};

use super::owner::Frame;

/// A reference to a frame, and [`FLAG_BITS`](Self::FLAG_BITS) bits that mean what its holder
/// says.
#[derive(Debug)]
pub struct FlaggedFrame(NonZeroU64);

const FLAGS: u64 = PAGE_SIZE - 1;

impl FlaggedFrame {
    /// How many bits there are: those that are zero in the address of a page.
    pub const FLAG_BITS: u32 = FLAGS.count_ones();

    /// Takes a reference, with `flags` beside it.
    pub fn new(frame: Frame, flags: u16) -> Self {
        let address = frame.into_address().as_u64();
        let Some(word) = NonZeroU64::new(address | (u64::from(flags) & FLAGS)) else {
            // Page 0 is the firmware's and never handed out.
            unreachable!("a frame at 0");
        };
        Self(word)
    }

    /// Where the frame is.
    #[inline(always)]
    pub fn address(&self) -> PhysAddr {
        PhysAddr::new(self.0.get() & !FLAGS)
    }

    /// The bits.
    #[inline(always)]
    pub fn flags(&self) -> u16 {
        (self.0.get() & FLAGS) as u16
    }

    /// Sets the bits of `set` and clears those of `clear`.
    #[inline(always)]
    pub fn change(&mut self, clear: u16, set: u16) {
        let word = self.0.get() & !(u64::from(clear) & FLAGS) | (u64::from(set) & FLAGS);
        // The address is left as it was, and is not 0.
        self.0 = NonZeroU64::new(word).unwrap_or(self.0);
    }

    /// One more reference to the frame.
    #[inline(always)]
    pub fn share(&self) -> Frame {
        // SAFETY: `self` holds one.
        unsafe { super::share_address(self.address()) }
    }

    /// How many references to the frame there are now, this one among them.
    pub fn references(&self) -> u32 {
        super::reference_count(self.address())
    }

    /// The reference, without the bits.
    pub fn into_frame(self) -> Frame {
        let address = self.address();
        core::mem::forget(self);
        // SAFETY: `new` gave this reference up as an address, and `self` is gone.
        unsafe { Frame::from_address(address) }
    }
}

impl Drop for FlaggedFrame {
    fn drop(&mut self) {
        // SAFETY: as `into_frame`, once.
        drop(unsafe { Frame::from_address(self.address()) });
    }
}

#[cfg(not(test))]
#[base::kernel_test]
fn flags_lie_beside_the_reference() {
    use super::{FrameUse, reference_count};
    const { assert!(size_of::<Option<FlaggedFrame>>() == 8) };
    let frame = Frame::zeroed(FrameUse::FileCache).expect("memory at boot");
    let address = frame.address();
    let mut flagged = FlaggedFrame::new(frame, 0x805);
    assert_eq!((flagged.address(), flagged.flags()), (address, 0x805));
    flagged.change(0x800, 0x30);
    assert_eq!((flagged.address(), flagged.flags()), (address, 0x35));
    let shared = flagged.share();
    assert_eq!((flagged.references(), shared.address()), (2, address));
    drop(flagged);
    assert!(!shared.is_shared());
    let frame = FlaggedFrame::new(shared, 0xfff).into_frame();
    assert_eq!(reference_count(frame.address()), 1);
    drop(frame);
    assert_eq!(reference_count(address), 0);
}
