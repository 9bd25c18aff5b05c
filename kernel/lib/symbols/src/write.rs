//! The writer: functions with their lines, as the compiler tells them, to a table.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::rc::Rc;

use crate::{HEADER_LEN, MAGIC, VERSION};

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
            Self::Address { function, address } => write!(
                f,
                "{function} at {address:#x} is outside the lowest and the highest 2 GiB"
            ),
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
        let FunctionLines {
            name,
            start: address,
            ..
        } = function.lines;
        let start = i32::try_from(address.cast_signed()).map_err(|_| TooLarge::Address {
            function: name.clone(),
            address: *address,
        })?;
        list.extend(start.to_le_bytes());
        list.extend(length(&details)?.to_le_bytes());
        function.write(&mut details, &strings);
    }
    let count = u32::try_from(functions.len()).map_err(|_| TooLarge::Table)?;
    let parts = [&details, &strings.sources.bytes, &strings.files.bytes];
    let mut table = Vec::with_capacity(HEADER_LEN);
    table.extend(MAGIC);
    table.extend(VERSION.to_le_bytes());
    table.extend(count.to_le_bytes());
    for part in parts {
        table.extend(length(part)?.to_le_bytes());
    }
    table.extend(list);
    parts.into_iter().for_each(|part| table.extend(part));
    Ok(table)
}

fn length(bytes: &[u8]) -> Result<u32, TooLarge> {
    u32::try_from(bytes.len()).map_err(|_| TooLarge::Table)
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

/// A function in a file.
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
        let own = |file| Scope {
            source: Source {
                name: &lines.name,
                file,
            },
            call: None,
        };
        let file = |row: &'a Row| row.frames.last()?.file.as_deref();
        let first = own(lines.rows.iter().find_map(file));
        let mut function = Self {
            lines,
            scopes: vec![first],
            rows: Vec::new(),
        };
        let mut known = HashMap::from([(first, 0)]);
        for row in &lines.rows {
            let mut caller: Option<(usize, u32)> = None;
            for frame in row.frames.iter().rev() {
                let file = frame.file.as_deref();
                let scope = match caller {
                    Some(_) => Scope {
                        source: Source {
                            name: &frame.function,
                            file,
                        },
                        call: caller,
                    },
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

    fn write(&self, details: &mut Vec<u8>, strings: &Strings<'_>) {
        varint(details, self.lines.size);
        let Some((own, scopes)) = self.scopes.split_first() else {
            return;
        };
        varint(details, strings.sources.offset(&own.source));
        varint(details, scopes.len() as u64);
        for (before, scope) in scopes.iter().enumerate() {
            match scope.call {
                Some((caller, line)) => {
                    varint(details, (before + 1 - caller) as u64);
                    varint(details, strings.sources.offset(&scope.source));
                    varint(details, line.into());
                }
                None => {
                    varint(details, 0);
                    varint(details, strings.file(scope.source.file));
                }
            }
        }
        varint(details, self.rows.len() as u64);
        let mut last = (self.lines.start, 0, 0);
        for &row in &self.rows {
            let (address, scope, line) = row;
            varint(
                details,
                (address - last.0) << 1 | u64::from(scope != last.1),
            );
            if scope != last.1 {
                signed_varint(details, scope as i64 - last.1 as i64);
            }
            signed_varint(details, i64::from(line) - i64::from(last.2));
            last = row;
        }
    }
}

/// All sources and files, each once.
struct Strings<'a> {
    sources: Pool<Source<'a>>,
    files: Pool<&'a str>,
}

impl<'a> Strings<'a> {
    fn of(functions: &[Function<'a>]) -> Self {
        let mut sources = HashMap::new();
        let mut files = HashMap::new();
        for function in functions {
            let own = function.scopes.iter().take(1);
            let inlined = function.scopes.iter().filter(|scope| scope.call.is_some());
            for scope in own.chain(inlined) {
                *sources.entry(scope.source).or_default() += 1;
            }
            for file in function.scopes.iter().filter_map(|scope| scope.source.file) {
                *files.entry(file).or_default() += 1;
            }
        }
        let files = Pool::new(files, |bytes, file| string(bytes, file));
        let mut strings = Self {
            sources: Pool::new(HashMap::new(), |_, _| {}),
            files,
        };
        strings.sources = Pool::new(sources, |bytes, source| {
            varint(bytes, strings.file(source.file));
            string(bytes, source.name);
        });
        strings
    }

    fn file(&self, file: Option<&'a str>) -> u64 {
        file.map_or(0, |file| self.files.offset(&file) + 1)
    }
}

fn string(to: &mut Vec<u8>, string: &str) {
    varint(to, string.len() as u64);
    to.extend(string.as_bytes());
}

/// Things one behind the other. The most used come first, where their offsets take fewest
/// bytes.
struct Pool<T> {
    offsets: HashMap<T, u64>,
    bytes: Vec<u8>,
}

impl<T: Copy + Ord + Hash> Pool<T> {
    fn new(uses: HashMap<T, usize>, write: impl Fn(&mut Vec<u8>, &T)) -> Self {
        let mut uses: Vec<_> = uses.into_iter().collect();
        uses.sort_by_key(|(thing, uses)| (Reverse(*uses), *thing));
        let mut pool = Self {
            offsets: HashMap::new(),
            bytes: Vec::new(),
        };
        for (thing, _) in uses {
            pool.offsets.insert(thing, pool.bytes.len() as u64);
            write(&mut pool.bytes, &thing);
        }
        pool
    }

    fn offset(&self, thing: &T) -> u64 {
        // Whoever asks has counted its uses.
        self.offsets.get(thing).copied().unwrap_or_default()
    }
}
