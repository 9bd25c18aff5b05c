//! `/proc/sys/vm`: how memory is shared between programs and files.

use abi::{Errno, Result};
use alloc::sync::Arc;
use vm::cache;

use crate::ext2;
use crate::pseudo::{Folder, Node, Text, TextFile};
use crate::vfs::drop_dentries;

pub(super) fn fill(folder: &Folder) {
    folder.put("drop_caches", Node::Text(Arc::new(DropCaches)));
    folder.put(
        "dirty_ratio",
        Node::setting(
            |to| to.write(format_args!("{}\n", cache::dirty_ratio())),
            |text| {
                let percent = number(text)?;
                if cache::set_dirty_ratio(percent) { Ok(()) } else { Err(Errno::EINVAL) }
            },
        ),
    );
    // A program may have what could be there for it: Linux's rule of thumb, which is the only one.
    folder.put("overcommit_memory", Node::text(|to| to.push(b"0\n")));
}

/// A number in decimal, with blanks around it.
fn number(text: &str) -> Result<usize> {
    text.trim_matches([' ', '\t', '\n']).parse().map_err(|_| Errno::EINVAL)
}

/// Lets go of what can be had again: 1 clean pages of files, 2 what is known of names, 3 both.
struct DropCaches;

impl TextFile for DropCaches {
    fn show(&self, _: &mut Text) -> Result<()> {
        Err(Errno::EIO)
    }

    fn store(&self, text: &str) -> Result<()> {
        let what = number(text)?;
        if !(1..=3).contains(&what) {
            return Err(Errno::EINVAL);
        }
        if what & 2 != 0 {
            drop_dentries();
            // Where the names come from.
            ext2::drop_metadata(usize::MAX);
        }
        if what & 1 != 0 {
            cache::drop_clean();
        }
        Ok(())
    }

    fn mode(&self) -> u32 {
        0o200
    }
}
