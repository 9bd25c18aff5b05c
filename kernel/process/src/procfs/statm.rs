//! `/proc/PID/statm`: sizes of a process's memory in pages.

use abi::Result;
use arch::paging::PAGE_SIZE;
use fs::pseudo::Text;
use vm::AddressSpace;

use crate::process::Process;

/// Pages of an address space.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    /// All that is mapped.
    pub(super) all: u64,
    /// What may be executed.
    pub(super) text: u64,
    /// What may be written and is the process's own.
    pub(super) data: u64,
}

impl Sizes {
    pub(super) fn of(space: &AddressSpace) -> Self {
        let mut sizes = Self::default();
        space.for_each_vma(|vma| {
            let pages = (vma.end - vma.start) / PAGE_SIZE;
            sizes.all += pages;
            if vma.access.execute {
                sizes.text += pages;
            } else if vma.access.write && !vma.is_shared() {
                sizes.data += pages;
            }
        });
        sizes
    }
}

/// All, resident, shared (not counted), text, 0, data and stack, 0.
pub(super) fn show(process: &Process, to: &mut Text) -> Result<()> {
    let Some(space) = process.space() else { return to.push(b"0 0 0 0 0 0 0\n") };
    let Sizes { all, text, data } = Sizes::of(&space);
    let resident = space.resident_pages();
    to.write(format_args!("{all} {resident} 0 {text} 0 {data} 0\n"))
}
