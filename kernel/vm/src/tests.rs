//! Kernel tests of address spaces, seen from their page tables. What programs see is tested by
//! programs.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::Errno;
use abi::mman::{MADV_DONTFORK, MADV_DONTNEED, MADV_NOHUGEPAGE};
use arch::paging::VirtAddr;
use arch::trap::vector::page_fault;
use memory::frames;

use crate::layout::{GUARD_BYTES, STACK_BYTES, USER_START};
use crate::{
    Access, AddressSpace, Backing, Fault, FaultKind, Layout, MapRequest, PAGE, Placement,
    RemapRequest, SharedMemory, VmaFlags,
};

const RW: Access = Access { read: true, write: true, execute: false };
const LARGE: u64 = 2 << 20;
/// Where the tests map: a multiple of 1 GiB.
const AT: u64 = 64 << 30;

fn space() -> Arc<AddressSpace> {
    AddressSpace::new(Layout::FIXED).expect("memory at boot")
}

fn request(at: u64, len: u64, flags: VmaFlags) -> MapRequest {
    let placement = Placement::FixedNoReplace(at);
    MapRequest { placement, len, access: RW, flags, backing: Backing::Anonymous }
}

fn map(space: &AddressSpace, at: u64, len: u64, flags: VmaFlags) {
    assert_eq!(space.map(request(at, len, flags)), Ok(at));
}

fn touch(space: &AddressSpace, address: u64, write: bool) -> Result<(), FaultKind> {
    let present = access(space, address).is_some();
    space.fault(Fault::touch(address, write, present))
}

fn access(space: &AddressSpace, address: u64) -> Option<Access> {
    space.table.access(VirtAddr::new(address))
}

/// Pages and tables, without the top table.
fn counts(space: &AddressSpace) -> (usize, usize) {
    (space.resident_pages(), space.table_frames() - 1)
}

#[base::kernel_test]
fn tables_go_with_the_last_mapping_near_them() {
    let space = space();
    let before = frames::statistics().free;
    map(&space, AT, PAGE, VmaFlags::empty());
    map(&space, AT + (1 << 30), PAGE, VmaFlags::empty());
    for address in [AT, AT + (1 << 30)] {
        assert_eq!(touch(&space, address, true), Ok(()));
    }
    assert_eq!(counts(&space), (2, 1 + 2 + 2));
    space.unmap(AT, PAGE).expect("memory");
    assert_eq!(counts(&space), (1, 1 + 1 + 1));
    // A neighbour in the same table keeps it.
    map(&space, AT + (1 << 30) + 8 * PAGE, PAGE, VmaFlags::empty());
    space.unmap(AT + (1 << 30), PAGE).expect("memory");
    assert_eq!(counts(&space), (0, 3));
    space.unmap(AT, 2 << 30).expect("memory");
    assert_eq!(counts(&space), (0, 0));
    assert_eq!(frames::statistics().free, before);
}

#[base::kernel_test]
fn reads_bring_the_page_of_zeros_and_writes_a_page() {
    let space = space();
    map(&space, AT, 4 * PAGE, VmaFlags::empty());
    assert_eq!(touch(&space, AT + 5, false), Ok(()));
    assert_eq!(access(&space, AT), Some(RW.read_only()));
    assert_eq!(space.resident_pages(), 0);
    assert_eq!(touch(&space, AT + 5, true), Ok(()));
    assert_eq!((access(&space, AT), space.resident_pages()), (Some(RW), 1));
    assert_eq!(touch(&space, AT + 4 * PAGE, true), Err(FaultKind::NotMapped));
    let execute = Fault { address: AT, error: page_fault::FETCH | page_fault::PRESENT };
    assert_eq!(space.fault(execute), Err(FaultKind::NotAllowed));
}

#[base::kernel_test]
fn touches_in_order_bring_more_and_more() {
    let space = space();
    map(&space, AT, 600 * PAGE, VmaFlags::NO_HUGE);
    let mut faults = 0;
    for page in 0..600 {
        if access(&space, AT + page * PAGE).is_none() {
            faults += 1;
            assert_eq!(touch(&space, AT + page * PAGE, true), Ok(()));
        }
    }
    assert_eq!(space.resident_pages(), 600);
    assert!(faults <= 50, "{faults} faults");
    // Not so from page to page in disorder.
    space.advise(AT, 600 * PAGE, MADV_DONTNEED).expect("mapped");
    for page in (0..86).rev().map(|index| index * 7) {
        assert_eq!(touch(&space, AT + page * PAGE, true), Ok(()));
    }
    assert_eq!(space.resident_pages(), 86);
}

#[base::kernel_test]
fn a_large_page_comes_whole_and_goes_in_parts() {
    let space = space();
    let before = frames::statistics().free;
    map(&space, AT + PAGE, 3 * LARGE, VmaFlags::empty());
    // The first piece is not whole, the second is.
    assert_eq!(touch(&space, AT + PAGE, true), Ok(()));
    assert_eq!(counts(&space), (1, 3));
    assert_eq!(touch(&space, AT + LARGE + 5 * PAGE, true), Ok(()));
    if space.resident_pages() == 2 {
        return; // memory is short: small pages, as it should be
    }
    assert_eq!(counts(&space), (1 + 512, 3));
    let middle = AT + LARGE + 9 * PAGE;
    space.unmap(middle, 3 * PAGE).expect("memory");
    assert_eq!(counts(&space), (1 + 509, 4));
    assert_eq!(access(&space, middle), None);
    assert_eq!(access(&space, middle + 3 * PAGE), Some(RW));
    space.protect(middle + 3 * PAGE, PAGE, Access::NONE).expect("mapped");
    assert_eq!(access(&space, middle + 3 * PAGE), Some(Access::NONE));
    assert_eq!(access(&space, middle + 4 * PAGE), Some(RW));
    space.unmap(AT, 8 * LARGE).expect("memory");
    assert_eq!((counts(&space), frames::statistics().free), ((0, 0), before));
}

#[base::kernel_test]
fn a_child_shares_pages_until_one_writes() {
    let parent = space();
    map(&parent, AT, 3 * PAGE, VmaFlags::empty());
    map(&parent, AT + LARGE, LARGE, VmaFlags::empty());
    let lone = AT + 8 * LARGE;
    map(&parent, lone, PAGE, VmaFlags::empty());
    parent.advise(lone, PAGE, MADV_DONTFORK).expect("mapped");
    for address in [AT, AT + PAGE, AT + LARGE, lone] {
        assert_eq!(touch(&parent, address, true), Ok(()));
    }
    // The first time, the heap may take a frame for good.
    drop(parent.fork().expect("memory"));
    let before = frames::statistics().free;
    let child = parent.fork().expect("memory");
    let large = parent.resident_pages() > 500;
    for space in [&parent, &child] {
        assert_eq!(access(space, AT), Some(RW.read_only()));
        assert_eq!(access(space, AT + LARGE), Some(RW.read_only()));
    }
    assert_eq!(touch(&child, lone, true), Err(FaultKind::NotMapped));
    // The tables alone are new.
    assert_eq!(frames::statistics().free, before - child.table_frames());
    let at_fork = frames::statistics().free;
    assert_eq!(touch(&child, AT, true), Ok(()));
    assert_eq!((access(&child, AT), access(&parent, AT)), (Some(RW), Some(RW.read_only())));
    assert_eq!(frames::statistics().free, at_fork - 1);
    // The parent is alone with its page now: no copy.
    assert_eq!(touch(&parent, AT, true), Ok(()));
    assert_eq!((access(&parent, AT), frames::statistics().free), (Some(RW), at_fork - 1));
    // A large page is broken up for the copy of one page of it.
    assert_eq!(touch(&child, AT + LARGE + 7 * PAGE, true), Ok(()));
    assert_eq!(frames::statistics().free, at_fork - if large { 3 } else { 2 });
    drop(parent);
    assert_eq!(touch(&child, AT + PAGE, true), Ok(()));
    assert_eq!(access(&child, AT + PAGE), Some(RW));
}

#[base::kernel_test]
fn shared_memory_is_the_same_in_both() {
    // The first time, the heap may take a frame for good.
    share_with_a_child();
    let before = frames::statistics().free;
    share_with_a_child();
    assert_eq!(frames::statistics().free, before);
}

fn share_with_a_child() {
    let parent = space();
    let object = SharedMemory::new(4 * PAGE).expect("memory");
    let backing = Backing::Object { object, offset: 0, end: 4 * PAGE };
    let shared = MapRequest { backing, ..request(AT, 8 * PAGE, VmaFlags::SHARED) };
    assert_eq!(parent.map(shared), Ok(AT));
    assert_eq!(touch(&parent, AT, true), Ok(()));
    let child = parent.fork().expect("memory");
    for space in [&parent, &child] {
        assert_eq!(touch(space, AT, true), Ok(()));
        assert_eq!(access(space, AT), Some(RW));
        assert_eq!(touch(space, AT + 4 * PAGE, true), Err(FaultKind::NoBytes));
    }
    let mut resident = [9; 8];
    assert_eq!(touch(&child, AT + PAGE, true), Ok(()));
    parent.residency(AT, &mut resident).expect("mapped");
    assert_eq!(resident, [1, 1, 0, 0, 0, 0, 0, 0]);
    let frame = |space: &AddressSpace| space.table.frame_of(VirtAddr::new(AT));
    assert!(frame(&parent).is_some() && frame(&parent) == frame(&child));
}

#[base::kernel_test]
fn shared_memory_costs_what_is_touched() {
    let space = space();
    let before = frames::statistics().free;
    let len = 1 << 46;
    let object = SharedMemory::new(len).expect("memory");
    let backing = Backing::Object { object, offset: 0, end: len };
    let flags = VmaFlags::SHARED | VmaFlags::NO_RESERVE;
    assert_eq!(space.map(MapRequest { backing, ..request(AT, len, flags) }), Ok(AT));
    for at in [AT + len - PAGE, AT, AT + len / 2] {
        assert_eq!(touch(&space, at, true), Ok(()));
        let mut resident = [9; 1];
        space.residency(at, &mut resident).expect("mapped");
        assert_eq!(resident, [1]);
    }
    // For each page itself, three tables, and the way to it in the object.
    let taken = before - frames::statistics().free;
    assert!(taken < 3 * 16, "{taken} frames");
    drop(space);
}

#[base::kernel_test]
fn a_stack_grows_but_not_into_its_neighbour() {
    let space = space();
    let top = AT + STACK_BYTES;
    map(&space, top - PAGE, PAGE, VmaFlags::GROWS_DOWN);
    assert_eq!(touch(&space, top - 40 * PAGE, true), Ok(()));
    assert_eq!(space.resident_pages(), 1);
    assert_eq!(touch(&space, AT - 1, true), Err(FaultKind::NotMapped));
    let neighbour = top - 40 * PAGE - GUARD_BYTES - 3 * PAGE;
    map(&space, neighbour, PAGE, VmaFlags::empty());
    let lowest = neighbour + PAGE + GUARD_BYTES;
    assert_eq!(touch(&space, lowest - 1, true), Err(FaultKind::NotMapped));
    assert_eq!(touch(&space, lowest, true), Ok(()));
    // Nothing that is not a stack grows.
    assert_eq!(touch(&space, neighbour - 1, true), Err(FaultKind::NotMapped));
    let low = request(USER_START - PAGE, PAGE, VmaFlags::empty());
    assert_eq!(space.map(low), Err(Errno::EPERM));
}

#[base::kernel_test]
fn pages_move_with_their_mapping() {
    let space = space();
    map(&space, AT, 2 * LARGE, VmaFlags::empty());
    for address in [AT, AT + LARGE] {
        assert_eq!(touch(&space, address, true), Ok(()));
    }
    let pages = space.resident_pages();
    let mut at = AT;
    // Once as a whole, once to where no large page fits.
    for to in [AT + 16 * LARGE, AT + 32 * LARGE + 3 * PAGE] {
        let frame = |address| space.table.frame_of(VirtAddr::new(address));
        let (first, second) = (frame(at), frame(at + LARGE));
        let request = RemapRequest {
            address: at,
            old_len: 2 * LARGE,
            new_len: 2 * LARGE,
            may_move: true,
            fixed: Some(to),
            keeps_old: false,
        };
        assert_eq!(space.remap(request), Ok(to));
        assert_eq!((frame(to), frame(to + LARGE)), (first, second));
        assert_eq!((frame(at), space.resident_pages()), (None, pages));
        at = to;
    }
    space.advise(at, LARGE, MADV_NOHUGEPAGE).expect("mapped");
    space.clear();
    assert_eq!(counts(&space), (0, 0));
}

#[base::kernel_test]
fn faults_of_many_tasks_meet() {
    const PAGES: u64 = 1500;
    let space = space();
    map(&space, AT, PAGES * PAGE, VmaFlags::NO_HUGE);
    let tasks: alloc::vec::Vec<_> = (0..4u64)
        .map(|number| {
            let space = space.clone();
            task::spawn("faults", move || {
                for index in 0..PAGES {
                    let page = if number % 2 == 0 { index } else { PAGES - 1 - index };
                    assert_eq!(touch(&space, AT + page * PAGE, true), Ok(()));
                }
            })
            .expect("memory")
        })
        .collect();
    tasks.iter().for_each(|task| task.join());
    assert_eq!(space.resident_pages(), PAGES as usize);
    let free = frames::statistics().free;
    let frames_of_table = space.table_frames() - 1;
    space.clear();
    assert_eq!(frames::statistics().free, free + PAGES as usize + frames_of_table);
}

#[base::kernel_test]
fn changes_meet_faults() {
    const BYTES: u64 = 6 << 20;
    let space = space();
    let free = frames::statistics().free;
    let next = |seed: &mut u64| {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *seed >> 33
    };
    let is_over = Arc::new(AtomicBool::new(false));
    let tasks: alloc::vec::Vec<_> = (0..3u64)
        .map(|number| {
            let (space, is_over) = (space.clone(), is_over.clone());
            task::spawn("faults", move || {
                let mut seed = number;
                while !is_over.load(Ordering::Relaxed) {
                    let address = AT + next(&mut seed) % (BYTES / PAGE) * PAGE;
                    // It may be gone or forbidden, but nothing else.
                    let touched = touch(&space, address, seed & 4 != 0);
                    assert!(!matches!(touched, Err(FaultKind::NoBytes | FaultKind::OutOfMemory)));
                }
            })
            .expect("memory")
        })
        .collect();
    let mut seed = 99;
    for round in 0..400 {
        let start = AT + next(&mut seed) % (BYTES / PAGE) * PAGE;
        let most = (AT + BYTES - start) / PAGE;
        let len = (1 + next(&mut seed) % most) * PAGE;
        // What meets a hole is refused in part, and the rest done.
        match round % 8 {
            0 | 1 => {
                let placement = Placement::Fixed(start);
                let again = MapRequest { placement, ..request(start, len, VmaFlags::empty()) };
                assert_eq!(space.map(again), Ok(start));
            }
            2 => assert_eq!(space.unmap(start, len), Ok(())),
            3 | 4 => _ = space.advise(start, len, MADV_DONTNEED),
            5 => {
                let access = if seed & 4 != 0 { RW } else { Access::NONE };
                let _ = space.protect(start, len, access);
            }
            6 => {
                let to = AT + BYTES + (start - AT);
                let (address, fixed) = (start, Some(to));
                let (old_len, new_len) = (PAGE, PAGE);
                let (may_move, keeps_old) = (true, seed & 4 != 0);
                let request =
                    RemapRequest { address, old_len, new_len, may_move, fixed, keeps_old };
                let _ = space.remap(request);
            }
            _ => {
                let child = space.fork().expect("memory");
                for page in 0..16 {
                    let _ = touch(&child, start + page * PAGE, true); // or it is not there
                }
            }
        }
    }
    is_over.store(true, Ordering::Relaxed);
    tasks.iter().for_each(|task| task.join());
    let now = frames::statistics().free;
    let held = space.resident_pages() + space.table_frames() - 1;
    space.clear();
    assert_eq!(counts(&space), (0, 0));
    let after = frames::statistics().free;
    // The map itself was on the heap, in a frame or a few.
    assert!((now + held..now + held + 16).contains(&after), "{now} and {held}: {after}");
    drop(space);
    // The tasks' stacks, and what the heap keeps, are not of the space.
    assert!(frames::statistics().free + 512 > free);
}

#[base::kernel_test]
fn a_map_of_many_counts() {
    let space = space();
    for index in 0..2000 {
        map(&space, AT + index * 2 * PAGE, PAGE, VmaFlags::empty());
    }
    let pages = space.map_pages();
    assert!(pages >= 2000 * 48 / PAGE as usize, "{pages} pages");
    space.clear();
    assert_eq!(space.map_pages(), 0);
}
