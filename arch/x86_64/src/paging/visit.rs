//! Looking at all that a tree of page tables maps, without changing it.

use super::addr::{PAGE_SIZE, PhysAddr, VirtAddr};
use super::entry::EntryFlags;
use super::mapper::{Mapping, PageTable};

/// Entries of a table.
const ENTRIES: u64 = 512;

/// What must be allowed at every level.
const ALLOWING: EntryFlags = EntryFlags::WRITABLE.union(EntryFlags::USER);

/// Bytes that an entry of a table of `level` covers.
const fn covers(level: u8) -> u64 {
    PAGE_SIZE << (9 * (level as u32 - 1))
}

impl PageTable {
    /// Calls `visit` with every present page of the kernel half, by rising address. The
    /// flags are those that the CPU obeys: writable and user-accessible only if every table
    /// on the way says so, not executable if one says so.
    pub fn visit_kernel_half(&self, visit: &mut dyn FnMut(VirtAddr, Mapping)) {
        let upper = (0xffff << 48) + ENTRIES / 2 * covers(4);
        self.visit_table(self.root(), 4, upper, ALLOWING, visit);
    }

    /// Visits the entries of a table of `level` from that of the address `from` on; `way` is
    /// what the entries on the way here allow and forbid.
    fn visit_table(
        &self,
        table: PhysAddr,
        level: u8,
        from: u64,
        way: EntryFlags,
        visit: &mut dyn FnMut(VirtAddr, Mapping),
    ) {
        let first = VirtAddr::new(from).table_index(level) as u64;
        for number in first..ENTRIES {
            let address = from + (number - first) * covers(level);
            let page = VirtAddr::new(address);
            let entry = self.slot(table, page, level).load();
            if !entry.is_present() {
                continue;
            }
            let own = entry.flags();
            let (allowed, forbidden) = (own & way & ALLOWING, way & EntryFlags::NO_EXECUTE);
            let flags = (own - ALLOWING) | allowed | forbidden;
            if entry.is_leaf(level) {
                visit(page, Mapping { flags, ..Self::mapping_of(entry, level) });
            } else {
                self.visit_table(entry.address(), level - 1, address, flags, visit);
            }
        }
    }
}
