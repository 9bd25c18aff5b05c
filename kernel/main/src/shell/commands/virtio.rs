//! `list-virtio`: the VirtIO devices.

use alloc::string::String;
use alloc::vec::Vec;

use base::{print, println};
use drivers::virtio::{self, QueueReport, VIRTIO};

use crate::shell::command::{Context, Outcome, none};
use crate::shell::format::Count;

/// Prints each device with its features and queues.
pub(in crate::shell) fn list_virtio(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    none(arguments)?;
    let devices = VIRTIO.devices();
    if devices.is_empty() {
        println!("no VirtIO devices");
    }
    for device in devices {
        let Some(virtio) = virtio::of(&device) else { continue };
        let kind = virtio.device_type();
        let place = device.parent().map_or(String::new(), |parent| alloc::format!(" at {parent}"));
        println!("{virtio}: {kind}{place}, status {:#x}", virtio.status().bits());
        println!("    offered: {}", virtio.offered().of(kind));
        match (device.driver(), device.why_unbound()) {
            (Some(driver), _) => println!("    driver: {}", driver.name()),
            (None, Some(why)) => println!("    no driver: {why}"),
            (None, None) => println!("    no driver"),
        }
        let Some(report) = virtio.report() else { continue };
        println!("    taken: {}", report.taken.of(kind));
        println!("    interrupts: {}", report.interrupts);
        if report.given_up {
            println!("    given up: it fails too often, or cannot be reset");
        } else if report.restarts > 0 {
            println!("    reset after a failure {}", Count(report.restarts.into(), "time"));
        }
        let (used, unused): (Vec<_>, Vec<_>) =
            report.queues.iter().partition(|queue| queue.counters.added > 0);
        used.into_iter().for_each(print_queue);
        if !unused.is_empty() {
            print!("    not used so far:");
            unused.iter().for_each(|queue| print!(" {}", queue.index));
            println!();
        }
    }
    Ok(())
}

fn print_queue(queue: &QueueReport) {
    let QueueReport { index, name, size, most, in_flight, counters } = queue;
    println!("    queue {index} ({name}): size {size} of {most}, {in_flight} in flight");
    println!(
        "        chains: {} added, {} done, {} refused; notifications: {} sent, {} spared; \
         interrupts: {}",
        counters.added,
        counters.done,
        counters.full,
        counters.notifications,
        counters.suppressed,
        counters.interrupts
    );
}
