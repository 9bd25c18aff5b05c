//! Kernel tests of everything that the kernel's page tables map: what may be written, what
//! may be executed, and what must not be there.

use alloc::vec::Vec;

use arch::boot::image_layout;
use arch::paging::{
    EntryFlags, IMAGE_BASE, Mapping, PAGE_SIZE, PHYSMAP_BASE, PhysAddr, STACKS_BASE,
    TOP_LEVEL_SLOT, VirtAddr,
};

use super::TABLES;
use super::stack::{SLOT_BYTES, STACK_BYTES};

/// The pages that `is_wrong` picks, some of them, and how many were looked at. Asserting
/// comes after the lock.
fn pages(is_wrong: impl Fn(u64, &Mapping) -> bool) -> (Vec<(VirtAddr, Mapping)>, usize) {
    let mut wrong = Vec::with_capacity(8);
    let mut seen = 0;
    if let Some(tables) = TABLES.lock().as_ref() {
        tables.visit_kernel_half(&mut |page, mapping| {
            seen += 1;
            if is_wrong(page.as_u64(), &mapping) && wrong.len() < wrong.capacity() {
                wrong.push((page, mapping));
            }
        });
    }
    (wrong, seen)
}

fn assert_none(is_wrong: impl Fn(u64, &Mapping) -> bool) {
    let (wrong, seen) = pages(is_wrong);
    assert!(wrong.is_empty(), "{wrong:x?}");
    let image = image_layout();
    let least = (image.data.1.as_u64() - image.text.0.as_u64()) / PAGE_SIZE;
    assert!(seen as u64 > least, "only {seen} pages were looked at");
}

#[base::kernel_test]
fn the_visitor_sees_what_a_look_up_sees() {
    let image = image_layout();
    for (address, size) in [
        (image.text.0.as_u64(), PAGE_SIZE),
        (image.data.0.as_u64(), PAGE_SIZE),
        (PhysAddr::new(0x100_0000).to_physmap().as_u64(), 2 << 20),
    ] {
        let found = TABLES.lock().as_ref().and_then(|tables| tables.lookup(VirtAddr::new(address)));
        let found = found.expect("it is mapped");
        assert!(found.size.bytes() >= size);
        let (seen, _) =
            pages(|page, mapping| (page..page + mapping.size.bytes()).contains(&address));
        let [(page, mapping)] = seen[..] else { panic!("{seen:x?}") };
        assert_eq!((mapping.address, mapping.size), (found.address, found.size));
        assert!(page.is_aligned(mapping.size.bytes()));
        // The tables on the way allow all: the leaf alone restricts.
        assert_eq!(
            mapping.flags - EntryFlags::DIRTY - EntryFlags::ACCESSED,
            found.flags - EntryFlags::DIRTY - EntryFlags::ACCESSED
        );
    }
}

#[base::kernel_test]
fn no_page_is_both_writable_and_executable() {
    assert_none(|_, mapping| {
        mapping.flags.contains(EntryFlags::WRITABLE)
            && !mapping.flags.contains(EntryFlags::NO_EXECUTE)
    });
}

#[base::kernel_test]
fn only_text_is_executable() {
    let (start, end) = image_layout().text;
    let text = start.as_u64()..end.as_u64();
    assert_none(|page, mapping| {
        !mapping.flags.contains(EntryFlags::NO_EXECUTE) && !text.contains(&page)
    });
    let (executable, _) = pages(|_, mapping| !mapping.flags.contains(EntryFlags::NO_EXECUTE));
    assert!(!executable.is_empty());
}

#[base::kernel_test]
fn no_page_of_the_kernel_is_the_users() {
    assert_none(|_, mapping| mapping.flags.contains(EntryFlags::USER));
}

#[base::kernel_test]
fn text_and_rodata_can_be_written_nowhere() {
    let image = image_layout();
    let parts = [image.text, image.rodata]
        .map(|(start, end)| start.as_u64() - IMAGE_BASE..end.as_u64() - IMAGE_BASE);
    assert_none(|_, mapping| {
        let (start, bytes) = (mapping.address.as_u64(), mapping.size.bytes());
        let meets = parts.iter().any(|part| part.start < start + bytes && start < part.end);
        meets && mapping.flags.contains(EntryFlags::WRITABLE)
    });
    let (readable, _) = pages(|page, _| page == PHYSMAP_BASE + parts[0].start);
    assert_eq!(readable.len(), 1, "the physical map has text, to be read");
}

#[base::kernel_test]
fn the_guard_of_every_kernel_stack_is_empty() {
    let is_stack = |page: u64| page.wrapping_sub(STACKS_BASE) < TOP_LEVEL_SLOT;
    let guard = image_layout().boot_stack_guard.as_u64();
    assert_none(|page, mapping| {
        let in_guard = (page - STACKS_BASE.min(page)) % SLOT_BYTES < SLOT_BYTES - STACK_BYTES;
        (is_stack(page) && (in_guard || mapping.size.bytes() != PAGE_SIZE))
            || (page..page + mapping.size.bytes()).contains(&guard)
    });
    let (stacks, _) = pages(|page, _| is_stack(page));
    assert!(!stacks.is_empty(), "the test itself runs on one");
}
