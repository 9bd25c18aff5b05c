//! Safe doors to user memory: the page tables of a user address space ([`UserTable`])
//! and copies by address ([`UserSlice`]).

mod slice;
mod table;
mod value;

pub use slice::{BadAddress, UserSlice, read_c_string};
pub use table::{Access, UserTable};
pub use value::UserValue;
