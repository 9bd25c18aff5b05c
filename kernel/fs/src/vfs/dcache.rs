//! The dentry cache: finds the [`Dentry`] of a name in a directory, those included that say
//! that there is no such file, and keeps those that may be wanted again.
//!
//! A hash table has all dentries that live, without keeping them alive: that makes sure that a
//! name has one dentry. Some of them are kept alive that nobody may be using
//! ([`super::kept`]). Whoever finds one again marks it, which takes no lock but that of one bucket
//! for some ten instructions.
//!
//! What is in the table of a directory's names is true: they change, and are put in from the file
//! system, under the lock of the directory's names ([`Dentry::lock_names`]). Where files come and
//! go by themselves ([`Caching::WhileUsed`]) there is no such lock, and names that are found are
//! looked at once more.
//!
//! Locks: a bucket's is a spin lock, and nothing is taken under it. No dentry is dropped under it
//! either, since its inode may sleep then.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use abi::{Errno, Result};
use base::sync::SpinLock;
use memory::frames::{self, Allowance};
use memory::{OutOfMemory, heap, reclaim};
use spin::Once;

use crate::vfs::dentry::{Dentry, Place};
use crate::vfs::inode::Inode;
use crate::vfs::kept::{self, BATCH};
use crate::vfs::superblock::Caching;

/// One bucket for so many frames of memory, and how many there are at least and at most.
const FRAMES_PER_BUCKET: usize = 16;
const BUCKETS: [usize; 2] = [256, 1 << 16];
/// Dentries that are kept for each bucket.
const KEPT_PER_BUCKET: usize = 4;

/// What the table knows of a dentry without looking at it.
struct Entry {
    hash: u64,
    /// Where the directory's dentry is. As long as the child lives, so does that.
    parent: usize,
    name: Arc<[u8]>,
    dentry: Weak<Dentry>,
    /// The next in the bucket.
    next: Chain,
}

type Chain = Option<Box<Entry>>;
type Bucket = SpinLock<Chain>;

struct Table {
    /// As many as a power of two.
    buckets: Box<[Bucket]>,
    /// So that nobody can choose names that all fall into one bucket.
    seed: [u64; 2],
}

static TABLE: Once<Table> = Once::new();
/// Dentries that live.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// How often a name has moved.
static MOVES: AtomicU64 = AtomicU64::new(0);

/// Makes the table, of a size that the machine's memory allows. Call once, before the first
/// file system is mounted.
///
/// # Errors
/// [`OutOfMemory`].
pub(crate) fn init() -> Result<(), OutOfMemory> {
    let [least, most] = BUCKETS;
    let count = (frames::total() / FRAMES_PER_BUCKET).clamp(least, most).next_power_of_two();
    let mut buckets = Vec::new();
    buckets.try_reserve_exact(count).map_err(|_| OutOfMemory)?;
    buckets.resize_with(count, || SpinLock::new("dentries", None));
    let mut seed = [0; 16];
    drivers::random::fill(&mut seed);
    let (words, _) = seed.as_chunks::<8>();
    let [first, second] = [words.first(), words.last()]
        .map(|word| word.map_or(0, |bytes| u64::from_le_bytes(*bytes)));
    kept::init(count * KEPT_PER_BUCKET)?;
    // An odd factor loses nothing.
    TABLE.call_once(|| Table { buckets: buckets.into(), seed: [first, second | 1] });
    reclaim::register("dentries", reclaim::Kind::MaySleep, shrink_frames);
    Ok(())
}

/// How many dentries there are, and how many of them are kept whether they are used or not.
pub fn dentries() -> (usize, usize) {
    (COUNT.load(Ordering::Relaxed), kept::len())
}

/// How often a name has moved. As long as that is the same, what is above a dentry is.
pub(super) fn moves() -> u64 {
    MOVES.load(Ordering::Acquire)
}

impl Table {
    /// A hash of the name in the directory at `parent`: words are multiplied into it, and both
    /// halves of the product count.
    fn hash(&self, parent: usize, name: &[u8]) -> u64 {
        let [first, factor] = self.seed;
        let fold = |value: u64| {
            let product = u128::from(value) * u128::from(factor);
            product as u64 ^ (product >> 64) as u64
        };
        let (words, rest) = name.as_chunks::<8>();
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        let start = first ^ parent as u64 ^ (name.len() as u64) << 56;
        let words = words.iter().chain([&last]);
        words.fold(fold(start), |hash, word| fold(hash ^ u64::from_le_bytes(*word)))
    }

    fn bucket(&self, hash: u64) -> &Bucket {
        match self.buckets.get(hash as usize & (self.buckets.len() - 1)) {
            Some(bucket) => bucket,
            None => unreachable!("a mask that is larger than the table"),
        }
    }
}

/// The one that lives among those of that name in the directory.
fn find(bucket: &Chain, hash: u64, parent: usize, name: &[u8]) -> Option<Arc<Dentry>> {
    core::iter::successors(bucket.as_deref(), |entry| entry.next.as_deref())
        .filter(|entry| entry.hash == hash && entry.parent == parent && *entry.name == *name)
        .find_map(|entry| entry.dentry.upgrade())
}

/// Takes all entries out of a bucket that `unwanted` says, and drops them behind the lock.
fn remove(bucket: &Bucket, unwanted: impl Fn(&Entry) -> bool) {
    let mut removed: Chain = None;
    let mut bucket = bucket.lock();
    let mut at = &mut *bucket;
    while let Some(is_unwanted) = at.as_deref().map(&unwanted) {
        if is_unwanted {
            let mut gone = at.take();
            if let Some(entry) = &mut gone {
                *at = core::mem::replace(&mut entry.next, removed.take());
            }
            removed = gone;
        } else {
            let Some(entry) = at else { break };
            at = &mut entry.next;
        }
    }
    drop(bucket);
    drop(removed);
}

/// Takes dentries out of the table that nobody uses any more, from the bucket of one that is
/// being dropped.
pub(super) fn remove_dead(hash: u64) {
    let Some(table) = TABLE.get() else { return };
    COUNT.fetch_sub(1, Ordering::Relaxed);
    remove(table.bucket(hash), |entry| entry.dentry.strong_count() == 0);
}

/// Takes a dentry out of the table whose name leads elsewhere by now. Those who use it may go
/// on.
fn unhash(table: &Table, dentry: &Arc<Dentry>) {
    let address = Arc::as_ptr(dentry);
    remove(table.bucket(dentry.hash()), |entry| entry.dentry.as_ptr() == address);
}

/// What the cache knows of a name in a directory.
enum Known {
    File(Arc<Dentry>),
    NoFile,
    Nothing,
}

/// A name as the cache finds it.
struct Key<'a> {
    table: &'static Table,
    parent: &'a Arc<Dentry>,
    name: &'a [u8],
    hash: u64,
}

impl<'a> Key<'a> {
    fn new(parent: &'a Arc<Dentry>, name: &'a [u8]) -> Result<Self> {
        let table = TABLE.get().ok_or(Errno::ENOMEM)?;
        let hash = table.hash(Arc::as_ptr(parent).addr(), name);
        Ok(Self { table, parent, name, hash })
    }

    fn bucket(&self) -> &'static Bucket {
        self.table.bucket(self.hash)
    }

    fn find(&self, bucket: &Chain) -> Option<Arc<Dentry>> {
        find(bucket, self.hash, Arc::as_ptr(self.parent).addr(), self.name)
    }

    fn known(&self, caching: Caching) -> Known {
        let found = self.find(&self.bucket().lock());
        let Some(found) = found else { return Known::Nothing };
        match (caching, found.inode()) {
            (Caching::Kept, inode) => {
                found.set_used();
                if inode.is_some() { Known::File(found) } else { Known::NoFile }
            }
            // What is mounted there stays where it is.
            (Caching::WhileUsed, Some(inode)) if inode.is_current() || found.is_mount_point() => {
                Known::File(found)
            }
            (Caching::WhileUsed, _) => {
                unhash(self.table, &found);
                Known::Nothing
            }
        }
    }
}

/// The dentry of `name` in the directory `parent`, out of the cache or from the file system;
/// `None` if there is no file of that name.
///
/// # Errors
/// `ENOMEM`; what [`Inode::lookup`] says.
pub(super) fn lookup(
    parent: &Arc<Dentry>,
    name: &[u8],
    caching: Caching,
) -> Result<Option<Arc<Dentry>>> {
    let key = Key::new(parent, name)?;
    match key.known(caching) {
        Known::File(dentry) => return Ok(Some(dentry)),
        Known::NoFile => return Ok(None),
        Known::Nothing => {}
    }
    if caching == Caching::WhileUsed {
        return read(&key, caching);
    }
    let _names = parent.lock_names();
    lookup_locked(parent, name, caching)
}

/// As [`lookup`], under the lock of the directory's names.
///
/// # Errors
/// As [`lookup`].
pub(super) fn lookup_locked(
    parent: &Arc<Dentry>,
    name: &[u8],
    caching: Caching,
) -> Result<Option<Arc<Dentry>>> {
    let key = Key::new(parent, name)?;
    match key.known(caching) {
        Known::File(dentry) => Ok(Some(dentry)),
        Known::NoFile => Ok(None),
        Known::Nothing => read(&key, caching),
    }
}

/// Asks the file system.
fn read(key: &Key<'_>, caching: Caching) -> Result<Option<Arc<Dentry>>> {
    if key.parent.is_gone() {
        return Ok(None);
    }
    let _allowance = allowance()?;
    let inode = match key.parent.inode() {
        Some(directory) => directory.lookup(key.name)?,
        None => return Err(Errno::ENOTDIR),
    };
    if inode.is_none() && caching == Caching::WhileUsed {
        return Ok(None);
    }
    let dentry = insert(key, inode);
    if caching == Caching::Kept {
        kept::keep(&dentry);
    }
    Ok(dentry.inode().is_some().then_some(dentry))
}

/// Leave to make an inode and a dentry, with its name and an entry in the table, which cannot
/// fail; if there is no memory, others go.
pub(super) fn allowance() -> Result<Allowance> {
    const FRAMES: usize = 4;
    if let Ok(allowance) = Allowance::take(FRAMES) {
        return Ok(allowance);
    }
    kept::shrink(BATCH, 4 * BATCH);
    heap::shrink(FRAMES);
    Ok(Allowance::take(FRAMES)?)
}

fn entry(dentry: &Arc<Dentry>, place: &Place) -> Box<Entry> {
    Box::new(Entry {
        hash: place.hash,
        parent: place.parent.as_ref().map_or(0, |parent| Arc::as_ptr(parent).addr()),
        name: place.name.clone(),
        dentry: Arc::downgrade(dentry),
        next: None,
    })
}

/// Makes a dentry, for which there is leave, or finds the one that somebody else has made
/// meanwhile.
fn insert(key: &Key<'_>, inode: Option<Arc<dyn Inode>>) -> Arc<Dentry> {
    let dentry = Arc::new(Dentry::child(key.parent, key.name, key.hash, inode));
    COUNT.fetch_add(1, Ordering::Relaxed);
    let mut entry = entry(&dentry, &dentry.place());
    // Dropped behind the lock, whichever of the two is not needed.
    let mut bucket = key.bucket().lock();
    if let Some(found) = key.find(&bucket) {
        drop(bucket);
        return found;
    }
    entry.next = bucket.take();
    *bucket = Some(entry);
    drop(bucket);
    dentry
}

/// Takes what the cache says of a name out, so that it can say something else.
fn clear(key: &Key<'_>) {
    let known = key.find(&key.bucket().lock());
    if let Some(known) = known {
        unhash(key.table, &known);
        kept::let_go(&known);
    }
}

/// The dentry of a name that leads to `inode` from now on. Under the lock of the directory's
/// names; the caller has an [`allowance`].
///
/// # Errors
/// `ENOMEM` before there is a cache.
pub(super) fn add(parent: &Arc<Dentry>, name: &[u8], inode: Arc<dyn Inode>) -> Result<Arc<Dentry>> {
    let key = Key::new(parent, name)?;
    clear(&key);
    let dentry = insert(&key, Some(inode));
    kept::keep(&dentry);
    Ok(dentry)
}

/// Forgets that there is no file of that name: a file system that failed may have made one all the
/// same. Under the lock of the directory's names.
pub(super) fn forget_missing(parent: &Arc<Dentry>, name: &[u8]) {
    let Ok(key) = Key::new(parent, name) else { return };
    let known = key.find(&key.bucket().lock());
    if let Some(known) = known.filter(|known| known.inode().is_none()) {
        unhash(key.table, &known);
        kept::let_go(&known);
    }
}

/// The dentry of a file without a name, which no look-up finds. The file may get a name later if
/// it is `linkable`.
///
/// # Errors
/// `ENOMEM`.
pub(super) fn nameless(
    parent: &Arc<Dentry>,
    inode: Arc<dyn Inode>,
    linkable: bool,
) -> Result<Arc<Dentry>> {
    let _allowance = allowance()?;
    let dentry = Arc::new(Dentry::child(parent, b"", 0, Some(inode)));
    COUNT.fetch_add(1, Ordering::Relaxed);
    dentry.set_gone();
    dentry.set_linkable(linkable);
    Ok(dentry)
}

/// The name is gone. Under the lock of its directory's names, and, if it is a directory, of its
/// own.
pub(super) fn delete(dentry: &Arc<Dentry>) {
    dentry.set_gone();
    if let Some(table) = TABLE.get() {
        unhash(table, dentry);
    }
    kept::let_go(dentry);
}

/// The dentry is called `name` in the directory `parent` from now on, and what was there is gone.
/// Under the locks of both directories' names; the caller has an [`allowance`].
///
/// # Errors
/// `ENOMEM` before there is a cache.
pub(super) fn move_to(dentry: &Arc<Dentry>, parent: &Arc<Dentry>, name: &[u8]) -> Result<()> {
    let key = Key::new(parent, name)?;
    let replaced = key.find(&key.bucket().lock());
    match replaced {
        Some(replaced) if replaced.inode().is_some() => delete(&replaced),
        _ => clear(&key),
    }
    unhash(key.table, dentry);
    let place = Place { parent: Some(parent.clone()), name: Arc::from(name), hash: key.hash };
    put(key.table, dentry, place);
    Ok(())
}

/// Both are in each other's place from now on. Under the locks of both directories' names; the
/// caller has an [`allowance`].
///
/// # Errors
/// `ENOMEM` before there is a cache.
pub(super) fn exchange(one: &Arc<Dentry>, other: &Arc<Dentry>) -> Result<()> {
    let table = TABLE.get().ok_or(Errno::ENOMEM)?;
    for dentry in [one, other] {
        unhash(table, dentry);
    }
    let place = one.place();
    put(table, one, other.place());
    put(table, other, place);
    Ok(())
}

/// Puts a dentry that is in no bucket into that of a new place.
fn put(table: &Table, dentry: &Arc<Dentry>, place: Place) {
    let mut entry = entry(dentry, &place);
    let old = dentry.set_place(place);
    MOVES.fetch_add(1, Ordering::Release);
    let mut bucket = table.bucket(entry.hash).lock();
    entry.next = bucket.take();
    *bucket = Some(entry);
    drop(bucket);
    drop(old);
}

/// Lets dentries go for the sake of `frames` frames. They are small, and a frame is free only
/// when nothing is left in it.
fn shrink_frames(frames: usize) -> usize {
    kept::shrink(frames.saturating_mul(BATCH), 2 * kept::len());
    heap::shrink(frames)
}

/// Lets all dentries go that nobody uses.
pub fn drop_dentries() {
    kept::forget(|_| true);
    heap::shrink(usize::MAX);
}

/// Lets all dentries of a superblock go, when nothing of it is mounted any more.
pub(super) fn forget(superblock: u32) {
    kept::forget(|dentry| dentry.superblock() == superblock);
}
