//! What Linux calls the features of a CPU in `/proc/cpuinfo`
//! (`arch/x86/include/asm/cpufeatures.h`), by the bits of CPUID.

/// A word of [`arch::cpu::identity::Identity::words`], and its bits' names, lowest first;
/// `-` for what has none, or what cannot be used here.
type Names = (usize, &'static str);

/// In the order in which Linux lists them. Where AMD repeats leaf 1 the names stand once.
const WORDS: [Names; 10] = [
    (
        0,
        "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - \
         dts acpi mmx fxsr sse sse2 ss ht tm ia64 pbe",
    ),
    (
        2,
        "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - \
         lm 3dnowext 3dnow",
    ),
    (9, "- - - - - - - - constant_tsc"),
    (
        1,
        "pni pclmulqdq dtes64 - ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid \
         dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave - avx f16c rdrand \
         hypervisor",
    ),
    (
        3,
        "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs \
         xop skinit wdt - lwp fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb - bpext \
         ptsc perfctr_llc mwaitx",
    ),
    // Without FSGSBASE, which the kernel leaves off.
    (
        4,
        "- tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx rdt_a avx512f \
         avx512dq rdseed adx smap avx512ifma - clflushopt clwb intel_pt avx512pf avx512er \
         avx512cd sha_ni avx512bw avx512vl",
    ),
    (7, "xsaveopt xsavec xgetbv1 xsaves xfd"),
    (8, "dtherm ida arat - pln - pts hwp hwp_notify hwp_act_window hwp_epp hwp_pkg_req"),
    // Without protection keys, which need the kernel's help.
    (
        5,
        "- avx512vbmi umip - - waitpkg avx512_vbmi2 - gfni vaes vpclmulqdq avx512_vnni \
         avx512_bitalg tme avx512_vpopcntdq - la57 - - - - - rdpid - bus_lock_detect cldemote - \
         movdiri movdir64b enqcmd",
    ),
    (
        6,
        "- - avx512_4vnniw avx512_4fmaps fsrm - - - avx512_vp2intersect - md_clear - - - \
         serialize - tsxldtrk - pconfig arch_lbr - - amx_bf16 avx512_fp16 amx_tile amx_int8",
    ),
];

/// The names of the features that are there.
pub(super) fn names(words: &[u32; 10]) -> impl Iterator<Item = &'static str> {
    WORDS.iter().flat_map(|(word, names)| {
        let bits = words.get(*word).copied().unwrap_or(0);
        (0..32u32)
            .zip(names.split(' '))
            .filter(move |(bit, name)| bits >> bit & 1 != 0 && *name != "-")
            .map(|(_, name)| name)
    })
}

#[base::kernel_test]
fn flags_have_their_bits() {
    let mut words = [0; 10];
    let set = |words: &mut [u32; 10], word: usize, bit: u32| {
        words.iter_mut().skip(word).take(1).for_each(|word| *word |= 1 << bit);
    };
    // Bits as the manuals of Intel and AMD have them.
    for (word, bit) in [(0, 0), (0, 26), (2, 11), (2, 20), (2, 29), (1, 20), (1, 28), (1, 31)] {
        set(&mut words, word, bit);
    }
    for (word, bit) in [(9, 8), (3, 5), (4, 5), (4, 7), (4, 20), (4, 29), (7, 0), (8, 2), (5, 2)] {
        set(&mut words, word, bit);
    }
    for (word, bit) in [(4, 0), (5, 22), (6, 4), (6, 14), (4, 31)] {
        set(&mut words, word, bit);
    }
    let names: alloc::vec::Vec<_> = names(&words).collect();
    assert_eq!(
        names,
        [
            "fpu",
            "sse2",
            "syscall",
            "nx",
            "lm",
            "constant_tsc",
            "sse4_2",
            "avx",
            "hypervisor",
            "abm",
            "avx2",
            "smep",
            "smap",
            "sha_ni",
            "avx512vl",
            "xsaveopt",
            "arat",
            "umip",
            "rdpid",
            "fsrm",
            "serialize"
        ]
    );
    assert!(WORDS.iter().all(|(_, names)| names.split(' ').count() <= 32));
}
