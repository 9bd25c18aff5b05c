//! Commands that change files: `cp`, `mv`, `rm`, `mkdir`, `rmdir`, `ln`, `touch`, `sync`; and
//! `stat`, `df`, `hexdump`, which look at them more closely.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::Errno;
use abi::fcntl::{O_CREAT, O_EXCL, O_RDONLY, O_TRUNC, O_WRONLY};
use abi::stat::S_IFDIR;
use base::{print, println};
use fs::{
    Credentials, Destination, DeviceNumber, Kind, LastLink, LinkTarget, Path, Source, TimeChange,
};

use crate::shell::command::{Context, Failure, Outcome, usage};
use crate::shell::commands::files::{failure, look_up, mode_text, names};
use crate::shell::format::{Date, Size};

const ROOT: Credentials = Credentials::ROOT;
/// Bytes that are copied at a time.
const PART: usize = 32 << 10;

fn root(path: &str) -> Result<Path, Failure> {
    fs::root().map_err(|error| failure(path, error))
}

/// Options that are single letters, `-rf`, and the rest.
fn options<'a>(arguments: &'a [String], known: &str) -> Result<(Vec<char>, &'a [String]), Failure> {
    let mut letters = Vec::new();
    let mut rest = arguments;
    while let Some((first, others)) = rest.split_first()
        && let Some(text) = first.strip_prefix('-').filter(|text| !text.is_empty())
    {
        rest = others;
        if text == "-" {
            break;
        }
        match text.chars().find(|&letter| !known.contains(letter)) {
            Some(letter) => return Err(usage(format!("there is no option -{letter}"))),
            None => letters.extend(text.chars()),
        }
    }
    Ok((letters, rest))
}

/// The name of a file, without its directories.
fn last_name(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Where a source goes: into the target if that is a directory.
fn into(source: &str, target: &str) -> String {
    match look_up(target, LastLink::Follow) {
        Ok(found) if found.is_directory() => {
            format!("{}/{}", target.trim_end_matches('/'), last_name(source))
        }
        _ => target.into(),
    }
}

/// The sources and the target of cp and mv. Several sources need a directory.
fn from_and_to(arguments: &[String]) -> Result<(&[String], &str), Failure> {
    let Some((target, sources)) = arguments.split_last().filter(|(_, from)| !from.is_empty())
    else {
        return Err(usage("from where to where?"));
    };
    let is_directory = || look_up(target, LastLink::Follow).is_ok_and(|found| found.is_directory());
    if sources.len() > 1 && !is_directory() {
        return Err(failure(target, Errno::ENOTDIR));
    }
    Ok((sources, target))
}

/// Copies the bytes of a file.
fn copy_file(context: &mut Context<'_>, from: &str, to: &str) -> Outcome {
    let start = root(from)?;
    let source = fs::open(&ROOT, &start, from.as_bytes(), O_RDONLY, 0);
    let source = source.map_err(|error| failure(from, error))?;
    let status = source.status();
    let flags = O_WRONLY | O_CREAT | O_TRUNC;
    if let Ok(there) = look_up(to, LastLink::Follow) {
        let there = there.status();
        if (there.device, there.inode) == (status.device, status.inode) {
            return Err(Failure::Message(format!("{from} and {to} are the same file")));
        }
    }
    let target = fs::open(&ROOT, &start, to.as_bytes(), flags, status.mode & 0o7777);
    let target = target.map_err(|error| failure(to, error))?;
    let mut part = Vec::new();
    part.try_reserve_exact(PART).map_err(|_| failure(from, Errno::ENOMEM))?;
    part.resize(PART, 0);
    loop {
        if context.interrupt.take() {
            return Err(Failure::Interrupted);
        }
        let count = source.read(&mut Destination::Kernel(&mut part));
        let count = count.map_err(|error| failure(from, error))?;
        if count == 0 {
            return Ok(());
        }
        let mut rest = Source::Kernel(part.get(..count).unwrap_or_default());
        while !rest.is_empty() {
            if target.write(&mut rest).map_err(|error| failure(to, error))? == 0 {
                return Err(failure(to, Errno::EIO));
            }
        }
    }
}

/// Copies what is at a path, with all that is in it; what is beneath is put on the list, since
/// directories may be deep.
fn copy_all(context: &mut Context<'_>, from: &str, to: &str, is_deep: bool) -> Outcome {
    let mut left = Vec::from([(String::from(from), String::from(to))]);
    while let Some((from, to)) = left.pop() {
        let last = if is_deep { LastLink::Keep } else { LastLink::Follow };
        let file = look_up(&from, last)?;
        match file.kind() {
            Kind::Directory if !is_deep => {
                return Err(Failure::Message(format!("{from} is a directory: cp -r copies it")));
            }
            Kind::Directory => {
                let mode = S_IFDIR | file.status().mode & 0o7777;
                let number = DeviceNumber::default();
                match fs::make(&ROOT, &root(&to)?, to.as_bytes(), mode, number) {
                    Err(Errno::EEXIST) => {}
                    result => {
                        let made = result.map_err(|error| failure(&to, error))?;
                        if made.dentry().parent().is_some_and(|parent| within(&parent, &file)) {
                            return Err(Failure::Message(format!("{to} is in {from}")));
                        }
                    }
                }
                for (name, _) in names(&file).map_err(|error| failure(&from, error))? {
                    // A name that is no text cannot be typed either.
                    let Ok(name) = String::from_utf8(name) else { continue };
                    left.push((format!("{from}/{name}"), format!("{to}/{name}")));
                }
            }
            Kind::Symlink => match file.inode().link_target() {
                Ok(LinkTarget::Text(target)) => {
                    fs::make_symlink(&ROOT, &root(&to)?, to.as_bytes(), &target)
                        .map_err(|error| failure(&to, error))?;
                }
                _ => return Err(failure(&from, Errno::EINVAL)),
            },
            Kind::Regular => copy_file(context, &from, &to)?,
            _ if !is_deep => copy_file(context, &from, &to)?,
            _ => {
                let status = file.status();
                fs::make(&ROOT, &root(&to)?, to.as_bytes(), status.mode, status.rdev)
                    .map_err(|error| failure(&to, error))?;
            }
        }
    }
    Ok(())
}

/// Whether a directory is `above`, or in it.
fn within(directory: &alloc::sync::Arc<fs::Dentry>, above: &Path) -> bool {
    let mut at = Some(directory.clone());
    while let Some(dentry) = at {
        if alloc::sync::Arc::ptr_eq(&dentry, above.dentry()) {
            return true;
        }
        at = dentry.parent();
    }
    false
}

/// Copies files.
pub(in crate::shell) fn cp(context: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let (letters, arguments) = options(arguments, "r")?;
    let (sources, target) = from_and_to(arguments)?;
    for source in sources {
        copy_all(context, source, &into(source, target), letters.contains(&'r'))?;
    }
    Ok(())
}

/// Moves files within a file system.
pub(in crate::shell) fn mv(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let (sources, target) = from_and_to(arguments)?;
    for source in sources {
        let (start, to) = (root(source)?, into(source, target));
        let (from, onto) = ((&start, source.as_bytes()), (&start, to.as_bytes()));
        fs::rename(&ROOT, from, onto, 0).map_err(|error| match error {
            Errno::EXDEV => Failure::Message(format!(
                "{source} and {to} are in two file systems: copy it, then remove it"
            )),
            error => Failure::Message(format!("{source} to {to}: {}", error.description())),
        })?;
    }
    Ok(())
}

/// Removes a directory and all that is in it, deepest first.
fn remove_all(context: &mut Context<'_>, path: &str) -> Outcome {
    // Each directory comes twice: first what is in it is put on top of it.
    let mut left = Vec::from([(String::from(path), false)]);
    while let Some((path, is_empty)) = left.pop() {
        if context.interrupt.take() {
            return Err(Failure::Interrupted);
        }
        let start = root(&path)?;
        let file = look_up(&path, LastLink::Keep)?;
        let result = match (file.is_directory(), is_empty) {
            (false, _) => fs::unlink(&ROOT, &start, path.as_bytes()),
            (true, true) => {
                drop(file);
                fs::remove_directory(&ROOT, &start, path.as_bytes())
            }
            (true, false) => {
                let inside = names(&file).map_err(|error| failure(&path, error))?;
                let beneath = inside.into_iter().filter_map(|(name, _)| {
                    String::from_utf8(name).ok().map(|name| (format!("{path}/{name}"), false))
                });
                let beneath: Vec<_> = beneath.collect();
                left.push((path.clone(), true));
                left.extend(beneath);
                Ok(())
            }
        };
        result.map_err(|error| failure(&path, error))?;
    }
    Ok(())
}

/// Removes files.
pub(in crate::shell) fn rm(context: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let (letters, paths) = options(arguments, "rf")?;
    let is_forced = letters.contains(&'f');
    if paths.is_empty() && !is_forced {
        return Err(usage("which file?"));
    }
    for path in paths {
        let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        if matches!(last, "" | "." | "..") {
            return Err(Failure::Message(format!("{path}: not removed, nor what is in it")));
        }
        match look_up(path, LastLink::Keep) {
            Err(_) if is_forced => {}
            Err(error) => return Err(error),
            Ok(found) if found.is_directory() && letters.contains(&'r') => {
                drop(found);
                remove_all(context, path)?;
            }
            Ok(_) => {
                let start = root(path)?;
                fs::unlink(&ROOT, &start, path.as_bytes()).map_err(|error| failure(path, error))?;
            }
        }
    }
    Ok(())
}

/// Makes directories.
pub(in crate::shell) fn mkdir(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let (letters, paths) = options(arguments, "p")?;
    if paths.is_empty() {
        return Err(usage("which directory?"));
    }
    let make = |path: &str| {
        let mode = S_IFDIR | 0o755;
        fs::make(&ROOT, &fs::root()?, path.as_bytes(), mode, DeviceNumber::default())
    };
    for path in paths {
        if letters.contains(&'p') {
            // Those on the way, as far as they are not there.
            for (at, _) in path.match_indices('/').filter(|&(at, _)| at > 0) {
                let Some(parent) = path.get(..at) else { continue };
                match make(parent) {
                    Ok(_) | Err(Errno::EEXIST) => {}
                    Err(error) => return Err(failure(parent, error)),
                }
            }
            match make(path) {
                Err(Errno::EEXIST) if look_up(path, LastLink::Follow)?.is_directory() => continue,
                result => result.map_err(|error| failure(path, error))?,
            };
            continue;
        }
        make(path).map_err(|error| failure(path, error))?;
    }
    Ok(())
}

/// Removes empty directories.
pub(in crate::shell) fn rmdir(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    if arguments.is_empty() {
        return Err(usage("which directory?"));
    }
    for path in arguments {
        fs::remove_directory(&ROOT, &root(path)?, path.as_bytes())
            .map_err(|error| failure(path, error))?;
    }
    Ok(())
}

/// Gives a file one more name, or makes a symbolic link.
pub(in crate::shell) fn ln(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let (letters, arguments) = options(arguments, "s")?;
    let [target, name] = arguments else { return Err(usage("from where, and under which name?")) };
    let (start, name) = (root(name)?, into(target, name));
    if letters.contains(&'s') {
        fs::make_symlink(&ROOT, &start, name.as_bytes(), target.as_bytes())
            .map_err(|error| failure(&name, error))?;
        return Ok(());
    }
    let file = look_up(target, LastLink::Keep)?;
    fs::link(&ROOT, &file, &start, name.as_bytes()).map_err(|error| match error {
        Errno::EEXIST => failure(&name, error),
        error => failure(target, error),
    })
}

/// Makes files, or sets their times to the present.
pub(in crate::shell) fn touch(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    if arguments.is_empty() {
        return Err(usage("which file?"));
    }
    for path in arguments {
        let made =
            fs::open(&ROOT, &root(path)?, path.as_bytes(), O_WRONLY | O_CREAT | O_EXCL, 0o644);
        let result = match made {
            Err(Errno::EEXIST) => {
                let file = look_up(path, LastLink::Follow)?;
                file.change_times(&ROOT, TimeChange::Now, TimeChange::Now)
            }
            result => result.map(|_| ()),
        };
        result.map_err(|error| failure(path, error))?;
    }
    Ok(())
}

/// Stores all that is not stored yet.
pub(in crate::shell) fn sync(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    crate::shell::command::none(arguments)?;
    fs::sync_all().map_err(|error| Failure::Message(error.description().into()))
}

/// Tells what is known of files.
pub(in crate::shell) fn stat(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    if arguments.is_empty() {
        return Err(usage("which file?"));
    }
    for path in arguments {
        let file = look_up(path, LastLink::Keep)?;
        let status = file.status();
        let what = match status.kind() {
            Kind::Regular => "regular file",
            Kind::Directory => "directory",
            Kind::Symlink => "symbolic link",
            Kind::CharDevice => "character device",
            Kind::BlockDevice => "block device",
            Kind::Fifo => "named pipe",
            Kind::Socket => "socket",
        };
        println!("file       {path}: {what}");
        println!("size       {} bytes, {} blocks of 512", status.size, status.blocks);
        println!("device     {}:{}", status.device.major, status.device.minor);
        println!("inode      {}, {} links", status.inode, status.links);
        if matches!(status.kind(), Kind::CharDevice | Kind::BlockDevice) {
            println!("stands for {}:{}", status.rdev.major, status.rdev.minor);
        }
        let letters: String = mode_text(&status).iter().collect();
        println!("access     {letters} ({:04o})", status.mode & 0o7777);
        println!("owner      {}, group {}", status.uid, status.gid);
        let times = [("read", status.atime), ("changed", status.mtime), ("status", status.ctime)];
        for (what, time) in times {
            let seconds = u64::try_from(time.seconds).unwrap_or(0);
            let (second, nanosecond) = (seconds % 60, time.nanoseconds);
            println!("{what:10} {}:{second:02}.{nanosecond:09}", Date(seconds));
        }
    }
    Ok(())
}

/// Tells how much room there is.
pub(in crate::shell) fn df(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let mounts = if arguments.is_empty() {
        fs::mounts().map_err(|error| failure("mounts", error))?
    } else {
        let mut mounts = Vec::new();
        for path in arguments {
            mounts.push(look_up(path, LastLink::Follow)?.mount().clone());
        }
        mounts
    };
    println!(
        "{:12} {:8} {:>10} {:>10} {:>10}  mounted on",
        "source", "kind", "size", "used", "free"
    );
    for mount in mounts {
        let statistics = mount.superblock().statistics();
        // What has no size has no room either.
        if statistics.blocks == 0 && arguments.is_empty() {
            continue;
        }
        let size = |blocks: u64| Size(blocks.saturating_mul(statistics.block.into()));
        let place = mount.text().map_err(|error| failure("mounts", error))?;
        println!(
            "{:12} {:8} {:>10} {:>10} {:>10}  {}",
            format!("{}", mount.source().escape_ascii()),
            mount.superblock().kind(),
            format!("{}", size(statistics.blocks)),
            format!("{}", size(statistics.blocks.saturating_sub(statistics.free))),
            format!("{}", size(statistics.available)),
            place.escape_ascii()
        );
    }
    Ok(())
}

/// Shows the bytes of a file.
pub(in crate::shell) fn hexdump(context: &mut Context<'_>, arguments: &[String]) -> Outcome {
    const LINE: usize = 16;
    let [path] = arguments else { return Err(usage("which file?")) };
    let file = fs::open(&ROOT, &root(path)?, path.as_bytes(), O_RDONLY, 0);
    let file = file.map_err(|error| failure(path, error))?;
    let mut at = 0;
    loop {
        if context.interrupt.take() {
            return Err(Failure::Interrupted);
        }
        let mut line = [0; LINE];
        let mut len = 0;
        while let Some(rest) = line.get_mut(len..).filter(|rest| !rest.is_empty()) {
            let read = file.read(&mut Destination::Kernel(rest));
            match read.map_err(|error| failure(path, error))? {
                0 => break,
                read => len += read,
            }
        }
        let Some(bytes) = line.get(..len).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        print!("{at:08x} ");
        for index in 0..LINE {
            let gap = if index % 8 == 0 { " " } else { "" };
            match bytes.get(index) {
                Some(byte) => print!("{gap}{byte:02x} "),
                None => print!("{gap}   "),
            }
        }
        let letters = bytes.iter().map(|&byte| match byte {
            b' '..=b'~' => char::from(byte),
            _ => '.',
        });
        println!(" |{}|", letters.collect::<String>());
        at += len;
    }
}
