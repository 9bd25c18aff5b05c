//! `irqs`.

use alloc::string::String;

use arch::irqchip::pic;
use base::{irq, println};

use crate::shell::command::{Context, Outcome, none};

/// Lists the interrupts.
pub(in crate::shell) fn irqs(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    none(arguments)?;
    println!("{:>6}  {:>4}  {:20} {:>12}", "VECTOR", "LINE", "OWNER", "COUNT");
    for (vector, owner, count) in irq::statistics() {
        let line = vector.checked_sub(pic::FIRST_VECTOR).filter(|&line| line < pic::LINES);
        let line = line.map_or(String::from("-"), |line| alloc::format!("{line}"));
        println!("{vector:>6}  {line:>4}  {owner:20} {count:>12}");
    }
    println!("spurious: {}, non-maskable: {}", irq::spurious(), base::trap::nmi_count());
    println!("bytes of console input lost: {}", drivers::console_input::lost());
    Ok(())
}
