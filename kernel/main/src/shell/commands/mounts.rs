//! `mount` and `umount`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::Errno;
use base::println;
use fs::{FileSystem, LastLink, MountRequest};

use crate::shell::command::{Context, Failure, Outcome, usage};
use crate::shell::commands::files::{failure, look_up};

/// The kinds of file system, for Tab.
pub(in crate::shell) fn kinds() -> Vec<String> {
    fs::file_systems().iter().map(|kind| kind.name().into()).collect()
}

/// Lists what is mounted, or mounts a file system.
pub(in crate::shell) fn mount(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let (name, place) = match arguments {
        [] => return list(),
        [name] => (name, None),
        [name, place] => (name, Some(place.as_str())),
        _ => return Err(usage("too many arguments")),
    };
    let kind: &dyn FileSystem = fs::find_file_system(name.as_bytes()).map_err(|_| {
        let known = kinds().join(", ");
        Failure::Message(format!("no kind of file system is called {name}; there are: {known}"))
    })?;
    let place = place.or(kind.usual_place()).ok_or_else(|| usage("on which directory?"))?;
    let request = MountRequest { source: name.as_bytes(), ..MountRequest::default() };
    let directory = look_up(place, LastLink::Follow)?;
    fs::mount(kind, directory, &request).map_err(|error| failure(place, error))
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
            error => failure(path, error),
        })?;
    }
    Ok(())
}
