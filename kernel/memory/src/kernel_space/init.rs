//! Builds the kernel's page tables and leaves those of the boot code.

use core::ops::Range;
use core::sync::atomic::Ordering;

use arch::boot::image_layout;
use arch::cpu::{Features, control};
use arch::paging::{
    EntryFlags, FRAME_METADATA_BASE, IMAGE_BASE, PAGE_SIZE, PageSize, PageTable, PhysAddr,
    STACKS_BASE, TOP_LEVEL_SLOT, VMALLOC_BASE, VirtAddr,
};

use super::{TABLES, TableFrames};
use crate::OutOfMemory;
use crate::frames::{self, Frame, FrameUse, RegionKind};

const READ: EntryFlags = EntryFlags::NO_EXECUTE.union(EntryFlags::GLOBAL);
const READ_WRITE: EntryFlags = READ.union(EntryFlags::WRITABLE);
const READ_EXECUTE: EntryFlags = EntryFlags::GLOBAL;

/// The physical bytes of the image's part `[start, end)`.
fn frames_of((start, end): (VirtAddr, VirtAddr)) -> Range<u64> {
    start.as_u64() - IMAGE_BASE..end.as_u64() - IMAGE_BASE
}

/// Maps all RAM into the physical map with the largest pages that fit. What the image maps
/// read-only is read-only here too, or there would be a way round.
fn map_physical(
    tables: &mut PageTable,
    features: &Features,
    source: &mut TableFrames,
) -> Result<(), OutOfMemory> {
    let image = image_layout();
    let constant = [frames_of(image.text), frames_of(image.rodata)];
    let sizes = [(PageSize::Giant, features.giant_pages), (PageSize::Large, true)];
    let mut mapped_to = 0;
    let mut result = Ok(());
    frames::regions(|region| {
        if region.kind == RegionKind::Reserved || result.is_err() {
            return;
        }
        // Whole 2 MiB pages: what else they cover is firmware's (uncacheable by MTRR).
        let large = PageSize::Large.bytes();
        let mut at = (region.start & !(large - 1)).max(mapped_to);
        let end = region.end.next_multiple_of(large);
        while at < end {
            let fits = |&(size, is_there): &(PageSize, bool)| {
                let page = at..at + size.bytes();
                let mixed =
                    constant.iter().any(|part| part.start < page.end && page.start < part.end);
                is_there && at.is_multiple_of(size.bytes()) && page.end <= end && !mixed
            };
            let size = sizes.into_iter().find(fits).map_or(PageSize::Small, |(size, _)| size);
            let is_constant = constant.iter().any(|part| part.contains(&at));
            let flags = if is_constant { READ } else { READ_WRITE };
            let frame = PhysAddr::new(at);
            if let Err(error) = tables.map(frame.to_physmap(), frame, size, flags, source) {
                result = Err(error.into());
                return;
            }
            at += size.bytes();
        }
        mapped_to = mapped_to.max(end);
    });
    result
}

/// Maps `[start, end)` of the kernel image, but for the page `hole`.
fn map_image(
    tables: &mut PageTable,
    (start, end): (VirtAddr, VirtAddr),
    hole: VirtAddr,
    flags: EntryFlags,
    source: &mut TableFrames,
) -> Result<(), OutOfMemory> {
    let mut page = start;
    while page < end {
        if page != hole {
            let frame = PhysAddr::new(page.as_u64() - IMAGE_BASE);
            tables.map(page, frame, PageSize::Small, flags, source)?;
        }
        page = page.offset(PAGE_SIZE);
    }
    Ok(())
}

/// Builds the kernel's page tables and switches to them: the physical map (rw-, but r--
/// where text and rodata are), the image (text r-x, rodata r--, data rw-), nothing else; the
/// identity map of the boot tables is gone. Then frees the memory of the boot code.
///
/// # Errors
/// [`OutOfMemory`]; the boot tables then stay in use.
pub fn init(features: &Features) -> Result<(), OutOfMemory> {
    let source = &mut TableFrames(FrameUse::KernelTable);
    let root = Frame::zeroed(FrameUse::KernelTable)?.into_address();
    // SAFETY: a fresh table, empty, ours alone.
    let mut tables = unsafe { PageTable::from_root(root) };

    map_physical(&mut tables, features, source)?;
    let image = image_layout();
    let hole = image.boot_stack_guard;
    map_image(&mut tables, image.text, hole, READ_EXECUTE, source)?;
    map_image(&mut tables, image.rodata, hole, READ, source)?;
    map_image(&mut tables, image.data, hole, READ_WRITE, source)?;
    // Address spaces copy the top level once, so every slot that will ever be used has
    // its table from the start.
    for base in [VMALLOC_BASE, STACKS_BASE] {
        let (start, end) = (VirtAddr::new(base), VirtAddr::new(base + TOP_LEVEL_SLOT));
        tables.prepare_top_level(start, end, source)?;
    }
    // SAFETY: the boot tables, in use until the next step; nobody changes them any more.
    let boot = unsafe { PageTable::from_root(control::page_table_root()) };
    tables.share_top_level(&boot, VirtAddr::new(FRAME_METADATA_BASE));

    // SAFETY: the image, with the running code and the boot stack, and all RAM are
    // mapped where they were, with the rights that each part needs; the tables live for
    // ever.
    unsafe { control::load_page_table(root) };
    super::ROOT.store(root.as_u64(), Ordering::Relaxed);
    *TABLES.lock() = Some(tables);
    frames::use_all_memory();

    let boot_start = image.physical.0;
    let boot_end = PhysAddr::new(image.text.0.as_u64() - IMAGE_BASE);
    let count = boot_end.frame() - boot_start.frame();
    // SAFETY: the 32-bit code and the boot tables have done their work: CR3 has left
    // them, and no pointer into them exists.
    unsafe { frames::free_unowned(boot_start, count) };
    Ok(())
}

#[cfg(not(test))]
mod tests {
    use super::*;

    fn flags(address: u64) -> Option<EntryFlags> {
        TABLES.lock().as_ref()?.lookup(VirtAddr::new(address)).map(|mapping| mapping.flags)
    }

    #[base::kernel_test]
    fn the_image_is_write_xor_execute() {
        let image = image_layout();
        let text = flags(image.text.0.as_u64()).expect("text is mapped");
        assert!(!text.intersects(EntryFlags::WRITABLE | EntryFlags::NO_EXECUTE));
        let rodata = flags(image.rodata.0.as_u64()).expect("rodata is mapped");
        assert!(!rodata.contains(EntryFlags::WRITABLE) && rodata.contains(EntryFlags::NO_EXECUTE));
        let data = flags(image.data.0.as_u64()).expect("data is mapped");
        assert!(data.contains(EntryFlags::WRITABLE | EntryFlags::NO_EXECUTE));
        assert_eq!(flags(image.boot_stack_guard.as_u64()), None);
    }

    #[base::kernel_test]
    fn the_identity_map_is_gone() {
        assert_eq!(flags(0), None);
        assert_eq!(flags(image_layout().physical.0.as_u64()), None);
        let physmap = flags(PhysAddr::new(0x10_0000).to_physmap().as_u64()).expect("RAM is mapped");
        assert!(physmap.contains(EntryFlags::NO_EXECUTE | EntryFlags::HUGE));
    }

    #[base::kernel_test(should_fault = "a null pointer?")]
    fn reading_null_faults() {
        // SAFETY: page 0 is not mapped; the fault is what the test expects.
        unsafe { core::ptr::read_volatile(core::ptr::null::<u8>()) };
    }

    #[base::kernel_test(should_fault = "kernel write to")]
    fn writing_text_faults() {
        let text = image_layout().text.0;
        // SAFETY: text is read-only; the fault is what the test expects.
        unsafe { core::ptr::write_volatile(text.as_mut_ptr::<u8>(), 0) };
    }

    #[base::kernel_test(should_fault = "kernel execution of")]
    fn executing_data_faults() {
        static RETURN: [u8; 1] = [0xc3];
        // SAFETY: the bytes are a `ret`, so even without NX the call would come back.
        let function: extern "C" fn() = unsafe { core::mem::transmute(RETURN.as_ptr()) };
        function();
    }
}
