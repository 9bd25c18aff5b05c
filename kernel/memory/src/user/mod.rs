//! Safe doors to user memory: the page tables of a user address space ([`UserTable`])
//! and copies by address ([`UserSlice`]).

mod access;
mod file_pages;
mod frame;
mod ranges;
mod slice;
mod table;
mod value;

pub use access::Access;
pub use file_pages::FilePages;
pub use ranges::Writes;
pub use slice::{BadAddress, UserSlice, read_c_string};
pub use table::{LARGE_PAGES, UserTable, WriteTouch};
pub use value::UserValue;
