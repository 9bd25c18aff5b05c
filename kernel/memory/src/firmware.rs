//! The firmware's ACPI tables: found from the root table that the loader named, checked,
//! and copied, so that the `acpi` crate can walk them without harm.
//!
//! That crate takes addresses and lengths in tables for true, reads a table of an old
//! revision as the newest, and goes on where an entry's own length says. All of this is
//! made harmless here: [`Tables`] holds copies of the tables that the kernel reads, each
//! with the length and checksum that it claims, entries that fit, and zeros behind; and
//! the crate sees nothing else ([`TableCopies`]).

use alloc::vec::Vec;
use core::fmt;
use core::ptr::NonNull;

use acpi::fadt::Fadt;
use acpi::{AcpiHandler, AcpiTables, PhysicalMapping};
use arch::irqchip::ioapic::{self, IoApic};
use arch::paging::{PAGE_SIZE, PhysAddr};
use arch::timer::hpet::{self, Hpet};
use static_assertions::const_assert;

use crate::boot_data::RootTable;
use crate::frames::{RegionKind, regions};
use crate::kernel_space::{self, DeviceMapError, IoMem};

/// Bytes of the header that all tables share (ACPI specification 6.5, section 5.2.6).
const HEADER: usize = 36;
/// Longest table that is believed. The largest on real machines, a DSDT, has 1 MiB.
const LONGEST: usize = 8 << 20;
/// Most tables that are looked at.
const MOST: usize = 256;
/// Zeros behind each copy: what the `acpi` crate may read past the end of a short table.
const PADDING: usize = 512;
/// RAM below this is not handed out, so it may be read even where the map calls it free.
const LOW_MEMORY: u64 = 1 << 20;

const_assert!(size_of::<Fadt>() <= PADDING);

/// Why a table cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableError {
    /// It lies in RAM that the kernel hands out.
    InUsableRam,
    /// Its length is less than a header, less than its kind needs, or more than a table
    /// has.
    BadLength(u32),
    /// Its bytes do not add up to zero.
    BadChecksum,
    /// Another table was expected there.
    BadSignature([u8; 4]),
    /// The registers that it names are not in memory.
    NotInMemory,
    /// There is nothing where it says.
    NoAnswer,
    /// Its memory cannot be mapped.
    NotMapped(DeviceMapError),
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUsableRam => f.write_str("it lies in RAM that is free to use"),
            Self::BadLength(length) => write!(f, "its length cannot be {length}"),
            Self::BadChecksum => f.write_str("its checksum is wrong"),
            Self::BadSignature(found) => write!(f, "its signature is {}", found.escape_ascii()),
            Self::NotInMemory => f.write_str("its registers are not in memory"),
            Self::NoAnswer => f.write_str("nothing answers there"),
            Self::NotMapped(error) => write!(f, "its memory cannot be mapped: {error}"),
        }
    }
}

/// Whether the firmware may have left something in `[start, end)` that is still there.
fn is_kept(start: u64, end: u64) -> bool {
    let (mut usable, mut inside) = (false, false);
    regions(|region| {
        if region.kind == RegionKind::Usable {
            usable |= start.max(LOW_MEMORY) < region.end && region.start < end;
        } else {
            inside |= region.start <= start && end <= region.end;
        }
    });
    inside || !usable
}

/// Copies `bytes` bytes of physical memory at `start`: firmware data, never RAM that the
/// kernel hands out.
///
/// # Errors
/// `InUsableRam`, `BadLength`, `NotMapped`.
pub fn read_physical(start: u64, bytes: usize) -> Result<Vec<u8>, TableError> {
    let too_long = TableError::BadLength(u32::try_from(bytes).unwrap_or(u32::MAX));
    if bytes > LONGEST {
        return Err(too_long);
    }
    let end = start
        .checked_add(bytes as u64)
        .filter(|end| end >> 52 == 0)
        .ok_or(TableError::NotMapped(DeviceMapError::BadRange))?;
    if !is_kept(start, end) {
        return Err(TableError::InUsableRam);
    }
    let mut copy = Vec::new();
    if copy.try_reserve_exact(bytes + PADDING).is_err() {
        return Err(TableError::NotMapped(DeviceMapError::OutOfMemory));
    }
    let mut take = |from: *const u8| {
        for offset in 0..bytes {
            // SAFETY: `from` leads to `bytes` bytes that are mapped readable while this
            // runs (see the two calls). Nobody in the kernel writes them.
            copy.push(unsafe { from.add(offset).read_volatile() });
        }
    };
    let first = PhysAddr::new(start).align_down(PAGE_SIZE).as_u64();
    let mut pages = (first..end).step_by(PAGE_SIZE as usize);
    if pages.all(|page| kernel_space::is_mapped(PhysAddr::new(page).to_physmap())) {
        // The physical map is never unmapped.
        take(PhysAddr::new(start).to_physmap().as_ptr());
    } else if bytes > 0 {
        let memory = IoMem::map_read_only(start, bytes).map_err(TableError::NotMapped)?;
        take(memory.address().as_ptr());
    }
    Ok(copy)
}

/// Maps the I/O APIC at a physical address that the MADT names, for good, with all lines
/// masked.
///
/// # Errors
/// `NotMapped`; `NoAnswer` if there is nothing.
pub fn map_io_apic(address: u64) -> Result<IoApic, TableError> {
    let memory = IoMem::map(address, ioapic::REGISTER_BYTES).map_err(TableError::NotMapped)?;
    // SAFETY: the firmware says that an I/O APIC is there; mapped uncacheable, and for good
    // once it is known to answer. The MADT is read once, and names each address once.
    match unsafe { IoApic::new(memory.address().as_u64()) } {
        Some(chip) => {
            core::mem::forget(memory);
            Ok(chip)
        }
        None => Err(TableError::NoAnswer),
    }
}

/// Maps the HPET at a physical address that its table names, for good, and sets it running.
///
/// # Errors
/// `NotMapped`; `NoAnswer` if there is nothing that counts.
pub fn map_hpet(address: u64) -> Result<Hpet, TableError> {
    let memory = IoMem::map(address, hpet::REGISTER_BYTES).map_err(TableError::NotMapped)?;
    // SAFETY: as for the I/O APIC; the HPET's table is read once.
    match unsafe { Hpet::new(memory.address().as_u64()) } {
        Some(hpet) => {
            core::mem::forget(memory);
            Ok(hpet)
        }
        None => Err(TableError::NoAnswer),
    }
}

/// Writes `value` to the register of eight bits at a physical address that a table names.
///
/// # Errors
/// The register cannot be mapped.
pub fn write_register(address: u64, value: u8) -> Result<(), DeviceMapError> {
    let memory = IoMem::map(address, 1)?;
    // SAFETY: mapped writable while `memory` lives, and not RAM that the kernel uses, as
    // `IoMem::map` makes sure. What the device then does the firmware answers for.
    unsafe { memory.address().as_mut_ptr::<u8>().write_volatile(value) };
    Ok(())
}

/// A table as its header describes it.
#[derive(Clone, Debug)]
pub struct Table {
    /// Physical address.
    pub address: u64,
    /// Four characters.
    pub signature: [u8; 4],
    /// Bytes, header included.
    pub length: u32,
    /// Of the table's layout.
    pub revision: u8,
    /// Six characters.
    pub oem: [u8; 6],
    /// Eight characters.
    pub oem_table: [u8; 8],
    /// What is wrong with it. It is then not used.
    pub error: Option<TableError>,
    /// The table, for those that the kernel reads, and `PADDING` zeros.
    copy: Option<Vec<u8>>,
}

fn length_of(table: &[u8]) -> u32 {
    table.get(4..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn set_length(table: &mut [u8], length: u32) {
    table[4..8].copy_from_slice(&length.to_le_bytes());
    table[9] = 0;
    let sum = table[..length as usize].iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte));
    table[9] = sum.wrapping_neg();
}

/// Least length of the tables that the kernel reads; `None` for others.
fn least_length(signature: &[u8]) -> Option<usize> {
    match signature {
        b"RSDT" | b"XSDT" => Some(HEADER),
        b"APIC" | b"MCFG" => Some(44),
        b"HPET" => Some(56),
        b"FACP" => Some(116),
        _ => None,
    }
}

/// Least length of an entry of the MADT (ACPI specification 6.5, section 5.2.12).
fn least_entry(kind: u8) -> usize {
    match kind {
        0 | 3 => 8,
        1 | 5 | 10 => 12,
        2 => 10,
        4 => 6,
        6..=9 => 16,
        _ => 2,
    }
}

/// Cuts a MADT (with padding) before the first entry that does not fit into it or is too
/// short for its kind; the offset of that entry.
fn cut_bad_entries(madt: &mut [u8]) -> Option<usize> {
    let length = length_of(madt) as usize;
    let mut at = 44;
    while at < length {
        let entry = &madt[at..length];
        let fits = |&[kind, bytes]: &[u8; 2]| {
            least_entry(kind) <= usize::from(bytes) && usize::from(bytes) <= entry.len()
        };
        match entry.first_chunk().filter(|start| fits(start)) {
            Some(&[_, bytes]) => at += usize::from(bytes),
            None => {
                set_length(madt, at as u32);
                return Some(at);
            }
        }
    }
    None
}

impl Table {
    /// Reads the table at `address`; what is wrong with it is in `error`.
    fn read(address: u64) -> Self {
        let mut table = Self {
            address,
            signature: *b"????",
            length: 0,
            revision: 0,
            oem: [b' '; 6],
            oem_table: [b' '; 8],
            error: None,
            copy: None,
        };
        if let Err(error) = table.fill() {
            table.error = Some(error);
        }
        table
    }

    fn fill(&mut self) -> Result<(), TableError> {
        let header = read_physical(self.address, HEADER)?;
        self.signature.copy_from_slice(&header[..4]);
        self.length = length_of(&header);
        self.revision = header[8];
        self.oem.copy_from_slice(&header[10..16]);
        self.oem_table.copy_from_slice(&header[16..24]);
        // The FACS is a structure of its own kind, without a checksum.
        let length = self.length as usize;
        if length < least_length(&self.signature).unwrap_or(HEADER) || length > LONGEST {
            return Err(TableError::BadLength(self.length));
        }
        let mut bytes = read_physical(self.address, length)?;
        if bytes.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte)) != 0 {
            return Err(TableError::BadChecksum);
        }
        if least_length(&self.signature).is_some() {
            // The crate asserts this.
            if &self.signature == b"HPET" && bytes[40] != 0 {
                return Err(TableError::NotInMemory);
            }
            bytes.resize(length + PADDING, 0); // reserved by `read_physical`
            if &self.signature == b"APIC"
                && let Some(at) = cut_bad_entries(&mut bytes)
            {
                log::warn!(
                    "ACPI: the MADT's entry at {at} of {length} is broken; read up to there"
                );
            }
            self.copy = Some(bytes);
        }
        Ok(())
    }

    /// The table's bytes behind its header, read again: for AML.
    ///
    /// # Errors
    /// What is wrong with the table.
    pub fn body(&self) -> Result<Vec<u8>, TableError> {
        match self.error {
            Some(error) => Err(error),
            None => read_physical(self.address + HEADER as u64, self.length as usize - HEADER),
        }
    }
}

/// All tables of the machine.
#[derive(Debug)]
pub struct Tables {
    /// RSDT or XSDT.
    pub root: Table,
    /// Those that the root table lists, in its order.
    pub listed: Vec<Table>,
}

impl Tables {
    /// Reads all tables. What is wrong with one that is listed is in its `error`.
    ///
    /// # Errors
    /// What is wrong with the root table.
    pub fn read(root: RootTable) -> Result<Self, TableError> {
        let (address, width, signature) = match root {
            RootTable::Rsdt(address) => (u64::from(address), 4, b"RSDT"),
            RootTable::Xsdt(address) => (address, 8, b"XSDT"),
        };
        let root = Table::read(address);
        if let Some(error) = root.error {
            return Err(error);
        }
        if root.signature != *signature {
            return Err(TableError::BadSignature(root.signature));
        }
        let bytes = root.copy.as_deref().unwrap_or_default();
        let entries = bytes.get(HEADER..root.length as usize).unwrap_or_default();
        let (count, listed) = (entries.len() / width, entries.chunks_exact(width).take(MOST));
        let listed = listed.map(|entry| {
            let mut address = [0; 8];
            address[..width].copy_from_slice(entry);
            u64::from_le_bytes(address)
        });
        if count > MOST {
            log::warn!("ACPI: the root table lists {count} tables; the first {MOST} are read");
        }
        let listed = listed.filter(|&address| address != 0).map(Table::read).collect();
        Ok(Self { root, listed })
    }

    /// The table at a physical address that another one names, such as the DSDT.
    pub fn at(address: u64) -> Table {
        Table::read(address)
    }

    /// The tables as the `acpi` crate shows them: those that are whole, of the kinds that
    /// the kernel reads.
    pub fn parsed(&self) -> Option<AcpiTables<TableCopies<'_>>> {
        let revision = if self.root.signature == *b"RSDT" { 0 } else { 2 };
        // SAFETY: the handler shows checked copies under the tables' addresses and, for
        // any other address, a table of no kind. So nothing that the crate dereferences
        // lies outside a copy and its padding.
        unsafe { AcpiTables::from_rsdt(TableCopies(self), revision, self.root.address as usize) }
            .ok()
    }
}

/// What the `acpi` crate sees instead of physical memory.
#[derive(Clone, Copy, Debug)]
pub struct TableCopies<'a>(&'a Tables);

/// What stands where there is no copy: no signature, length 0.
static NOTHING: [u8; PADDING] = [0; PADDING];

impl AcpiHandler for TableCopies<'_> {
    unsafe fn map_physical_region<T>(
        &self,
        address: usize,
        size: usize,
    ) -> PhysicalMapping<Self, T> {
        let mut all = core::iter::once(&self.0.root).chain(&self.0.listed);
        let found = all.find(|table| table.address == address as u64 && table.error.is_none());
        let copy = found.and_then(|table| table.copy.as_deref()).unwrap_or(&NOTHING);
        let whole = copy.len().max(PADDING) - PADDING;
        // Neither can be: sizes come from headers of copies, types from the crate.
        assert!(
            size <= copy.len() && size_of::<T>() <= copy.len(),
            "no ACPI table has {size} bytes"
        );
        // SAFETY: the copy lives as long as the handler, which the mapping holds; it is as
        // long as the size and the type say, and every bit pattern is a table.
        unsafe {
            PhysicalMapping::new(address, NonNull::from(copy).cast(), size, whole.max(size), *self)
        }
    }

    fn unmap_physical_region<T>(_: &PhysicalMapping<Self, T>) {}
}

#[cfg(not(test))]
mod tests {
    use super::*;

    /// A MADT with these entries, and padding.
    fn madt(entries: &[&[u8]]) -> Vec<u8> {
        let mut table = alloc::vec![0; 44];
        table[..4].copy_from_slice(b"APIC");
        entries.iter().for_each(|entry| table.extend_from_slice(entry));
        let length = table.len();
        table.resize(length + PADDING, 0);
        set_length(&mut table, length as u32);
        table
    }

    #[base::kernel_test]
    fn broken_madt_entries_are_cut_off() {
        let cpu = [0, 8, 1, 1, 1, 0, 0, 0];
        for (bad, why) in [
            (&[0, 0, 0, 0][..], "length 0 would never end"),
            (&[0, 9, 1, 1, 1, 0, 0, 0], "longer than the table"),
            (&[1, 8, 0, 0, 0, 0, 0, 0], "too short for an I/O APIC"),
            (&[0], "half a header"),
            (&[0x90, 1], "shorter than its own header"),
        ] {
            let mut table = madt(&[&cpu, bad]);
            assert_eq!(cut_bad_entries(&mut table), Some(52), "{why}");
            assert_eq!(length_of(&table), 52);
            assert_eq!(table[..52].iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte)), 0);
            assert_eq!(cut_bad_entries(&mut table), None);
        }
        assert_eq!(cut_bad_entries(&mut madt(&[&cpu, &[0x90, 3, 0], &cpu])), None);
        assert_eq!(cut_bad_entries(&mut madt(&[])), None);
    }

    #[base::kernel_test]
    fn tables_in_bad_places_are_refused() {
        // The kernel's image, RAM in use.
        assert_eq!(Table::read(0x20_0000).error, Some(TableError::InUsableRam));
        let beyond = Some(TableError::NotMapped(DeviceMapError::BadRange));
        assert_eq!(Table::read(u64::MAX - 8).error, beyond);
        assert_eq!(Table::read(1 << 52).error, beyond);
        // Zeros: the interrupt vectors of real mode hold no table.
        assert!(matches!(Table::read(0).error, Some(TableError::BadLength(_))));
        let root = Tables::read(RootTable::Rsdt(0x20_0000)).map(|tables| tables.listed.len());
        assert_eq!(root.err(), Some(TableError::InUsableRam));
    }
}
