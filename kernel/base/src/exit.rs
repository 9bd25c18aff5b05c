//! The way out of QEMU with an exit status, and the end of the road elsewhere.
//!
//! QEMU's `isa-debug-exit` device carries seven bits. The whole status goes to the
//! debug console (port 0xe9) as a decimal line first, for the script that started QEMU.

use core::sync::atomic::{AtomicBool, Ordering};

use arch::cpu::interrupts;
use arch::port::Port;

/// Exit status of a run that ended in a panic.
pub const PANIC_STATUS: u8 = 101;

static EXIT_ON_PANIC: AtomicBool = AtomicBool::new(false);

/// Whether a panic ends QEMU (a run that was given commands) or stops the machine so
/// that the report stays on the screen.
pub fn set_exit_on_panic(on: bool) {
    EXIT_ON_PANIC.store(on, Ordering::Relaxed);
}

/// See [`set_exit_on_panic`].
pub fn exits_on_panic() -> bool {
    EXIT_ON_PANIC.load(Ordering::Relaxed)
}

/// Ends QEMU with `status`. Where there is no `isa-debug-exit` device, says so and
/// halts this CPU.
pub fn exit(status: u8) -> ! {
    leave_qemu(status);
    crate::println!("This machine has no isa-debug-exit device; halted. It is safe to switch it off.");
    interrupts::halt_forever()
}

/// Ends QEMU with `status`; returns where there is no `isa-debug-exit` device. Prints
/// nothing.
pub fn leave_qemu(status: u8) {
    // SAFETY: QEMU's debug console and debug exit. On a PC nothing answers there
    // (0xe9 and 0xf4 are not assigned); neither does DMA.
    let (debug, exit) = unsafe { (Port::<u8>::new(0xe9), Port::<u32>::new(0xf4)) };
    for divisor in [100, 10, 1] {
        if status >= divisor || divisor == 1 {
            debug.write(b'0' + status / divisor % 10);
        }
    }
    debug.write(b'\n');
    exit.write(u32::from(status & 0x7f));
}
