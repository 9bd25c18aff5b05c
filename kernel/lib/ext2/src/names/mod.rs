//! Files get names and lose them.
//!
//! Each operation first finds out whether it can be done, then makes sure that no block that
//! it changes can fail (`touch_inode`, `touch_entries`), then records what the order of writing
//! must be (`order/`), and then changes the blocks.
//!
//! Files: `create.rs` new inodes, `new_inode.rs` their fields, `link.rs` further names and the
//! removal of names, `rename.rs` names move, `exchange.rs` two names change places,
//! `symlink.rs` targets of symbolic links.

mod create;
mod exchange;
mod link;
mod new_inode;
mod rename;
mod symlink;

pub use exchange::Exchange;
pub use link::Removed;
pub use new_inode::{NewInode, NewKind};
pub use rename::{Rename, Renamed};

pub(crate) use exchange::SpareName;

use crate::directory::Room;
use crate::fs::Ext2;
use crate::layout::inode::FileKind;
use crate::order::Name;
use crate::storage::Storage;

/// The most names that an inode can have, and thus two more than the most subdirectories of a
/// directory.
pub const LINK_MAX: u32 = 32_000;

impl<S: Storage> Ext2<S> {
    /// The record of a name of an inode where there is room.
    fn name_at(&self, inode: u32, kind: FileKind, directory: u32, room: &Room) -> Name {
        Name {
            block: room.block,
            offset: room.offset,
            directory,
            directory_home: self.home(directory),
            home: self.home(inode),
            written: false,
            born: false,
            is_directory: kind == FileKind::Directory,
        }
    }
}
