//! `ls`, `cat`, `write-to-file`, and paths for Tab.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use abi::Errno;
use abi::fcntl::{O_CREAT, O_DIRECTORY, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY};
use base::{print, println};
use fs::{Credentials, Destination, Kind, LastLink, LinkTarget, Path, Source, Status};
use line_editor::Candidate;

use crate::shell::command::{Context, Failure, Outcome, usage};
use crate::shell::format::Date;
use crate::shell::{GREEN, PLAIN, RED};

const BLUE: &str = "\x1b[1;34m";
const CYAN: &str = "\x1b[36m";

/// Bytes of a file that are read at a time.
const PART: usize = 4096;

/// The failure of something with a path.
pub(super) fn failure(path: &str, error: Errno) -> Failure {
    Failure::Message(format!("{path}: {}", error.description()))
}

/// The file at a path. Relative ones begin at the root.
pub(super) fn look_up(path: &str, last: LastLink) -> Result<Path, Failure> {
    let file =
        fs::root().and_then(|root| fs::lookup(&Credentials::ROOT, &root, path.as_bytes(), last));
    file.map_err(|error| failure(path, error))
}

/// `drwxr-xr-x`, as ls(1) prints a mode.
pub(super) fn mode_text(status: &Status) -> [char; 10] {
    let mode = status.mode;
    let kind = match status.kind() {
        Kind::Regular => '-',
        Kind::Directory => 'd',
        Kind::Symlink => 'l',
        Kind::CharDevice => 'c',
        Kind::BlockDevice => 'b',
        Kind::Fifo => 'p',
        Kind::Socket => 's',
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

/// Prints a line about a file; a `long` one with links, owner, group and the time of the last
/// change as well.
fn print_entry(name: &[u8], file: &Path, long: bool) {
    let status = file.status();
    let colour = match status.kind() {
        Kind::Directory => BLUE,
        Kind::Symlink => CYAN,
        Kind::Regular if status.is_executable() => GREEN,
        _ => "",
    };
    for letter in mode_text(&status) {
        print!("{letter}");
    }
    if long {
        print!(" {:>3} {:>4} {:>4}", status.links, status.uid, status.gid);
    }
    match status.kind() {
        Kind::CharDevice | Kind::BlockDevice => {
            print!(" {:>9}", format!("{}, {}", status.rdev.major, status.rdev.minor));
        }
        _ => print!(" {:>9}", status.size),
    }
    if long {
        print!(" {}", Date(u64::try_from(status.mtime.seconds).unwrap_or(0)));
    }
    print!(" {colour}{}{PLAIN}", name.escape_ascii());
    match file.inode().link_target() {
        Ok(LinkTarget::Text(target)) => println!(" -> {}", target.escape_ascii()),
        Ok(LinkTarget::File(target)) => {
            println!(" -> {}", target.text().unwrap_or_default().escape_ascii());
        }
        Err(error) if status.kind() == Kind::Symlink => println!(" -> {}", error.description()),
        Err(_) if status.kind() == Kind::Directory => println!("/"),
        Err(_) => println!(),
    }
}

/// The names in a directory and what they lead to, but for `.` and `..`, by name.
pub(super) fn names(directory: &Path) -> Result<Vec<(Vec<u8>, Kind)>, Errno> {
    let file = directory.clone().open(&Credentials::ROOT, O_RDONLY | O_DIRECTORY)?;
    let mut names: Vec<(Vec<u8>, Kind)> = Vec::new();
    file.entries(&mut |entry| {
        if !matches!(entry.name, b"." | b"..") {
            names.push((entry.name.into(), entry.kind));
        }
        ControlFlow::Continue(())
    })?;
    names.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    Ok(names)
}

fn list(context: &mut Context<'_>, path: &str, with_name: bool, long: bool) -> Outcome {
    let mut file = look_up(path, LastLink::Keep)?;
    // As Linux's ls: the contents, where a link that is named leads to a directory.
    if !long
        && file.status().kind() == Kind::Symlink
        && let Ok(end) = look_up(path, LastLink::Follow)
        && end.is_directory()
    {
        file = end;
    }
    if !file.is_directory() {
        print_entry(path.as_bytes(), &file, long);
        return Ok(());
    }
    if with_name {
        println!("{path}:");
    }
    for (name, _) in names(&file).map_err(|error| failure(path, error))? {
        if context.interrupt.take() {
            return Err(Failure::Interrupted);
        }
        // It may have gone since.
        match fs::lookup(&Credentials::ROOT, &file, &name, LastLink::Keep) {
            Ok(entry) => print_entry(&name, &entry, long),
            Err(Errno::ENOENT) => {}
            Err(error) => println!("{RED}{}: {}{PLAIN}", name.escape_ascii(), error.description()),
        }
    }
    Ok(())
}

/// Lists directories. A link to one is followed, but with `-l`.
pub(in crate::shell) fn ls(context: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let root = [String::from("/")];
    let (long, arguments) = match arguments.split_first() {
        Some((option, rest)) if option == "-l" => (true, rest),
        _ => (false, arguments),
    };
    let paths = if arguments.is_empty() { &root } else { arguments };
    let mut outcome = Ok(());
    for path in paths {
        match list(context, path, paths.len() > 1, long) {
            Err(Failure::Message(message)) => {
                println!("{RED}ls: {message}{PLAIN}");
                outcome = Err(Failure::Reported);
            }
            result => result?,
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
        print_file(context, path)?;
    }
    Ok(())
}

/// Writes a line to a file, as `echo TEXT >PATH` does in other shells.
pub(in crate::shell) fn write_to_file(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let Some((path, words)) = arguments.split_first() else { return Err(usage("which file?")) };
    let line = words.join(" ") + "\n";
    let flags = O_WRONLY | O_CREAT | O_TRUNC;
    let open = |root| fs::open(&Credentials::ROOT, &root, path.as_bytes(), flags, 0o644);
    let file = fs::root().and_then(open);
    let file = file.map_err(|error| failure(path, error))?;
    let mut from = Source::Kernel(line.as_bytes());
    while !from.is_empty() {
        if file.write(&mut from).map_err(|error| failure(path, error))? == 0 {
            return Err(failure(path, Errno::EIO));
        }
    }
    Ok(())
}

/// Prints the file at a path.
fn print_file(context: &mut Context<'_>, path: &str) -> Outcome {
    // What would have to be waited for, as the next record of the log, is not: no signal ends that.
    let flags = O_RDONLY | O_NONBLOCK;
    let open = |root| fs::open(&Credentials::ROOT, &root, path.as_bytes(), flags, 0);
    let file = fs::root().and_then(open);
    let file = file.map_err(|error| failure(path, error))?;
    let mut part = Vec::new();
    part.try_reserve_exact(PART).map_err(|_| failure(path, Errno::ENOMEM))?;
    part.resize(PART, 0);
    loop {
        let count = match file.read(&mut Destination::Kernel(&mut part)) {
            Err(Errno::EAGAIN) => 0,
            // Records that are gone.
            Err(Errno::EPIPE) => continue,
            count => count.map_err(|error| failure(path, error))?,
        };
        match count {
            0 => return Ok(()),
            count => print_parts(context, part.get(..count).unwrap_or_default())?,
        }
    }
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
    let Ok(start) = look_up(start, LastLink::Follow) else { return Vec::new() };
    let candidate = |(name, kind): (Vec<u8>, Kind)| {
        let name = String::from_utf8(name).ok().filter(|name| name.starts_with(prefix))?;
        let suffix = if kind == Kind::Directory { "/" } else { " " };
        Some(Candidate { text: format!("{directory}{name}"), suffix })
    };
    names(&start).unwrap_or_default().into_iter().filter_map(candidate).collect()
}
