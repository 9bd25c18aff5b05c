//! `/sys/kernel/mm`: what frames are used for, who gives memory back when it is short, and the
//! dentry cache.

use abi::Result;
use memory::{frames, reclaim};

use crate::pseudo::{Folder, Node, Text};
use crate::vfs::dentries;

/// Puts all of it into the folder.
pub(super) fn add(folder: &Folder) {
    folder.put("frames", Node::text(uses));
    folder.put("shrinkers", Node::text(shrinkers));
    folder.put("dentries", Node::text(cached));
}

/// A line for each use, with how many frames it has; free ones and those of the reserve first.
fn uses(to: &mut Text) -> Result<()> {
    let all = frames::statistics();
    to.write(format_args!("total {}\nfree {}\nreserve {}\n", all.total, all.free, all.reserve))?;
    for (frame_use, count) in frames::usage() {
        // One word each, so that a line has two.
        let words = frame_use.name().split([' ', ',']).filter(|word| !word.is_empty());
        for (index, word) in words.enumerate() {
            let separator = if index == 0 { "" } else { "-" };
            to.write(format_args!("{separator}{word}"))?;
        }
        to.write(format_args!(" {count}\n"))?;
    }
    Ok(())
}

/// Each shrinker, with how many frames it has given back.
fn shrinkers(to: &mut Text) -> Result<()> {
    let mut result = Ok(());
    reclaim::for_each(|name, frames| {
        if result.is_ok() {
            result = to.write(format_args!("{frames} {name}\n"));
        }
    });
    result
}

/// How many dentries there are, and how many of them are kept.
fn cached(to: &mut Text) -> Result<()> {
    let (live, kept) = dentries();
    to.write(format_args!("{live} {kept}\n"))
}
