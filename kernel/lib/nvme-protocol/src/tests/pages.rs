//! The pages of a transfer.

use proptest::prelude::*;

use crate::{PAGE, pages};

fn of(segments: &[(u64, u32)]) -> Vec<u64> {
    pages(segments.iter().copied()).collect()
}

#[test]
fn pages_of_usual_transfers() {
    assert_eq!(of(&[(0x1000, 4096)]), [0x1000]);
    assert_eq!(of(&[(0x1200, 512)]), [0x1200]);
    assert_eq!(of(&[(0x1200, 4096)]), [0x1200, 0x2000]);
    assert_eq!(of(&[(0x1000, 8192), (0x9000, 512)]), [0x1000, 0x2000, 0x9000]);
    assert_eq!(of(&[(0x1e00, 512), (0x9000, 4096), (0x5000, 100)]), [0x1e00, 0x9000, 0x5000]);
    // One piece in several.
    assert_eq!(of(&[(0x1000, 512), (0x1200, 512), (0x1400, 4096)]), [0x1000, 0x2000]);
    assert_eq!(of(&[]), [0u64; 0]);
}

proptest! {
    #[test]
    fn pages_cover_the_memory_and_no_more(
        starts in proptest::collection::vec(1u64..1000, 1..20),
        first in 0u64..4096,
        last in 1u64..=4096,
    ) {
        // Whole pages, but for the start of the first and the end of the last.
        let mut segments: Vec<(u64, u32)> = starts.iter().map(|page| (page * PAGE, 4096)).collect();
        let count = segments.len();
        segments[0].0 += first;
        segments[0].1 -= first as u32;
        if count > 1 {
            segments[count - 1].1 = last as u32;
        }
        let entries = of(&segments);
        prop_assert_eq!(entries.len(), count);
        prop_assert_eq!(entries[0], segments[0].0);
        prop_assert!(entries[1..].iter().zip(&segments[1..]).all(|(entry, segment)| *entry == segment.0));
    }
}
