//! Tests: packages as compilers write them, and garbage.

use proptest::prelude::*;

use super::*;

fn name(prefix: &[u8], value: &[u8]) -> Vec<u8> {
    [b"garbage".as_slice(), &[NAME_OP], prefix, b"_S5_", value, b"more"].concat()
}

#[test]
fn packages_of_known_machines() {
    for (value, pm1a, pm1b) in [
        // QEMU's and Bochs': all zero.
        (&[0x12, 0x06, 0x04, 0x00, 0x00, 0x00, 0x00][..], 0, 0),
        // iasl: byte constants, and One.
        (&[0x12, 0x07, 0x04, 0x0a, 0x05, 0x0a, 0x06, 0x00, 0x00], 5, 6),
        (&[0x12, 0x0a, 0x04, 0x0a, 0x07, 0x0a, 0x07, 0x0a, 0x00, 0x0a, 0x00], 7, 7),
        (&[0x12, 0x06, 0x04, 0x01, 0x01, 0x00, 0x00], 1, 1),
        // Words, and a length in two bytes.
        (&[0x12, 0x49, 0x00, 0x02, 0x0b, 0x05, 0x00, 0x0b, 0x04, 0x00], 5, 4),
        (&[0x12, 0x0c, 0x01, 0x0e, 0x03, 0, 0, 0, 0, 0, 0, 0], 3, 0),
    ] {
        for prefix in [&b""[..], b"\\", b"^", b"^^"] {
            assert_eq!(find(&name(prefix, value)), Ok(SleepTypes { pm1a, pm1b }), "{value:x?}");
        }
    }
}

#[test]
fn other_values_are_not_understood() {
    for value in [
        &[0x0a, 0x05][..],                              // not a package
        &[0x12, 0x02, 0x00],                            // of no elements
        &[0x12, 0x06, 0x04, 0x0a],                      // past its end
        &[0x12, 0x03, 0x02, 0x0a, 0x05, 0x0a, 5],       // the second element lies outside
        &[0x12, 0x06, 0x04, 0x0a, 0x08, 0, 0],          // four bits
        &[0x12, 0x08, 0x02, b'S', b'5', b'T', b'A', 0], // a name
        &[0x12, 0xff],                                  // half a length
        &[0x12, 0x00, 0x04],                            // a length that is less than its own
    ] {
        let aml = [&[NAME_OP][..], b"_S5_", value].concat();
        assert_eq!(find(&aml), Err(S5Error::NotUnderstood), "{value:x?}");
    }
}

#[test]
fn other_uses_of_the_name_are_passed_over() {
    let used = [0x0d, b'_', b'S', b'5', b'_', 0x00];
    assert_eq!(find(&used), Err(S5Error::Absent));
    let good = name(b"\\", &[0x12, 0x06, 0x04, 0x01, 0x00, 0x00, 0x00]);
    let both = [&used[..], &name(b"", &[0x0a, 5]), &good].concat();
    assert_eq!(find(&both), Ok(SleepTypes { pm1a: 1, pm1b: 0 }));
    assert_eq!(find(b""), Err(S5Error::Absent));
    assert_eq!(find(b"_S5_"), Err(S5Error::Absent));
}

proptest! {
    #[test]
    fn garbage_does_no_harm(aml in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = find(&aml);
    }

    #[test]
    fn what_is_found_has_three_bits(value in proptest::collection::vec(any::<u8>(), 0..24)) {
        if let Ok(types) = find(&name(b"", &value)) {
            prop_assert!(types.pm1a <= 7 && types.pm1b <= 7);
        }
    }

    #[test]
    fn any_sleep_types_are_found(
        before in proptest::collection::vec(any::<u8>(), 0..60),
        pm1a in 0u8..8,
        pm1b in 0u8..8,
    ) {
        let object = [NAME_OP, b'_', b'S', b'5', b'_', 0x12, 0x08, 0x04, 0x0a, pm1a, 0x0a, pm1b, 0, 0];
        let aml = [&before[..], &object].concat();
        prop_assert_eq!(find(&aml), Ok(SleepTypes { pm1a, pm1b }));
    }
}
