//! The bitmap against a model of one `bool` per frame, and cases at the edges.

use super::*;
use proptest::prelude::*;

/// The words of a bitmap, with rubbish in them.
struct Store {
    words: Vec<u64>,
    summary: Vec<u64>,
}

impl Store {
    fn new(frames: usize) -> Self {
        Self { words: vec![!0; words_for(frames)], summary: vec![!0; summary_for(frames)] }
    }

    fn bitmap(&mut self, frames: usize) -> FrameBitmap<'_> {
        FrameBitmap::new(&mut self.words, &mut self.summary, frames)
    }
}

/// The bitmap must say what the model says, everywhere.
fn compare(bitmap: &FrameBitmap<'_>, model: &[bool]) {
    assert_eq!(bitmap.free_frames(), model.iter().filter(|free| **free).count());
    for (frame, free) in model.iter().enumerate() {
        assert_eq!(bitmap.is_free(frame), *free, "frame {frame}");
    }
    for (word, bits) in bitmap.words.iter().enumerate() {
        let summary = bitmap.summary[word / 64] >> (word % 64) & 1 != 0;
        let block = word / 8 * 512..word / 8 * 512 + 512;
        let whole = model.get(block).is_some_and(|block| block.iter().all(|free| *free));
        assert_eq!(summary, *bits != 0 && !whole, "summary of word {word}");
        assert_eq!(bitmap.is_whole(word / 8), whole, "the block of word {word}");
    }
    let mut from_runs = vec![false; model.len()];
    let mut end = None;
    for run in bitmap.free_runs() {
        assert!(!run.is_empty() && end.is_none_or(|end| run.start > end));
        end = Some(run.end);
        from_runs[run].fill(true);
    }
    assert_eq!(from_runs, model);
}

#[test]
fn words_needed() {
    assert_eq!([0, 1, 64, 65, 4096, 4097].map(words_for), [0, 1, 1, 2, 64, 65]);
    assert_eq!([0, 1, 64, 65, 4096, 4097, 32769].map(summary_for), [0, 2, 2, 2, 2, 3, 11]);
}

#[test]
fn all_frames_are_used_at_first() {
    let mut store = Store::new(5000);
    let mut bitmap = store.bitmap(5000);
    compare(&bitmap, &[false; 5000]);
    assert_eq!(bitmap.allocate_one(0..5000), None);
    assert_eq!(bitmap.allocate(3, 0..5000), None);
    assert_eq!(bitmap.allocate_range(1, 1, 0..5000), None);
}

#[test]
fn no_frames_at_all() {
    let mut bitmap = FrameBitmap::new(&mut [], &mut [], 0);
    assert_eq!(bitmap.allocate_one(0..10), None);
    assert_eq!(bitmap.allocate(9, 0..10), None);
    assert_eq!(bitmap.release(0, 0), Ok(()));
    assert_eq!(bitmap.reserve(0, 7), 0);
    assert!(bitmap.free_runs().next().is_none());
}

#[test]
#[should_panic(expected = "range end index")]
fn too_few_words() {
    let _ = FrameBitmap::new(&mut [0; 1], &mut [0; 1], 65);
}

#[test]
fn a_double_free_changes_nothing() {
    let mut store = Store::new(300);
    let mut bitmap = store.bitmap(300);
    bitmap.release(150, 10).unwrap();
    let mut model = [false; 300];
    model[150..160].fill(true);
    assert_eq!(bitmap.release(10, 200), Err(FrameError::AlreadyFree { frame: 150 }));
    assert_eq!(bitmap.release(155, 1), Err(FrameError::AlreadyFree { frame: 155 }));
    compare(&bitmap, &model);
}

#[test]
fn releases_out_of_range_change_nothing() {
    let mut store = Store::new(100);
    let mut bitmap = store.bitmap(100);
    for (start, count) in [(100, 1), (99, 2), (0, 101), (usize::MAX, 1), (1, usize::MAX)] {
        let error = FrameError::OutOfRange { start, count, frames: 100 };
        assert_eq!(bitmap.release(start, count), Err(error));
    }
    assert_eq!(bitmap.release(100, 0), Ok(()));
    compare(&bitmap, &[false; 100]);
    assert!(!bitmap.is_free(100) && !bitmap.is_free(usize::MAX));
}

#[test]
fn the_next_fit_comes_round() {
    let mut store = Store::new(200);
    let mut bitmap = store.bitmap(200);
    bitmap.release(0, 200).unwrap();
    for frame in 0..150 {
        assert_eq!(bitmap.allocate_one(0..200), Some(frame));
    }
    bitmap.release(3, 1).unwrap();
    for frame in (150..200).chain([3]) {
        assert_eq!(bitmap.allocate_one(0..200), Some(frame));
    }
    assert_eq!(bitmap.allocate_one(0..200), None);
}

#[test]
fn a_block_across_the_hint_is_found() {
    let mut store = Store::new(640);
    let mut bitmap = store.bitmap(640);
    bitmap.release(64, 300).unwrap();
    assert_eq!(bitmap.allocate_range(100, 1, 0..640), Some(64));
    bitmap.release(64, 100).unwrap();
    // The hint is at 164 now: neither side has 300 frames, together they have.
    assert_eq!(bitmap.allocate_range(300, 1, 0..640), Some(64));
}

#[test]
fn large_blocks_are_aligned() {
    let mut store = Store::new(4096);
    let mut bitmap = store.bitmap(4096);
    bitmap.release(1, 4095).unwrap();
    assert_eq!(bitmap.allocate(9, 0..4096), Some(512));
    assert_eq!(bitmap.allocate(11, 0..4096), Some(2048));
    assert_eq!(bitmap.allocate(9, 0..2048), Some(1024));
    assert_eq!(bitmap.allocate(12, 0..4096), None);
    assert_eq!(bitmap.allocate(63, 0..4096), None);
    assert_eq!(bitmap.allocate(64, 0..4096), None);
    assert_eq!(bitmap.allocate(u32::MAX, 0..4096), None);
}

#[test]
fn single_frames_leave_whole_blocks_alone() {
    let mut store = Store::new(4096);
    let mut bitmap = store.bitmap(4096);
    bitmap.release(0, 4096).unwrap();
    assert_eq!(bitmap.allocate_one(700..4096), Some(700));
    // The rest of that block first, then others of it from the start.
    let taken: Vec<usize> = (0..511).filter_map(|_| bitmap.allocate_one(0..4096)).collect();
    assert_eq!(taken, (701..1024).chain(512..700).collect::<Vec<_>>());
    assert_eq!(bitmap.allocate(2, 0..4096), Some(0));
    assert_eq!(bitmap.allocate(3, 0..4096), Some(8));
    assert_eq!(bitmap.allocate_range(100, 1, 0..4096), Some(16));
    assert_eq!(bitmap.allocate_one(0..4096), Some(4));
    assert_eq!(bitmap.allocate(9, 0..4096), Some(1024));
    bitmap.release(512, 512).unwrap();
    assert_eq!(bitmap.allocate(10, 0..4096), Some(2048));
    assert_eq!(bitmap.allocate(9, 0..2048), Some(512));
    assert_eq!(bitmap.allocate(9, 0..2048), Some(1536));
}

#[test]
fn some_are_as_many_as_there_are() {
    let mut store = Store::new(300);
    let mut bitmap = store.bitmap(300);
    bitmap.release(60, 10).unwrap();
    bitmap.release(200, 3).unwrap();
    let mut taken = Vec::new();
    assert_eq!(bitmap.allocate_some(6, 0..300, |frame| taken.push(frame)), 6);
    assert_eq!(bitmap.allocate_some(9, 0..202, |frame| taken.push(frame)), 6);
    assert_eq!(taken, (60..70).chain(200..202).collect::<Vec<_>>());
    assert_eq!(bitmap.allocate_some(9, 0..202, |_| ()), 0);
    assert_eq!(bitmap.free_frames(), 1);
}

#[test]
fn some_come_back_in_any_order() {
    let mut store = Store::new(1100);
    let mut bitmap = store.bitmap(1100);
    let mut model = [false; 1100];
    assert_eq!(bitmap.release_some([]), Ok(()));
    let frames = (0..1024).rev().chain([1099, 1030]);
    frames.clone().for_each(|frame| model[frame] = true);
    assert_eq!(bitmap.release_some(frames), Ok(()));
    compare(&bitmap, &model);
    let twice = bitmap.release_some([1050, 1051, 1050]);
    assert_eq!(twice, Err(FrameError::AlreadyFree { frame: 1050 }));
    assert_eq!(bitmap.release_some([7]), Err(FrameError::AlreadyFree { frame: 7 }));
    let error = FrameError::OutOfRange { start: 1100, count: 1, frames: 1100 };
    assert_eq!(bitmap.release_some([1100]), Err(error));
    compare(&bitmap, &model);
}

#[test]
fn odd_requests() {
    let mut store = Store::new(128);
    let mut bitmap = store.bitmap(128);
    bitmap.release(0, 128).unwrap();
    assert_eq!(bitmap.allocate_range(0, 1, 0..128), None);
    assert_eq!(bitmap.allocate_range(129, 1, 0..usize::MAX), None);
    assert_eq!(bitmap.allocate_range(usize::MAX, usize::MAX, 0..128), None);
    assert_eq!(bitmap.allocate_range(2, usize::MAX, 1..128), None);
    #[expect(clippy::reversed_empty_ranges, reason = "a caller's mistake must find nothing")]
    let backwards = 100..50;
    assert_eq!(bitmap.allocate_one(backwards), None);
    assert_eq!(bitmap.allocate_one(200..300), None);
    assert_eq!(bitmap.reserve(120, usize::MAX), 8);
    assert_eq!(bitmap.reserve(500, 5), 0);
    assert_eq!(bitmap.allocate_range(3, 0, 5..128), Some(5));
    assert_eq!(bitmap.allocate_range(3, 7, 5..128), Some(14));
}

#[test]
fn errors_in_words() {
    assert_eq!(FrameError::AlreadyFree { frame: 16 }.to_string(), "frame 0x10 is free already");
    let error = FrameError::OutOfRange { start: 1, count: 2, frames: 3 };
    assert_eq!(error.to_string(), "2 frames from 0x1 are not within the 0x3 there are");
}

/// One thing done to a bitmap.
#[derive(Clone, Debug)]
enum Step {
    Release(usize, usize),
    Reserve(usize, usize),
    One(Range<usize>),
    Order(u32, Range<usize>),
    Run(usize, usize, Range<usize>),
    Some(usize, Range<usize>),
    Back(usize),
}

fn steps(frames: usize) -> impl Strategy<Value = Vec<Step>> {
    let range =
        move || (0..frames + 20, 0..frames + 20).prop_map(|(a, b)| a.min(b)..a.max(b)).boxed();
    let count = || prop_oneof![0..5usize, 0..200usize];
    let step = prop_oneof![
        (0..frames + 5, count()).prop_map(|(start, count)| Step::Release(start, count)),
        (0..frames + 5, count()).prop_map(|(start, count)| Step::Reserve(start, count)),
        range().prop_map(Step::One),
        (0..11u32, range()).prop_map(|(order, within)| Step::Order(order, within)),
        (count(), 0..70usize, range()).prop_map(|(c, align, within)| Step::Run(c, align, within)),
        (count(), range()).prop_map(|(count, within)| Step::Some(count, within)),
        (0..frames + 5).prop_map(Step::Back),
    ];
    prop::collection::vec(step, 1..60)
}

/// Takes what the bitmap gave out from the model; it must have been free, where
/// asked and aligned. If nothing was given, there must be nothing.
fn check_allocation(
    model: &mut [bool],
    got: Option<usize>,
    count: usize,
    align: usize,
    within: &Range<usize>,
) {
    let end = within.end.min(model.len());
    match got {
        Some(start) => {
            assert!(start >= within.start && start + count <= end && start.is_multiple_of(align));
            assert!(model[start..start + count].iter().all(|free| *free));
            model[start..start + count].fill(false);
        }
        None if count > 0 => {
            let fits = |start: &usize| {
                start.is_multiple_of(align)
                    && start + count <= end
                    && model[*start..*start + count].iter().all(|free| *free)
            };
            assert_eq!((within.start..end).find(fits), None);
        }
        None => {}
    }
}

fn play(frames: usize, free_at_first: bool, steps: &[Step]) {
    let mut store = Store::new(frames);
    let mut bitmap = store.bitmap(frames);
    let mut model = vec![false; frames];
    if free_at_first {
        bitmap.release(0, frames).unwrap();
        model.fill(true);
    }
    for step in steps {
        match step.clone() {
            Step::Release(start, count) => {
                let result = bitmap.release(start, count);
                if start + count > frames {
                    assert_eq!(result, Err(FrameError::OutOfRange { start, count, frames }));
                } else if let Some(at) = model[start..start + count].iter().position(|f| *f) {
                    assert_eq!(result, Err(FrameError::AlreadyFree { frame: start + at }));
                } else {
                    assert_eq!(result, Ok(()));
                    model[start..start + count].fill(true);
                }
            }
            Step::Reserve(start, count) => {
                let there = start.min(frames)..(start + count).min(frames);
                let free = model[there.clone()].iter().filter(|free| **free).count();
                assert_eq!(bitmap.reserve(start, count), free);
                model[there].fill(false);
            }
            Step::One(within) => {
                let got = bitmap.allocate_one(within.clone());
                check_allocation(&mut model, got, 1, 1, &within);
            }
            Step::Order(order, within) => {
                let got = bitmap.allocate(order, within.clone());
                check_allocation(&mut model, got, 1 << order, 1 << order, &within);
            }
            Step::Run(count, align, within) => {
                let got = bitmap.allocate_range(count, align, within.clone());
                check_allocation(&mut model, got, count, align.max(1), &within);
            }
            Step::Some(count, within) => {
                let mut left = count;
                let got = bitmap.allocate_some(count, within.clone(), |frame| {
                    check_allocation(&mut model, Some(frame), 1, 1, &within);
                    left -= 1;
                });
                assert_eq!(got, count - left);
                if left > 0 {
                    check_allocation(&mut model, None, 1, 1, &within);
                }
            }
            Step::Back(frame) => {
                let free = model.get_mut(frame);
                let result = bitmap.release_one(frame);
                match free {
                    None => {
                        let error = FrameError::OutOfRange { start: frame, count: 1, frames };
                        assert_eq!(result, Err(error));
                    }
                    Some(true) => assert_eq!(result, Err(FrameError::AlreadyFree { frame })),
                    Some(free) => {
                        assert_eq!(result, Ok(()));
                        *free = true;
                    }
                }
            }
        }
        compare(&bitmap, &model);
    }
}

proptest! {
    #[test]
    fn as_the_model(steps in steps(700), free_at_first: bool) {
        play(700, free_at_first, &steps);
    }

    #[test]
    fn as_the_model_across_summary_words(steps in steps(4300), free_at_first: bool) {
        play(4300, free_at_first, &steps);
    }

    #[test]
    fn as_the_model_when_small(frames in 1..130usize, steps in steps(130), free_at_first: bool) {
        play(frames, free_at_first, &steps);
    }
}
