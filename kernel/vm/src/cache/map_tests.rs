//! Kernel tests of mappings of files, over the store of [`super::tests`].

#![expect(clippy::indexing_slicing, reason = "a test that finds too few bytes has failed")]

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arch::paging::VirtAddr;
use task::{sleep, spawn};

use super::tests::{File, bytes_of};
use super::*;
use crate::{
    Access, AddressSpace, Backing, Fault, FaultKind, Layout, MapRequest, MemoryObject, PAGE,
    Placement, RemapRequest, VmaFlags,
};

const RW: Access = Access { read: true, write: true, execute: false };
const READ: Access = RW.read_only();
/// Where the tests map, and where to.
const AT: u64 = 64 << 30;
const ELSEWHERE: u64 = 65 << 30;

#[derive(Debug)]
struct Object(MappedCache);

impl MemoryObject for Object {
    fn len(&self) -> u64 {
        self.0.cache().len()
    }

    fn read_at(&self, offset: u64, to: &mut [u8]) -> core::result::Result<(), ObjectError> {
        self.0.cache().read_bytes(offset, to).map(|_| ())
    }

    fn file(&self) -> Option<&MappedCache> {
        Some(&self.0)
    }
}

fn space() -> Arc<AddressSpace> {
    AddressSpace::new(Layout::FIXED).expect("memory at boot")
}

fn map(space: &AddressSpace, at: u64, pages: u64, cache: &Arc<PageCache>, flags: VmaFlags) {
    let object: Arc<dyn MemoryObject> = Arc::new(Object(MappedCache::new(cache)));
    let backing = Backing::Object { object, offset: 0, end: u64::MAX };
    let placement = Placement::FixedNoReplace(at);
    let request = MapRequest { placement, len: pages * PAGE, access: RW, flags, backing };
    assert_eq!(space.map(request), Ok(at));
}

fn touch(space: &AddressSpace, address: u64, write: bool) -> core::result::Result<(), FaultKind> {
    let present = access(space, address).is_some();
    space.fault(Fault::touch(address, write, present))
}

fn access(space: &AddressSpace, address: u64) -> Option<Access> {
    space.table.access(VirtAddr::new(address))
}

/// As a program writes that has the page: false if it may not.
fn write(space: &AddressSpace, cache: &Arc<PageCache>, address: u64, index: u64, byte: u8) -> bool {
    let page = cache.page(index, 1, None).expect("it is in memory");
    assert_eq!(space.table.frame_of(VirtAddr::new(address)), Some(page.address()));
    let may = access(space, address) == Some(RW);
    if may {
        page.write(7, &[byte]);
    }
    may
}

/// A program's data end within a page, and what follows is zero, though the file goes on.
#[base::kernel_test]
fn what_a_mapping_leaves_out_does_not_come_with_its_neighbours() {
    let (file, _handle) = File::new(3 * PAGE);
    file.fill_disk(3);
    let cache = &file.cache;
    assert_eq!(bytes_of(cache, 0, 3 * PAGE as usize).len(), 3 * PAGE as usize);
    let space = space();
    let object: Arc<dyn MemoryObject> = Arc::new(Object(MappedCache::new(cache)));
    let backing = Backing::Object { object, offset: 0, end: PAGE + 100 };
    let placement = Placement::FixedNoReplace(AT);
    let flags = VmaFlags::empty();
    let request = MapRequest { placement, len: 2 * PAGE, access: RW, flags, backing };
    assert_eq!(space.map(request), Ok(AT));
    assert_eq!(touch(&space, AT, false), Ok(()));
    assert_eq!(access(&space, AT), Some(READ));
    assert_eq!(access(&space, AT + PAGE), None);
    for write in [false, true] {
        assert_eq!(touch(&space, AT + PAGE, write), Ok(()));
        // A page of its own; that its end is zero programs test.
        let own = space.table.frame_of(VirtAddr::new(AT + PAGE)).expect("it is there");
        assert_ne!(own, cache.page(1, 1, None).expect("it is in memory").address());
    }
}

#[base::kernel_test]
fn a_page_that_is_written_through_a_mapping_is_stored_each_time() {
    let (file, _handle) = File::new(PAGE);
    file.fill_disk(1);
    let cache = &file.cache;
    let (one, other) = (space(), space());
    map(&one, AT, 1, cache, VmaFlags::SHARED);
    map(&other, AT, 1, cache, VmaFlags::SHARED);
    assert_eq!(touch(&one, AT, false), Ok(()));
    assert_eq!((access(&one, AT), cache.unstored_pages()), (Some(READ), 0));
    for value in 10..13u8 {
        assert_eq!((touch(&one, AT, true), touch(&other, AT, true)), (Ok(()), Ok(())));
        assert!(write(&one, cache, AT, 0, value) && write(&other, cache, AT, 0, value));
        assert_eq!(cache.unstored_pages(), 1);
        assert_eq!(cache.write_back(0..1, Reach::Wait), Ok(()));
        assert_eq!((file.disk.page(0)[7], cache.unstored_pages()), (value, 0));
        assert_eq!((access(&one, AT), access(&other, AT)), (Some(READ), Some(READ)));
        assert!(!write(&one, cache, AT, 0, 99));
    }
    // What was written and not stored is stored though nobody maps it any more.
    assert_eq!(touch(&one, AT, true), Ok(()));
    assert!(write(&one, cache, AT, 0, 77));
    drop((one, other));
    assert_eq!(cache.write_back(0..1, Reach::Wait), Ok(()));
    assert_eq!((file.disk.page(0)[7], cache.pages()), (77, 1));
}

#[base::kernel_test]
fn a_child_and_a_mapping_that_moved_are_found() {
    let (file, _handle) = File::new(4 * PAGE);
    file.fill_disk(4);
    let cache = &file.cache;
    let parent = space();
    map(&parent, AT, 4, cache, VmaFlags::SHARED);
    let child = parent.fork().expect("memory");
    assert_eq!(touch(&parent, AT + PAGE, true), Ok(()));
    assert_eq!(touch(&child, AT + PAGE, true), Ok(()));
    let request = RemapRequest {
        address: AT,
        old_len: 4 * PAGE,
        new_len: 4 * PAGE,
        may_move: true,
        fixed: Some(ELSEWHERE),
        keeps_old: false,
    };
    assert_eq!(child.remap(request), Ok(ELSEWHERE));
    let moved = ELSEWHERE + PAGE;
    assert!(write(&parent, cache, AT + PAGE, 1, 1) && write(&child, cache, moved, 1, 2));
    assert_eq!(cache.write_back(0..u64::MAX, Reach::Wait), Ok(()));
    assert_eq!((access(&parent, AT + PAGE), access(&child, moved)), (Some(READ), Some(READ)));
    // More is allowed by mprotect only to those who ask the cache again.
    assert_eq!(child.protect(ELSEWHERE, 4 * PAGE, Access::NONE), Ok(()));
    assert_eq!(child.protect(ELSEWHERE, 4 * PAGE, RW), Ok(()));
    assert_eq!((access(&child, moved), cache.unstored_pages()), (Some(READ), 0));
    assert_eq!(touch(&child, moved, true), Ok(()));
    assert_eq!((access(&child, moved), cache.unstored_pages()), (Some(RW), 1));
    assert!(write(&child, cache, moved, 1, 3));
    assert_eq!(parent.unmap(AT, 4 * PAGE), Ok(()));
    assert_eq!(child.unmap(ELSEWHERE + 2 * PAGE, PAGE), Ok(()));
    assert!(!cache.links().lock().is_empty());
    assert_eq!(child.unmap(ELSEWHERE, 4 * PAGE), Ok(()));
    assert!(cache.links().lock().is_empty(), "links of nobody");
    assert_eq!(cache.write_back(0..u64::MAX, Reach::Wait), Ok(()));
    assert_eq!(file.disk.page(1)[7], 3);
}

#[base::kernel_test]
fn what_is_cut_off_goes_from_all_who_map_it() {
    for flags in [VmaFlags::SHARED, VmaFlags::empty()] {
        let (file, _handle) = File::new(4 * PAGE);
        file.fill_disk(4);
        let cache = &file.cache;
        let space = space();
        map(&space, AT, 6, cache, flags);
        for page in 0..4 {
            assert_eq!(touch(&space, AT + page * PAGE, page != 1), Ok(()), "page {page}");
        }
        assert_eq!(touch(&space, AT + 4 * PAGE, false), Err(FaultKind::NoBytes));
        cache.set_len(PAGE + 10);
        assert_eq!(space.resident_pages(), 2);
        assert_eq!(touch(&space, AT + PAGE, false), Ok(()));
        for (page, write) in [(2, false), (3, true)] {
            assert_eq!(touch(&space, AT + page * PAGE, write), Err(FaultKind::NoBytes));
        }
        file.disk.pages.lock().retain(|index, _| *index < 2);
        cache.set_len(6 * PAGE);
        assert_eq!(touch(&space, AT + 5 * PAGE, true), Ok(()));
        assert_eq!(bytes_of(cache, PAGE + 8, 4), [2, 2, 0, 0]);
    }
}

#[base::kernel_test]
fn a_hole_of_a_full_disk_has_no_bytes() {
    let (file, _handle) = File::new(4 * PAGE);
    file.disk.is_full_from.store(2, Ordering::Relaxed);
    let space = space();
    map(&space, AT, 4, &file.cache, VmaFlags::SHARED);
    assert_eq!(
        (touch(&space, AT + PAGE, true), touch(&space, AT + 3 * PAGE, false)),
        (Ok(()), Ok(()))
    );
    assert_eq!(touch(&space, AT + 3 * PAGE, true), Err(FaultKind::NoBytes));
    assert_eq!((file.cache.unstored_pages(), access(&space, AT + 3 * PAGE)), (1, Some(READ)));
}

#[base::kernel_test]
fn pages_around_come_with_a_read_and_none_with_a_write() {
    let (file, _handle) = File::new(40 * PAGE);
    file.fill_disk(40);
    let space = space();
    map(&space, AT, 40, &file.cache, VmaFlags::SHARED);
    assert_eq!(bytes_of(&file.cache, 0, 40 * PAGE as usize).len(), 40 * PAGE as usize);
    assert_eq!((touch(&space, AT + 20 * PAGE, false), space.resident_pages()), (Ok(()), 16));
    assert_eq!((touch(&space, AT + 39 * PAGE, false), space.resident_pages()), (Ok(()), 24));
    assert_eq!((touch(&space, AT + 3 * PAGE, true), space.resident_pages()), (Ok(()), 25));
    // What is mapped alone goes for those who wait for memory, but for what may be written.
    assert!(crate::unmap_idle() >= 24);
    assert_eq!(space.resident_pages(), 1);
    assert!(drop_clean() >= 39);
    assert_eq!((file.cache.pages(), file.cache.unstored_pages()), (1, 1));
}

/// Three who write through mappings, each to its own byte of all pages, one who stores and one who
/// moves the end of the file to and fro behind the pages that count.
#[base::kernel_test]
fn nothing_that_is_written_is_lost() {
    const PAGES: u64 = 12;
    const KEPT: u64 = 8;
    static STOP: AtomicBool = AtomicBool::new(false);
    static REFUSED: AtomicU64 = AtomicU64::new(0);
    STOP.store(false, Ordering::Relaxed);
    let (file, handle) = File::new(PAGES * PAGE);
    file.fill_disk(PAGES);
    file.disk.is_slow.store(true, Ordering::Relaxed);
    let mut tasks = Vec::new();
    for writer in 0..3usize {
        let (cache, space) = (file.cache.clone(), space());
        map(&space, AT, PAGES, &cache, VmaFlags::SHARED);
        let run = move || {
            let mut round = 0u8;
            while !STOP.load(Ordering::Relaxed) || round != 200 {
                round = round.wrapping_add(1);
                for index in 0..PAGES {
                    let address = AT + index * PAGE;
                    match touch(&space, address, true) {
                        Ok(()) => {}
                        Err(FaultKind::NoBytes) if index >= KEPT => {
                            REFUSED.fetch_add(1, Ordering::Relaxed);
                            continue;
                        }
                        Err(kind) => panic!("page {index}: {kind:?}"),
                    }
                    // The CPU writes where the page table says, and only while it says so.
                    let stay = base::preempt::disable();
                    let frame = space.table.frame_of(VirtAddr::new(address));
                    if access(&space, address) == Some(RW)
                        && let Some(frame) = frame
                        && index < KEPT
                    {
                        let page = cache.page(index, 1, None);
                        drop(stay);
                        let page = page.expect("it is in memory");
                        assert_eq!(page.address(), frame);
                        page.write(16 + writer, &[round]);
                        // A write of a kernel task is seen by no page table: it may come late.
                        cache.note_writable(index, &page);
                    }
                }
                task::yield_now();
            }
        };
        tasks.push(spawn("writer", run).expect("memory for a task"));
    }
    for kind in 0..2 {
        let cache = file.cache.clone();
        let run = move || {
            while !STOP.load(Ordering::Relaxed) {
                if kind == 0 {
                    assert_eq!(cache.write_back(0..u64::MAX, Reach::Wait), Ok(()));
                } else {
                    cache.set_len(KEPT * PAGE);
                    sleep(1_000_000);
                    cache.set_len(PAGES * PAGE);
                }
                sleep(1_000_000);
            }
        };
        tasks.push(spawn("disturber", run).expect("memory for a task"));
    }
    sleep(300_000_000);
    STOP.store(true, Ordering::Relaxed);
    tasks.iter().for_each(|task| task.join());
    assert_eq!(file.cache.write_back(0..u64::MAX, Reach::Wait), Ok(()));
    for index in 0..KEPT {
        assert_eq!(file.disk.page(index)[16..19], bytes_of(&file.cache, index * PAGE + 16, 3));
    }
    assert_eq!(file.cache.unstored_pages(), 0);
    assert!(file.cache.links().lock().is_empty());
    drop(handle);
}
