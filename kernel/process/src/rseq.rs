//! Restartable sequences (rseq(2), Linux Documentation and `include/uapi/linux/rseq.h`): a
//! program registers a word that tells it its CPU, and may name a stretch of code that is
//! to be left for its abort address when it is preempted or a signal comes.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, compiler_fence};

use abi::{Errno, Result};
use arch::cpu::local;
use arch::trap::TrapFrame;
use memory::user::{BadAddress, UserSlice};
use vm::layout::USER_END;

use crate::outcome::{Cause, Outcome};
use crate::thread::exit;

/// Bytes of `struct rseq` as first defined, its alignment, and the offsets of its fields.
const BYTES: u32 = 32;
const ALIGN: u64 = 32;
const CPU_ID_START: u64 = 0;
const CPU_ID: u64 = 4;
const CRITICAL_SECTION: u64 = 8;
/// `RSEQ_CPU_ID_UNINITIALIZED`.
const CPU_UNINITIALIZED: u32 = u32::MAX;
/// `RSEQ_FLAG_UNREGISTER`.
const UNREGISTER: u32 = 1;

/// A thread's registration.
#[derive(Debug)]
pub struct Rseq {
    /// Address of `struct rseq`; 0 for none.
    area: AtomicU64,
    signature: AtomicU32,
    /// The CPU that the program was told; [`CPU_UNINITIALIZED`] while it is being told.
    told: AtomicU32,
}

impl Rseq {
    pub(crate) const fn new() -> Self {
        Self {
            area: AtomicU64::new(0),
            signature: AtomicU32::new(0),
            told: AtomicU32::new(CPU_UNINITIALIZED),
        }
    }

    /// The registration in a copy of the address space, whose thread was told no CPU yet.
    pub(crate) fn forked(&self) -> Self {
        Self {
            area: AtomicU64::new(self.area.load(Ordering::Relaxed)),
            signature: AtomicU32::new(self.signature.load(Ordering::Relaxed)),
            told: AtomicU32::new(CPU_UNINITIALIZED),
        }
    }

    /// Whether the thread has registered.
    pub fn is_registered(&self) -> bool {
        self.area.load(Ordering::Relaxed) != 0
    }

    /// Whether the thread has registered, and takes another CPU than `cpu` for its own.
    pub(crate) fn is_told_another(&self, cpu: u32) -> bool {
        self.is_registered() && self.told.load(Ordering::Relaxed) != cpu
    }

    /// Tells the program its CPU. If the thread is moved meanwhile, [`Rseq::is_told_another`]
    /// says so at the other CPU.
    fn tell_cpu(&self, area: u64) -> core::result::Result<(), BadAddress> {
        self.told.store(CPU_UNINITIALIZED, Ordering::Relaxed);
        // This thread alone looks at it, wherever it is: the compiler must keep the order.
        compiler_fence(Ordering::SeqCst);
        let cpu = local::cpu_number();
        UserSlice::write_value(area + CPU_ID_START, &cpu)?;
        UserSlice::write_value(area + CPU_ID, &cpu)?;
        compiler_fence(Ordering::SeqCst);
        self.told.store(cpu, Ordering::Relaxed);
        Ok(())
    }

    /// rseq(2), for the current thread.
    ///
    /// # Errors
    /// `EINVAL`: flags, length or alignment. `EBUSY`: registered already. `EPERM`: another
    /// signature. `EFAULT`.
    pub fn register(&self, area: u64, len: u32, flags: u32, signature: u32) -> Result<()> {
        let known = self.area.load(Ordering::Relaxed);
        if flags & UNREGISTER != 0 {
            if flags != UNREGISTER || known == 0 || known != area || len != BYTES {
                return Err(Errno::EINVAL);
            }
            if self.signature.load(Ordering::Relaxed) != signature {
                return Err(Errno::EPERM);
            }
            self.area.store(0, Ordering::Relaxed);
            UserSlice::write_value(area + CPU_ID_START, &0u32)?;
            UserSlice::write_value(area + CPU_ID, &CPU_UNINITIALIZED)?;
            return Ok(());
        }
        if flags != 0 {
            return Err(Errno::EINVAL);
        }
        if known != 0 {
            let same = known == area && len == BYTES;
            let permitted = self.signature.load(Ordering::Relaxed) == signature;
            return Err(match (same, permitted) {
                (false, _) => Errno::EINVAL,
                (true, false) => Errno::EPERM,
                (true, true) => Errno::EBUSY,
            });
        }
        if len != BYTES || !area.is_multiple_of(ALIGN) {
            return Err(Errno::EINVAL);
        }
        if area.checked_add(BYTES.into()).is_none_or(|end| end > USER_END) {
            return Err(Errno::EFAULT);
        }
        UserSlice::write_value(area + CRITICAL_SECTION, &0u64)?;
        self.signature.store(signature, Ordering::Relaxed);
        // Before it is told its CPU: from then on it must be told of another.
        self.area.store(area, Ordering::Relaxed);
        self.tell_cpu(area).inspect_err(|_| self.area.store(0, Ordering::Relaxed))?;
        Ok(())
    }

    /// The thread was taken off its CPU, or is about to run a signal handler: tells it its
    /// CPU anew and leaves its critical section. Interrupts on; may not return.
    pub(crate) fn leave(&self, regs: &mut TrapFrame) {
        let area = self.area.load(Ordering::Relaxed);
        if area == 0 {
            return;
        }
        if self.try_leave(area, regs).is_err() {
            let cause = Cause { what: "bad rseq area", address: Some(area), ip: regs.rip };
            exit(Outcome::Killed { signal: abi::Signal::SIGSEGV, cause: Some(cause) });
        }
    }

    fn try_leave(&self, area: u64, regs: &mut TrapFrame) -> core::result::Result<(), BadAddress> {
        self.tell_cpu(area)?;
        let section: u64 = UserSlice::read_value(area + CRITICAL_SECTION)?;
        if section == 0 {
            return Ok(());
        }
        // struct rseq_cs: version and flags, start, length, abort address.
        let [version_and_flags, start, len, abort]: [u64; 4] = UserSlice::read_value(section)?;
        if version_and_flags as u32 != 0 || !(4..USER_END).contains(&abort) {
            return Err(BadAddress);
        }
        if regs.rip.wrapping_sub(start) < len {
            let signature: u32 = UserSlice::read_value(abort - 4)?;
            if signature != self.signature.load(Ordering::Relaxed)
                || abort.wrapping_sub(start) < len
            {
                return Err(BadAddress);
            }
            regs.rip = abort;
        }
        UserSlice::write_value(area + CRITICAL_SECTION, &0u64)
    }
}
