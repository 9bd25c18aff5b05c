//! [`Access`]: what a program may do with its memory, and how an entry says it.

use core::fmt;

use arch::paging::EntryFlags;

/// What a program may do with its memory (`PROT_*` of mmap(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Read. The CPU lets whoever may write or execute read as well.
    pub read: bool,
    /// Write.
    pub write: bool,
    /// Execute.
    pub execute: bool,
}

impl Access {
    /// Nothing at all (`PROT_NONE`).
    pub const NONE: Self = Self { read: false, write: false, execute: false };

    /// The same without writing; what may be written may be read, too.
    #[must_use]
    pub const fn read_only(self) -> Self {
        Self { read: self.read || self.write, write: false, execute: self.execute }
    }

    /// The flags of a leaf, but for its size. Accessed and dirty are set at once: nobody looks
    /// at them yet, and the CPU need not stop to set them.
    pub(super) fn flags(self) -> EntryFlags {
        if self == Self::NONE {
            return EntryFlags::USER | EntryFlags::PROT_NONE | EntryFlags::NO_EXECUTE;
        }
        let mut flags = EntryFlags::USER | EntryFlags::PRESENT | EntryFlags::ACCESSED;
        flags.set(EntryFlags::WRITABLE | EntryFlags::DIRTY, self.write);
        flags.set(EntryFlags::NO_EXECUTE, !self.execute);
        flags
    }

    /// As [`Access::flags`], of memory that is known to be writable.
    #[inline(always)]
    pub(super) fn writable_flags(self) -> EntryFlags {
        let flags = EntryFlags::USER
            | EntryFlags::PRESENT
            | EntryFlags::ACCESSED
            | EntryFlags::WRITABLE
            | EntryFlags::DIRTY;
        if self.execute { flags } else { flags | EntryFlags::NO_EXECUTE }
    }

    /// What the flags of a leaf allow now.
    pub(super) fn of(flags: EntryFlags) -> Self {
        let read = flags.contains(EntryFlags::PRESENT);
        Self {
            read,
            write: read && flags.contains(EntryFlags::WRITABLE),
            execute: read && !flags.contains(EntryFlags::NO_EXECUTE),
        }
    }
}

/// As `ls -l` and `/proc/PID/maps` write it: `r-x`.
impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |may, letter| if may { letter } else { "-" };
        f.write_str(letter(self.read, "r"))?;
        f.write_str(letter(self.write, "w"))?;
        f.write_str(letter(self.execute, "x"))
    }
}
