//! Kernel tests of the page cache, on a store in memory that can be slow and can fail.

#![expect(clippy::indexing_slicing, reason = "a test that finds too few bytes has failed")]

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use abi::{Errno, Result};
use task::{Mutex, named_mutex, sleep, spawn, yield_now};

use super::*;
use crate::PAGE;

const BYTES: usize = PAGE as usize;

/// Pages that are stored, and what was done.
pub(super) struct Disk {
    pub(super) pages: Mutex<BTreeMap<u64, Vec<u8>>>,
    reads: AtomicUsize,
    writes: AtomicUsize,
    largest: AtomicUsize,
    fails: AtomicBool,
    pub(super) is_slow: AtomicBool,
    pub(super) is_full_from: AtomicU64,
    became_dirty: AtomicUsize,
    /// How often room was asked for, and whether it comes in whole pages.
    reserved: AtomicUsize,
    whole_pages: AtomicBool,
}

pub(super) struct File {
    pub(super) disk: Arc<Disk>,
    pub(super) cache: Arc<PageCache>,
}

impl Disk {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            pages: named_mutex("test disk", BTreeMap::new()),
            reads: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            largest: AtomicUsize::new(0),
            fails: AtomicBool::new(false),
            is_slow: AtomicBool::new(false),
            is_full_from: AtomicU64::new(u64::MAX),
            became_dirty: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            whole_pages: AtomicBool::new(true),
        })
    }

    pub(super) fn page(&self, index: u64) -> Vec<u8> {
        self.pages.lock().get(&index).cloned().unwrap_or_default()
    }

    /// Does what was asked for, now or in a task, in two parts.
    fn serve(self: &Arc<Self>, batch: Arc<Batch>, work: fn(&Self, Part)) {
        let pages = batch.pages();
        let middle = pages.start + (pages.end - pages.start) / 2;
        let parts = [batch.part(middle..pages.end), batch.part(pages.start..middle)];
        let this = self.clone();
        let run = move || {
            for part in parts {
                if this.is_slow.load(Ordering::Relaxed) {
                    sleep(2_000_000);
                }
                if this.fails.load(Ordering::Relaxed) {
                    drop(part);
                } else {
                    work(&this, part);
                }
            }
        };
        if self.is_slow.load(Ordering::Relaxed) {
            spawn("test disk", run).expect("memory for a task");
        } else {
            run();
        }
    }
}

/// What the cache knows of the disk.
pub(super) struct Handle(Arc<Disk>);

impl PageStore for Handle {
    fn read(&self, batch: Arc<Batch>) {
        self.0.reads.fetch_add(1, Ordering::Relaxed);
        let count = (batch.pages().end - batch.pages().start) as usize;
        self.0.largest.fetch_max(count, Ordering::Relaxed);
        self.0.serve(batch, |disk, part| {
            for (index, frame) in part.frames() {
                let mut bytes = disk.page(index);
                bytes.resize(BYTES, 0xee); // behind the end lies what ever was there
                frame.write(0, &bytes);
            }
            part.done(Ok(()));
        });
    }

    fn write(&self, batch: Arc<Batch>) {
        self.0.writes.fetch_add(1, Ordering::Relaxed);
        self.0.serve(batch, |disk, part| {
            for (index, frame) in part.frames() {
                let mut bytes = alloc::vec![0; BYTES];
                frame.read(0, &mut bytes);
                disk.pages.lock().insert(index, bytes);
            }
            part.done(Ok(()));
        });
    }

    fn reserve_within(
        &self,
        bytes: Range<u64>,
        dirty: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        self.reserve(bytes, dirty)
    }

    fn gives_whole_pages(&self) -> bool {
        self.0.whole_pages.load(Ordering::Relaxed)
    }

    fn reserve(&self, bytes: Range<u64>, dirty: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        self.0.reserved.fetch_add(1, Ordering::Relaxed);
        let has_room = bytes.end.div_ceil(PAGE) <= self.0.is_full_from.load(Ordering::Relaxed);
        if has_room { dirty() } else { Err(Errno::ENOSPC) }
    }

    fn hurry(&self) {}

    fn became_dirty(&self) {
        self.0.became_dirty.fetch_add(1, Ordering::Relaxed);
    }
}

impl File {
    /// A file of `len` bytes, and who keeps its store.
    pub(super) fn new(len: u64) -> (Self, Arc<Handle>) {
        let disk = Disk::new();
        let handle = Arc::new(Handle(disk.clone()));
        let weak: Weak<dyn PageStore> = Arc::downgrade(&(handle.clone() as Arc<dyn PageStore>));
        (Self { disk, cache: PageCache::new(len, weak) }, handle)
    }

    pub(super) fn fill_disk(&self, pages: u64) {
        for index in 0..pages {
            let bytes = alloc::vec![(index % 250) as u8 + 1; BYTES];
            self.disk.pages.lock().insert(index, bytes);
        }
    }
}

pub(super) fn bytes_of(cache: &Arc<PageCache>, offset: u64, len: usize) -> Vec<u8> {
    let mut bytes = alloc::vec![0xaa; len];
    let read = cache.read_bytes(offset, &mut bytes).expect("the disk works");
    bytes.truncate(read);
    bytes
}

#[base::kernel_test]
fn what_is_written_is_read_and_stored() {
    let (file, _handle) = File::new(3 * PAGE + 100);
    file.fill_disk(4);
    let cache = &file.cache;
    // Behind the end there is nothing, and a mapping sees zeros there.
    assert_eq!(bytes_of(cache, 3 * PAGE + 90, 50), [4; 10]);
    let mut tail = [0xaa; 8];
    cache.page(3, 1, None).expect("within the file").read(100, &mut tail);
    assert_eq!(tail, [0; 8]);
    // A part of a page that is not there is read first; a whole one is not.
    let before = file.disk.reads.load(Ordering::Relaxed);
    assert_eq!(cache.write_bytes(PAGE, &alloc::vec![7; BYTES]), Ok(BYTES));
    assert_eq!(file.disk.reads.load(Ordering::Relaxed), before);
    assert_eq!(cache.write_bytes(10, &[9; 5]), Ok(5));
    assert_eq!(file.disk.reads.load(Ordering::Relaxed), before + 1);
    assert_eq!(bytes_of(cache, 8, 9), [1, 1, 9, 9, 9, 9, 9, 1, 1]);
    assert_eq!((cache.unstored_pages(), file.disk.became_dirty.load(Ordering::Relaxed)), (2, 1));
    assert!(cache.dirty_since().is_some());
    // Longer, with a gap.
    assert_eq!(cache.write_bytes(6 * PAGE + 1, &[3; 4]), Ok(4));
    assert_eq!(cache.len(), 6 * PAGE + 5);
    assert_eq!(bytes_of(cache, 3 * PAGE + 98, 6), [4, 4, 0, 0, 0, 0]);
    assert_eq!(cache.write_back(0..u64::MAX, Reach::Wait), Ok(()));
    assert_eq!((cache.unstored_pages(), cache.dirty_since()), (0, None));
    assert_eq!(file.disk.page(0)[8..17], [1, 1, 9, 9, 9, 9, 9, 1, 1]);
    assert_eq!(
        (file.disk.page(1)[BYTES - 1], file.disk.page(6)[..6].to_vec()),
        (7, [0, 3, 3, 3, 3, 0].to_vec())
    );
    // Pages side by side go at once.
    let writes = file.disk.writes.load(Ordering::Relaxed);
    assert_eq!(cache.write_bytes(0, &alloc::vec![5; 5 * BYTES]), Ok(5 * BYTES));
    assert_eq!(cache.write_back(1..4, Reach::Wait), Ok(()));
    assert_eq!(file.disk.writes.load(Ordering::Relaxed), writes + 1);
    assert_eq!(cache.unstored_pages(), 2);
}

#[base::kernel_test]
fn room_is_asked_for_once() {
    let (file, _handle) = File::new(0);
    let cache = &file.cache;
    let reserved = || file.disk.reserved.load(Ordering::Relaxed);
    assert_eq!(cache.write_bytes(0, &[1; 10]), Ok(10));
    assert_eq!(reserved(), 1);
    // Also when it is stored, as long as it is in memory and not cut short.
    for _ in 0..3 {
        assert_eq!(cache.write_bytes(5, &[2; 100]), Ok(100));
        assert_eq!(cache.write_back(0..u64::MAX, Reach::Wait), Ok(()));
    }
    assert_eq!((reserved(), file.disk.page(0)[104]), (1, 2));
    cache.set_len(50);
    assert_eq!(cache.write_bytes(49, &[3; 10]), Ok(10));
    assert_eq!(reserved(), 2);
    cache.set_len(0);
    assert_eq!(cache.write_bytes(0, &[4]), Ok(1));
    assert_eq!(reserved(), 3);
    drop_clean();
    assert_eq!(cache.write_back(0..u64::MAX, Reach::Wait), Ok(()));
    drop_clean();
    assert_eq!(cache.write_bytes(0, &[5]), Ok(1));
    assert_eq!(reserved(), 4);
    // Where room comes in less, a part of a page says nothing of the rest.
    file.disk.whole_pages.store(false, Ordering::Relaxed);
    assert_eq!(cache.write_bytes(PAGE, &[6; 10]), Ok(10));
    assert_eq!(cache.write_bytes(PAGE + 10, &[6; 10]), Ok(10));
    assert_eq!(reserved(), 6);
    assert_eq!(cache.write_bytes(PAGE, &alloc::vec![7; BYTES]), Ok(BYTES));
    assert_eq!(cache.write_bytes(PAGE + 10, &[6; 10]), Ok(10));
    assert_eq!(reserved(), 7);
    cache.set_len(PAGE + 2000);
    assert_eq!(cache.write_bytes(PAGE + 10, &[6; 10]), Ok(10));
    assert_eq!(reserved(), 8);
}

#[base::kernel_test]
fn errors_are_told_and_go() {
    let (file, handle) = File::new(2 * PAGE);
    file.fill_disk(2);
    let cache = &file.cache;
    file.disk.fails.store(true, Ordering::Relaxed);
    let mut byte = [0];
    assert_eq!(cache.read_bytes(0, &mut byte), Err(ObjectError::Io));
    file.disk.fails.store(false, Ordering::Relaxed);
    assert_eq!(bytes_of(cache, 0, 1), [1]);
    assert_eq!(cache.write_bytes(0, &[2]), Ok(1));
    file.disk.fails.store(true, Ordering::Relaxed);
    assert_eq!(cache.write_back(0..u64::MAX, Reach::Wait), Err(ObjectError::Io));
    assert_eq!((cache.failures(), cache.unstored_pages()), (2, 0)); // two parts
    file.disk.fails.store(false, Ordering::Relaxed);
    file.disk.is_full_from.store(2, Ordering::Relaxed);
    assert_eq!(cache.write_bytes(PAGE + 10, &alloc::vec![1; BYTES]), Ok(BYTES - 10));
    assert_eq!(cache.write_bytes(2 * PAGE, &[1]), Err(Errno::ENOSPC));
    assert_eq!(cache.len(), 2 * PAGE);
    // What stores the file is gone, but somebody still has it mapped.
    drop(handle);
    let page = cache.page(0, 1, None).expect("it is in memory");
    assert_eq!(cache.prepare_write(0, &page), Err(ObjectError::Io));
    assert_eq!(bytes_of(cache, 0, 1), [2]);
}

/// Whoever reads a file may find it cut short when he comes to a page.
#[base::kernel_test]
fn a_page_behind_the_end_is_not_looked_for_for_ever() {
    let (file, _handle) = File::new(4 * PAGE);
    file.fill_disk(4);
    let cache = &file.cache;
    assert!(cache.page(3, 1, None).is_ok());
    cache.set_len(PAGE + 1);
    for index in [2, 3, u64::MAX / PAGE] {
        assert_eq!(cache.page(index, 1, None).err(), Some(ObjectError::Io));
    }
    assert_eq!(bytes_of(cache, 0, 4 * BYTES).len(), BYTES + 1);
    // And the same while one reads and another one cuts.
    let (reader, cutter) = (cache.clone(), cache.clone());
    let reads = spawn("reader", move || {
        let mut bytes = [0; BYTES];
        for round in 0..2000 {
            let read = reader.read_bytes(round % 4 * PAGE, &mut bytes);
            assert!(read.is_ok_and(|read| read <= BYTES), "{read:?}");
        }
    });
    let reads = reads.expect("memory at boot");
    while !reads.has_ended() {
        cutter.set_len(0);
        cutter.set_len(4 * PAGE);
        yield_now();
    }
}

#[base::kernel_test]
fn who_reads_in_order_is_read_ahead() {
    const PAGES: u64 = 400;
    let (file, _handle) = File::new(PAGES * PAGE);
    file.fill_disk(PAGES);
    let ahead = ReadAhead::new();
    for index in 0..PAGES {
        let frame = file.cache.page(index, 1, Some(&ahead)).expect("the disk works");
        let mut byte = [0];
        frame.read(5, &mut byte);
        assert_eq!(byte, [(index % 250) as u8 + 1]);
    }
    let reads = file.disk.reads.load(Ordering::Relaxed);
    assert!(reads < 16 && file.disk.largest.load(Ordering::Relaxed) > 32, "{reads} reads");
    // Who does not gets what he asks for.
    let (file, _handle) = File::new(PAGES * PAGE);
    file.fill_disk(PAGES);
    let ahead = ReadAhead::new();
    for round in 1..20 {
        file.cache.page(round * 37 % PAGES, 1, Some(&ahead)).expect("the disk works");
    }
    assert_eq!(file.cache.pages(), 19);
}

#[base::kernel_test]
fn what_is_cut_off_is_zero_when_it_comes_back() {
    let (file, _handle) = File::new(4 * PAGE);
    file.fill_disk(4);
    let cache = &file.cache;
    assert_eq!(bytes_of(cache, 0, 4 * BYTES).len(), 4 * BYTES);
    cache.set_len(PAGE + 10);
    assert_eq!((cache.pages(), bytes_of(cache, PAGE, 100).len()), (2, 10));
    // The file system forgets the blocks.
    file.disk.pages.lock().retain(|index, _| *index < 2);
    file.disk.pages.lock().insert(2, alloc::vec![0; BYTES]);
    cache.set_len(3 * PAGE);
    let bytes = bytes_of(cache, PAGE, 2 * BYTES);
    assert!(bytes[..10] == [2; 10] && bytes[10..].iter().all(|&byte| byte == 0));
}

#[base::kernel_test]
fn clean_pages_go_when_memory_is_wanted() {
    let (file, _handle) = File::new(40 * PAGE);
    file.fill_disk(40);
    let cache = &file.cache;
    assert_eq!(bytes_of(cache, 0, 40 * BYTES).len(), 40 * BYTES);
    assert_eq!(cache.write_bytes(3 * PAGE, &[1]), Ok(1));
    let mapped = cache.page(5, 1, None).expect("within the file");
    let dropped = drop_clean();
    assert!(dropped >= 38, "{dropped} pages");
    assert_eq!(cache.pages(), 2, "one is dirty, one is used");
    drop(mapped);
    assert_eq!(cache.write_back(0..u64::MAX, Reach::Wait), Ok(()));
    drop_clean();
    assert_eq!(cache.pages(), 0);
    assert_eq!(bytes_of(cache, 3 * PAGE, 2), [1, 4]);
}

#[base::kernel_test]
fn files_in_memory_keep_their_pages() {
    let cache = PageCache::in_memory(0, Budget::new(u64::MAX));
    assert_eq!(cache.write_bytes(5 * PAGE + 1, b"text"), Ok(4));
    drop_clean();
    assert_eq!((cache.pages(), cache.unstored_pages()), (1, 0));
    assert_eq!(bytes_of(&cache, 5 * PAGE, 6), *b"\0text");
    cache.set_len(0);
    assert_eq!(cache.pages(), 0);
}

/// Readers, a writer, somebody who stores and somebody who throws away, on a slow disk. Each
/// page always holds one value; the writer writes whole pages.
#[base::kernel_test]
fn everybody_at_once() {
    const PAGES: u64 = 32;
    let (file, handle) = File::new(PAGES * PAGE);
    for index in 0..PAGES {
        file.disk.pages.lock().insert(index, alloc::vec![1; BYTES]);
    }
    file.disk.is_slow.store(true, Ordering::Relaxed);
    static STOP: AtomicBool = AtomicBool::new(false);
    STOP.store(false, Ordering::Relaxed);
    let mut tasks = Vec::new();
    for reader in 0..3u64 {
        let cache = file.cache.clone();
        let read = move || {
            let mut index = reader * 7;
            while !STOP.load(Ordering::Relaxed) {
                index = (index * 5 + 3) % PAGES;
                let bytes = bytes_of(&cache, index * PAGE + 8, 8);
                assert!(
                    bytes.iter().all(|&byte| byte != 0 && byte != 0xee && byte != 0xaa),
                    "{bytes:?}"
                );
                task::yield_now();
            }
        };
        tasks.push(spawn("reader", read).expect("memory for a task"));
    }
    for kind in 0..2 {
        let cache = file.cache.clone();
        let disturb = move || {
            while !STOP.load(Ordering::Relaxed) {
                if kind == 0 {
                    assert_eq!(cache.write_back(0..u64::MAX, Reach::Wait), Ok(()));
                } else {
                    drop_clean();
                }
                sleep(3_000_000);
            }
        };
        tasks.push(spawn("disturber", disturb).expect("memory for a task"));
    }
    for round in 2..22u8 {
        for index in 0..PAGES {
            assert_eq!(file.cache.write_bytes(index * PAGE, &alloc::vec![round; BYTES]), Ok(BYTES));
        }
        sleep(2_000_000);
    }
    STOP.store(true, Ordering::Relaxed);
    tasks.iter().for_each(|task| task.join());
    assert_eq!(file.cache.write_back(0..u64::MAX, Reach::Wait), Ok(()));
    for index in 0..PAGES {
        assert!(file.disk.page(index).iter().all(|&byte| byte == 21), "page {index}");
    }
    assert_eq!(file.cache.unstored_pages(), 0);
    drop(handle);
}
