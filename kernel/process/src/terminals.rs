//! The nodes of terminals: `/dev/console` and `/dev/ttyS0` are the [`Console`]. `/dev/tty` is the
//! controlling terminal, and no process has one yet.

use alloc::sync::Arc;

use abi::{Errno, Result};
use fs::{Characters, DeviceNumber, File};

use crate::console::Console;

/// Serial lines have this major number, from minor number 64 on.
const SERIAL: u32 = 4;
const FIRST_LINE: u32 = 64;
/// What stands for a terminal that somebody else chose.
const CHOSEN: u32 = 5;
const CONSOLE: u32 = 1;
const CONTROLLING: u32 = 0;

/// Terminals of a major number, one of which is the console.
struct Terminals {
    console: u32,
}

impl Characters for Terminals {
    fn open(&self, minor: u32, _flags: u32) -> Result<Arc<dyn File>> {
        if minor == self.console { Ok(Console::file()) } else { Err(Errno::ENXIO) }
    }
}

/// Makes the devices known.
pub(crate) fn init() {
    fs::register_characters(SERIAL, &Terminals { console: FIRST_LINE });
    fs::register_characters(CHOSEN, &Terminals { console: CONSOLE });
    for (name, major, minor, permissions) in [
        ("console", CHOSEN, CONSOLE, 0o600),
        ("tty", CHOSEN, CONTROLLING, 0o666),
        ("ttyS0", SERIAL, FIRST_LINE, 0o600),
    ] {
        fs::add_character(name, DeviceNumber { major, minor }, permissions);
    }
}

#[cfg(not(test))]
#[base::kernel_test]
fn there_is_a_console_and_no_controlling_terminal() {
    let open = |major: &Terminals, minor| major.open(minor, 0).map(|file| file.label());
    let (serial, chosen) = (Terminals { console: FIRST_LINE }, Terminals { console: CONSOLE });
    assert_eq!(open(&serial, 64), Ok("/dev/console"));
    assert_eq!(open(&chosen, 1), Ok("/dev/console"));
    for minor in [0, 2, 63, 64] {
        assert_eq!(open(&chosen, minor), Err(Errno::ENXIO), "{minor}");
    }
    assert_eq!(open(&serial, 65), Err(Errno::ENXIO));
}
