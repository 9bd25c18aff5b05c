//! Four-level paging with our own types: addresses ([`addr`]), entries ([`entry`]),
//! tables and walks ([`mapper`], [`range`], `visit`), and the TLB ([`flush`]).
//!
//! This module knows how tables work, not what they are for: which frames they are
//! made of comes from a [`FrameSource`], what they map is decided on floors 3
//! (kernel) and 5 (user).

pub mod addr;
pub mod entry;
pub mod flush;
pub mod mapper;
pub mod range;
mod visit;

pub use addr::*;
pub use entry::{Entry, EntryFlags, EntrySlot};
pub use flush::{Flush, flush_all, flush_user, invalidate_page};
pub use mapper::{FrameSource, MapError, Mapping, PageSize, PageTable, for_each_used};
pub use range::{DetachedTable, Leaves, Taken};
