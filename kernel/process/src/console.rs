//! The file behind a program's descriptors 0, 1 and 2: the console, as a terminal that
//! gives whole lines, echoes what is typed and lets it be corrected (termios(3),
//! "Canonical and noncanonical mode"). ^C is the business of [`crate::Foreground`]. Other
//! modes cannot be set yet.

use alloc::sync::Arc;

use abi::ioctl::{TCGETS, TIOCGWINSZ, winsize};
use abi::stat::S_IFCHR;
use abi::termios::{
    B38400, CREAD, CS8, ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ICANON, ICRNL, IEXTEN, ISIG, NCCS,
    ONLCR, OPOST, VEOF, VERASE, VINTR, VKILL, VMIN, VWERASE, termios,
};
use abi::{Errno, Result};
use arrayvec::ArrayVec;
use base::console;
use drivers::console_input;
use fs::{Destination, DeviceNumber, File, Readiness, Source, Status};
use memory::user::UserSlice;
use task::{Mutex, WaitOptions, WaitQueue, named_mutex};

use crate::{foreground, with_thread};

/// Longest line, as on Linux: with its end, 4096 bytes.
const MAX_LINE: usize = 4095;
/// Bytes written together, with nothing of another process in between.
const WRITE_CHUNK: usize = 256;
/// The console's size: that of a VT100, since a serial line tells none.
const SIZE: winsize = winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };

const END_OF_FILE: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const ERASE_WORD: u8 = 0x17;
const KILL: u8 = 0x15;
const ERASE: u8 = 0x7f;
const INTERRUPT: u8 = 0x03;

/// The line being typed, then the line being read.
struct Line {
    bytes: ArrayVec<u8, MAX_LINE>,
    /// Whether the line is complete: by a new line, or by ^D, which is not in it.
    complete: bool,
    /// Bytes of a complete line that have been read.
    read: usize,
}

static LINE: Mutex<Line> =
    named_mutex("console line", Line { bytes: ArrayVec::new_const(), complete: false, read: 0 });

/// Who writes: as on Linux, no other program's bytes come into the middle of a call.
static WRITER: Mutex<()> = named_mutex("console writer", ());

impl Line {
    /// Takes the last character off, all bytes of it.
    fn erase(&mut self) -> Option<u8> {
        loop {
            let byte = self.bytes.pop()?;
            if byte & 0xc0 != 0x80 {
                let cells = if byte < b' ' { 2 } else { 1 };
                for _ in 0..cells {
                    console::write(b"\x08 \x08");
                }
                return Some(byte);
            }
        }
    }

    /// Takes one typed byte.
    fn take(&mut self, byte: u8) {
        match byte {
            ERASE | BACKSPACE => {
                self.erase();
            }
            KILL => while self.erase().is_some() {},
            ERASE_WORD => {
                while self.bytes.last() == Some(&b' ') {
                    self.erase();
                }
                while self.bytes.last().is_some_and(|&byte| byte != b' ') {
                    self.erase();
                }
            }
            END_OF_FILE => self.complete = true,
            b'\r' | b'\n' => {
                // `take` is not called with a full line unless it is to be ended.
                if self.bytes.is_full() {
                    self.bytes.pop();
                }
                self.bytes.push(b'\n');
                self.complete = true;
                console::write(b"\n");
            }
            // One place is kept for the end.
            _ if self.bytes.len() + 1 >= MAX_LINE => console::write(b"\x07"),
            _ => {
                self.bytes.push(byte);
                if byte < b' ' && byte != b'\t' {
                    console::write(&[b'^', byte + b'@']);
                } else {
                    console::write(&[byte]);
                }
            }
        }
    }

    /// Takes what has been typed, up to the end of a line, as long as that is for the caller.
    fn pump(&mut self) {
        while !self.complete {
            match console_input::try_read_byte_if(is_in_front) {
                Some(byte) => self.take(byte),
                None => return,
            }
        }
    }
}

/// Whether the caller's job is the one in front. In the background it would take what is typed
/// for others.
fn is_in_front() -> bool {
    with_thread(|thread| thread.process.job()) == Some(foreground::job())
}

/// Forgets lines that a program left unread, and what is being typed: called between
/// programs.
pub(crate) fn flush() {
    let mut line = LINE.lock();
    line.bytes.clear();
    line.complete = false;
    line.read = 0;
}

/// The console as a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Console;

impl Console {
    /// The console, to be opened.
    pub fn file() -> Arc<dyn File> {
        Arc::new(Self)
    }
}

impl File for Console {
    fn read(&self, _position: u64, to: &mut Destination<'_>) -> Result<usize> {
        let mut line = LINE.lock();
        loop {
            if !is_in_front() {
                return Err(Errno::EIO); // as on Linux for an orphaned process group
            }
            line.pump();
            if line.complete {
                break;
            }
            let next = || match is_in_front() {
                true => console_input::try_read_byte_if(is_in_front).map(Ok),
                false => Some(Err(Errno::EIO)),
            };
            let byte = console_input::readers().wait_with(WaitOptions::INTERRUPTIBLE, next);
            line.take(byte.map_err(|_| Errno::EINTR)??);
        }
        let rest = line.bytes.get(line.read..).unwrap_or_default();
        let count = to.put(rest)?;
        line.read += count;
        if line.read == line.bytes.len() {
            line.bytes.clear();
            line.complete = false;
            line.read = 0;
        }
        Ok(count)
    }

    fn write(&self, _position: u64, from: &mut Source<'_>) -> Result<usize> {
        let _writer = WRITER.lock();
        let mut chunk = [0; WRITE_CHUNK];
        let mut written = 0;
        while !from.is_empty() {
            // A program that floods the console can be killed.
            if written > 0 && task::signal_pending() {
                break;
            }
            match from.take(&mut chunk) {
                Ok(len) => {
                    console::write(chunk.get(..len).unwrap_or_default());
                    written += len;
                }
                Err(_) if written > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    fn status(&self) -> Status {
        // The inode and device of Linux's /dev/console.
        let rdev = DeviceNumber { major: 5, minor: 1 };
        Status { inode: 5, mode: S_IFCHR | 0o620, links: 1, rdev, ..Status::default() }
    }

    fn label(&self) -> &'static str {
        "/dev/console"
    }

    fn readiness(&self) -> Readiness {
        // Somebody who reads holds the lock; there is nothing for others then.
        let read = LINE.try_lock().is_some_and(|mut line| {
            line.pump();
            line.complete
        });
        Readiness { read, write: true }
    }

    fn wait_queue(&self) -> Option<&'static WaitQueue> {
        Some(console_input::readers())
    }

    fn ioctl(&self, request: u32, argument: u64) -> Result<usize> {
        match request {
            TIOCGWINSZ => UserSlice::write_value(argument, &SIZE)?,
            TCGETS => UserSlice::write_value(argument, &modes())?,
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }
}

/// The modes that the terminal is in, for good.
fn modes() -> termios {
    let mut characters = [0; NCCS as usize];
    for (at, character) in [
        (VINTR, INTERRUPT),
        (VERASE, ERASE),
        (VKILL, KILL),
        (VEOF, END_OF_FILE),
        (VWERASE, ERASE_WORD),
        (VMIN, 1),
    ] {
        if let Some(slot) = characters.get_mut(at as usize) {
            *slot = character;
        }
    }
    termios {
        c_iflag: ICRNL,
        c_oflag: OPOST | ONLCR,
        c_cflag: B38400 | CS8 | CREAD,
        c_lflag: ISIG | ICANON | IEXTEN | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE,
        c_line: 0,
        c_cc: characters,
    }
}
