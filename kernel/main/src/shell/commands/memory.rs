//! `mem`.

use alloc::string::String;

use arch::boot::image_layout;
use arch::paging::PAGE_SIZE;
use base::println;
use memory::kernel_space::stack;
use memory::{frames, heap};

use crate::banner;
use crate::shell::command::{Context, Outcome, none};
use crate::shell::format::Size;

/// Prints how much memory is used, and for what.
pub(in crate::shell) fn mem(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    none(arguments)?;
    let frames = frames::statistics();
    let row = |name: &str, count: usize| {
        println!("{name:24} {count:>9} frames {:>10}", Size(count as u64 * PAGE_SIZE));
    };
    println!("RAM in the memory map {:>31}", Size(banner::ram_bytes()));
    row("managed", frames.total);
    row("  free", frames.free);
    row("    kept for the kernel", frames.reserve.min(frames.free));
    let used = frames.total - frames.free;
    row("  used", used);

    let stacks = stack::statistics();
    let per_stack = (stack::STACK_BYTES / PAGE_SIZE) as usize;
    row("    kernel stacks", stacks.used * per_stack);
    row("    stacks kept ready", stacks.cached * per_stack);
    let slabs: usize = heap::statistics().map(|class| class.frames).sum();
    row("    heap slabs", slabs);
    let known = (stacks.used + stacks.cached) * per_stack + slabs;
    row("    tables and the rest", used.saturating_sub(known));

    println!("\n{:>10} {:>9} {:>10} {:>10}", "HEAP SIZE", "OBJECTS", "BYTES", "SLABS");
    for class in heap::statistics().filter(|class| class.frames > 0) {
        let bytes = Size((class.size * class.used) as u64);
        let slabs = Size(class.frames as u64 * PAGE_SIZE);
        println!("{:>10} {:>9} {bytes:>10} {slabs:>10}", class.size, class.used);
    }

    let image = image_layout();
    println!();
    for (name, (start, end)) in
        [("text r-x", image.text), ("rodata r--", image.rodata), ("data rw-", image.data)]
    {
        let size = Size(end.as_u64() - start.as_u64());
        println!("image {name:12} {start:#} to {end:#} {size:>10}");
    }
    Ok(())
}
