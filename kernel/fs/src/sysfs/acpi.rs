//! `/sys/firmware/acpi/tables`: the firmware's tables, as bytes. Those of which there are several
//! have a number behind their name, as on Linux. Root alone may read them.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use abi::{Errno, Result};
use memory::firmware::{Table, Tables, read_physical};

use crate::pseudo::{BytesFile, Folder, Node};

/// Puts a file for each table into the folder. A table that is broken stays out: its length may
/// be wrong.
pub(super) fn add(folder: &Folder) {
    let Some(tables) = drivers::acpi::tables() else { return };
    let dsdt = drivers::acpi::platform().fadt.and_then(|fadt| fadt.dsdt).map(Tables::at);
    let all = || tables.listed.iter().chain(&dsdt).filter(|table| table.error.is_none());
    for (index, table) in all().enumerate() {
        let same = |other: &&Table| other.signature == table.signature;
        let Some(mut name) = name(table) else { continue };
        if all().filter(same).count() > 1 {
            let number = all().take(index).filter(same).count() + 1;
            name = format!("{name}{number}");
        }
        let file = TableFile { address: table.address, bytes: table.length as usize };
        if let Err(error) = folder.add(name, Node::Bytes(Arc::new(file))) {
            log::warn!("ACPI table {}: {error}", table.signature.escape_ascii());
        }
    }
}

/// The signature, if it can be a file's name.
fn name(table: &Table) -> Option<String> {
    let is_text = table.signature.iter().all(u8::is_ascii_alphanumeric);
    let text = core::str::from_utf8(&table.signature).ok().filter(|_| is_text)?;
    Some(text.into())
}

/// A table, where it lies.
struct TableFile {
    address: u64,
    bytes: usize,
}

impl BytesFile for TableFile {
    fn size(&self) -> Option<u64> {
        Some(self.bytes as u64)
    }

    fn read(&self, offset: u64, to: &mut [u8]) -> Result<usize> {
        let left = (self.bytes as u64).saturating_sub(offset);
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(to.len());
        let start = self.address.checked_add(offset).ok_or(Errno::EIO)?;
        if len == 0 {
            return Ok(0);
        }
        let bytes = read_physical(start, len).map_err(|_| Errno::EIO)?;
        for (to, from) in to.iter_mut().zip(&bytes) {
            *to = *from;
        }
        Ok(len)
    }

    fn mode(&self) -> u32 {
        0o400
    }
}
