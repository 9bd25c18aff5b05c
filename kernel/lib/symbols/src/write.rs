//! The writer: functions with their lines, as the compiler tells them, to a table.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::rc::Rc;

use crate::{HEADER_LEN, MAGIC, SOURCES_PER_OFFSET, VERSION};

/// A function and where its code comes from.
#[derive(Clone, Debug)]
pub struct FunctionLines {
    /// Its name, demangled.
    pub name: Rc<str>,
    /// Address of its first byte.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// By rising address, all in the function.
    pub rows: Vec<Row>,
}

/// Where the code from an address up to the next row comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Address of the first byte.
    pub address: u64,
    /// Innermost first; the last is the function itself, and its name is not looked at.
    /// Empty if nothing is known.
    pub frames: Vec<Call>,
}

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The function that it is in.
    pub function: Rc<str>,
    /// The source file, if known.
    pub file: Option<Rc<str>>,
    /// The line, 0 if the compiler named none.
    pub line: u32,
}

/// What does not fit the format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TooLarge {
    /// An address is outside the lowest and the highest 2 GiB.
    Address {
        /// The function there.
        function: Rc<str>,
        /// The address.
        address: u64,
    },
    /// The table would have 4 GiB or more.
    Table,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { function, address } => {
                write!(f, "{function} at {address:#x} is outside the lowest and the highest 2 GiB")
            }
            Self::Table => write!(f, "the symbol table would have 4 GiB or more"),
        }
    }
}

impl std::error::Error for TooLarge {}

/// Makes a table of functions that do not overlap, in any order.
///
/// # Errors
/// As [`TooLarge`] says.
pub fn write(functions: &[FunctionLines]) -> Result<Vec<u8>, TooLarge> {
    let mut functions: Vec<_> = functions.iter().map(Function::new).collect();
    functions.sort_by_key(|function| function.lines.start.cast_signed());
    let strings = Strings::of(&functions);
    let mut list = Vec::new();
    let mut details = Vec::new();
    for function in &functions {
        let FunctionLines { name, start: address, .. } = function.lines;
        let start = i32::try_from(address.cast_signed())
            .map_err(|_| TooLarge::Address { function: name.clone(), address: *address })?;
        list.extend(start.to_le_bytes());
        list.extend(fit(details.len())?.to_le_bytes());
        function.write(&mut details, &strings);
    }
    let offsets = strings.sources.sparse_offsets()?;
    let parts = [&list, &offsets, &details, &strings.sources.bytes, &strings.files.bytes];
    let mut table = Vec::with_capacity(HEADER_LEN);
    table.extend(MAGIC);
    table.extend(VERSION.to_le_bytes());
    for count in [functions.len(), strings.sources.things.len()] {
        table.extend(fit(count)?.to_le_bytes());
    }
    for part in &parts[2..] {
        table.extend(fit(part.len())?.to_le_bytes());
    }
    parts.into_iter().for_each(|part| table.extend(part));
    Ok(table)
}

fn fit(len: usize) -> Result<u32, TooLarge> {
    u32::try_from(len).map_err(|_| TooLarge::Table)
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

fn signed_varint(to: &mut Vec<u8>, value: i64) {
    varint(to, (value << 1 ^ value >> 63).cast_unsigned());
}

/// A function seen through one file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Source<'a> {
    name: &'a str,
    file: Option<&'a str>,
}

/// What tells one scope of a function from another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Scope<'a> {
    source: Source<'a>,
    /// If it is inlined: the scope that calls, and the line.
    call: Option<(usize, u32)>,
}

/// A function as it is going to be written.
struct Function<'a> {
    lines: &'a FunctionLines,
    /// In the order in which rows need them first.
    scopes: Vec<Scope<'a>>,
    /// Address, scope and line.
    rows: Vec<(u64, usize, u32)>,
}

impl<'a> Function<'a> {
    fn new(lines: &'a FunctionLines) -> Self {
        let own = |file| Scope { source: Source { name: &lines.name, file }, call: None };
        let file = |row: &'a Row| row.frames.last()?.file.as_deref();
        let first = own(lines.rows.iter().find_map(file));
        let mut function = Self { lines, scopes: vec![first], rows: Vec::new() };
        let mut known = HashMap::from([(first, 0)]);
        for row in &lines.rows {
            let mut caller: Option<(usize, u32)> = None;
            for frame in row.frames.iter().rev() {
                let file = frame.file.as_deref();
                let scope = match caller {
                    Some(_) => {
                        Scope { source: Source { name: &frame.function, file }, call: caller }
                    }
                    None => own(file),
                };
                caller = Some((function.intern(&mut known, scope), frame.line));
            }
            let (scope, line) =
                caller.unwrap_or_else(|| (function.intern(&mut known, own(None)), 0));
            if function.rows.last().map(|last| (last.1, last.2)) != Some((scope, line)) {
                function.rows.push((row.address, scope, line));
            }
        }
        function
    }

    fn intern(&mut self, known: &mut HashMap<Scope<'a>, usize>, scope: Scope<'a>) -> usize {
        *known.entry(scope).or_insert_with(|| {
            self.scopes.push(scope);
            self.scopes.len() - 1
        })
    }

    /// Whether a scope is the function itself, in a file that is not the first.
    fn is_other_file(index: usize, scope: &Scope<'_>) -> bool {
        index > 0 && scope.call.is_none()
    }

    /// The lines in each scope, of rows and of calls.
    fn all_lines(&self) -> impl Iterator<Item = (usize, u32)> {
        let rows = self.rows.iter().map(|(_, scope, line)| (*scope, *line));
        rows.chain(self.scopes.iter().filter_map(|scope| scope.call))
    }

    /// A line relative to a scope.
    fn line(&self, strings: &Strings<'_>, scope: usize, line: u32) -> u64 {
        let base = match self.scopes.get(scope) {
            Some(other) if Self::is_other_file(scope, other) => 1,
            Some(known) => strings.base_line(&known.source),
            None => 1,
        };
        if line == 0 { 0 } else { u64::from(line - base) + 1 }
    }

    fn write(&self, details: &mut Vec<u8>, strings: &Strings<'_>) {
        varint(details, self.lines.size);
        let Some((own, scopes)) = self.scopes.split_first() else {
            return;
        };
        varint(details, strings.sources.index(&own.source));
        varint(details, scopes.len() as u64);
        for (before, scope) in scopes.iter().enumerate() {
            let Some((caller, line)) = scope.call else {
                varint(details, 1);
                varint(details, 0);
                varint(details, strings.file(scope.source.file));
                continue;
            };
            let line = self.line(strings, caller, line) << 1;
            if caller == before {
                varint(details, line);
            } else {
                varint(details, line | 1);
                varint(details, (before + 1 - caller) as u64);
            }
            varint(details, strings.sources.index(&scope.source));
        }
        varint(details, self.rows.len() as u64);
        let mut last = (self.lines.start, 0);
        for &(address, scope, line) in &self.rows {
            varint(details, (address - last.0) << 1 | u64::from(scope != last.1));
            if scope != last.1 {
                signed_varint(details, scope as i64 - last.1 as i64);
            }
            varint(details, self.line(strings, scope, line));
            last = (address, scope);
        }
    }
}

/// All sources and files, each once.
struct Strings<'a> {
    sources: Pool<Source<'a>>,
    files: Pool<&'a str>,
    /// The least line of each source; 0 is none.
    base_lines: HashMap<Source<'a>, u32>,
}

impl<'a> Strings<'a> {
    fn of(functions: &[Function<'a>]) -> Self {
        let mut sources = HashMap::new();
        let mut files = HashMap::new();
        let mut base_lines = HashMap::new();
        for function in functions {
            for (index, scope) in function.scopes.iter().enumerate() {
                if let Some(file) = scope.source.file {
                    *files.entry(file).or_default() += 1;
                }
                if !Function::is_other_file(index, scope) {
                    *sources.entry(scope.source).or_default() += 1;
                }
            }
            for (scope, line) in function.all_lines().filter(|(_, line)| *line > 0) {
                if let Some(scope) = function.scopes.get(scope) {
                    let base = base_lines.entry(scope.source).or_insert(line);
                    *base = line.min(*base);
                }
            }
        }
        let files = Pool::new(files, |bytes, file| string(bytes, file));
        let sources_later = Pool::new(HashMap::new(), |_, _| {});
        let mut strings = Self { sources: sources_later, files, base_lines };
        strings.sources = Pool::new(sources, |bytes, source| {
            varint(bytes, strings.file(source.file));
            varint(bytes, strings.base_line(source).into());
            string(bytes, source.name);
        });
        strings
    }

    fn base_line(&self, source: &Source<'_>) -> u32 {
        self.base_lines.get(source).copied().unwrap_or(1)
    }

    fn file(&self, file: Option<&'a str>) -> u64 {
        file.map_or(0, |file| self.files.offset(&file) + 1)
    }
}

fn string(to: &mut Vec<u8>, string: &str) {
    varint(to, string.len() as u64);
    to.extend(string.as_bytes());
}

/// Things one behind the other. The most used come first, where the numbers that say them
/// take fewest bytes.
struct Pool<T> {
    /// Index and offset.
    things: HashMap<T, (u64, u64)>,
    bytes: Vec<u8>,
}

impl<T: Copy + Ord + Hash> Pool<T> {
    fn new(uses: HashMap<T, usize>, write: impl Fn(&mut Vec<u8>, &T)) -> Self {
        let mut uses: Vec<_> = uses.into_iter().collect();
        uses.sort_by_key(|(thing, uses)| (Reverse(*uses), *thing));
        let mut pool = Self { things: HashMap::new(), bytes: Vec::new() };
        for (index, (thing, _)) in uses.into_iter().enumerate() {
            pool.things.insert(thing, (index as u64, pool.bytes.len() as u64));
            write(&mut pool.bytes, &thing);
        }
        pool
    }

    // Whoever asks for a thing has counted its uses.

    fn index(&self, thing: &T) -> u64 {
        self.things.get(thing).map_or(0, |found| found.0)
    }

    fn offset(&self, thing: &T) -> u64 {
        self.things.get(thing).map_or(0, |found| found.1)
    }

    /// The offsets of every eighth thing.
    fn sparse_offsets(&self) -> Result<Vec<u8>, TooLarge> {
        let mut offsets: Vec<_> = self.things.values().copied().collect();
        offsets.sort_unstable();
        let mut bytes = Vec::new();
        for (_, offset) in offsets.iter().step_by(SOURCES_PER_OFFSET) {
            bytes.extend(fit(*offset as usize)?.to_le_bytes());
        }
        Ok(bytes)
    }
}
