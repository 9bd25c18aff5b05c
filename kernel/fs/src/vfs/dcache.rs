//! The dentry cache: finds the [`Dentry`] of a name in a directory, those included that say
//! that there is no such file, and keeps those that may be wanted again.
//!
//! Two parts. A hash table has all dentries that live, without keeping them alive: that makes
//! sure that a name has one dentry. A ring keeps up to [`limit`] of them alive that nobody may
//! be using. Whoever finds one again marks it, which takes no lock but that of one bucket for
//! some ten instructions; when the ring is full, or memory is out, its hand goes round, takes
//! the marks off, and lets those go that had none (the second-chance algorithm).
//!
//! Locks: a bucket's and the ring's are spin locks, and nothing is taken under them. No dentry is
//! dropped under them either, since its inode may sleep then.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use abi::{Errno, Result};
use arrayvec::ArrayVec;
use base::sync::SpinLock;
use memory::frames::{self, Allowance};
use memory::{OutOfMemory, heap, reclaim};
use spin::Once;

use crate::vfs::dentry::Dentry;
use crate::vfs::superblock::Caching;

/// One bucket for so many frames of memory, and how many there are at least and at most.
const FRAMES_PER_BUCKET: usize = 32;
const BUCKETS: [usize; 2] = [256, 1 << 16];
/// Dentries that are kept for each bucket.
const KEPT_PER_BUCKET: usize = 2;
/// Dentries that are let go at a time.
const BATCH: usize = 16;

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
/// Dentries that are kept, the hand before the first one.
static RING: SpinLock<VecDeque<Arc<Dentry>>> = SpinLock::new("dentry ring", VecDeque::new());
/// Dentries that live.
static COUNT: AtomicUsize = AtomicUsize::new(0);

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
    RING.lock().try_reserve_exact(count * KEPT_PER_BUCKET).map_err(|_| OutOfMemory)?;
    // An odd factor loses nothing.
    TABLE.call_once(|| Table { buckets: buckets.into(), seed: [first, second | 1] });
    reclaim::register("dentries", reclaim::Kind::MaySleep, shrink_frames);
    Ok(())
}

/// How many dentries there are, and how many of them are kept whether they are used or not.
pub fn dentries() -> (usize, usize) {
    (COUNT.load(Ordering::Relaxed), RING.lock().len())
}

/// Most dentries that are kept.
fn limit() -> usize {
    TABLE.get().map_or(0, |table| table.buckets.len() * KEPT_PER_BUCKET)
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

/// The dentry of `name` in the directory `parent`, out of the cache or from the file system;
/// `None` if there is no file of that name.
///
/// # Errors
/// `ENOMEM`; what [`Inode::lookup`](crate::Inode::lookup) says.
pub(super) fn lookup(
    parent: &Arc<Dentry>,
    name: &[u8],
    caching: Caching,
) -> Result<Option<Arc<Dentry>>> {
    let Some(table) = TABLE.get() else { return Err(Errno::ENOMEM) };
    let address = Arc::as_ptr(parent).addr();
    let hash = table.hash(address, name);
    let found = find(&table.bucket(hash).lock(), hash, address, name);
    if let Some(found) = found {
        match (caching, found.inode()) {
            (Caching::Kept, inode) => {
                found.set_used();
                return Ok(inode.is_some().then_some(found));
            }
            // What is mounted there stays where it is.
            (Caching::WhileUsed, Some(inode)) if inode.is_current() || found.is_mount_point() => {
                return Ok(Some(found));
            }
            (Caching::WhileUsed, _) => unhash(table, &found),
        }
    }
    let _allowance = allowance()?;
    let inode = match parent.inode() {
        Some(directory) => directory.lookup(name)?,
        None => return Err(Errno::ENOTDIR),
    };
    if inode.is_none() && caching == Caching::WhileUsed {
        return Ok(None);
    }
    let (dentry, is_new) = insert(table, parent, name, hash, inode);
    if is_new && caching == Caching::Kept {
        keep(&dentry);
    }
    Ok(dentry.inode().is_some().then_some(dentry))
}

/// Leave to make an inode and a dentry, with its name and an entry in the table, which cannot
/// fail; if there is no memory, others go.
fn allowance() -> Result<Allowance> {
    const FRAMES: usize = 4;
    if let Ok(allowance) = Allowance::take(FRAMES) {
        return Ok(allowance);
    }
    shrink(BATCH, 4 * BATCH);
    heap::shrink(FRAMES);
    Ok(Allowance::take(FRAMES)?)
}

/// Makes a dentry, for which there is leave, or finds the one that somebody else has made
/// meanwhile; whether it is a new one.
fn insert(
    table: &Table,
    parent: &Arc<Dentry>,
    name: &[u8],
    hash: u64,
    inode: Option<Arc<dyn crate::Inode>>,
) -> (Arc<Dentry>, bool) {
    let address = Arc::as_ptr(parent).addr();
    let dentry = Arc::new(Dentry::child(parent, name, hash, inode));
    COUNT.fetch_add(1, Ordering::Relaxed);
    let mut entry = Box::new(Entry {
        hash,
        parent: address,
        name: dentry.shared_name(),
        dentry: Arc::downgrade(&dentry),
        next: None,
    });
    // Dropped behind the lock, whichever of the two is not needed.
    let mut bucket = table.bucket(hash).lock();
    if let Some(found) = find(&bucket, hash, address, name) {
        drop(bucket);
        return (found, false);
    }
    entry.next = bucket.take();
    *bucket = Some(entry);
    drop(bucket);
    (dentry, true)
}

/// Keeps a new dentry in the ring, unless that is full of what is used.
fn keep(dentry: &Arc<Dentry>) {
    for _ in 0..2 {
        let mut ring = RING.lock();
        if ring.len() < limit() {
            ring.push_back(dentry.clone()); // there is room for all
            return;
        }
        drop(ring);
        shrink(BATCH, 4 * BATCH);
    }
}

/// Lets up to `wanted` dentries go that were not found again since the last time; how many.
/// None that is used by others: it would not be gone. Looks at `turns` dentries at most: once
/// round takes all marks off, twice finds all there is.
fn shrink(wanted: usize, mut turns: usize) -> usize {
    let mut gone = 0;
    while gone < wanted && turns > 0 {
        let mut batch: ArrayVec<Arc<Dentry>, BATCH> = ArrayVec::new();
        let mut ring = RING.lock();
        for _ in 0..BATCH {
            turns = turns.saturating_sub(1);
            let Some(dentry) = ring.pop_front() else { break };
            // The hand that holds it here and the ring's are the same.
            if dentry.take_used() || Arc::strong_count(&dentry) > 1 {
                ring.push_back(dentry);
            } else {
                batch.push(dentry);
            }
        }
        drop(ring);
        gone += batch.len();
    }
    gone
}

/// Lets dentries go for the sake of `frames` frames. They are small, and a frame is free only
/// when nothing is left in it.
fn shrink_frames(frames: usize) -> usize {
    let turns = 2 * RING.lock().len();
    shrink(frames.saturating_mul(BATCH), turns);
    heap::shrink(frames)
}

/// Lets all dentries of a superblock go, when nothing of it is mounted any more.
pub(super) fn forget(superblock: u32) {
    let mut left = RING.lock().len();
    while left > 0 {
        let mut batch: ArrayVec<Arc<Dentry>, BATCH> = ArrayVec::new();
        let mut ring = RING.lock();
        // Not the whole ring at once: others wait for the lock.
        for _ in 0..left.min(16 * BATCH) {
            if batch.is_full() {
                break;
            }
            left -= 1;
            match ring.pop_front() {
                Some(dentry) if dentry.superblock() == superblock => batch.push(dentry),
                Some(dentry) => ring.push_back(dentry),
                None => left = 0,
            }
        }
        drop(ring);
    }
}
