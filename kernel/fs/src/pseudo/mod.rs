//! Pseudo file systems: trees whose files are made of what the kernel knows, as procfs and
//! sysfs. This is the part that they share.
//!
//! What a file is of is a [`Node`]: a [`Directory`], whose entries may be computed; a text
//! ([`TextFile`]) that is made when it is read, and may be taken when it is written; bytes
//! ([`BytesFile`]); or a [`Link`]. Most directories are [`Folder`]s: a list of nodes to which any
//! floor from this one up may add its own. Nobody keeps a node but its folder and those who have
//! its file open; so what a node is about may be gone, and its calls then say so.
//!
//! | file | what |
//! |---|---|
//! | `node.rs` | [`Node`], and the traits behind it |
//! | `folder.rs` | [`Folder`] |
//! | `text.rs` | [`Text`], which a text is written to |
//! | `inode.rs` | the inodes that the VFS sees; where procfs and sysfs differ |
//! | `file.rs` | open files |
//! | `kind.rs` | [`PseudoKind`], to be mounted by its name |

mod file;
mod folder;
mod inode;
mod kind;
mod node;
#[cfg(not(test))]
mod tests;
mod text;

pub use folder::{Folder, FolderError};
pub use node::{BytesFile, Directory, Link, Node, TextFile, Visit};
pub use text::Text;

pub(crate) use inode::Manners;
pub(crate) use kind::PseudoKind;
