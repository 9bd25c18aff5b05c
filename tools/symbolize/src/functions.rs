//! The functions of an ELF file: its symbols for code, made to not overlap.

use std::rc::Rc;

use object::elf::{SHF_ALLOC, SHF_EXECINSTR, STT_FUNC, STT_NOTYPE};
use object::read::elf::{ElfFile64, SectionHeader, Sym};
use symbols::FunctionLines;

use crate::error::Error;
use crate::names;

/// A symbol for code.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Symbol {
    name: String,
    start: u64,
    /// 0 if the assembly code does not tell.
    size: u64,
    /// Whether it is declared to be a function, and not just a label.
    function: bool,
}

/// The functions, by rising address within each section, without lines. Labels in
/// assembly code reach up to the next one.
pub(crate) fn functions(elf: &ElfFile64<'_>) -> Result<Vec<FunctionLines>, Error> {
    let endian = elf.endian();
    let sections = elf.elf_section_table();
    let table = elf.elf_symbol_table();
    let code = u64::from(SHF_ALLOC | SHF_EXECINSTR);
    let mut functions = Vec::new();
    for (index, section) in sections.enumerate() {
        if section.sh_flags(endian) & code != code {
            continue;
        }
        let start = section.sh_addr(endian);
        let end = start.saturating_add(section.sh_size(endian));
        let mut symbols = Vec::new();
        for symbol in table.symbols() {
            let address = symbol.st_value(endian);
            if usize::from(symbol.st_shndx(endian)) != index.0 || !(start..end).contains(&address) {
                continue;
            }
            let name = symbol.name(endian, table.strings())?;
            let name = String::from_utf8_lossy(name);
            let function = symbol.st_type() == STT_FUNC;
            if !function && symbol.st_type() != STT_NOTYPE || is_marker(&name) {
                continue;
            }
            let name = names::of_function(&name);
            symbols.push(Symbol { name, start: address, size: symbol.st_size(endian), function });
        }
        functions.extend(separate(symbols, end).into_iter().map(|symbol| FunctionLines {
            name: Rc::from(symbol.name),
            start: symbol.start,
            size: symbol.size,
            rows: Vec::new(),
        }));
    }
    if functions.is_empty() {
        return Err(Error::NotAKernel("it has no symbols for code"));
    }
    Ok(functions)
}

/// Whether a symbol is the assembler's own.
fn is_marker(name: &str) -> bool {
    name.is_empty() || name.starts_with(".L") || name.starts_with('$')
}

/// Makes the symbols of one section, which ends at `end`, not overlap.
fn separate(mut symbols: Vec<Symbol>, end: u64) -> Vec<Symbol> {
    // Of those with one address the best is last: a function rather than a label, one of
    // known size, not the linker's own, then the shortest.
    symbols.sort_by(|a, b| {
        let rank = |symbol: &Symbol| {
            let linker = symbol.name.starts_with("__");
            (symbol.start, symbol.function, symbol.size > 0, !linker)
        };
        rank(a)
            .cmp(&rank(b))
            .then_with(|| b.name.len().cmp(&a.name.len()))
            .then_with(|| b.name.cmp(&a.name))
    });
    let mut separate: Vec<Symbol> = Vec::new();
    for symbol in symbols {
        if let Some(before) = separate.last_mut() {
            if before.start == symbol.start {
                let size = before.size.max(symbol.size);
                *before = Symbol { size, ..symbol };
                continue;
            }
            let distance = symbol.start - before.start;
            // A label inside a function is part of it.
            if symbol.size == 0 && before.size > distance {
                continue;
            }
            if before.size == 0 || before.size > distance {
                before.size = distance;
            }
        }
        separate.push(symbol);
    }
    if let Some(last) = separate.last_mut()
        && (last.size == 0 || last.size > end - last.start)
    {
        last.size = end - last.start;
    }
    separate
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn symbol(name: &str, start: u64, size: u64, function: bool) -> Symbol {
        Symbol { name: name.to_owned(), start, size, function }
    }

    #[test]
    fn labels_reach_to_the_next_and_not_into_functions() {
        let symbols = vec![
            symbol("__text_start", 0x1000, 0, false),
            symbol("stubs", 0x1000, 0, false),
            symbol("common", 0x1100, 0, true),
            symbol("site", 0x1120, 0, false),
            symbol("kernel::run", 0x1200, 0x40, true),
            symbol("inside", 0x1210, 0, false),
            symbol("kernel::run_too", 0x1200, 0x40, true),
            symbol("tail", 0x1300, 0, false),
        ];
        let separate = separate(symbols, 0x1380);
        let found: Vec<_> =
            separate.iter().map(|found| (&*found.name, found.start, found.size)).collect();
        assert_eq!(
            found,
            [
                ("stubs", 0x1000, 0x100),
                ("common", 0x1100, 0x20),
                ("site", 0x1120, 0xe0),
                ("kernel::run", 0x1200, 0x40),
                ("tail", 0x1300, 0x80),
            ]
        );
    }

    proptest! {
        #[test]
        fn never_overlap_nor_leave_the_section(
            symbols in prop::collection::vec(
                ("[a-c_]{1,3}", 0..0x100_u64, 0..0x40_u64, any::<bool>()), 0..20
            )
        ) {
            let symbols: Vec<_> = symbols
                .iter()
                .map(|(name, start, size, function)| symbol(name, *start, *size, *function))
                .collect();
            let starts: Vec<_> = symbols.iter().filter(|symbol| symbol.size > 0).collect();
            let separate = separate(symbols.clone(), 0x100);
            let mut next = 0;
            for symbol in &separate {
                prop_assert!(symbol.size > 0 && symbol.start >= next);
                next = symbol.start + symbol.size;
            }
            prop_assert!(next <= 0x100);
            for symbol in starts {
                prop_assert!(separate.iter().any(|found| found.start == symbol.start));
            }
        }
    }
}
