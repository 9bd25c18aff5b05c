//! The way back: from a file to those who map it.
//!
//! - [`Link`]: where a shared mapping shows a file that is stored somewhere. The file's cache
//!   goes through its links to make pages read-only before it stores them. A link says how far
//!   the addresses are from the offsets and no more: what is at an address is the page in
//!   question if the page table shows its frame there, whatever has been mapped since.
//! - the list of all address spaces, through which pages are taken away that a file has lost
//!   ([`unmap`]), and those that stand in the way of reclaim ([`unmap_idle`]). Both are rare, and
//!   so fork and mmap need not pay for anything finer.
//!
//! **Locks.** A link's table is used without the lock of its address space: the cache may be
//! asked to store pages by a fault, which holds that. [`unmap`] takes the lock of one address
//! space after the other for reading; who calls it may hold what write(2) holds, and no more.

use alloc::sync::{Arc, Weak};
use core::fmt;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arch::paging::VirtAddr;
use arrayvec::ArrayVec;
use base::sync::SpinLock;
use memory::OutOfMemory;
use memory::frames::{Frame, check_user_may_allocate};
use memory::user::{FilePages, UserTable, Writes};
use page_tree::PageTree;

use crate::PAGE;
use crate::cache::PageCache;
use crate::layout::{USER_END, USER_START};
use crate::space::{AddressSpace, State, addresses};
use crate::vma::{Backing, Vma};

/// Pages that [`unmap_idle`] is content with.
const ENOUGH: usize = 512;

/// What a cache knows of a link.
pub(crate) struct Target {
    table: Weak<UserTable>,
    /// What an offset in the file needs to be an address. Wraps.
    distance: u64,
}

/// The links of a cache, by number.
pub(crate) type Links = SpinLock<PageTree<Target>>;

/// A way from a cache to a page table. Its cache knows it as long as it is there.
pub(crate) struct Link {
    cache: Arc<PageCache>,
    number: u64,
    table: Weak<UserTable>,
    distance: u64,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({} of {:?}, {:#x})", self.number, self.cache, self.distance)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let target = self.cache.links().lock().remove(self.number);
        drop(target);
    }
}

static NEXT_LINK: AtomicU64 = AtomicU64::new(0);

/// Gives a VMA that is to be in the address space of `table` the link it needs there.
///
/// # Errors
/// [`OutOfMemory`].
#[inline]
pub(crate) fn link(table: &Arc<UserTable>, vma: &mut Vma) -> Result<(), OutOfMemory> {
    if vma.is_shared() { link_shared(table, vma) } else { Ok(()) }
}

#[inline(never)]
fn link_shared(table: &Arc<UserTable>, vma: &mut Vma) -> Result<(), OutOfMemory> {
    let (Writes::Told, Backing::Object { object, offset, .. }) = (vma.writes(), &vma.backing)
    else {
        return Ok(());
    };
    let Some(file) = object.file() else { return Ok(()) };
    let distance = vma.start.wrapping_sub(*offset);
    let fits =
        |link: &Arc<Link>| link.distance == distance && link.table.as_ptr() == Arc::as_ptr(table);
    if vma.link.as_ref().is_some_and(fits) {
        return Ok(());
    }
    check_user_may_allocate()?;
    let cache = file.cache().clone();
    let number = NEXT_LINK.fetch_add(1, Ordering::Relaxed);
    let target = Target { table: Arc::downgrade(table), distance };
    cache.links().lock().insert(number, target).map_err(|_| OutOfMemory)?;
    vma.link = Some(Arc::new(Link { cache, number, table: Arc::downgrade(table), distance }));
    Ok(())
}

/// Makes pages read-only wherever a link shows them: those of `frames`, from number `first` on.
/// What a program has written to them until then is in the frames on return.
pub(crate) fn write_protect(links: &Links, first: u64, frames: &[Frame]) {
    let mut from = 0;
    loop {
        let (table, distance) = {
            let links = links.lock();
            let Some((number, target)) = links.next(from) else { return };
            from = number + 1;
            (target.table.upgrade(), target.distance)
        };
        let Some(table) = table else { continue };
        let pages = (first..).zip(frames).filter_map(|(index, frame)| {
            let address = (index * PAGE).wrapping_add(distance);
            let is_user = (USER_START..USER_END).contains(&address);
            is_user.then(|| (VirtAddr::new(address), frame.address()))
        });
        table.write_protect(pages);
    }
}

/// All address spaces, by number, and some that are gone: an address space ends wherever the last
/// reference to its task is dropped, with locks held and interrupts off. It must not wait for the
/// lock there, and if somebody has it leaves its entry to those who come after ([`know`]).
static SPACES: SpinLock<Option<PageTree<Weak<AddressSpace>>>> =
    SpinLock::new("address spaces", None);
static NEXT_SPACE: AtomicU64 = AtomicU64::new(0);
/// Entries were left since the last pass over the list began.
static ARE_LEFT: AtomicBool = AtomicBool::new(false);
/// Entries that [`know`] looks at each time as long as such a pass goes on.
const LOOKED_AT: usize = 8;
/// Where it looks next; 0 if there is no pass.
static SWEPT: AtomicU64 = AtomicU64::new(0);
/// Where the last search for pages that are in the way ended.
static HAND: AtomicU64 = AtomicU64::new(0);

pub(crate) fn next_number() -> u64 {
    NEXT_SPACE.fetch_add(1, Ordering::Relaxed)
}

/// Entries of address spaces that are gone.
type Gone = ArrayVec<Weak<AddressSpace>, LOOKED_AT>;

/// Takes out some entries that were left, if a pass goes on or is to begin. The number of the
/// next to be looked at; 0 if there is no pass any more.
fn sweep(known: &mut PageTree<Weak<AddressSpace>>, gone: &mut Gone) -> u64 {
    let mut at = SWEPT.load(Ordering::Relaxed);
    if at == 0 && !ARE_LEFT.swap(false, Ordering::Relaxed) {
        return 0;
    }
    for _ in 0..LOOKED_AT {
        let next = known.next(at).map(|(number, space)| (number, space.strong_count() == 0));
        let Some((number, is_gone)) = next else {
            at = 0;
            break;
        };
        if is_gone {
            gone.extend(known.remove(number));
        }
        at = number + 1;
    }
    SWEPT.store(at, Ordering::Relaxed);
    at
}

/// Lets all go that is kept of address spaces that are gone: for those who count what is there.
pub fn forget_all_ended() {
    loop {
        let mut gone = Gone::new();
        let mut spaces = SPACES.lock();
        let next = spaces.as_mut().map_or(0, |known| sweep(known, &mut gone));
        drop(spaces);
        drop(gone);
        if next == 0 && !ARE_LEFT.load(Ordering::Relaxed) {
            return;
        }
    }
}

/// Sees to it that an address space is found.
pub(crate) fn know(space: &Arc<AddressSpace>) -> Result<(), OutOfMemory> {
    let mut gone = Gone::new();
    let mut spaces = SPACES.lock();
    let known = spaces.get_or_insert_with(PageTree::new);
    sweep(known, &mut gone);
    let result = known.insert(space.number, Arc::downgrade(space));
    drop(spaces);
    drop(gone);
    result.map(|_| ()).map_err(|_| OutOfMemory)
}

/// An address space ends: its entry goes, now or later. Any context; nobody else can find it.
pub(crate) fn forget(number: u64) {
    let entry = match SPACES.try_lock() {
        Some(mut spaces) => spaces.as_mut().and_then(|spaces| spaces.remove(number)),
        None => {
            ARE_LEFT.store(true, Ordering::Relaxed);
            None
        }
    };
    drop(entry);
}

/// The first address space from a number on.
fn next_space(from: u64) -> Option<Arc<AddressSpace>> {
    let spaces = SPACES.lock();
    let spaces = spaces.as_ref()?;
    let mut at = from;
    loop {
        let (number, space) = spaces.next(at)?;
        if let Some(space) = space.upgrade() {
            return Some(space);
        }
        at = number + 1;
    }
}

/// The addresses at which `vma` shows pages of `cache` with these numbers.
fn shown(vma: &Vma, cache: &Arc<PageCache>, pages: &Range<u64>) -> Option<Range<u64>> {
    let Backing::Object { object, offset, .. } = &vma.backing else { return None };
    if !Arc::ptr_eq(object.file()?.cache(), cache) {
        return None;
    }
    let address = |page: u64| match page.saturating_mul(PAGE).checked_sub(*offset) {
        Some(distance) => vma.start.saturating_add(distance).min(vma.end),
        None => vma.start,
    };
    Some(address(pages.start)..address(pages.end)).filter(|range| !range.is_empty())
}

/// Takes pages of a file away from all who map them, and with `copies` also what they have
/// made of them in private. May sleep.
pub(crate) fn unmap(cache: &Arc<PageCache>, pages: &Range<u64>, copies: bool) {
    let mut from = 0;
    while let Some(space) = next_space(from) {
        from = space.number + 1;
        let state = space.state.read();
        for part in state.map.iter().filter_map(|vma| shown(vma, cache, pages)) {
            if copies {
                space.table.unmap_range(addresses(&part), addresses(&part));
            } else {
                space.table.unmap_file_pages(addresses(&part), FilePages::All);
            }
        }
        drop(state);
    }
}

/// Takes clean pages of files out of page tables, from which the next touch brings them
/// again, so that reclaim can have them; how many. For those who wait for memory: passes over
/// address spaces that are being changed. Not for interrupt handlers.
pub fn unmap_idle() -> usize {
    let clean_up = |space: &AddressSpace, state: &State| {
        let stored = |vma: &&Vma| vma.file().is_some_and(|file| file.cache().is_stored());
        let ranges = state.map.iter().filter(stored).map(Vma::range);
        let unmap = |range| space.table.unmap_file_pages(addresses(&range), FilePages::ReadOnly);
        ranges.map(unmap).sum::<usize>()
    };
    let (mut count, mut from) = (0, HAND.load(Ordering::Relaxed));
    for round in 0..2 {
        while count < ENOUGH
            && let Some(space) = next_space(from)
        {
            from = space.number + 1;
            let state = space.state.try_read();
            count += state.map_or(0, |state| clean_up(&space, &state));
        }
        if count < ENOUGH && round == 0 {
            from = 0;
        }
    }
    HAND.store(from, Ordering::Relaxed);
    count
}
