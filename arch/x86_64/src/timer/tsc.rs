//! The time-stamp counter.

/// The counter. Loads and stores around it may be reordered; good enough for clocks.
#[inline(always)]
pub fn read() -> u64 {
    // SAFETY: rdtsc has no effect; CR4.TSD does not bind ring 0.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// A TSC rate that is believed, in Hz.
const PLAUSIBLE: core::ops::RangeInclusive<u64> = 10_000_000..=100_000_000_000;

/// What CPUID leaf 0x15 says: the crystal's rate (ECX, in Hz) times EBX / EAX (Intel SDM
/// volume 3, section 18.7.3); `None` if one of them is not there.
pub fn rate_of_leaf_15(eax: u32, ebx: u32, ecx: u32) -> Option<u64> {
    let rate = (u64::from(ecx) * u64::from(ebx)).checked_div(eax.into())?;
    Some(rate).filter(|rate| PLAUSIBLE.contains(rate))
}

/// What a hypervisor's leaf 0x40000010 says (VMware's, taken over by others): EAX, in kHz.
pub fn rate_of_leaf_4000_0010(eax: u32) -> Option<u64> {
    Some(u64::from(eax) * 1000).filter(|rate| PLAUSIBLE.contains(rate))
}

/// Whether this is a guest of a hypervisor, or of an emulator: its TSC is made to keep time.
pub fn is_guest() -> bool {
    core::arch::x86_64::__cpuid(1).ecx & (1 << 31) != 0
}

/// The TSC's rate in Hz as CPUID states it; `None` where it does not. Leaf 0x16 does not
/// count: it names the model's rate, which is up to a percent off.
pub fn rate_from_cpuid() -> Option<u64> {
    const HYPERVISOR: u32 = 0x4000_0000;
    use core::arch::x86_64::__cpuid;
    if is_guest() && (HYPERVISOR + 0x10..HYPERVISOR + 0x100).contains(&__cpuid(HYPERVISOR).eax) {
        let rate = rate_of_leaf_4000_0010(__cpuid(HYPERVISOR + 0x10).eax);
        if rate.is_some() {
            return rate;
        }
    }
    if __cpuid(0).eax < 0x15 {
        return None;
    }
    let leaf = __cpuid(0x15);
    rate_of_leaf_15(leaf.eax, leaf.ebx, leaf.ecx)
}
