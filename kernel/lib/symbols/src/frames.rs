//! Scopes and rows of a function, and the frames that they make: [`Frames`].

use core::iter::FusedIterator;
use core::mem;

use crate::cursor::Cursor;
use crate::table::{Details, Source, SymbolTable};

/// Most inlined functions that are told of one address: a chain that a broken table makes
/// longer costs no more.
pub(crate) const MAX_INLINED: u32 = 128;

/// One function at an address: that which the linker knows, or one inlined there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The function's name, demangled.
    pub function: &'a str,
    /// How far the address is from the start of the function that the linker knows.
    pub offset: u64,
    /// The source file, if known.
    pub file: Option<&'a str>,
    /// The line in it; 0 if the compiler named none.
    pub line: u32,
    /// Whether it is inlined into the function of the next frame.
    pub inlined: bool,
}

/// The frames at an address, innermost first.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    table: SymbolTable<'a>,
    function: &'a str,
    offset: u64,
    scopes: Option<Scopes<'a>>,
    inlined: u32,
    next: Next,
}

/// What [`Frames`] gives next.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// A scope, and the line said relative to it.
    Scope {
        index: u64,
        line: u64,
    },
    /// The function, of which no source is known.
    Function,
    Nothing,
}

impl<'a> Frames<'a> {
    pub(crate) fn empty(table: SymbolTable<'a>) -> Self {
        Self { table, function: "", offset: 0, scopes: None, inlined: 0, next: Next::Nothing }
    }

    /// The frames at an address of a function.
    pub(crate) fn new(table: SymbolTable<'a>, details: Details<'a>, address: u64) -> Self {
        let offset = address.wrapping_sub(details.function.start);
        let parts = Scopes::split(&details);
        let row = parts
            .as_ref()
            .and_then(|(_, rows)| rows.clone().take_while(|row| row.offset <= offset).last());
        Self {
            table,
            function: details.function.name,
            offset,
            scopes: parts.map(|(scopes, _)| scopes),
            inlined: 0,
            next: match row {
                Some(row) => Next::Scope { index: row.scope, line: row.line },
                None => Next::Function,
            },
        }
    }

    /// A frame of the function that the linker knows.
    fn frame(&self, file: u64, line: u32) -> Frame<'a> {
        let file = self.table.file(file);
        let line = if file.is_some() { line } else { 0 };
        Frame { function: self.function, offset: self.offset, file, line, inlined: false }
    }

    /// The frame of a scope, and what comes behind it.
    fn scope(&self, index: u64, line: u64) -> Option<(Frame<'a>, Next)> {
        let scope = self.scopes.as_ref()?.get(index)?;
        let source = scope.source(&self.table)?;
        let frame = self.frame(source.file, source.line(line)?);
        let Scope::Inlined { caller, line, .. } = scope else {
            return Some((frame, Next::Nothing));
        };
        // The caller is an earlier scope, so this ends.
        let next = if self.inlined + 1 < MAX_INLINED {
            Next::Scope { index: caller, line }
        } else {
            Next::Function
        };
        Some((Frame { function: source.name, inlined: true, ..frame }, next))
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let next = match mem::replace(&mut self.next, Next::Nothing) {
            Next::Scope { index, line } => self.scope(index, line),
            Next::Function => None,
            Next::Nothing => return None,
        };
        // A scope that cannot be read leaves the function alone.
        let (frame, next) = next.unwrap_or_else(|| (self.frame(0, 0), Next::Nothing));
        self.inlined += 1;
        self.next = next;
        Some(frame)
    }
}

impl FusedIterator for Frames<'_> {}

/// A scope, as the head of the crate tells.
#[derive(Clone, Copy, Debug)]
enum Scope<'a> {
    /// The function itself.
    Own(Source<'a>),
    Inlined {
        /// Index of the source.
        source: u64,
        /// Index of the scope that calls; less than that of the called.
        caller: u64,
        /// Relative to the caller.
        line: u64,
    },
}

impl<'a> Scope<'a> {
    fn source(&self, table: &SymbolTable<'a>) -> Option<Source<'a>> {
        match *self {
            Self::Own(source) => Some(source),
            Self::Inlined { source, .. } => table.source(source),
        }
    }
}

/// The scopes of a function, unread but for the first.
#[derive(Clone, Debug)]
struct Scopes<'a> {
    own: Source<'a>,
    /// Without the first.
    count: u64,
    cursor: Cursor<'a>,
}

impl<'a> Scopes<'a> {
    /// The scopes and the rows of a function.
    fn split(details: &Details<'a>) -> Option<(Self, Rows<'a>)> {
        let mut cursor = details.cursor;
        let count = cursor.varint()?;
        let scopes = Self { own: details.source, count, cursor };
        for index in 1..=count {
            scopes.read(&mut cursor, index)?;
        }
        let left = cursor.varint()?;
        Some((scopes, Rows { left, cursor, offset: 0, scope: 0 }))
    }

    fn get(&self, index: u64) -> Option<Scope<'a>> {
        if index > self.count {
            return None;
        }
        let mut cursor = self.cursor;
        let mut scope = Scope::Own(self.own);
        for index in 1..=index {
            scope = self.read(&mut cursor, index)?;
        }
        Some(scope)
    }

    /// The scope at the cursor, which has this index.
    fn read(&self, cursor: &mut Cursor<'a>, index: u64) -> Option<Scope<'a>> {
        let head = cursor.varint()?;
        let back = if head & 1 == 0 { 1 } else { cursor.varint()? };
        if back == 0 {
            return Some(Scope::Own(Source { file: cursor.varint()?, base_line: 1, ..self.own }));
        }
        let caller = index.checked_sub(back)?;
        Some(Scope::Inlined { source: cursor.varint()?, caller, line: head >> 1 })
    }
}

/// Where the code from an offset on comes from.
#[derive(Clone, Copy, Debug)]
struct Row {
    offset: u64,
    scope: u64,
    /// Relative to the scope.
    line: u64,
}

/// The rows of a function; ends early at one that cannot be read.
#[derive(Clone, Debug)]
struct Rows<'a> {
    left: u64,
    cursor: Cursor<'a>,
    offset: u64,
    scope: u64,
}

impl Iterator for Rows<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        self.left = self.left.checked_sub(1)?;
        let head = self.cursor.varint()?;
        self.offset = self.offset.checked_add(head >> 1)?;
        if head & 1 != 0 {
            self.scope = self.scope.checked_add_signed(self.cursor.signed_varint()?)?;
        }
        Some(Row { offset: self.offset, scope: self.scope, line: self.cursor.varint()? })
    }
}

/// Whether all scopes and rows of a function can be read and make sense. What a scope
/// says of its caller is not followed up here, but when it is asked for.
pub(crate) fn check_rows<'a>(table: &SymbolTable<'a>, details: &Details<'a>) -> Option<()> {
    let (scopes, mut rows) = Scopes::split(details)?;
    let mut cursor = scopes.cursor;
    for index in 0..=scopes.count {
        let scope = match index {
            0 => Scope::Own(scopes.own),
            _ => scopes.read(&mut cursor, index)?,
        };
        let file = scope.source(table)?.file;
        if file != 0 {
            table.file(file)?;
        }
    }
    let mut next = 0;
    for _ in 0..rows.left {
        let row = rows.next()?;
        if row.offset < next || row.offset >= details.function.size || row.scope > scopes.count {
            return None;
        }
        next = row.offset + 1;
    }
    Some(())
}
