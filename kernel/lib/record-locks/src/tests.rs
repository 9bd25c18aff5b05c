//! What ranges programs may say, and changes against a model that has a mode for each byte.

use proptest::prelude::*;

use crate::{Bytes, BytesError, Mode, NoRoom, Owner, RecordLocks};

const MOST: i64 = i64::MAX;
const ANY: usize = usize::MAX;

fn owner(number: u64) -> Owner {
    Owner { number, pid: Some(number as u32) }
}

fn ends(base: u64, start: i64, len: i64) -> Result<(u64, u64), BytesError> {
    Bytes::new(base, start, len).map(|bytes| (bytes.first(), bytes.last()))
}

#[test]
fn ranges_are_those_of_fcntl() {
    let most = MOST as u64;
    assert_eq!(ends(0, 0, 0), Ok((0, most)));
    assert_eq!(ends(0, 10, 5), Ok((10, 14)));
    assert_eq!(ends(100, -100, 1), Ok((0, 0)));
    assert_eq!(ends(100, 5, -5), Ok((100, 104)));
    assert_eq!(ends(100, 0, -100), Ok((0, 99)));
    assert_eq!(ends(0, MOST, 1), Ok((most, most)));
    assert_eq!(ends(0, MOST, 0), Ok((most, most)));
    assert_eq!(ends(0, 1, MOST), Ok((1, most)));
    assert_eq!(ends(100, -101, 1), Err(BytesError::BeforeStart));
    assert_eq!(ends(100, 0, -101), Err(BytesError::BeforeStart));
    assert_eq!(ends(0, 0, -1), Err(BytesError::BeforeStart));
    assert_eq!(ends(0, 0, i64::MIN), Err(BytesError::BeforeStart));
    assert_eq!(ends(0, i64::MIN, 1), Err(BytesError::BeforeStart));
    assert_eq!(ends(1, MOST, 1), Err(BytesError::TooFar));
    assert_eq!(ends(0, 2, MOST), Err(BytesError::TooFar));
    assert_eq!(ends(0, MOST, 2), Err(BytesError::TooFar));
    assert_eq!(ends(u64::MAX, 1, 1), Err(BytesError::TooFar));
    assert_eq!(Bytes::ALL.len_or_all(), 0);
    assert_eq!(Bytes::new(0, 7, 9).map(Bytes::len_or_all), Ok(9));
}

/// How many bytes the model has; the last of them is all the rest of the file.
const LEN: usize = 24;
const OWNERS: usize = 3;

/// For each owner and byte, the mode.
type Model = [[Option<Mode>; LEN]; OWNERS];

fn modes(locks: &RecordLocks) -> Model {
    let mut model = Model::default();
    for record in locks.iter() {
        let own = &mut model[record.owner.number as usize];
        for (at, byte) in own.iter_mut().enumerate() {
            if (record.bytes.first()..=record.bytes.last()).contains(&(at as u64)) {
                assert_eq!(*byte, None, "an owner's records overlap: {locks:?}");
                *byte = Some(record.mode);
            }
        }
    }
    model
}

/// Sorted, merged, and without overlap.
fn check_order(locks: &RecordLocks) {
    let records: Vec<_> = locks.iter().collect();
    for pair in records.windows(2) {
        let [one, next] = pair else { unreachable!() };
        assert!(one.owner.number <= next.owner.number);
        if one.owner == next.owner {
            assert!(one.bytes.last() < next.bytes.first(), "{pair:?}");
            let touches = one.bytes.last() + 1 == next.bytes.first();
            assert!(!touches || one.mode != next.mode, "not merged: {pair:?}");
        }
    }
}

fn mode() -> impl Strategy<Value = Option<Mode>> {
    prop_oneof![Just(None), Just(Some(Mode::Shared)), Just(Some(Mode::Exclusive))]
}

proptest! {
    #[test]
    fn records_are_what_a_model_of_bytes_says(
        steps in prop::collection::vec(
            (0..OWNERS, 0..LEN - 1, 0..LEN, mode(), any::<bool>()), 1..60)
    ) {
        let mut locks = RecordLocks::new();
        let mut model = Model::default();
        for (who, start, len, mode, reserves) in steps {
            let len = len.min(LEN - 1 - start);
            let bytes = Bytes::new(0, start as i64, len as i64).unwrap();
            let range = start..if len == 0 { LEN } else { start + len };
            let conflicts = mode.is_some_and(|mode| {
                let others = model.iter().enumerate().filter(|(other, _)| *other != who);
                others.flat_map(|(_, own)| &own[range.clone()]).flatten().any(|&has| has.excludes(mode))
            });
            let found = mode.and_then(|mode| locks.conflict(who as u64, bytes, mode));
            prop_assert_eq!(found.is_some(), conflicts);
            if let Some(found) = found {
                prop_assert!(found.owner.number != who as u64 && found.bytes.overlaps(bytes));
                continue;
            }
            let before = modes(&locks);
            let count = locks.len();
            if reserves {
                locks.reserve(RecordLocks::MOST_ADDED).unwrap();
            }
            match locks.set(owner(who as u64), bytes, mode, ANY) {
                Ok(frees) => {
                    let own = &mut model[who][range];
                    let looser = own.iter().any(|&has| match (has, mode) {
                        (None, _) | (_, Some(Mode::Exclusive)) => false,
                        (has, mode) => has != mode,
                    });
                    prop_assert_eq!(frees, looser);
                    own.fill(mode);
                }
                Err(NoRoom) => {
                    prop_assert!(!reserves, "there is room");
                    prop_assert_eq!(locks.len(), count);
                    prop_assert_eq!(modes(&locks), before);
                }
            }
            prop_assert_eq!(modes(&locks), model);
            check_order(&locks);
            let own = locks.own(who as u64, Bytes::ALL).is_some();
            prop_assert_eq!(own, model[who].iter().any(Option::is_some));
        }
        for who in 0..OWNERS {
            let had = model[who].iter().any(Option::is_some);
            prop_assert_eq!(locks.remove_owner(who as u64), had);
            model[who] = [None; LEN];
            prop_assert_eq!(modes(&locks), model);
        }
        prop_assert!(locks.is_empty());
    }
}

#[test]
fn a_change_without_room_changes_nothing() {
    let mut locks = RecordLocks::new();
    let bytes = |start, len| Bytes::new(0, start, len).unwrap();
    assert_eq!(locks.set(owner(1), Bytes::ALL, Some(Mode::Shared), ANY), Err(NoRoom));
    assert_eq!(locks.set(owner(1), Bytes::ALL, None, ANY), Ok(false));
    locks.reserve(1).unwrap();
    locks.set(owner(1), Bytes::ALL, Some(Mode::Shared), ANY).unwrap();
    while locks.set(owner(1), bytes(2 * locks.len() as i64, 1), None, ANY).is_ok() {}
    let len = locks.len();
    assert_eq!(locks.set(owner(1), bytes(1 << 40, 1), Some(Mode::Exclusive), ANY), Err(NoRoom));
    assert_eq!(locks.len(), len);
    // What needs no more is done.
    assert_eq!(locks.set(owner(1), Bytes::ALL, None, 0), Ok(true));
    assert!(locks.is_empty());
}

#[test]
fn there_are_no_more_than_may_be() {
    let mut locks = RecordLocks::new();
    let mut set = |start, len, mode| {
        locks.reserve(RecordLocks::MOST_ADDED).unwrap();
        locks.set(owner(1), Bytes::new(0, start, len).unwrap(), mode, 3)
    };
    assert_eq!(set(0, 100, Some(Mode::Exclusive)), Ok(false));
    assert_eq!(set(40, 20, Some(Mode::Shared)), Ok(true));
    assert_eq!(set(10, 1, None), Err(NoRoom));
    assert_eq!(set(200, 1, Some(Mode::Shared)), Err(NoRoom));
    assert_eq!(set(100, 5, Some(Mode::Exclusive)), Ok(false));
    assert_eq!(set(40, 20, Some(Mode::Exclusive)), Ok(false));
    assert_eq!(set(10, 1, None), Ok(true));
}
