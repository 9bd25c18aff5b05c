//! Kernel addresses in words: the symbol table that the build put into the image, and
//! [`Address`], which prints one.

use core::fmt;

use spin::Once;
use symbols::{FormatError, SymbolTable};

static TABLE: Once<SymbolTable<'static>> = Once::new();

/// Takes the table that was found in memory.
///
/// # Errors
/// If the bytes are not a symbol table; addresses then print as numbers.
pub fn install(bytes: &'static [u8]) -> Result<(), FormatError> {
    let table = SymbolTable::parse(bytes)?;
    TABLE.call_once(|| table);
    Ok(())
}

/// The table, once installed.
pub fn table() -> Option<&'static SymbolTable<'static>> {
    TABLE.get()
}

/// A return address, in one line: prints the function that it is in, and the place of the
/// call in it.
#[derive(Clone, Copy, Debug)]
pub struct Caller(pub u64);

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frames = TABLE.get().map(|table| table.frames(self.0.wrapping_sub(1)));
        match frames.into_iter().flatten().last() {
            Some(frame) => match frame.file {
                Some(file) => write!(f, "{} ({file}:{})", frame.function, frame.line),
                None => f.write_str(frame.function),
            },
            None => write!(f, "{:#x}", self.0),
        }
    }
}

/// An address of code: prints the function, file and line, one line for each inlined
/// function around it, each indented and ended by a new line.
#[derive(Clone, Copy, Debug)]
pub struct Address {
    /// The address as found.
    pub address: u64,
    /// Whether it is that of an instruction; otherwise a return address.
    pub exact: bool,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let look_up = if self.exact { self.address } else { self.address.wrapping_sub(1) };
        let mut known = false;
        for frame in TABLE.get().into_iter().flat_map(|table| table.frames(look_up)) {
            if known {
                write!(f, "                      ")?;
            } else {
                write!(f, "  {:#018x}  ", self.address)?;
            }
            known = true;
            write!(f, "{}", frame.function)?;
            if frame.inlined {
                write!(f, " (inlined)")?;
            } else {
                let back = u64::from(!self.exact);
                write!(f, "+{:#x}", frame.offset + back)?;
            }
            match frame.file {
                Some(file) => writeln!(f, "\n                        at {file}:{}", frame.line)?,
                None => writeln!(f)?,
            }
        }
        if known { Ok(()) } else { writeln!(f, "  {:#018x}  (no symbol)", self.address) }
    }
}

#[macros::kernel_test]
fn the_symbol_table_knows_its_test() {
    // A kernel started without a boot loader's ELF sections has none.
    let Some(table) = table() else { return };
    table.check().expect("the table is whole");
    let address = the_symbol_table_knows_its_test as fn() as usize as u64;
    let name = "base::symbols::the_symbol_table_knows_its_test";
    let function = table.function(address).expect("a function is there");
    assert_eq!((function.name, function.start), (name, address));
    assert!(table.find("the_symbol_table_knows_its_test").eq([function]));
    let frame = table.frames(address).last().expect("the function itself");
    assert_eq!((frame.function, frame.offset, frame.inlined), (name, 0, false));
    assert_eq!(frame.file, Some(file!()));
    assert!(frame.line < line!());
}
