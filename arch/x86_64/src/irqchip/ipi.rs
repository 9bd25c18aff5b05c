//! What CPUs send each other through the local APIC's interrupt command register (Intel SDM
//! volume 3, section 11.6): interrupts, NMIs, INIT and STARTUP.
//!
//! In xAPIC mode the command is two writes, so interrupts are off in between, and it is
//! waited for until the APIC has sent it. In x2APIC mode it is one write, which waits
//! itself if it must.

use core::arch::asm;
use core::fmt;

use super::lapic::{Mode, Register, mode, read, write};
use crate::cpu::{interrupts, msr};

const FIXED: u32 = 0 << 8;
const NMI: u32 = 4 << 8;
const INIT: u32 = 5 << 8;
const STARTUP: u32 = 6 << 8;
const PENDING: u32 = 1 << 12;
const ASSERT: u32 = 1 << 14;

/// A command as x2APIC mode takes it: in one register of 64 bits, the target in the upper
/// half, without a delivery status (SDM volume 3, figure 11-28).
const fn x2apic_command(apic_id: u32, command: u32) -> u64 {
    (apic_id as u64) << 32 | command as u64
}

// The commands of INIT, STARTUP at 0x9f000, NMI and an interrupt (SDM volume 3, figure 11-12
// and section 9.4.4.1, whose words have 000C instead of 0000: for all but self).
const _: () = {
    assert!(x2apic_command(0x1_2345, ASSERT | INIT) == 0x0001_2345_0000_4500);
    assert!(x2apic_command(7, ASSERT | STARTUP | 0x9f) == 0x0000_0007_0000_469f);
    assert!(x2apic_command(1, ASSERT | NMI) == 0x0000_0001_0000_4400);
    assert!(x2apic_command(1, ASSERT | FIXED | 0xf1) == 0x0000_0001_0000_40f1);
};

/// Looks at the delivery status before a command counts as stuck: each takes at least some
/// tens of nanoseconds, so this is milliseconds; sending takes microseconds.
const MAX_LOOKS: u32 = 100_000;

/// Why a command was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpiError {
    /// xAPIC mode cannot name an APIC with this id.
    BadTarget,
    /// The APIC did not send it in time.
    Stuck,
}

impl fmt::Display for IpiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadTarget => "the APIC id is too large for xAPIC mode",
            Self::Stuck => "the local APIC does not send",
        })
    }
}

fn wait_until_sent() -> Result<(), IpiError> {
    for _ in 0..MAX_LOOKS {
        if read(Register::CommandLow) & PENDING == 0 {
            return Ok(());
        }
        interrupts::spin_hint();
    }
    Err(IpiError::Stuck)
}

/// Sends `command` to `apic_id`.
fn send(apic_id: u32, command: u32) -> Result<(), IpiError> {
    if mode() == Mode::X2Apic {
        // SAFETY: fences. Writing the MSR orders nothing: what was stored before must be
        // seen by whoever gets the interrupt (SDM section 11.12.3). Then the MSR, which
        // x2APIC mode has; what the command does is the callers'.
        unsafe {
            asm!("mfence", "lfence", options(nostack, preserves_flags));
            msr::write(Register::CommandLow.msr(), x2apic_command(apic_id, command));
        }
        return Ok(());
    }
    // 0xff is the broadcast.
    if apic_id >= 0xff {
        return Err(IpiError::BadTarget);
    }
    let were_enabled = interrupts::save_and_disable();
    // After a stuck command the next one waits; otherwise nothing is pending here.
    let sent = wait_until_sent().and_then(|()| {
        write(Register::CommandHigh, apic_id << 24);
        write(Register::CommandLow, command);
        wait_until_sent()
    });
    interrupts::restore(were_enabled);
    sent
}

/// Interrupts the CPU with `apic_id` on `vector`.
///
/// # Errors
/// As [`IpiError`] says. That the CPU is there, and takes it, is not known.
///
/// # Panics
/// If the vector is the CPU's own (below 32).
pub fn send_ipi(apic_id: u32, vector: u8) -> Result<(), IpiError> {
    assert!(vector >= 32, "vector {vector} is not one of interrupts");
    send(apic_id, ASSERT | FIXED | u32::from(vector))
}

/// Raises an NMI on the CPU with `apic_id`.
///
/// # Errors
/// As [`IpiError`] says.
pub fn send_nmi(apic_id: u32) -> Result<(), IpiError> {
    send(apic_id, ASSERT | NMI)
}

/// Resets the CPU with `apic_id`; it then waits for STARTUP.
///
/// # Errors
/// As [`IpiError`] says.
pub fn send_init(apic_id: u32) -> Result<(), IpiError> {
    send(apic_id, ASSERT | INIT)
}

/// Starts the CPU with `apic_id`, if it waits for that, in real mode at physical page
/// `page`: address `page` * 4096.
///
/// # Errors
/// As [`IpiError`] says.
pub fn send_startup(apic_id: u32, page: u8) -> Result<(), IpiError> {
    send(apic_id, ASSERT | STARTUP | u32::from(page))
}
