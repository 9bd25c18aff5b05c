//! ACPI tables of a test's own, which GRUB puts in place of the firmware's (its command
//! `acpi`): what no machine of QEMU's has.

use std::path::PathBuf;

use crate::iso::edited;
use crate::machine::Config;
use crate::place::scratch;

/// Physical address of the I/O APIC of a PC, and of its local APICs.
pub(crate) const IO_APIC: u32 = 0xfec0_0000;
const LOCAL_APICS: u32 = 0xfee0_0000;
/// MADT: there is an 8259A pair.
const PCAT_COMPAT: u32 = 1;

/// A table with a header (ACPI specification 6.5, section 5.2.6) and the right checksum.
pub(crate) fn table(signature: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let length = 36 + body.len() as u32;
    let mut table = Vec::from(signature);
    table.extend(length.to_le_bytes());
    table.extend([1, 0]); // revision, checksum
    table.extend(b"BASALTTEST    ");
    table.extend(1u32.to_le_bytes());
    table.extend(b"TEST");
    table.extend(1u32.to_le_bytes());
    table.extend(body);
    let sum = table.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte));
    table[9] = sum.wrapping_neg();
    table
}

/// A MADT with these entries.
pub(crate) fn madt(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::from(LOCAL_APICS.to_le_bytes());
    body.extend(PCAT_COMPAT.to_le_bytes());
    entries.iter().for_each(|entry| body.extend(entry));
    table(b"APIC", &body)
}

/// A usable CPU; its uid is its APIC id.
pub(crate) fn cpu(apic_id: u8) -> Vec<u8> {
    vec![0, 8, apic_id, apic_id, 1, 0, 0, 0]
}

/// A usable CPU with an APIC id of 32 bits.
pub(crate) fn x2apic_cpu(apic_id: u32) -> Vec<u8> {
    let mut entry = vec![9, 16, 0, 0];
    [apic_id, 1, apic_id].iter().for_each(|word| entry.extend(word.to_le_bytes()));
    entry
}

/// An I/O APIC with the lines from 0 on.
pub(crate) fn io_apic(address: u32) -> Vec<u8> {
    let mut entry = vec![1, 12, 0, 0];
    [address, 0].iter().for_each(|word| entry.extend(word.to_le_bytes()));
    entry
}

/// ISA line 0 arrives at line 2, as in every PC.
pub(crate) fn timer_override() -> Vec<u8> {
    vec![2, 10, 0, 0, 2, 0, 0, 0, 0, 0]
}

/// `config` with an ISO whose GRUB puts `table` in the place of the firmware's of that
/// signature.
///
/// # Errors
/// What the scripts say.
pub(crate) fn with_table(config: Config, name: &str, table: &[u8]) -> Result<Config, String> {
    let signature = String::from_utf8_lossy(table.get(..4).unwrap_or(&[])).into_owned();
    let file = scratch(&format!("{name}.table"));
    std::fs::write(&file, table).map_err(|error| format!("{}: {error}", file.display()))?;
    let iso = edited(
        &config,
        name,
        |script| {
            let load = format!("insmod acpi\nacpi --exclude={signature} /boot/table\n");
            script.replace("if multiboot2 ", &format!("{load}if multiboot2 "))
        },
        |script| {
            let add = format!("cp '{}' \"$tmp/tree/boot/table\"\n", PathBuf::from(&file).display());
            script
                .replace("modules=\"normal ", "modules=\"acpi normal ")
                .replace("# GRUB's single quotes", &format!("{add}# GRUB's single quotes"))
        },
    )?;
    Ok(Config { iso: Some(iso), ..config })
}
