//! Which CPU this is (CPUID), for people and programs to read: [`Identity`].

use core::arch::x86_64::{__cpuid, __cpuid_count};

/// What CPUID says of the CPU that asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Such as `GenuineIntel`.
    pub vendor: [u8; 12],
    /// Family, with the extended one added where the CPU has that.
    pub family: u32,
    /// Model, with the extended one.
    pub model: u32,
    /// Stepping.
    pub stepping: u32,
    /// The highest standard leaf.
    pub highest_leaf: u32,
    /// Bytes of a cache line that CLFLUSH flushes.
    pub line_bytes: u32,
    /// Bytes of the second-level cache in KiB; 0 if it is not told.
    pub cache_kib: u32,
    /// Bits of a physical address and of a linear one.
    pub address_bits: [u32; 2],
    /// Feature words: leaf 1 EDX and ECX, leaf 0x80000001 EDX and ECX, leaf 7 EBX, ECX and EDX,
    /// leaf 0xd/1 EAX, leaf 6 EAX, leaf 0x80000007 EDX.
    pub words: [u32; 10],
}

/// Asks the CPU.
pub fn identity() -> Identity {
    let leaf0 = __cpuid(0);
    let mut id = Identity { highest_leaf: leaf0.eax, ..Identity::default() };
    for (to, from) in id.vendor.chunks_exact_mut(4).zip([leaf0.ebx, leaf0.edx, leaf0.ecx]) {
        to.copy_from_slice(&from.to_le_bytes());
    }
    let leaf1 = __cpuid(1);
    (id.family, id.model, id.stepping) = signature(leaf1.eax);
    id.line_bytes = (leaf1.ebx >> 8 & 0xff) * 8;
    let (mut seven, mut save, mut power) = ([0; 3], 0, 0);
    if id.highest_leaf >= 6 {
        power = __cpuid(6).eax;
    }
    if id.highest_leaf >= 7 {
        let leaf = __cpuid_count(7, 0);
        seven = [leaf.ebx, leaf.ecx, leaf.edx];
    }
    if id.highest_leaf >= 0xd && leaf1.ecx & 1 << 26 != 0 {
        save = __cpuid_count(0xd, 1).eax;
    }
    let highest = __cpuid(0x8000_0000).eax;
    let extended = |leaf| (highest >= leaf).then(|| __cpuid(leaf));
    let features = extended(0x8000_0001).map_or([0; 2], |leaf| [leaf.edx, leaf.ecx]);
    id.cache_kib = extended(0x8000_0006).map_or(0, |leaf| leaf.ecx >> 16);
    id.address_bits =
        extended(0x8000_0008).map_or([36, 48], |leaf| [leaf.eax & 0xff, leaf.eax >> 8 & 0xff]);
    let steady = extended(0x8000_0007).map_or(0, |leaf| leaf.edx);
    let [edx, ecx] = features;
    let [ebx7, ecx7, edx7] = seven;
    id.words = [leaf1.edx, leaf1.ecx, edx, ecx, ebx7, ecx7, edx7, save, power, steady];
    id
}

/// Family, model and stepping in EAX of leaf 1.
fn signature(eax: u32) -> (u32, u32, u32) {
    let (family, model) = (eax >> 8 & 0xf, eax >> 4 & 0xf);
    let (more_family, more_model) = (eax >> 20 & 0xff, eax >> 16 & 0xf);
    let whole = if family == 0xf { family + more_family } else { family };
    let model = if family >= 6 { model | more_model << 4 } else { model };
    (whole, model, eax & 0xf)
}

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn signatures_of_known_cpus() {
        assert_eq!(signature(0x00a0_0f11), (25, 1, 1)); // EPYC Milan
        assert_eq!(signature(0x0006_06a6), (6, 106, 6)); // Ice Lake server
        assert_eq!(signature(0x0000_0f61), (15, 6, 1)); // Pentium D
        assert_eq!(signature(0x0000_0543), (5, 4, 3)); // Pentium MMX
    }
}
