//! Decodes built stacks the way a C library does and compares.

use super::*;
use proptest::prelude::*;

/// A stack as a program sees it.
struct Program<'a>(&'a StackImage);

impl Program<'_> {
    fn bytes(&self, address: u64) -> &[u8] {
        &self.0.bytes[usize::try_from(address - self.0.sp).unwrap()..]
    }

    fn word(&self, address: u64) -> u64 {
        u64::from_le_bytes(self.bytes(address)[..8].try_into().unwrap())
    }

    fn string(&self, address: u64) -> &[u8] {
        let bytes = self.bytes(address);
        &bytes[..bytes.iter().position(|byte| *byte == 0).unwrap()]
    }

    /// The strings of a list of pointers that ends with a null one, and the
    /// address behind it.
    fn strings(&self, mut address: u64) -> (Vec<&[u8]>, u64) {
        let mut strings = Vec::new();
        while self.word(address) != 0 {
            strings.push(self.string(self.word(address)));
            address += 8;
        }
        (strings, address + 8)
    }

    fn auxv(&self, mut address: u64) -> Vec<(u64, u64)> {
        let mut pairs = Vec::new();
        while self.word(address) != u64::from(AT_NULL) {
            pairs.push((self.word(address), self.word(address + 8)));
            address += 16;
        }
        pairs
    }
}

fn value(auxv: &[(u64, u64)], key: u32) -> u64 {
    let values: Vec<_> = auxv.iter().filter(|pair| pair.0 == u64::from(key)).collect();
    assert_eq!(values.len(), 1, "key {key} stands once");
    values[0].1
}

const TOP: u64 = 0x7fff_ffff_f000;

fn request<'a>(args: &'a [&'a [u8]], env: &'a [&'a [u8]]) -> StackRequest<'a> {
    StackRequest {
        args,
        env,
        auxv: &[(6, 4096), (9, 0x40_1000)],
        random: *b"0123456789abcdef",
        platform: b"x86_64",
        exec_path: b"/bin/primes",
        top: TOP,
        limit: 1 << 20,
    }
}

/// Checks an image against what was asked for.
fn verify(request: &StackRequest<'_>, image: &StackImage) {
    assert_eq!(image.sp % 16, 0);
    assert_eq!(image.sp + image.bytes.len() as u64, request.top);
    assert!(image.bytes.len() <= request.limit);
    let program = Program(image);
    assert_eq!(program.word(image.sp), request.args.len() as u64);
    let (args, env_pointers) = program.strings(image.sp + 8);
    assert_eq!(args, request.args);
    let (env, auxv) = program.strings(env_pointers);
    assert_eq!(env, request.env);
    let auxv = program.auxv(auxv);
    assert_eq!(&auxv[..request.auxv.len()], request.auxv);
    assert_eq!(auxv.len(), request.auxv.len() + 3);
    assert_eq!(program.bytes(value(&auxv, AT_RANDOM))[..16], request.random);
    assert_eq!(program.string(value(&auxv, AT_PLATFORM)), request.platform);
    assert_eq!(program.string(value(&auxv, AT_EXECFN)), request.exec_path);

    let joined = |strings: &[&[u8]]| {
        strings.iter().flat_map(|s| s.iter().copied().chain([0])).collect::<Vec<u8>>()
    };
    let range = |range: &Range<u64>| {
        program.bytes(range.start)[..(range.end - range.start) as usize].to_vec()
    };
    assert_eq!(range(&image.args), joined(request.args));
    assert_eq!(range(&image.env), joined(request.env));
}

#[test]
fn a_usual_program() {
    let request = request(&[b"/bin/primes", b"15000"], &[b"PATH=/bin", b"HOME=/"]);
    verify(&request, &build(&request).unwrap());
}

#[test]
fn no_arguments_and_no_environment() {
    let request = request(&[], &[]);
    verify(&request, &build(&request).unwrap());
}

#[test]
fn a_nul_inside_a_string_is_invalid() {
    let bad: &[u8] = b"a\0b";
    assert_eq!(build(&request(&[bad], &[])), Err(Errno::EINVAL));
    assert_eq!(build(&request(&[], &[bad])), Err(Errno::EINVAL));
    let good = request(&[], &[]);
    assert_eq!(build(&StackRequest { platform: bad, ..good }), Err(Errno::EINVAL));
    assert_eq!(build(&StackRequest { exec_path: bad, ..good }), Err(Errno::EINVAL));
}

#[test]
fn a_key_that_is_added_here_is_invalid() {
    for key in OWN_KEYS {
        let auxv = [(u64::from(key), 1)];
        let request = StackRequest { auxv: &auxv, ..request(&[], &[]) };
        assert_eq!(build(&request), Err(Errno::EINVAL));
    }
}

#[test]
fn the_limit_is_exact() {
    let args: &[&[u8]] = &[b"a", b"bc"];
    let need = build(&request(args, &[])).unwrap().bytes.len();
    let exact = StackRequest { limit: need, ..request(args, &[]) };
    verify(&exact, &build(&exact).unwrap());
    for limit in [0, 8, need - 1] {
        assert_eq!(build(&StackRequest { limit, ..exact }), Err(Errno::E2BIG));
    }
}

#[test]
fn a_stack_that_would_begin_below_zero_is_too_big() {
    for top in [0, 7, 8, 100] {
        assert_eq!(build(&StackRequest { top, ..request(&[b"a"], &[]) }), Err(Errno::E2BIG));
    }
}

proptest! {
    #[test]
    fn any_request(
        args in prop::collection::vec(prop::collection::vec(1..=255u8, 0..40), 0..12),
        env in prop::collection::vec(prop::collection::vec(1..=255u8, 0..40), 0..12),
        auxv in prop::collection::vec((32..1000u64, any::<u64>()), 0..8),
        random: [u8; 16],
        top in TOP - 4096..TOP,
        limit in 0..2000usize,
    ) {
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        let env: Vec<&[u8]> = env.iter().map(Vec::as_slice).collect();
        let request = StackRequest { auxv: &auxv, random, top, limit, ..request(&args, &env) };
        match build(&request) {
            Ok(image) => verify(&request, &image),
            Err(errno) => {
                prop_assert_eq!(errno, Errno::E2BIG);
                let unlimited = StackRequest { limit: usize::MAX, ..request };
                prop_assert!(build(&unlimited).unwrap().bytes.len() > limit);
            }
        }
    }
}
