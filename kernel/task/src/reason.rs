//! What a task waits for: [`WaitReason`], and where others may read it while the task goes on,
//! [`SharedReason`].

use core::fmt;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering, fence};

/// What is waited for, in words: a kind of thing, and which one. Either may be empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitReason {
    /// Such as `mutex`.
    pub kind: &'static str,
    /// Such as the lock's class.
    pub name: &'static str,
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = if self.kind.is_empty() || self.name.is_empty() { "" } else { " " };
        write!(f, "{}{space}{}", self.kind, self.name)
    }
}

/// A text that others may read while it is replaced.
struct SharedText {
    start: AtomicPtr<u8>,
    len: AtomicUsize,
}

impl SharedText {
    const fn new(text: &'static str) -> Self {
        Self { start: AtomicPtr::new(text.as_ptr().cast_mut()), len: AtomicUsize::new(text.len()) }
    }

    fn store(&self, text: &'static str) {
        self.start.store(text.as_ptr().cast_mut(), Ordering::Relaxed);
        self.len.store(text.len(), Ordering::Relaxed);
    }
}

/// Looks before a reason that changes all the time counts as unknown.
const LOOKS: u32 = 100;

/// A reason that one task writes and others read, without a lock: every sleep writes it
/// (a sequence lock).
pub(crate) struct SharedReason {
    /// Odd while it is written.
    version: AtomicU32,
    kind: SharedText,
    name: SharedText,
}

impl SharedReason {
    /// No reason.
    pub(crate) const fn new() -> Self {
        Self { version: AtomicU32::new(0), kind: SharedText::new(""), name: SharedText::new("") }
    }

    /// Replaces it. By the task that it belongs to alone.
    pub(crate) fn store(&self, reason: WaitReason) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        self.kind.store(reason.kind);
        self.name.store(reason.name);
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    /// The last one stored; none if it changes all the time.
    pub(crate) fn load(&self) -> WaitReason {
        for _ in 0..LOOKS {
            let before = self.version.load(Ordering::Acquire);
            let words = [&self.kind, &self.name]
                .map(|text| (text.start.load(Ordering::Relaxed), text.len.load(Ordering::Relaxed)));
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && before == self.version.load(Ordering::Relaxed) {
                let [kind, name] = words.map(|(start, len)| {
                    // SAFETY: no store came in between, so that both are of one `&'static
                    // str`, the one of the last store.
                    unsafe {
                        core::str::from_utf8_unchecked(core::slice::from_raw_parts(start, len))
                    }
                });
                return WaitReason { kind, name };
            }
            core::hint::spin_loop();
        }
        WaitReason::default()
    }
}

#[cfg(not(test))]
#[base::kernel_test]
fn a_reason_is_read_whole_while_it_changes() {
    use alloc::sync::Arc;
    const REASONS: [WaitReason; 3] = [
        WaitReason { kind: "", name: "a" },
        WaitReason { kind: "mutex", name: "descriptors" },
        WaitReason { kind: "semaphore", name: "" },
    ];
    let shared = Arc::new(SharedReason::new());
    shared.store(REASONS[0]);
    let end = base::time::now_ns() + 20_000_000;
    let writer = {
        let shared = shared.clone();
        let mut next = REASONS.iter().cycle();
        crate::spawn("writer", move || {
            while base::time::now_ns() < end {
                shared.store(*next.next().expect("a circle"));
            }
        })
    };
    while base::time::now_ns() < end {
        let seen = shared.load();
        assert!(seen == WaitReason::default() || REASONS.contains(&seen), "{seen:?}");
    }
    writer.expect("memory for a task").join();
}
