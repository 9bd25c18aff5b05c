//! The map against a naive model, one value a page, after random changes; and its edges.

mod model;

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::*;
use model::{Model, Tagged, compare};
use proptest::prelude::*;

thread_local! {
    /// How often memory may still be taken.
    static ALLOWANCE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// `may_allocate` of the maps here.
fn may_allocate() -> bool {
    let left = ALLOWANCE.get();
    ALLOWANCE.set(left.saturating_sub(1));
    left > 0
}

fn tagged(start: u64, end: u64, tag: u8) -> Tagged {
    Tagged { start, end, tag, offset: start, guard: 0 }
}

fn ranges(map: &RangeMap<Tagged>) -> Vec<(u64, u64)> {
    map.iter().map(|area| (area.start, area.end)).collect()
}

/// A step of a random sequence; ends of ranges are in any order.
#[derive(Clone, Debug)]
enum Step {
    Insert(u64, u64, u8, u64),
    Remove(u64, u64),
    Change(u64, u64, u8),
    Resize(u64, u64, u64),
    Update(u64, u64),
    Gap(u64, u32, u64, u64),
    Clear,
}

/// Addresses of the random tests.
const PAGES: u64 = 200;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = || 0..=PAGES;
    let short = (at(), 1..6_u64).prop_map(|(start, len)| (start, (start + len).min(PAGES)));
    let step = prop_oneof![
        12 => (short, 0..3_u8, 0..4_u64).prop_map(|((a, b), tag, guard)| Step::Insert(a, b, tag, guard)),
        1 => (at(), at(), 0..3_u8).prop_map(|(a, b, tag)| Step::Insert(a, b, tag, 0)),
        2 => (at(), at()).prop_map(|(a, b)| Step::Remove(a, b)),
        4 => (at(), 1..4_u64).prop_map(|(a, len)| Step::Remove(a, a + len)),
        2 => (at(), at(), 0..3_u8).prop_map(|(a, b, tag)| Step::Change(a, b, tag)),
        3 => (at(), 1..4_u64, 0..3_u8).prop_map(|(a, len, tag)| Step::Change(a, a + len, tag)),
        4 => (at(), at(), at()).prop_map(|(at, a, b)| Step::Resize(at, a, b)),
        2 => (at(), 0..4_u64).prop_map(|(at, guard)| Step::Update(at, guard)),
        4 => (1..30_u64, 0..4_u32, at(), at()).prop_map(|(len, log, a, b)| Step::Gap(len, log, a, b)),
        1 => (0..60_u8).prop_map(|n| if n == 0 { Step::Clear } else { Step::Remove(7, 9) }),
    ];
    prop::collection::vec(step, 1..200)
}

/// Does the step on both; where the map refuses, it must be as it was.
fn perform(map: &mut RangeMap<Tagged>, model: &mut Model, step: &Step) {
    let order = |a: u64, b: u64| a.min(b)..a.max(b);
    let before = map.iter().cloned().collect::<Vec<_>>();
    let result = match *step {
        Step::Insert(a, b, tag, guard) => {
            let range = order(a, b);
            if range.is_empty() || !model.is_free(range.clone()) {
                return;
            }
            let offset = range.start + u64::from(tag == 2);
            let area = Tagged { start: range.start, end: range.end, tag, offset, guard };
            map.insert(area.clone()).map(|()| model.insert(&area))
        }
        Step::Remove(a, b) => {
            let range = order(a, b);
            let mut taken = Vec::new();
            let exact =
                before.iter().find(|area| area.start == range.start && area.end == range.end);
            if a % 2 == 0 {
                assert_eq!(map.take_exact(&range).as_ref(), exact);
                taken.extend(exact.cloned());
            }
            map.take(range.clone(), |area| taken.push(area)).map(|()| {
                assert!(taken.is_sorted_by(|a, b| a.end <= b.start), "{taken:?}");
                assert_eq!(model.take(range), Model::of(&taken));
            })
        }
        Step::Change(a, b, tag) => {
            let range = order(a, b);
            map.change(range.clone(), |area| area.tag = tag).map(|()| model.change(range, tag))
        }
        Step::Resize(at, a, b) => {
            assert_eq!(map.resize(at, a..b), model.resize(&before, at, a..b));
            Ok(())
        }
        Step::Update(at, guard) => {
            let found = map.update(at, |area| std::mem::replace(&mut area.guard, guard));
            let area = before.iter().find(|area| area.start <= at && at < area.end);
            assert_eq!(found, area.map(|area| area.guard));
            if let Some(area) = area {
                model.guard(area.start..area.end, guard);
            }
            Ok(())
        }
        Step::Gap(len, log, a, b) => {
            for top_down in [false, true] {
                let found = map.find_gap(len, 1 << log, order(a, b), top_down);
                assert_eq!(found, model::find_gap(&before, len, 1 << log, order(a, b), top_down));
            }
            Ok(())
        }
        Step::Clear => {
            map.clear();
            *model = Model::default();
            Ok(())
        }
    };
    if result.is_err() {
        assert_eq!(before, map.iter().cloned().collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn does_what_the_model_does(steps in steps()) {
        ALLOWANCE.set(usize::MAX);
        let (mut map, mut model) = (RangeMap::new(1000, may_allocate), Model::default());
        for step in &steps {
            perform(&mut map, &mut model, step);
            compare(&map, &model);
        }
    }

    #[test]
    fn a_refusal_changes_nothing(steps in steps(), max in 1..40_usize) {
        let (mut map, mut model) = (RangeMap::new(max, may_allocate), Model::default());
        for (index, step) in steps.iter().enumerate() {
            ALLOWANCE.set(index % 3);
            perform(&mut map, &mut model, step);
            compare(&map, &model);
            assert!(map.len() <= max);
        }
    }

    #[test]
    fn what_is_reserved_does_not_fail(steps in steps()) {
        let (mut map, mut model) = (RangeMap::new(1000, may_allocate), Model::default());
        for step in &steps {
            ALLOWANCE.set(usize::MAX);
            map.reserve(2).expect("there is memory");
            ALLOWANCE.set(0);
            match *step {
                Step::Insert(a, b, ..) if a < b && map.is_free(a..b) => {
                    perform(&mut map, &mut model, step);
                    assert!(map.is_covered(a..b));
                }
                Step::Remove(a, b) => {
                    map.remove(a.min(b)..a.max(b)).expect("reserved");
                    model.take(a.min(b)..a.max(b));
                }
                Step::Change(a, b, tag) => {
                    map.change(a.min(b)..a.max(b), |area| area.tag = tag).expect("reserved");
                    model.change(a.min(b)..a.max(b), tag);
                }
                _ => perform(&mut map, &mut model, step),
            }
            compare(&map, &model);
        }
    }
}

#[test]
fn an_empty_map() {
    let mut map = RangeMap::<Tagged>::new(10, may_allocate);
    assert!(map.is_empty() && map.find(0).is_none() && map.next_from(0).is_none());
    assert!(map.prev_before(u64::MAX).is_none() && map.overlapping(0..u64::MAX).next().is_none());
    assert_eq!(map.find_gap(10, 8, 5..100, true), Some(88));
    assert_eq!(map.find_gap(10, 8, 5..100, false), Some(8));
    assert_eq!(map.find_gap(96, 1, 5..100, true), None);
    assert_eq!(map.remove(0..100), Ok(()));
    assert_eq!(map.change(0..100, |_| ()), Ok(()));
    assert!(!map.resize(5, 1..2));
}

#[test]
fn the_ends_of_the_address_range() {
    let mut map = RangeMap::new(10, || true);
    map.insert(tagged(0, 10, 0)).unwrap();
    map.insert(tagged(u64::MAX - 10, u64::MAX, 1)).unwrap();
    assert_eq!(map.find(u64::MAX - 1).map(|area| area.tag), Some(1));
    assert!(map.find(u64::MAX).is_none() && map.next_from(u64::MAX).is_none());
    assert_eq!(map.find_gap(u64::MAX - 20, 1, 0..u64::MAX, true), Some(10));
    assert_eq!(map.find_gap(u64::MAX - 19, 1, 0..u64::MAX, false), None);
    assert_eq!(map.find_gap(1, 1 << 63, 0..u64::MAX, true), Some(1 << 63));
    assert_eq!(map.prev_before(u64::MAX).map(|area| area.tag), Some(1));
    assert_eq!(map.prev_before(10).map(|area| area.tag), Some(0));
    assert!(map.prev_before(0).is_none());
}

#[test]
fn guards_are_for_searches_alone() {
    let mut map = RangeMap::new(10, || true);
    map.insert(Tagged { guard: 10, ..tagged(50, 60, 0) }).unwrap();
    assert_eq!(map.find_gap(20, 1, 10..60, true), Some(20));
    assert_eq!(map.find_gap(5, 1, 0..45, true), Some(35));
    assert!(map.is_free(45..50) && !map.is_free_of_guards(30..41));
    assert!(map.is_free_of_guards(30..40) && map.is_free_of_guards(60..70));
    map.insert(tagged(45, 47, 1)).unwrap();
    assert!(map.resize(50, 47..60), "into its own guard");
    assert!(!map.resize(50, 46..60), "into another area");
}

#[test]
fn a_full_map_still_merges_and_shrinks() {
    let mut map = RangeMap::new(2, || true);
    map.insert(tagged(0, 10, 0)).unwrap();
    map.insert(tagged(20, 30, 0)).unwrap();
    assert_eq!(map.insert(tagged(40, 50, 0)), Err(NoMemory));
    assert_eq!(map.remove(3..4), Err(NoMemory));
    assert_eq!(map.change(3..40, |area| area.tag = 1), Err(NoMemory));
    assert_eq!(ranges(&map), [(0, 10), (20, 30)]);
    map.insert(tagged(30, 40, 0)).unwrap();
    map.remove(5..25).unwrap();
    assert_eq!(ranges(&map), [(0, 5), (25, 40)]);
    map.insert(tagged(5, 25, 0)).unwrap();
    assert_eq!(ranges(&map), [(0, 40)]);
    assert_eq!(map.reserve(2), Err(NoMemory));
    assert_eq!(map.reserve(1), Ok(()));
}

/// As many areas as a process may have, in three orders: time that grows with the square
/// would be minutes.
#[test]
fn full_to_the_brim() {
    const COUNT: u64 = 65_530;
    let started = Instant::now();
    let falling: Vec<u64> = (0..COUNT).rev().collect();
    let strewn: Vec<u64> = (0..COUNT).map(|n| n * 40_503 % COUNT).collect();
    for order in [(0..COUNT).collect(), falling, strewn] {
        let mut map = RangeMap::new(COUNT as usize, || true);
        for &n in &order {
            map.insert(model::Wide(tagged(n * 4, n * 4 + 2, 0))).unwrap();
        }
        assert_eq!(map.insert(model::Wide(tagged(3, 4, 1))), Err(NoMemory));
        assert!(map.chunks.len() <= 4 * map.len() / model::Wide::PER_CHUNK + 1);
        assert_eq!(map.find_gap(3, 1, 0..COUNT * 4, true), None);
        assert_eq!(map.find_gap(2, 1, 0..COUNT * 4, false), Some(2));
        for &n in &order {
            assert!(map.find(n * 4 + 1).is_some() && map.find(n * 4 + 2).is_none());
            map.change(n * 4..n * 4 + 1, |area| area.0.tag = 1).ok();
        }
        map.change(0..COUNT * 4, |area| area.0.tag = 2).unwrap();
        assert_eq!(map.len(), COUNT as usize);
        for &n in &order {
            map.remove(n * 4..n * 4 + 2).unwrap();
        }
        assert!(map.is_empty() && map.chunks.len() == 1);
    }
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}
