//! The user's x87, SSE and AVX state. The kernel itself is built without them, so the
//! state stays in the registers until another user thread needs them.
//!
//! [`FpuState`] is a thread's saved state in the CPU's own format: XSAVE where there is
//! one (Intel SDM volume 1, chapter 13), else FXSAVE.

use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use core::arch::asm;
use core::arch::x86_64::__cpuid_count;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::features::Features;

const METHOD_FXSAVE: u8 = 0;
const METHOD_XSAVE: u8 = 1;
const METHOD_XSAVEOPT: u8 = 2;

static METHOD: AtomicU8 = AtomicU8::new(METHOD_FXSAVE);
static AREA_BYTES: AtomicU32 = AtomicU32::new(512);
static COMPONENTS: AtomicU64 = AtomicU64::new(0);
static MXCSR_ALLOWED: AtomicU32 = AtomicU32::new(MXCSR_MASK_DEFAULT);

/// Initial MXCSR: all exceptions masked, round to nearest (psABI, section 3.4.1).
const MXCSR_INITIAL: u32 = 0x1f80;
/// Initial x87 control word: all exceptions masked, 64-bit mantissa.
const FCW_INITIAL: u16 = 0x037f;

/// Bytes of the FXSAVE area, the start of every state.
pub const LEGACY_BYTES: usize = 512;
/// Where MXCSR lies in it.
const MXCSR: core::ops::Range<usize> = 24..28;
/// Where FXSAVE tells which bits of MXCSR the CPU takes; another one would be a #GP.
const MXCSR_MASK: core::ops::Range<usize> = 28..32;
/// The mask of a CPU that tells none: without DAZ (SDM volume 1, section 11.6.6).
const MXCSR_MASK_DEFAULT: u32 = 0xffbf;

const COMPONENT_X87_SSE: u64 = 0b11;
const COMPONENT_AVX: u64 = 1 << 2;
const COMPONENTS_AVX512: u64 = 0b111 << 5;

/// Enables the state components on this CPU and chooses the way to save them.
pub(super) fn init(features: &Features) {
    MXCSR_ALLOWED.store(read_mxcsr_mask(), Ordering::Relaxed);
    if !features.xsave {
        return;
    }
    let leaf = __cpuid_count(0xd, 0);
    let supported = u64::from(leaf.edx) << 32 | u64::from(leaf.eax);
    let mut wanted = COMPONENT_X87_SSE | (supported & COMPONENT_AVX);
    if supported & COMPONENTS_AVX512 == COMPONENTS_AVX512 && wanted & COMPONENT_AVX != 0 {
        wanted |= COMPONENTS_AVX512;
    }
    // SAFETY: CR4.OSXSAVE is set, `wanted` is a valid subset of what the CPU supports.
    unsafe {
        asm!("xsetbv", in("ecx") 0, in("eax") wanted as u32, in("edx") (wanted >> 32) as u32,
            options(nomem, nostack, preserves_flags));
    }
    // EBX: bytes that the components enabled in XCR0 need.
    AREA_BYTES.store(__cpuid_count(0xd, 0).ebx, Ordering::Relaxed);
    COMPONENTS.store(wanted, Ordering::Relaxed);
    let method = if features.xsaveopt { METHOD_XSAVEOPT } else { METHOD_XSAVE };
    METHOD.store(method, Ordering::Relaxed);
}

/// Asks the CPU.
fn read_mxcsr_mask() -> u32 {
    #[repr(align(16))]
    struct Area([u8; LEGACY_BYTES]);
    let mut area = Area([0; LEGACY_BYTES]);
    // SAFETY: the area is as large and aligned as FXSAVE wants it; CR4.OSFXSR is set.
    unsafe { asm!("fxsave64 [{}]", in(reg) &mut area, options(nostack, preserves_flags)) };
    let mut word = [0; 4];
    word.copy_from_slice(&area.0[MXCSR_MASK]);
    match u32::from_le_bytes(word) {
        0 => MXCSR_MASK_DEFAULT,
        mask => mask,
    }
}

/// The bits of MXCSR that a program may set.
pub fn mxcsr_mask() -> u32 {
    MXCSR_ALLOWED.load(Ordering::Relaxed)
}

/// Bytes of one saved state.
pub fn state_bytes() -> usize {
    AREA_BYTES.load(Ordering::Relaxed) as usize
}

/// The state components that are saved beyond FXSAVE's, as XCR0 has them; 0 without XSAVE.
pub fn components() -> u64 {
    COMPONENTS.load(Ordering::Relaxed)
}

/// A saved FPU state.
pub struct FpuState {
    area: NonNull<u8>,
}

// SAFETY: the area is plain memory owned by the value.
unsafe impl Send for FpuState {}
// SAFETY: shared references only copy nothing and write nothing (`save` and `restore`
// take `&mut`).
unsafe impl Sync for FpuState {}

impl FpuState {
    fn layout() -> Option<Layout> {
        Layout::from_size_align(state_bytes(), 64).ok()
    }

    /// The state in which a program starts. `None` when memory is out.
    pub fn try_new() -> Option<Self> {
        let layout = Self::layout()?;
        // SAFETY: the layout's size is at least 512.
        let area = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        // SAFETY: offsets 0 (FCW) and 24 (MXCSR) of the legacy area, which is 512
        // bytes of our own. The XSAVE header behind it stays zero: all components in
        // their initial state.
        unsafe {
            area.as_ptr().cast::<u16>().write(FCW_INITIAL);
            area.as_ptr().add(24).cast::<u32>().write(MXCSR_INITIAL);
        }
        Some(Self { area })
    }

    /// The saved state in the CPU's format: the 512 bytes of FXSAVE, with XSAVE its header
    /// and the extended components behind them.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the area is that long, initialised by `try_new`, and borrowed with self.
        unsafe { core::slice::from_raw_parts(self.area.as_ptr(), state_bytes()) }
    }

    /// Takes a state over from bytes that anybody may have written. What the CPU would
    /// refuse to load is cleared; components that are not there get their initial state.
    /// False, and nothing changed, if they are fewer than the 512 of FXSAVE.
    #[must_use]
    pub fn set_bytes(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() < LEGACY_BYTES {
            return false;
        }
        // SAFETY: as in `bytes`, and `&mut self` makes it the only reference.
        let area = unsafe { core::slice::from_raw_parts_mut(self.area.as_ptr(), state_bytes()) };
        let len = bytes.len().min(area.len());
        area.fill(0);
        area[..len].copy_from_slice(&bytes[..len]);
        let mut word = [0; 4];
        word.copy_from_slice(&area[MXCSR]);
        let mxcsr = u32::from_le_bytes(word) & mxcsr_mask();
        area[MXCSR].copy_from_slice(&mxcsr.to_le_bytes());
        if METHOD.load(Ordering::Relaxed) == METHOD_FXSAVE {
            return true;
        }
        // The header: XSTATE_BV, XCOMP_BV, 48 reserved bytes (SDM volume 1, 13.4.2).
        let whole = bytes.len() >= area.len();
        let mut present = [0; 8];
        present.copy_from_slice(&area[LEGACY_BYTES..LEGACY_BYTES + 8]);
        let present = if whole { u64::from_le_bytes(present) } else { COMPONENT_X87_SSE };
        let present = present & COMPONENTS.load(Ordering::Relaxed);
        area[LEGACY_BYTES..LEGACY_BYTES + 64].fill(0);
        area[LEGACY_BYTES..LEGACY_BYTES + 8].copy_from_slice(&present.to_le_bytes());
        true
    }

    /// Saves this CPU's registers here.
    pub fn save(&mut self) {
        let components = COMPONENTS.load(Ordering::Relaxed);
        let (low, high) = (components as u32, (components >> 32) as u32);
        let area = self.area.as_ptr();
        // SAFETY: the area is 64-byte aligned, as large as the enabled components need,
        // and ours; the instruction is one that the CPU has.
        unsafe {
            match METHOD.load(Ordering::Relaxed) {
                METHOD_FXSAVE => asm!("fxsave64 [{}]", in(reg) area, options(nostack)),
                METHOD_XSAVE => {
                    asm!("xsave64 [{}]", in(reg) area, in("eax") low, in("edx") high, options(nostack));
                }
                _ => {
                    asm!("xsaveopt64 [{}]", in(reg) area, in("eax") low, in("edx") high, options(nostack));
                }
            }
        }
    }

    /// Loads this CPU's registers from here.
    pub fn restore(&self) {
        let components = COMPONENTS.load(Ordering::Relaxed);
        let (low, high) = (components as u32, (components >> 32) as u32);
        let area = self.area.as_ptr();
        // SAFETY: the area holds what `try_new` or `save` wrote, a valid image; the
        // kernel uses no FPU register, so none of its values is lost.
        unsafe {
            match METHOD.load(Ordering::Relaxed) {
                METHOD_FXSAVE => asm!("fxrstor64 [{}]", in(reg) area, options(nostack)),
                _ => {
                    asm!("xrstor64 [{}]", in(reg) area, in("eax") low, in("edx") high, options(nostack));
                }
            }
        }
    }
}

impl Drop for FpuState {
    fn drop(&mut self) {
        if let Some(layout) = Self::layout() {
            // SAFETY: allocated in `try_new` with the same layout: the size is fixed
            // once, before the first state is made.
            unsafe { dealloc(self.area.as_ptr(), layout) };
        }
    }
}
