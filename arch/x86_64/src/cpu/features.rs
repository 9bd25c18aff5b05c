//! What this CPU can do (CPUID), read once into [`Features`].

use core::arch::x86_64::{__cpuid, __cpuid_count};

/// Features that change what the kernel does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// 1 GiB pages.
    pub giant_pages: bool,
    /// Supervisor-mode execution prevention.
    pub smep: bool,
    /// Supervisor-mode access prevention.
    pub smap: bool,
    /// User-mode instruction prevention.
    pub umip: bool,
    /// xsave, xrstor, xgetbv, xsetbv.
    pub xsave: bool,
    /// xsaveopt.
    pub xsaveopt: bool,
    /// x2APIC mode.
    pub x2apic: bool,
    /// A TSC that runs at one rate in every power state.
    pub invariant_tsc: bool,
    /// Machine checks, and the banks that tell about them.
    pub machine_check: bool,
    /// rdrand.
    pub rdrand: bool,
    /// CPUID leaf 1 EDX: what AT_HWCAP tells user programs.
    pub hwcap: u32,
}

/// Reads CPUID. Cheap enough to be called anywhere but on hot paths.
pub fn features() -> Features {
    let mut features = Features::default();
    let max = __cpuid(0).eax;
    let leaf1 = __cpuid(1);
    features.hwcap = leaf1.edx;
    features.machine_check = leaf1.edx & (1 << 7) != 0 && leaf1.edx & (1 << 14) != 0;
    features.xsave = leaf1.ecx & (1 << 26) != 0;
    features.x2apic = leaf1.ecx & (1 << 21) != 0;
    features.rdrand = leaf1.ecx & (1 << 30) != 0;
    if max >= 7 {
        let leaf7 = __cpuid_count(7, 0);
        features.smep = leaf7.ebx & (1 << 7) != 0;
        features.smap = leaf7.ebx & (1 << 20) != 0;
        features.umip = leaf7.ecx & (1 << 2) != 0;
    }
    if max >= 0xd && features.xsave {
        features.xsaveopt = __cpuid_count(0xd, 1).eax & 1 != 0;
    }
    let max_extended = __cpuid(0x8000_0000).eax;
    if max_extended >= 0x8000_0001 {
        features.giant_pages = __cpuid(0x8000_0001).edx & (1 << 26) != 0;
    }
    if max_extended >= 0x8000_0007 {
        features.invariant_tsc = __cpuid(0x8000_0007).edx & (1 << 8) != 0;
    }
    features
}

/// The vendor string of leaf 0 and the brand string of leaves 0x80000002 to 4, as far
/// as the CPU has them, without trailing zeros.
pub fn brand() -> ([u8; 48], usize) {
    let mut text = [0; 48];
    if __cpuid(0x8000_0000).eax < 0x8000_0004 {
        return (text, 0);
    }
    for (leaf, part) in (0x8000_0002..).zip(text.chunks_exact_mut(16)) {
        let r = __cpuid(leaf);
        for (bytes, register) in part.chunks_exact_mut(4).zip([r.eax, r.ebx, r.ecx, r.edx]) {
            bytes.copy_from_slice(&register.to_le_bytes());
        }
    }
    let length = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
    (text, length)
}

/// Reads 64 bits from the CPU's random generator; `None` without one, or when it has
/// not delivered after ten tries (the vendor's own bound).
pub fn hardware_random() -> Option<u64> {
    if !features().rdrand {
        return None;
    }
    for _ in 0..10 {
        let (value, ok): (u64, u8);
        // SAFETY: the CPU has rdrand; it changes two registers and the flags.
        unsafe {
            core::arch::asm!("rdrand {}", "setc {}", out(reg) value, out(reg_byte) ok,
                options(nomem, nostack));
        }
        if ok != 0 {
            return Some(value);
        }
    }
    None
}
