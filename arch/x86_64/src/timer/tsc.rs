//! The time-stamp counter.

/// The counter. Loads and stores around it may be reordered; good enough for clocks.
#[inline(always)]
pub fn read() -> u64 {
    // SAFETY: rdtsc has no effect; CR4.TSD does not bind ring 0.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// The TSC's rate in Hz as CPUID leaf 0x15 states it (Intel SDM volume 3, section
/// 18.7.3); `None` where it does not.
pub fn rate_from_cpuid() -> Option<u64> {
    use core::arch::x86_64::__cpuid;
    if __cpuid(0).eax < 0x15 {
        return None;
    }
    let leaf = __cpuid(0x15);
    if leaf.eax == 0 || leaf.ebx == 0 || leaf.ecx == 0 {
        return None;
    }
    Some(u64::from(leaf.ecx) * u64::from(leaf.ebx) / u64::from(leaf.eax))
}
