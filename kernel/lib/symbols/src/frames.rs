//! Scopes and rows of a function, and the frames that they make: [`Frames`].

use crate::cursor::Cursor;
use crate::table::{Details, SymbolTable};

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
    scopes: Scopes<'a>,
    inlined: u32,
    next: Next,
}

/// What [`Frames`] gives next.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// A scope and the line in its file.
    Scope {
        index: u64,
        line: u32,
    },
    /// The function, of which no source is known.
    Function,
    Nothing,
}

impl<'a> Frames<'a> {
    pub(crate) fn empty(table: SymbolTable<'a>) -> Self {
        let scopes = Scopes {
            own: Scope {
                file: 0,
                call: None,
            },
            count: 0,
            cursor: Cursor::new(&[]),
        };
        Self {
            table,
            function: "",
            offset: 0,
            scopes,
            inlined: 0,
            next: Next::Nothing,
        }
    }

    /// The frames at an address of a function.
    pub(crate) fn new(table: SymbolTable<'a>, details: Details<'a>, address: u64) -> Self {
        let Details {
            function,
            file,
            cursor,
        } = details;
        let offset = address.wrapping_sub(function.start);
        let mut frames = Self {
            offset,
            function: function.name,
            ..Self::empty(table)
        };
        frames.next = Next::Function;
        if let Some((scopes, rows)) = Scopes::split(file, cursor) {
            frames.scopes = scopes;
            let row = rows.take_while(|row| row.offset <= offset).last();
            if let Some(row) = row {
                frames.next = Next::Scope {
                    index: row.scope,
                    line: row.line,
                };
            }
        }
        frames
    }

    fn frame(&self, file: u64, line: u32) -> Frame<'a> {
        let file = self.table.file(file);
        let line = if file.is_some() { line } else { 0 };
        Frame {
            function: self.function,
            offset: self.offset,
            file,
            line,
            inlined: false,
        }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let (index, line) = match core::mem::replace(&mut self.next, Next::Nothing) {
            Next::Scope { index, line } => (index, line),
            Next::Function => return Some(self.frame(0, 0)),
            Next::Nothing => return None,
        };
        // A scope that cannot be read leaves the function alone.
        let Some(scope) = self.scopes.clone().nth_scope(index) else {
            return Some(self.frame(0, 0));
        };
        let Some(call) = scope.call else {
            return Some(self.frame(scope.file, line));
        };
        let Some(source) = self.table.source(call.source) else {
            return Some(self.frame(0, 0));
        };
        // The caller is an earlier scope, so this ends.
        self.inlined += 1;
        self.next = match self.inlined < MAX_INLINED {
            true => Next::Scope {
                index: call.caller,
                line: call.line,
            },
            false => Next::Function,
        };
        Some(Frame {
            function: source.name,
            inlined: true,
            ..self.frame(source.file, line)
        })
    }
}

impl core::iter::FusedIterator for Frames<'_> {}

/// A scope, as the head of the crate tells.
#[derive(Clone, Copy, Debug)]
struct Scope {
    /// If it is the function itself.
    file: u64,
    /// If it is an inlined function.
    call: Option<InlinedCall>,
}

#[derive(Clone, Copy, Debug)]
struct InlinedCall {
    source: u64,
    /// Index of the scope that calls; less than that of the called.
    caller: u64,
    line: u32,
}

/// The scopes of a function, unread but for the first.
#[derive(Clone, Debug)]
struct Scopes<'a> {
    own: Scope,
    /// Without the first.
    count: u64,
    cursor: Cursor<'a>,
}

impl<'a> Scopes<'a> {
    /// The scopes and the rows that `details` hold, of a function of `file`.
    fn split(file: u64, mut details: Cursor<'a>) -> Option<(Self, Rows<'a>)> {
        let own = Scope { file, call: None };
        let scopes = Self {
            own,
            count: details.varint()?,
            cursor: details,
        };
        for _ in 0..scopes.count {
            read_scope(&mut details, u64::MAX)?;
        }
        let left = details.varint()?;
        Some((
            scopes,
            Rows {
                left,
                cursor: details,
                offset: 0,
                scope: 0,
                line: 0,
            },
        ))
    }

    fn nth_scope(mut self, index: u64) -> Option<Scope> {
        if index > self.count {
            return None;
        }
        let mut scope = self.own;
        for index in 1..=index {
            scope = read_scope(&mut self.cursor, index)?;
        }
        Some(scope)
    }
}

/// The scope at the cursor, which has this index.
fn read_scope(cursor: &mut Cursor<'_>, index: u64) -> Option<Scope> {
    let back = cursor.varint()?;
    if back == 0 {
        return Some(Scope {
            file: cursor.varint()?,
            call: None,
        });
    }
    let caller = index.checked_sub(back)?;
    let call = InlinedCall {
        caller,
        source: cursor.varint()?,
        line: cursor.varint_u32()?,
    };
    Some(Scope {
        file: 0,
        call: Some(call),
    })
}

/// Where the code from an offset on comes from.
#[derive(Clone, Copy, Debug)]
struct Row {
    offset: u64,
    scope: u64,
    line: u32,
}

/// The rows of a function; ends early at one that cannot be read.
#[derive(Clone, Debug)]
struct Rows<'a> {
    left: u64,
    cursor: Cursor<'a>,
    offset: u64,
    scope: u64,
    line: u32,
}

impl Iterator for Rows<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        self.left = self.left.checked_sub(1)?;
        let head = self.cursor.varint()?;
        self.offset = self.offset.checked_add(head >> 1)?;
        if head & 1 != 0 {
            self.scope = self
                .scope
                .checked_add_signed(self.cursor.signed_varint()?)?;
        }
        let line = i64::from(self.line).checked_add(self.cursor.signed_varint()?)?;
        self.line = line.try_into().ok()?;
        Some(Row {
            offset: self.offset,
            scope: self.scope,
            line: self.line,
        })
    }
}

/// Whether all scopes and rows of a function can be read and make sense.
pub(crate) fn check_rows(table: &SymbolTable<'_>, details: &Details<'_>) -> Option<()> {
    let is_file = |file| {
        if file == 0 {
            Some(())
        } else {
            table.file(file).map(drop)
        }
    };
    is_file(details.file)?;
    let (scopes, mut rows) = Scopes::split(details.file, details.cursor)?;
    let mut cursor = scopes.cursor;
    for index in 1..=scopes.count {
        let scope = read_scope(&mut cursor, index)?;
        match scope.call {
            Some(call) => is_file(table.source(call.source)?.file)?,
            None => is_file(scope.file)?,
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
