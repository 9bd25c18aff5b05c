//! `mount` and `umount`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::Errno;
use base::println;
use fs::{LastLink, MountRequest};

use crate::shell::command::{Context, Failure, Outcome, usage};
use crate::shell::commands::files::{failure, look_up};

/// The kinds of file system, for Tab.
pub(in crate::shell) fn kinds() -> Vec<String> {
    fs::file_systems().iter().map(|kind| kind.name().into()).collect()
}

/// Lists what is mounted, or mounts a file system.
pub(in crate::shell) fn mount(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let (read_only, arguments) = match arguments.split_first() {
        Some((option, rest)) if option == "-r" => (true, rest),
        _ => (false, arguments),
    };
    let (what, place, options) = match arguments {
        [] if !read_only => return list(),
        [] => return Err(usage("what?")),
        [what] => (what, None, ""),
        [what, place] => (what, Some(place.as_str()), ""),
        [what, place, options] => (what, Some(place.as_str()), options.as_str()),
        _ => return Err(usage("too many arguments")),
    };
    let (source, options) = (what.as_bytes(), options.as_bytes());
    let request = MountRequest { source, read_only, options, ..MountRequest::default() };
    if let Ok(kind) = fs::find_file_system(source)
        && !kind.needs_device()
    {
        let place = place.or(kind.usual_place()).ok_or_else(|| usage("on which directory?"))?;
        let directory = look_up(place, LastLink::Follow)?;
        return fs::mount(kind, directory, &request).map_err(|error| failure(place, error));
    }
    // A device: whatever kind is on it.
    let name = what.strip_prefix("/dev/").unwrap_or(what);
    if device::block::find(name).is_none() {
        let known = kinds().join(", ");
        return Err(format!("{what}: no such device, nor a kind of file system ({known})").into());
    }
    let place = place.ok_or_else(|| usage("on which directory?"))?;
    let directory = look_up(place, LastLink::Follow)?;
    for kind in fs::file_systems().into_iter().filter(|kind| kind.needs_device()) {
        match fs::mount(kind, directory.clone(), &request) {
            // Another kind may know it.
            Err(Errno::EINVAL) => {}
            result => return result.map_err(|error| failure(what, error)),
        }
    }
    Err(format!("{what}: no file system that is known is on it").into())
}

fn list() -> Outcome {
    let mounts = fs::mounts().map_err(|error| failure("mounts", error))?;
    for mount in mounts {
        let path = mount.text().map_err(|error| failure("mounts", error))?;
        println!(
            "{} on {} type {} ({})",
            mount.source().escape_ascii(),
            path.escape_ascii(),
            mount.superblock().kind(),
            mount.options()
        );
    }
    Ok(())
}

/// Unmounts file systems.
pub(in crate::shell) fn umount(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    if arguments.is_empty() {
        return Err(usage("which directory?"));
    }
    for path in arguments {
        fs::unmount(look_up(path, LastLink::Follow)?).map_err(|error| match error {
            Errno::EINVAL => Failure::Message(format!("{path}: nothing is mounted there")),
            Errno::EIO => {
                Failure::Message(format!("{path}: it is gone, but not all could be stored"))
            }
            error => failure(path, error),
        })?;
    }
    Ok(())
}
