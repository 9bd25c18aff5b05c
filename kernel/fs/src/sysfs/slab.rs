//! `/sys/kernel/slab`: the kernel heap's size classes, `kmalloc-SIZE` as on Linux.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use abi::{Errno, Result};
use memory::heap::{self, ClassStatistics};

use super::keys::{File, Files, list};
use crate::pseudo::{Directory, Node, Text, Visit};
use crate::status::Kind;

/// All classes.
pub(super) struct Classes;

fn name(class: &ClassStatistics) -> String {
    format!("kmalloc-{}", class.size)
}

impl Directory for Classes {
    fn find(&self, wanted: &str) -> Result<Option<Node>> {
        let found = heap::statistics().find(|class| name(class) == wanted);
        Ok(found.map(|class| Node::Directory(Arc::new(Class(class.size)))))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        let keyed = heap::statistics().map(|class| (class.size as u64, name(&class))).collect();
        list(keyed, from, visit, |name: &String| (name, Kind::Directory))
    }
}

/// A class, by the size of its objects.
struct Class(usize);

/// A number that the statistics have.
fn number(size: usize, to: &mut Text, of: fn(&ClassStatistics) -> usize) -> Result<()> {
    let class = heap::statistics().find(|class| class.size == size).ok_or(Errno::ENOENT)?;
    to.write(format_args!("{}\n", of(&class)))
}

/// `object_size` in bytes; `objects` that are handed out; `cpu_slabs`: free ones that CPUs keep;
/// `frames` that the slabs take.
const FILES: Files<usize> = Files(&[
    ("cpu_slabs", File::told(|size, to| number(*size, to, |class| class.kept))),
    ("frames", File::told(|size, to| number(*size, to, |class| class.frames))),
    ("object_size", File::told(|size, to| number(*size, to, |class| class.size))),
    ("objects", File::told(|size, to| number(*size, to, |class| class.used))),
]);

impl Directory for Class {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        Ok(FILES.find(name, || self.0))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        FILES.list(from, visit)
    }
}
