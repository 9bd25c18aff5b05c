//! The way out of QEMU with an exit status, and the end of the road elsewhere.
//!
//! QEMU's `isa-debug-exit` device carries seven bits. The whole status goes to the
//! debug console (port 0xe9) as a decimal line first, for the script that started QEMU
//! (tools/qemu.sh). An earlier line there tells when the kernel reads its input.

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
    crate::println!(
        "This machine has no isa-debug-exit device; halted. It is safe to switch it off."
    );
    interrupts::halt_forever()
}

/// How the machine is about to end, other than by [`exit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It will be switched off.
    PowerOff,
    /// It will be reset.
    Reset,
    /// Not at all: what was announced has failed.
    None,
}

/// Tells the script that started QEMU how the machine is about to end, and with which
/// status: `off 0`, `reset 1`, `none 0`.
pub fn announce(end: End, status: u8) {
    tell(match end {
        End::PowerOff => b"off ",
        End::Reset => b"reset ",
        End::None => b"none ",
    });
    tell_status(status);
}

/// Ends QEMU with `status`; returns where there is no `isa-debug-exit` device. Prints
/// nothing.
pub fn leave_qemu(status: u8) {
    tell_status(status);
    // SAFETY: QEMU's debug exit. On a PC nothing answers there (0xf4 is not assigned).
    unsafe { Port::<u32>::new(0xf4) }.write(u32::from(status & 0x7f));
}

/// Tells the script that started QEMU that the console's input is read from now on: what
/// comes earlier, the firmware and GRUB take for themselves.
pub fn announce_input() {
    tell(b"input\n");
}

fn tell_status(status: u8) {
    for divisor in [100, 10, 1] {
        if status >= divisor || divisor == 1 {
            tell(&[b'0' + status / divisor % 10]);
        }
    }
    tell(b"\n");
}

/// Writes to QEMU's debug console.
fn tell(bytes: &[u8]) {
    // SAFETY: on a PC nothing answers there (0xe9 is not assigned).
    let debug = unsafe { Port::<u8>::new(0xe9) };
    for &byte in bytes {
        debug.write(byte);
    }
}
