//! The table as a whole, and its functions: [`SymbolTable`].

use crate::cursor::Cursor;
use crate::frames::{Frames, check_rows};
use crate::{ENTRY_LEN, FormatError, HEADER_LEN, MAGIC, OFFSET_LEN, SOURCES_PER_OFFSET, VERSION};

/// A symbol and line table in memory.
#[derive(Clone, Copy, Debug)]
pub struct SymbolTable<'a> {
    functions: &'a [[u8; ENTRY_LEN]],
    source_offsets: &'a [[u8; OFFSET_LEN]],
    details: &'a [u8],
    sources: &'a [u8],
    files: &'a [u8],
}

/// A function, or a labelled piece of assembly code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function<'a> {
    /// Its name, demangled.
    pub name: &'a str,
    /// Address of its first byte.
    pub start: u64,
    /// Bytes.
    pub size: u64,
}

impl Function<'_> {
    /// Whether `address` is in it.
    #[must_use]
    pub fn contains(&self, address: u64) -> bool {
        address.checked_sub(self.start).is_some_and(|offset| offset < self.size)
    }

    /// Whether `name` is its name or the last parts of its path; type arguments at the
    /// end may be left out.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        let ends = |path: &str| {
            let before = path.strip_suffix(name);
            before.is_some_and(|before| before.is_empty() || before.ends_with("::"))
        };
        ends(self.name) || self.name.rsplit_once("::<").is_some_and(|(bare, _)| ends(bare))
    }
}

impl<'a> SymbolTable<'a> {
    /// A look at a table. Only the header is examined; see [`SymbolTable::check`].
    ///
    /// # Errors
    /// If the header is not that of a table of this version, or not of this length.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(FormatError::NotATable);
        };
        if !header.starts_with(&MAGIC) {
            return Err(FormatError::NotATable);
        }
        let (words, _) = header.as_chunks::<4>();
        let [_, _, version, counts @ ..] = words else {
            return Err(FormatError::NotATable);
        };
        let version = u32::from_le_bytes(*version);
        if version != VERSION {
            return Err(FormatError::OtherVersion { version });
        }
        let [functions, sources, details, source_bytes, file_bytes] = counts else {
            return Err(FormatError::NotATable);
        };
        let number = |word: &[u8; 4]| u64::from(u32::from_le_bytes(*word));
        let lens = [
            number(functions) * ENTRY_LEN as u64,
            number(sources).div_ceil(SOURCES_PER_OFFSET as u64) * OFFSET_LEN as u64,
            number(details),
            number(source_bytes),
            number(file_bytes),
        ];
        let expected = HEADER_LEN as u64 + lens.iter().sum::<u64>();
        let wrong_length = FormatError::WrongLength { expected, actual: bytes.len() };
        if expected != bytes.len() as u64 {
            return Err(wrong_length);
        }
        let mut parts = [rest; 5];
        let mut left = rest;
        for (part, len) in parts.iter_mut().zip(lens) {
            // Less than the length of a slice, so it fits a usize.
            (*part, left) = left.split_at_checked(len as usize).ok_or(wrong_length)?;
        }
        let [functions, source_offsets, details, sources, files] = parts;
        let (functions, source_offsets) = (functions.as_chunks().0, source_offsets.as_chunks().0);
        Ok(Self { functions, source_offsets, details, sources, files })
    }

    /// Where the code at an address comes from: the innermost inlined function first,
    /// the function that the linker knows last. Empty if no function is there.
    pub fn frames(&self, address: u64) -> Frames<'a> {
        match self.lookup(address) {
            Some(details) => Frames::new(*self, details, address),
            None => Frames::empty(*self),
        }
    }

    /// The function that holds an address.
    #[must_use]
    pub fn function(&self, address: u64) -> Option<Function<'a>> {
        self.lookup(address).map(|details| details.function)
    }

    /// All functions by rising signed address.
    pub fn functions(&self) -> impl Iterator<Item = Function<'a>> {
        let table = *self;
        self.functions.iter().filter_map(move |entry| Some(table.read(entry)?.function))
    }

    /// The functions with a name, or whose path ends in it.
    pub fn find<'n>(&self, name: &'n str) -> impl Iterator<Item = Function<'a>> + use<'a, 'n> {
        let table = *self;
        let all = self.functions.iter().filter_map(move |entry| Some(table.read(entry)?.function));
        all.filter(move |function| function.is_named(name))
    }

    /// Reads the whole table: the order, and every name, scope and row.
    ///
    /// # Errors
    /// The first function that does not make sense.
    pub fn check(&self) -> Result<(), FormatError> {
        let mut end = i64::MIN;
        for (index, entry) in self.functions.iter().enumerate() {
            let checked = self.read(entry).and_then(|details| {
                let start = details.function.start.cast_signed();
                let in_order = start >= end;
                end = start.checked_add_unsigned(details.function.size)?;
                check_rows(self, &details)?;
                in_order.then_some(())
            });
            if checked.is_none() {
                return Err(FormatError::BadFunction { index });
            }
        }
        Ok(())
    }

    /// The function that holds an address.
    fn lookup(&self, address: u64) -> Option<Details<'a>> {
        let after = self
            .functions
            .partition_point(|entry| start_of(entry).cast_signed() <= address.cast_signed());
        let entry = self.functions.get(after.checked_sub(1)?)?;
        self.read(entry).filter(|details| details.function.contains(address))
    }

    /// What an entry of the list says.
    fn read(&self, entry: &[u8; ENTRY_LEN]) -> Option<Details<'a>> {
        let [.., a, b, c, d] = *entry;
        let offset = u32::from_le_bytes([a, b, c, d]) as usize;
        let mut cursor = Cursor::new(self.details.get(offset..)?);
        let size = cursor.varint()?;
        let source = self.source(cursor.varint()?)?;
        let function = Function { name: source.name, start: start_of(entry), size };
        Some(Details { function, source, cursor })
    }

    /// The source with an index.
    pub(crate) fn source(&self, index: u64) -> Option<Source<'a>> {
        let index = usize::try_from(index).ok()?;
        let offset = self.source_offsets.get(index / SOURCES_PER_OFFSET)?;
        let mut cursor = Cursor::new(self.sources.get(u32::from_le_bytes(*offset) as usize..)?);
        for _ in 0..index % SOURCES_PER_OFFSET {
            cursor.varint()?;
            cursor.varint()?;
            cursor.string_bytes()?;
        }
        let (file, base_line) = (cursor.varint()?, cursor.varint_u32()?);
        Some(Source { file, base_line, name: cursor.string()? })
    }

    /// The name of a file.
    pub(crate) fn file(&self, file: u64) -> Option<&'a str> {
        let offset = usize::try_from(file.checked_sub(1)?).ok()?;
        Cursor::new(self.files.get(offset..)?).string()
    }
}

/// A function seen through one file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    /// To be looked up with [`SymbolTable::file`].
    pub(crate) file: u64,
    /// What lines are relative to.
    pub(crate) base_line: u32,
    pub(crate) name: &'a str,
}

impl Source<'_> {
    /// The line that a number says; 0 is none.
    pub(crate) fn line(&self, said: u64) -> Option<u32> {
        match said.checked_sub(1) {
            Some(distance) => u64::from(self.base_line).checked_add(distance)?.try_into().ok(),
            None => Some(0),
        }
    }
}

/// What is said of a function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Details<'a> {
    pub(crate) function: Function<'a>,
    pub(crate) source: Source<'a>,
    /// Its scopes and rows.
    pub(crate) cursor: Cursor<'a>,
}

/// The start of a function: its upper half repeats bit 31 of the lower.
fn start_of(entry: &[u8; ENTRY_LEN]) -> u64 {
    let [a, b, c, d, ..] = *entry;
    i64::from(i32::from_le_bytes([a, b, c, d])).cast_unsigned()
}
