//! Where code comes from: lines and inlined functions, from the DWARF.
//!
//! `addr2line` answers for one address. What it answers can change only where a row of a
//! line program or the range of a function or inlined function begins or ends; asked at
//! all these addresses it has told everything.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use addr2line::Context;
use gimli::{Dwarf, EndianRcSlice, RunTimeEndian};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection};
use symbols::{Call, FunctionLines, Row};

use crate::error::Error;
use crate::{names, paths};

type Reader = EndianRcSlice<RunTimeEndian>;

/// The lines of an ELF file.
pub(crate) struct Lines {
    context: Context<Reader>,
    /// Where what the context says can change.
    changes: BTreeSet<u64>,
    root: PathBuf,
    files: HashMap<String, Rc<str>>,
    /// Names of inlined functions, demangled, by how the DWARF has them.
    names: HashMap<String, Rc<str>>,
}

impl Lines {
    /// Reads the debug information. Files in `root` are named relative to it.
    pub(crate) fn new(elf: &ElfFile64<'_>, root: &Path) -> Result<Self, Error> {
        if elf.section_by_name(".debug_info").is_none() {
            return Err(Error::NoDebugInformation);
        }
        let load = |id: gimli::SectionId| -> Result<Reader, Error> {
            let data = match elf.section_by_name(id.name()) {
                Some(section) => section.uncompressed_data()?,
                None => Default::default(),
            };
            Ok(Reader::new(Rc::from(&*data), RunTimeEndian::Little))
        };
        let changes = changes(&Dwarf::load(load)?)?;
        let context = Context::from_dwarf(Dwarf::load(load)?)?;
        let (files, names) = Default::default();
        Ok(Self { context, changes, root: root.to_owned(), files, names })
    }

    /// Gives functions their rows.
    pub(crate) fn add_to(
        mut self,
        mut functions: Vec<FunctionLines>,
    ) -> Result<Vec<FunctionLines>, Error> {
        for function in &mut functions {
            let (start, end) = (function.start, function.start.saturating_add(function.size));
            let mut addresses = vec![start];
            addresses.extend(self.changes.range(start..end).filter(|address| **address > start));
            for address in addresses {
                let frames = self.frames(address)?;
                if function.rows.last().map_or(&[][..], |row| &row.frames) != frames {
                    function.rows.push(Row { address, frames });
                }
            }
        }
        Ok(functions)
    }

    fn frames(&mut self, address: u64) -> Result<Vec<Call>, Error> {
        let mut frames = self.context.find_frames(address).skip_all_loads()?;
        let mut calls = Vec::new();
        while let Some(frame) = frames.next()? {
            let function = match frame.function {
                Some(function) => {
                    let raw = function.raw_name()?;
                    intern(&mut self.names, &raw, || names::of_inlined(&raw))
                }
                None => Rc::from("?"),
            };
            let location = frame.location.as_ref();
            let file = match location.and_then(|location| location.file) {
                Some(file) => {
                    let short = || paths::shorten(file, &self.root);
                    Some(intern(&mut self.files, file, short))
                }
                None => None,
            };
            let line = location.and_then(|location| location.line).unwrap_or(0);
            calls.push(Call { function, file, line });
        }
        // An address of which only this is known is one of which nothing is.
        if calls.iter().all(|call| call.file.is_none()) {
            calls.clear();
        }
        Ok(calls)
    }
}

/// What a string is in the table, made the first time.
fn intern(
    known: &mut HashMap<String, Rc<str>>,
    key: &str,
    make: impl FnOnce() -> String,
) -> Rc<str> {
    if let Some(value) = known.get(key) {
        return value.clone();
    }
    let value: Rc<str> = Rc::from(make());
    known.insert(key.to_owned(), value.clone());
    value
}

/// All addresses at which another row, function or inlined function begins or one ends.
fn changes(dwarf: &Dwarf<Reader>) -> Result<BTreeSet<u64>, Error> {
    let mut changes = BTreeSet::new();
    let mut units = dwarf.units();
    while let Some(header) = units.next()? {
        let unit = dwarf.unit(header)?;
        if let Some(program) = unit.line_program.clone() {
            let mut rows = program.rows();
            while let Some((_, row)) = rows.next_row()? {
                changes.insert(row.address());
            }
        }
        let mut entries = unit.entries();
        while let Some((_, entry)) = entries.next_dfs()? {
            let function = [gimli::DW_TAG_subprogram, gimli::DW_TAG_inlined_subroutine];
            if !function.contains(&entry.tag()) {
                continue;
            }
            let mut ranges = dwarf.die_ranges(&unit, entry)?;
            while let Some(range) = ranges.next()? {
                changes.extend([range.begin, range.end]);
            }
        }
    }
    Ok(changes)
}
