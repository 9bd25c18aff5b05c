//! Floor 0: the kernel's symbol and line table.
//!
//! The build makes the table from the linked kernel's symbols and DWARF
//! (`tools/symbolize`) and puts it into the section `.basalt.symbols` of the image;
//! the kernel reads it where the loader put it, in a panic too: nothing is copied or
//! allocated, and no byte string makes a look-up panic or run for long.
//! [`SymbolTable::frames`] is what a backtrace asks.
//!
//! # Format
//!
//! Numbers are little-endian; nothing is aligned. A *varint* is an unsigned LEB128
//! number, a *signed varint* one in zigzag form (0, -1, 1, -2, …).
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic, `basaltst` |
//! | 4 | version, 1 |
//! | 4 | number of functions, `N` |
//! | 4 | number of sources, `M` |
//! | 4 | bytes of details, `D` |
//! | 4 | bytes of sources, `S` |
//! | 4 | bytes of files, `F` |
//! | 8 `N` | functions by rising address: 4 bytes start, 4 bytes offset into the details |
//! | 4 ⌈`M`/8⌉ | offsets of every eighth source, from the first on, into the sources |
//! | `D` | details |
//! | `S` | sources |
//! | `F` | files: each a string, the file's name |
//!
//! A start is the lower half of an address whose upper half repeats bit 31: all code
//! lies in the lowest or the highest 2 GiB, as the code model "kernel" wants it.
//! The order is that of signed addresses, so the kernel half comes first.
//!
//! A *string* is a varint length and that many bytes of UTF-8. To say a *file* is a varint,
//! an offset into the files plus 1, or 0 for none.
//!
//! A *source* is a function seen through one file: a file, a varint base line, and a string,
//! the function's name. A function that has expanded a macro of another file is two
//! sources. To say a source is a varint, its index; the most used come first. A *line* is
//! said relative to a source: 0 is none, 1 its base line, 2 the next.
//!
//! The details of a function, all varints but where a row says otherwise:
//!
//! - size in bytes; source;
//! - number of scopes, and the scopes. A *scope* is the function itself or a function
//!   inlined into an earlier scope, its caller, seen through one file. Scope 0 is the
//!   function and its source, and not written. The others begin with twice the line of the
//!   call (relative to the caller's source), plus 1 if the caller is not the scope before
//!   this one; then there follows how many scopes back it is. Then comes the source of the
//!   inlined function. If the caller is 0 scopes back there is none: the scope is the
//!   function itself, and the file comes instead; lines in it are relative to line 1.
//! - number of rows, and the rows. A *row* says where the code from its address up to the
//!   next row comes from: twice the bytes since the row before (the first: since the
//!   start), plus 1 if another scope follows; then the signed difference to the last
//!   row's scope, which begins at 0; and the line, relative to the scope's source. What is
//!   before the first row comes from nowhere in particular.
//!
//! Files: `table.rs` the table and its functions, `frames.rs` rows and scopes,
//! `cursor.rs` varints, `error.rs` the errors, `write.rs` the writer (feature `write`).

#![cfg_attr(not(any(test, feature = "write")), no_std)]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

mod cursor;
mod error;
mod frames;
mod table;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "write"))]
mod write;

pub use error::FormatError;
pub use frames::{Frame, Frames};
pub use table::{Function, SymbolTable};
#[cfg(any(test, feature = "write"))]
pub use write::{Call, FunctionLines, Row, TooLarge, write};

/// The first bytes of a table.
pub const MAGIC: [u8; 8] = *b"basaltst";
/// The version of the format.
pub const VERSION: u32 = 1;
/// Bytes of the header.
const HEADER_LEN: usize = 32;
/// Bytes of an entry in the list of functions.
const ENTRY_LEN: usize = 8;
/// Bytes of an offset in the list of sources.
const OFFSET_LEN: usize = 4;
/// One in so many sources is in the list.
const SOURCES_PER_OFFSET: usize = 8;
