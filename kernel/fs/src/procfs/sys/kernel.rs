//! `/proc/sys/kernel`: names of the system and the machine.

use crate::pseudo::{Folder, Node};
use crate::system::{self, Name, RELEASE, SYSTEM, VERSION};

pub(super) fn fill(folder: &Folder) {
    for (name, text) in [("ostype", SYSTEM), ("osrelease", RELEASE), ("version", VERSION)] {
        folder.put(name, Node::text(move |to| to.write(format_args!("{text}\n"))));
    }
    folder.put("hostname", name(&system::HOST));
    folder.put("domainname", name(&system::DOMAIN));
}

/// A name that can be set. As on Linux what is too long is cut, and a newline ends it.
fn name(of: &'static Name) -> Node {
    Node::setting(
        move |to| {
            to.push(&of.bytes())?;
            to.push(b"\n")
        },
        move |text| {
            let line = text.split('\n').next().unwrap_or_default().as_bytes();
            of.set(line.get(..system::MOST_BYTES).unwrap_or(line))
        },
    )
}
