//! `page-table`: the entries on the way to an address.

use alloc::string::String;
use alloc::vec::Vec;

use arch::paging::{Entry, EntryFlags, PageSize, VirtAddr};
use base::println;

use crate::shell::command::{Context, Failure, Outcome, usage};
use crate::shell::format::Size;

/// Prints the entries.
pub(in crate::shell) fn page_table(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let [text] = arguments else { return Err(usage("takes an address")) };
    let address = address(text)?;
    if !address.is_canonical() {
        let message = "is not canonical: bits 47 to 63 of an address must be equal";
        return Err(Failure::Message(alloc::format!("{address} {message}")));
    }
    let mut entries: Vec<(u8, usize, Entry)> = Vec::new();
    memory::kernel_space::walk(address, |level, index, entry| entries.push((level, index, entry)));
    if let Some(function) =
        base::symbols::table().and_then(|table| table.function(address.as_u64()))
    {
        println!("{} + {:#x}", function.name, address.as_u64() - function.start);
    }
    println!("page table at {}", arch::cpu::control::page_table_root());
    for &(level, index, entry) in &entries {
        print_entry(level, index, entry);
    }
    let Some(&(level, _, last)) = entries.last() else { return Ok(()) };
    if !last.is_present() {
        println!("{address} is not mapped");
        return Ok(());
    }
    let size = match level {
        1 => PageSize::Small,
        2 => PageSize::Large,
        _ => PageSize::Giant,
    };
    let page = last.address().align_down(size.bytes());
    let physical = page.offset(address.as_u64() & (size.bytes() - 1));
    let all = |flag| entries.iter().all(|(.., entry)| entry.flags().contains(flag));
    let executable = entries.iter().all(|(.., e)| !e.flags().contains(EntryFlags::NO_EXECUTE));
    println!(
        "{address} is physical {physical}, in a page of {}: {}, r{}{}{}{}",
        Size(size.bytes()),
        if all(EntryFlags::USER) { "user" } else { "kernel" },
        if all(EntryFlags::WRITABLE) { 'w' } else { '-' },
        if executable { 'x' } else { '-' },
        if last.flags().contains(EntryFlags::GLOBAL) { ", global" } else { "" },
        if last.flags().contains(EntryFlags::NO_CACHE) { ", uncached" } else { "" },
    );
    Ok(())
}

fn print_entry(level: u8, index: usize, entry: Entry) {
    let table = match level {
        4 => "PML4",
        3 => "PDPT",
        2 => "PD",
        _ => "PT",
    };
    if !entry.is_present() {
        println!("  {table:4} [{index:3}]  {:#018x}  not present", entry.bits());
        return;
    }
    let kind = if entry.is_leaf(level) { "page" } else { "table" };
    // At the last level the bit of a huge page has another meaning.
    let hidden = if level == 1 { EntryFlags::HUGE } else { EntryFlags::empty() };
    let flags: Vec<&str> = FLAGS
        .iter()
        .filter(|(flag, _)| entry.flags().difference(hidden).contains(*flag))
        .map(|(_, name)| *name)
        .collect();
    let to = entry.address();
    println!("  {table:4} [{index:3}]  {:#018x}  {kind} {to}: {}", entry.bits(), flags.join(" "));
}

/// Functions of one name that an error lists.
const SHOWN: usize = 8;

const FLAGS: [(EntryFlags, &str); 10] = [
    (EntryFlags::PRESENT, "present"),
    (EntryFlags::WRITABLE, "writable"),
    (EntryFlags::USER, "user"),
    (EntryFlags::WRITE_THROUGH, "write-through"),
    (EntryFlags::NO_CACHE, "no-cache"),
    (EntryFlags::ACCESSED, "accessed"),
    (EntryFlags::DIRTY, "dirty"),
    (EntryFlags::HUGE, "huge"),
    (EntryFlags::GLOBAL, "global"),
    (EntryFlags::NO_EXECUTE, "no-execute"),
];

/// The address that `text` means: a hexadecimal number, or a function's.
fn address(text: &str) -> Result<VirtAddr, Failure> {
    let digits = text.strip_prefix("0x").unwrap_or(text).replace('_', "");
    if let Ok(number) = u64::from_str_radix(&digits, 16) {
        return Ok(VirtAddr::new(number));
    }
    let Some(table) = base::symbols::table() else {
        let message = "is not a hexadecimal address, and there is no symbol table";
        return Err(usage(alloc::format!("{text} {message}")));
    };
    let mut found: Vec<_> = table.find(text).collect();
    if let Some(&whole) = found.iter().find(|function| function.name == text) {
        found = alloc::vec![whole];
    }
    match &*found {
        [] => Err(usage(alloc::format!("{text} is no hexadecimal address and no function"))),
        [function] => Ok(VirtAddr::new(function.start)),
        several => {
            let names: Vec<&str> = several.iter().take(SHOWN).map(|found| found.name).collect();
            let rest = if several.len() > SHOWN { ", …" } else { "" };
            let message = alloc::format!("{text} may be any of {}{rest}", names.join(", "));
            Err(Failure::Message(message))
        }
    }
}

/// The functions' names, for Tab.
pub(in crate::shell) fn names() -> Vec<String> {
    let functions = base::symbols::table().into_iter().flat_map(|table| table.functions());
    functions.map(|function| function.name.into()).collect()
}
