//! `/proc/sys/kernel/random`: numbers that are nobody else's, and how much chance there is.

use alloc::sync::Arc;
use core::fmt;

use spin::Once;

use crate::pseudo::{Folder, Node};

/// Bits of the generator's key: it has all of them from its first use on.
const KEY_BITS: u32 = 256;

/// A random UUID (RFC 9562, version 4).
#[derive(Clone, Copy)]
struct Uuid([u8; 16]);

impl Uuid {
    fn new() -> Self {
        let mut bytes = [0; 16];
        drivers::random::fill(&mut bytes);
        let word = u128::from_be_bytes(bytes);
        let (version, variant) = (0xf << 76, 0xc << 60);
        Self((word & !version & !variant | 4 << 76 | 8 << 60).to_be_bytes())
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let dash = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

pub(super) fn fill(folder: &Arc<Folder>) {
    folder.put("uuid", Node::text(|to| to.write(format_args!("{}\n", Uuid::new()))));
    folder.put(
        "boot_id",
        Node::text(|to| {
            static BOOT: Once<Uuid> = Once::new();
            to.write(format_args!("{}\n", BOOT.call_once(Uuid::new)))
        }),
    );
    for name in ["entropy_avail", "poolsize"] {
        folder.put(name, Node::text(|to| to.write(format_args!("{KEY_BITS}\n"))));
    }
}

#[base::kernel_test]
fn a_uuid_says_that_it_is_random() {
    for _ in 0..20 {
        let text = alloc::format!("{}", Uuid::new());
        let mut parts = text.split('-');
        assert_eq!(text.len(), 36, "{text}");
        assert_eq!(parts.clone().map(str::len).collect::<alloc::vec::Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(parts.nth(2).is_some_and(|part| part.starts_with('4')), "{text}");
        assert!(parts.next().is_some_and(|part| part.starts_with(['8', '9', 'a', 'b'])), "{text}");
    }
}
