//! `mount` and `umount`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::Errno;
use base::println;
use fs::{LastLink, MountFlags, MountRequest};

use crate::mounting::{Options, device_name, mount_device};
use crate::shell::command::{Context, Failure, Outcome, usage};
use crate::shell::commands::files::{failure, look_up};

/// The kinds of file system, for Tab.
pub(in crate::shell) fn kinds() -> Vec<String> {
    fs::file_systems().iter().map(|kind| kind.name().into()).collect()
}

/// Changes how what stands at a place is mounted.
fn remount(place: &str, text: &str) -> Outcome {
    let path = look_up(place, LastLink::Follow)?;
    let options = Options::parse(text, path.mount().own_flags());
    fs::remount(&path, options.flags, options.own.as_bytes(), false).map_err(|error| match error {
        Errno::EINVAL if !path.begins_mount() => {
            Failure::Message(format!("{place}: nothing is mounted there"))
        }
        error => failure(place, error),
    })
}

/// Lists what is mounted, mounts a file system, or changes how it is mounted.
pub(in crate::shell) fn mount(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let (said, arguments) = match arguments {
        [option, rest @ ..] if option == "-r" => ("ro", rest),
        [option, said, rest @ ..] if option == "-o" => (said.as_str(), rest),
        _ => ("", arguments),
    };
    let said_options = Options::parse(said, MountFlags::empty());
    if said_options.remount {
        return match arguments {
            [place] => remount(place, said),
            _ => Err(usage("which directory?")),
        };
    }
    let (what, place, options) = match arguments {
        [] if said.is_empty() => return list(),
        [] => return Err(usage("what?")),
        [what] => (what, None, ""),
        [what, place] => (what, Some(place.as_str()), ""),
        [what, place, options] => (what, Some(place.as_str()), options.as_str()),
        _ => return Err(usage("too many arguments")),
    };
    if let Ok(kind) = fs::find_file_system(what.as_bytes())
        && kind.needs_device()
    {
        return Err(format!("{what} is a kind of file system that is on a disk: which one?").into());
    }
    let own = match (said_options.own.as_str(), options) {
        ("", options) => options,
        (own, "") => own,
        _ => return Err(usage("options twice")),
    };
    let (source, options) = (what.as_bytes(), own.as_bytes());
    let request = MountRequest { source, flags: said_options.flags, options };
    if let Ok(kind) = fs::find_file_system(source)
        && !kind.needs_device()
    {
        let place = place.or(kind.usual_place()).ok_or_else(|| usage("on which directory?"))?;
        let directory = look_up(place, LastLink::Follow)?;
        return fs::mount(kind, directory, &request).map_err(|error| failure(place, error));
    }
    // A device: whatever kind is on it.
    if device::block::find(device_name(what)).is_none() {
        let known = kinds().join(", ");
        return Err(format!("{what}: no such device, nor a kind of file system ({known})").into());
    }
    let place = place.ok_or_else(|| usage("on which directory?"))?;
    let directory = look_up(place, LastLink::Follow)?;
    mount_device(&directory, &request).map_err(|error| match error {
        Errno::EINVAL if !own.is_empty() => {
            format!("{what}: no file system is on it that knows the options `{own}`").into()
        }
        Errno::EINVAL => {
            format!("{what}: no file system that is known is on it; the log may say more").into()
        }
        error => failure(what, error),
    })
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
            mount.flags()
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
