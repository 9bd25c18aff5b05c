//! `mem`.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::hint::black_box;

use arch::boot::image_layout;
use arch::paging::PAGE_SIZE;
use base::{println, time};
use memory::frames::{Frame, FrameUse, LargeFrame};
use memory::kernel_space::stack;
use memory::{frames, heap, reclaim};

use crate::banner;
use crate::shell::command::{Context, Failure, Outcome, at_most_one, usage};
use crate::shell::format::Size;

/// What `mem` takes, for Tab.
pub(in crate::shell) fn words() -> Vec<String> {
    ["check", "cost"].map(String::from).into()
}

/// Prints how much memory is used, and for what.
pub(in crate::shell) fn mem(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    match at_most_one(arguments)? {
        None => {
            print_frames();
            print_heap();
            print_image();
            Ok(())
        }
        Some("check") => check(),
        Some("cost") => cost(),
        Some(other) => Err(usage(alloc::format!("takes nothing, check or cost, not {other}"))),
    }
}

#[inline(never)]
fn row(name: &str, count: usize) {
    println!("{name:24} {count:>9} frames {:>10}", Size(count as u64 * PAGE_SIZE));
}

fn print_frames() {
    let frames = frames::statistics();
    println!("RAM in the memory map {:>31}", Size(banner::ram_bytes()));
    row("metadata", frames::metadata_frames());
    row("managed", frames.total);
    row("free", frames.free);
    row("  kept for the kernel", frames.reserve.min(frames.free));
    row("  kept by CPUs", frames.cached);
    row("used", frames.total - frames.free);
    frames::usage().filter(|(_, count)| *count > 0).for_each(|(of, count)| row(of.name(), count));
    let stacks = stack::statistics();
    let per_stack = (stack::STACK_BYTES / PAGE_SIZE) as usize;
    row("stacks kept ready", stacks.cached * per_stack);
    reclaim::for_each(|name, freed| println!("reclaimed from {name}: {freed} frames"));
    frames::zones(|zone| {
        let (start, end) = zone.range;
        println!("zone {start} to {end}: {} of {} frames free", zone.free, zone.total);
    });
    frames::cached_frames().for_each(|(cpu, count)| println!("CPU {cpu} keeps {count} frames"));
}

fn print_heap() {
    println!(
        "\n{:>10} {:>9} {:>6} {:>10} {:>10}",
        "HEAP SIZE", "OBJECTS", "KEPT", "BYTES", "SLABS"
    );
    for class in heap::statistics().filter(|class| class.frames > 0) {
        let bytes = Size((class.size * class.used) as u64);
        let slabs = Size(class.frames as u64 * PAGE_SIZE);
        println!("{:>10} {:>9} {:>6} {bytes:>10} {slabs:>10}", class.size, class.used, class.kept);
    }
}

fn print_image() {
    let image = image_layout();
    println!();
    for (name, (start, end)) in
        [("text r-x", image.text), ("rodata r--", image.rodata), ("data rw-", image.data)]
    {
        let size = Size(end.as_u64() - start.as_u64());
        println!("image {name:12} {start:#} to {end:#} {size:>10}");
    }
}

/// Walks all memory.
fn check() -> Outcome {
    let audit = frames::audit_patiently(|| task::sleep(20_000_000));
    row("free", audit.free);
    row("kept by CPUs", audit.cached);
    row("used", audit.used);
    row("  shared", audit.shared);
    row("not the allocator's", audit.unmanaged);
    match audit.first {
        None => println!("every frame is accounted for"),
        Some(first) => {
            let text = alloc::format!("{} things are wrong; the first: {first}", audit.errors);
            return Err(Failure::Message(text));
        }
    }
    Ok(())
}

/// Runs `work` twice, the first time to warm the caches, and prints the time of the second.
fn measure(what: &str, count: u64, mut work: impl FnMut()) {
    work();
    let begin = time::now_ns();
    work();
    let ns = time::now_ns().saturating_sub(begin);
    println!("{what:44} {:>7} ns", ns / count);
}

/// Measures what frames and heap blocks cost; nanoseconds are instructions under `-icount`.
fn cost() -> Outcome {
    const FRAMES: usize = (1 << 20) / PAGE_SIZE as usize;
    const TIMES: u64 = 1000;
    let no_memory = |_| Failure::Message("out of memory".into());
    let mut held: Vec<Frame> = Vec::new();
    held.try_reserve_exact(FRAMES).map_err(no_memory)?;
    for (what, zeroed) in [("1 MiB of frames", false), ("1 MiB of zeroed frames", true)] {
        measure(what, 1, || {
            let one = if zeroed { Frame::zeroed } else { Frame::allocate };
            held.extend((0..FRAMES).map_while(|_| one(FrameUse::Other).ok()));
            held.clear();
        });
    }
    measure("a frame, taken and freed", TIMES, || {
        (0..TIMES).for_each(|_| drop(black_box(Frame::allocate(FrameUse::Anonymous))));
    });
    measure("a zeroed frame, taken and freed", TIMES, || {
        (0..TIMES).for_each(|_| drop(black_box(Frame::zeroed(FrameUse::Anonymous))));
    });
    measure("a large frame, zeroed, taken and freed", 1, || {
        drop(black_box(LargeFrame::zeroed(FrameUse::Anonymous)));
    });
    measure("64 bytes of heap, taken and freed", TIMES, || {
        (0..TIMES).for_each(|_| drop(black_box(Box::new([0u64; 8]))));
    });
    for (what, bytes) in [("4 KiB of heap", 4 << 10), ("64 KiB of heap", 64 << 10)] {
        measure(what, TIMES, || {
            (0..TIMES).for_each(|_| drop(black_box(Vec::<u8>::with_capacity(bytes))));
        });
    }
    Ok(())
}
