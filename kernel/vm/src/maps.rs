//! [`Maps`]: an address space as `/proc/PID/maps` shows it.

use core::fmt::{self, Write};

use arrayvec::ArrayString;

use crate::space::AddressSpace;
use crate::vma::{Backing, Vma};

/// Where names begin, as on Linux.
const NAME_WIDTH: usize = 72;
/// Room for what stands before, at its longest.
const LINE_BYTES: usize = 112;

/// Writes one line for each VMA: addresses, access, offset, device, inode, name.
#[derive(Debug)]
pub struct Maps<'a>(&'a AddressSpace);

impl AddressSpace {
    /// The map, to be printed. Printing locks it: what is written to must not touch user
    /// memory.
    pub fn maps(&self) -> Maps<'_> {
        Maps(self)
    }

    fn special_name(&self, vma: &Vma, (break_start, break_now): (u64, u64)) -> &'static [u8] {
        if vma.contains(self.layout.stack_top - 1) {
            b"[stack]"
        } else if vma.start < break_now && vma.end > break_start {
            b"[heap]"
        } else {
            b""
        }
    }
}

impl fmt::Display for Maps<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state.read();
        for vma in state.map.iter() {
            let (offset, name, number) = match &vma.backing {
                Backing::Anonymous => {
                    let name = self.0.special_name(vma, (state.break_start, state.break_now));
                    (0, name.into(), None)
                }
                Backing::Object { object, offset, .. } => {
                    (*offset, object.name(), object.file_number())
                }
            };
            let sharing = if vma.is_shared() { 's' } else { 'p' };
            let Vma { start, end, access, .. } = vma;
            let ([major, minor], inode) = number.unwrap_or_default();
            let mut line: ArrayString<LINE_BYTES> = ArrayString::new();
            write!(line, "{start:08x}-{end:08x} {access}{sharing} {offset:08x} ")?;
            write!(line, "{major:02x}:{minor:02x} {inode}")?;
            if name.is_empty() {
                f.write_str(&line)?;
            } else {
                write!(f, "{line:NAME_WIDTH$} ")?;
                for chunk in name.utf8_chunks() {
                    f.write_str(chunk.valid())?;
                    chunk.invalid().iter().try_for_each(|byte| write!(f, "\\{byte:03o}"))?;
                }
            }
            f.write_char('\n')?;
        }
        Ok(())
    }
}
