//! Proof that the TLB has been thought of: every change of a live mapping returns a
//! [`Flush`], and dropping it unread is a compiler warning (an error in CI).

use core::arch::asm;

use super::addr::VirtAddr;
use crate::cpu::control::{self, Cr4};
use crate::cpu::interrupts;

/// One page whose old translation may still be in a TLB.
#[must_use = "the TLB may still hold the old translation: call flush() or ignore()"]
#[derive(Debug)]
pub struct Flush(VirtAddr);

impl Flush {
    pub(super) fn new(page: VirtAddr) -> Self {
        Self(page)
    }

    /// Drops the translation from this CPU's TLB.
    pub fn flush(self) {
        invalidate_page(self.0);
    }

    /// The address whose translation changed.
    pub fn page(&self) -> VirtAddr {
        self.0
    }

    /// No flush is needed: the entry had not been present, or the tables are not
    /// loaded on any CPU.
    pub fn ignore(self) {}
}

/// Drops one page's translation, global or not, from this CPU's TLB.
pub fn invalidate_page(page: VirtAddr) {
    // SAFETY: invlpg never faults and changes no memory; forgetting a cached
    // translation can only make the CPU read the tables again.
    unsafe { asm!("invlpg [{}]", in(reg) page.as_u64(), options(nostack, preserves_flags)) };
}

/// Drops all translations of the user half, and what the CPU keeps of its tables, from this
/// CPU's TLB.
pub fn flush_user() {
    let were_enabled = interrupts::save_and_disable();
    // SAFETY: CR3 gets the value that it has (no switch in between), which drops what is not
    // global (Intel SDM volume 3, section 4.10.4.1).
    unsafe { control::load_page_table(control::page_table_root()) };
    interrupts::restore(were_enabled);
}

/// Drops all translations, global ones too, from this CPU's TLB.
pub fn flush_all() {
    let were_enabled = interrupts::save_and_disable();
    let cr4 = control::read_cr4();
    // SAFETY: CR4 gets back the value that it has; without global pages in between, the
    // same tables mean the same (Intel SDM volume 3, section 4.10.4.1).
    unsafe {
        control::write_cr4(cr4 - Cr4::GLOBAL_PAGES);
        control::write_cr4(cr4);
    }
    interrupts::restore(were_enabled);
}
