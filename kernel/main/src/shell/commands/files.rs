//! `ls`, `cat`, and paths for Tab.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::Errno;
use base::{print, println};
use fs::{Inode, Kind, LastLink};
use line_editor::Candidate;

use crate::shell::command::{Context, Failure, Outcome, usage};
use crate::shell::{GREEN, PLAIN, RED};

const BLUE: &str = "\x1b[1;34m";
const CYAN: &str = "\x1b[36m";

fn lookup(path: &str, last: LastLink) -> Result<Inode, Failure> {
    fs::lookup(fs::root(), path.as_bytes(), last)
        .map_err(|error: Errno| Failure::Message(format!("{path}: {}", error.description())))
}

/// `drwxr-xr-x`, as ls(1) prints a mode.
fn mode_text(inode: &Inode) -> [char; 10] {
    let mode = inode.mode();
    let kind = match inode.kind() {
        Kind::Regular => '-',
        Kind::Directory => 'd',
        Kind::Symlink => 'l',
        Kind::Special => '?',
    };
    let mut text = [kind; 10];
    for (at, slot) in text.iter_mut().skip(1).enumerate() {
        let set = mode & 0o400 >> at != 0;
        *slot = match (set, at % 3) {
            (false, _) => '-',
            (true, 0) => 'r',
            (true, 1) => 'w',
            (true, _) => 'x',
        };
    }
    if mode & 0o1000 != 0
        && let Some(last) = text.last_mut()
    {
        *last = if mode & 1 != 0 { 't' } else { 'T' };
    }
    text
}

fn print_entry(name: &[u8], inode: &Inode) {
    let colour = match inode.kind() {
        Kind::Directory => BLUE,
        Kind::Symlink => CYAN,
        Kind::Regular if inode.is_executable() => GREEN,
        _ => "",
    };
    for letter in mode_text(inode) {
        print!("{letter}");
    }
    print!(" {:>9} {colour}{}{PLAIN}", inode.status().size, name.escape_ascii());
    match inode.kind() {
        Kind::Symlink => println!(" -> {}", inode.bytes().escape_ascii()),
        Kind::Directory => println!("/"),
        _ => println!(),
    }
}

/// Lists directories.
pub(in crate::shell) fn ls(context: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let root = [String::from("/")];
    let paths = if arguments.is_empty() { &root } else { arguments };
    let mut outcome = Ok(());
    for path in paths {
        let inode = match lookup(path, LastLink::Keep) {
            Ok(inode) => inode,
            Err(Failure::Message(message)) => {
                println!("{RED}ls: {message}{PLAIN}");
                outcome = Err(Failure::Reported);
                continue;
            }
            Err(other) => return Err(other),
        };
        if !inode.is_directory() {
            print_entry(path.as_bytes(), &inode);
            continue;
        }
        if paths.len() > 1 {
            println!("{path}:");
        }
        for (name, entry) in inode.entries() {
            if context.interrupt.take() {
                return Err(Failure::Interrupted);
            }
            print_entry(name, &entry);
        }
    }
    outcome
}

/// Prints files.
pub(in crate::shell) fn cat(context: &mut Context<'_>, arguments: &[String]) -> Outcome {
    if arguments.is_empty() {
        return Err(usage("which file?"));
    }
    for path in arguments {
        if let Some(text) = fs::generate(path.as_bytes()) {
            let text = text.map_err(|error| format!("{path}: {}", error.description()))?;
            print_parts(context, &text)?;
            continue;
        }
        let inode = lookup(path, LastLink::Follow)?;
        match inode.kind() {
            Kind::Regular => {}
            Kind::Directory => {
                return Err(Failure::Message(format!("{path}: {}", Errno::EISDIR.description())));
            }
            _ => return Err(Failure::Message(format!("{path}: not a file"))),
        }
        print_parts(context, inode.bytes())?;
    }
    Ok(())
}

/// Prints in small parts, so that ^C is seen and interrupts come through.
pub(super) fn print_parts(context: &mut Context<'_>, bytes: &[u8]) -> Outcome {
    for chunk in bytes.chunks(128) {
        if context.interrupt.take() {
            return Err(Failure::Interrupted);
        }
        print_text(chunk);
    }
    Ok(())
}

fn print_text(bytes: &[u8]) {
    let is_text = |byte: &u8| matches!(byte, b'\n' | b'\t' | b' '..=b'~' | 0x80..);
    for part in bytes.chunk_by(|a, b| is_text(a) == is_text(b)) {
        if part.first().is_some_and(is_text) {
            base::console::write(part);
        } else {
            part.iter().for_each(|byte| print!("<{byte:02x}>"));
        }
    }
}

/// The paths that begin with `typed`.
pub(in crate::shell) fn complete(typed: &str) -> Vec<Candidate> {
    let at = typed.rfind('/').map_or(0, |slash| slash + 1);
    let (directory, prefix) = typed.split_at(at);
    let start = if directory.is_empty() { "/" } else { directory };
    let Ok(inode) = lookup(start, LastLink::Follow) else { return Vec::new() };
    let candidate = |(name, entry): (&[u8], Inode)| {
        let name = core::str::from_utf8(name).ok().filter(|name| name.starts_with(prefix))?;
        let suffix = if entry.is_directory() { "/" } else { " " };
        Some(Candidate { text: format!("{directory}{name}"), suffix })
    };
    inode.entries().filter_map(candidate).collect()
}
