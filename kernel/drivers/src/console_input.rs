//! Bytes typed on the console, whichever device they come from: filled by interrupt
//! handlers, read by whoever is in front (the kernel shell, or a user program's terminal).

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrayvec::ArrayVec;
use base::sync::IrqSpinLock;
use spin::Once;
use task::{WaitError, WaitOptions, WaitQueue};

/// Bytes kept for a reader; later ones are lost, and counted.
pub const CAPACITY: usize = 1024;

/// ^C.
const INTERRUPT: u8 = 0x03;

struct Ring {
    bytes: [u8; CAPACITY],
    /// Number of bytes ever read and written; their difference is what is there.
    read: usize,
    written: usize,
}

impl Ring {
    /// Takes out what was typed up to the last ^C; whether there was one.
    fn skip_interrupt(&mut self) -> bool {
        let last = (self.read..self.written).rfind(|&at| self.bytes[at % CAPACITY] == INTERRUPT);
        self.read = last.map_or(self.read, |at| at + 1);
        last.is_some()
    }
}

static RING: IrqSpinLock<Ring> =
    IrqSpinLock::new("console input", Ring { bytes: [0; CAPACITY], read: 0, written: 0 });
static READERS: WaitQueue = WaitQueue::new("console input");
static LOST: AtomicU64 = AtomicU64::new(0);

/// Called from the interrupt handler when ^C interrupts.
static HOOK: Once<fn()> = Once::new();

/// Whether ^C is an interrupt rather than a byte.
static CATCH_INTERRUPT: AtomicBool = AtomicBool::new(false);
static INTERRUPTS: AtomicU64 = AtomicU64::new(0);
static INTERRUPT_WAITERS: WaitQueue = WaitQueue::new("console interrupt");

/// Takes bytes from a device. For interrupt handlers.
pub fn push(bytes: &[u8]) {
    let mut interrupted = false;
    {
        let mut ring = RING.lock();
        for &byte in bytes {
            if byte == INTERRUPT && CATCH_INTERRUPT.load(Ordering::Relaxed) {
                // What was typed before it is of no use any more.
                ring.read = ring.written;
                INTERRUPTS.fetch_add(1, Ordering::Release);
                interrupted = true;
            } else if ring.written - ring.read == CAPACITY {
                LOST.fetch_add(1, Ordering::Relaxed);
            } else {
                let at = ring.written % CAPACITY;
                ring.bytes[at] = byte;
                ring.written += 1;
            }
        }
    }
    READERS.wake_all();
    if interrupted {
        INTERRUPT_WAITERS.wake_all();
        if let Some(hook) = HOOK.get() {
            hook();
        }
    }
}

/// The next byte, if one is there.
pub fn try_read_byte() -> Option<u8> {
    try_read_byte_if(|| true)
}

/// The next byte, if one is there and `may_read` says so, which is asked while nobody else can
/// take one: once it says no, no byte is taken by who asked before.
pub fn try_read_byte_if(may_read: impl FnOnce() -> bool) -> Option<u8> {
    let mut ring = RING.lock();
    if ring.read == ring.written || !may_read() {
        return None;
    }
    let byte = ring.bytes[ring.read % CAPACITY];
    ring.read += 1;
    Some(byte)
}

/// Registers who is told of every ^C while an [`InterruptWatch`] exists: the terminal's
/// foreground programs. Called from an interrupt handler.
pub fn set_interrupt_hook(hook: fn()) {
    HOOK.call_once(|| hook);
}

/// Forgets what was typed and not read.
pub fn flush() {
    let mut ring = RING.lock();
    ring.read = ring.written;
}

/// Where readers wait.
pub fn readers() -> &'static WaitQueue {
    &READERS
}

/// Whether a byte is there.
pub fn is_ready() -> bool {
    let ring = RING.lock();
    ring.read != ring.written
}

/// The next byte, when there is one.
///
/// # Errors
/// As the options say.
pub fn read_byte(options: WaitOptions) -> Result<u8, WaitError> {
    READERS.wait_with(options, try_read_byte)
}

/// Bytes lost because nobody read.
pub fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// While this exists, ^C is not read as a byte but counted, and wakes the waiter.
#[derive(Debug)]
pub struct InterruptWatch {
    seen: u64,
}

impl InterruptWatch {
    /// Starts to watch. A ^C that has been typed and not read counts already; it takes with
    /// it what was typed before. One at a time.
    pub fn start() -> Self {
        let mut ring = RING.lock();
        let seen = INTERRUPTS.load(Ordering::Acquire);
        CATCH_INTERRUPT.store(true, Ordering::Release);
        if ring.skip_interrupt() {
            INTERRUPTS.fetch_add(1, Ordering::Release);
        }
        Self { seen }
    }

    /// Whether ^C has been typed since the last call that said so.
    pub fn take(&mut self) -> bool {
        let now = INTERRUPTS.load(Ordering::Acquire);
        let typed = now != self.seen;
        self.seen = now;
        typed
    }

    /// Sleeps until ^C is typed or the deadline (nanoseconds of the clock) comes; true
    /// for ^C.
    pub fn wait(&mut self, deadline: u64) -> bool {
        let options = WaitOptions { deadline: Some(deadline), interruptible: false };
        INTERRUPT_WAITERS.wait_with(options, || self.take().then_some(())).is_ok()
    }

    /// The queue that ^C wakes, for waits that look for more than it.
    pub fn queue() -> &'static WaitQueue {
        &INTERRUPT_WAITERS
    }
}

impl Drop for InterruptWatch {
    fn drop(&mut self) {
        CATCH_INTERRUPT.store(false, Ordering::Release);
    }
}

/// What an interrupt handler gathers before it calls [`push`].
pub type Batch = ArrayVec<u8, 64>;

#[base::kernel_test]
fn an_unread_interrupt_takes_what_was_before_it() {
    let typed = b"a\x03b\x03cd";
    // Around the ring's end.
    let mut ring = Ring { bytes: [0; CAPACITY], read: CAPACITY - 2, written: CAPACITY - 2 };
    for &byte in typed {
        ring.bytes[ring.written % CAPACITY] = byte;
        ring.written += 1;
    }
    assert!(ring.skip_interrupt());
    assert_eq!((ring.read, ring.written), (CAPACITY + 2, CAPACITY + 4));
    assert!(!ring.skip_interrupt());
    assert_eq!(ring.read, CAPACITY + 2);
}
