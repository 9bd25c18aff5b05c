//! Operations by chance against a naive model; e2fsck must find nothing.

use proptest::prelude::*;

use crate::dice::Dice;
use crate::model::{Mix, Pair};
use crate::tools::make_image;

const MIX: Mix = Mix { files: 60, bytes: 20_000, far: 300_000, fsync: 40, sync: 60 };

/// How much more than usual is to be tried.
pub(crate) fn factor() -> usize {
    std::env::var("EXT2_TESTS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Goes through operations and compares now and then.
fn go(image: Vec<u8>, mix: Mix, dice: &mut Dice, steps: usize) -> Pair {
    let mut pair = Pair::new(image, mix);
    for step in 1..=steps {
        pair.step(dice);
        if step % 50 == 0 {
            pair.compare_all();
        }
        if step % 200 == 0 {
            pair = pair.remount();
        }
    }
    pair.compare_all();
    pair.remount()
}

#[test]
fn blocks_of_every_size() {
    for (seed, options) in [
        &["-b", "1024"][..],
        &["-b", "2048"],
        &["-b", "4096"],
        &["-b", "1024", "-I", "128"],
        &["-b", "4096", "-I", "256"],
        &["-b", "1024", "-g", "1024"],
        &["-b", "1024", "-r", "0"],
        &["-b", "1024", "-O", "none"],
        &["-b", "2048", "-O", "filetype,sparse_super2"],
    ]
    .into_iter()
    .enumerate()
    {
        for seed in 0..factor() as u64 {
            let image = make_image(8192, options);
            go(image, MIX, &mut Dice::new(seed * 100 + seed), 400);
        }
        let _ = seed;
    }
}

#[test]
fn far_holes() {
    let mix = Mix { files: 20, bytes: 9000, far: 70_000_000, fsync: 50, sync: 50 };
    for seed in 0..2 * factor() as u64 {
        go(make_image(8192, &["-b", "1024"]), mix, &mut Dice::new(seed), 200);
    }
}

#[test]
fn a_disk_that_is_full_most_of_the_time() {
    let mix = Mix { files: 60, bytes: 60_000, far: 300_000, fsync: 50, sync: 50 };
    for seed in 0..2 * factor() as u64 {
        let image = make_image(512, &["-b", "1024", "-N", "48"]);
        let mut pair = Pair::new(image, mix);
        let mut dice = Dice::new(seed);
        let mut full = 0;
        for _ in 0..4 {
            (0..150).for_each(|_| pair.step(&mut dice));
            full += pair.full;
            pair.compare_all();
            pair = pair.remount();
        }
        assert!(full > 10, "it was full {full} times only");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24 * factor() as u32,
        max_shrink_iters: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn any_sequence(given in prop::collection::vec(any::<u32>(), 1..400)) {
        let steps = given.len() / 4;
        let image = make_image(1024, &["-b", "1024", "-g", "512"]);
        go(image, MIX, &mut Dice::of(given), steps);
    }
}
