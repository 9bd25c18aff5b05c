//! Machine checks: the banks of registers in which the CPU tells of hardware errors (Intel
//! SDM volume 3, chapter 16).

use core::arch::x86_64::__cpuid;
use core::fmt;

use super::features::Features;
use super::msr;

const MCG_CAP: u32 = 0x179;
const MCG_STATUS: u32 = 0x17a;
const MCG_CTL: u32 = 0x17b;
/// The first bank's registers; each bank has four.
const BANK_CTL: u32 = 0x400;
const BANK_STATUS: u32 = 0x401;
const BANK_ADDRESS: u32 = 0x402;

const CAP_BANKS: u64 = 0xff;
const CAP_HAS_CTL: u64 = 1 << 8;
const STATUS_VALID: u64 = 1 << 63;
const STATUS_HAS_ADDRESS: u64 = 1 << 58;
/// Banks that are looked at; their MSRs end where those of VMX begin.
const MAX_BANKS: u32 = 32;

/// Number of this CPU's banks. Only for a CPU with [`Features::machine_check`].
fn banks() -> u32 {
    // SAFETY: the CPU has machine checks, so it has the register.
    (unsafe { msr::read(MCG_CAP) } & CAP_BANKS).min(MAX_BANKS.into()) as u32
}

/// Whether bank 0 is the chip set's, and to be left alone: Intel's family 6 before model
/// 0x1a.
fn first_bank_is_not_ours() -> bool {
    let version = __cpuid(1).eax;
    let (family, model) = (version >> 8 & 0xf, version >> 4 & 0xf | version >> 12 & 0xf0);
    let intel = __cpuid(0).ebx == u32::from_le_bytes(*b"Genu");
    intel && family == 6 && model < 0x1a
}

/// Lets every bank report every error. Errors from before are forgotten. Call once per CPU,
/// before CR4.MCE is set.
pub(super) fn init(features: &Features) {
    if !features.machine_check {
        return;
    }
    // SAFETY: the registers exist, the global one where MCG_CAP says so, and the others
    // for each bank that it counts. They change what is reported, nothing else.
    unsafe {
        if msr::read(MCG_CAP) & CAP_HAS_CTL != 0 {
            msr::write(MCG_CTL, u64::MAX);
        }
        for bank in 0..banks() {
            if bank > 0 || !first_bank_is_not_ours() {
                msr::write(BANK_CTL + 4 * bank, u64::MAX);
            }
            msr::write(BANK_STATUS + 4 * bank, 0);
        }
    }
}

/// What this CPU's banks say now, in words.
#[derive(Clone, Copy, Debug)]
pub struct Banks;

impl fmt::Display for Banks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !super::features().machine_check {
            return f.write_str("this CPU has no banks to tell more");
        }
        // SAFETY: the register exists in a CPU with machine checks.
        write!(f, "MCG_STATUS {:#x}", unsafe { msr::read(MCG_STATUS) })?;
        for bank in 0..banks() {
            // SAFETY: the CPU has the bank; its address register exists where the status
            // says that it holds something.
            let (status, address) = unsafe {
                let status = msr::read(BANK_STATUS + 4 * bank);
                let has_address = status & (STATUS_VALID | STATUS_HAS_ADDRESS)
                    == STATUS_VALID | STATUS_HAS_ADDRESS;
                (status, has_address.then(|| msr::read(BANK_ADDRESS + 4 * bank)))
            };
            if status & STATUS_VALID != 0 {
                write!(f, "; bank {bank}: status {status:#x}")?;
            }
            if let Some(address) = address {
                write!(f, ", address {address:#x}")?;
            }
        }
        Ok(())
    }
}
