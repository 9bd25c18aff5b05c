//! `block`: disks and partitions, by hand.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::num::NonZero;

use base::{print, println};
use device::block::{self, BlockError, Features, RangeLimits, SECTOR, Volume};
use line_editor::Candidate;

use super::{block_cost, block_overwrite};
use crate::shell::command::{Context, Failure, Outcome, usage};
use crate::shell::format::{Count, Size};

/// What can be done, and the arguments.
const ACTIONS: [(&str, &str); 9] = [
    ("list", ""),
    ("id", "DEV"),
    ("read", "DEV SECTOR [N]"),
    ("write", "DEV SECTOR VALUE"),
    ("overwrite", "DEV [TASKS]"),
    ("flush", "DEV"),
    ("rescan", "DEV"),
    ("cost", "DEV"),
    ("timeout", "DEV [MS]"),
];

/// Tasks of `block overwrite` if not told otherwise.
const TASKS: &str = "4";
/// Sectors that are read at a time, so that ^C is seen in between.
const STEP: u64 = 8;
/// Nanoseconds in a millisecond.
const MS: u64 = 1_000_000;

/// Does one of them.
pub(in crate::shell) fn block(context: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["list"] => list(),
        ["id", dev] => {
            id(&*volume(dev)?);
            Ok(())
        }
        ["read", dev, sector] => read(context, dev, sector, "1"),
        ["read", dev, sector, count] => read(context, dev, sector, count),
        ["write", dev, sector, value] => write(dev, sector, value),
        ["overwrite", dev] => overwrite(context, dev, TASKS),
        ["overwrite", dev, tasks] => overwrite(context, dev, tasks),
        ["flush", dev] => volume(dev)?.flush().map_err(|error| failed(dev, error)),
        ["rescan", dev] => rescan(dev),
        ["cost", dev] => block_cost::cost(context, &volume(dev)?),
        ["timeout", dev] => {
            println!("{} ms", volume(dev)?.disk().timeout_ns() / MS);
            Ok(())
        }
        ["timeout", dev, ms] => set_timeout(dev, ms),
        [] => Err(usage("what is to be done?")),
        [action, ..] => Err(usage(match ACTIONS.iter().find(|(name, _)| *name == action) {
            Some((name, "")) => format!("{name} takes no arguments"),
            Some((name, arguments)) => format!("{name} takes {arguments}"),
            None => format!("{action} is not one of {}", ACTIONS.map(|(name, _)| name).join(", ")),
        })),
    }
}

/// What Tab offers: the actions and the devices.
pub(in crate::shell) fn complete(typed: &str) -> Vec<Candidate> {
    let actions = ACTIONS.iter().map(|(name, _)| String::from(*name));
    let names = block::volumes().into_iter().map(|volume| String::from(volume.name()));
    let all = actions.chain(names).filter(|name| name.starts_with(typed));
    all.map(|text| Candidate { text, suffix: " " }).collect()
}

fn volume(name: &str) -> Result<Arc<Volume>, Failure> {
    // As a path, too.
    let bare = name.strip_prefix("/dev/").unwrap_or(name);
    block::find(bare).ok_or_else(|| Failure::Message(format!("there is no block device {name}")))
}

fn failed(name: &str, error: BlockError) -> Failure {
    Failure::Message(format!("{name}: {error}"))
}

/// The failure of a request that reaches beyond the end of `volume`, first with `sector`.
fn beyond(volume: &Volume, sector: u64) -> Failure {
    let (name, sectors) = (volume.name(), volume.sectors());
    let message = format!("{name}: sector {sector} is beyond the end: it has {sectors} sectors");
    Failure::Message(message)
}

/// A number, decimal or with 0x hexadecimal.
fn number(text: &str) -> Result<u64, Failure> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| usage(format!("{text} is not a number")))
}

fn list() -> Outcome {
    let volumes = block::volumes();
    if volumes.is_empty() {
        println!("no block devices");
    }
    for volume in volumes {
        let name = match volume.partition() {
            Some(_) => format!("  {}", volume.name()),
            None => String::from(volume.name()),
        };
        let number = format!("{}", volume.number());
        print!("{name:14} {number:>8} {:>9}", Size(volume.bytes()));
        print!("  {:>10} sectors", volume.sectors());
        match volume.partition() {
            Some(part) => {
                print!(" from {:<10} {}", volume.start(), part.kind);
                if !part.label.is_empty() {
                    print!(", {}", part.label);
                }
            }
            None => print!("  {}", volume.disk().identity().model),
        }
        if volume.is_read_only() {
            print!(", read-only");
        }
        if volume.is_gone() {
            print!(", gone");
        }
        if let Some(holder) = block::holder(&volume) {
            print!(", in use by {holder}");
        }
        println!();
    }
    Ok(())
}

/// `len` zeros.
fn buffer(len: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| Failure::Message("out of memory".into()))?;
    bytes.resize(len, 0);
    Ok(bytes)
}

fn read(context: &mut Context<'_>, name: &str, sector: &str, count: &str) -> Outcome {
    let (volume, first, count) = (volume(name)?, number(sector)?, number(count)?);
    let end = first.saturating_add(count);
    if end > volume.sectors() {
        return Err(beyond(&volume, first.max(volume.sectors())));
    }
    let mut dump = Dump { offset: first * SECTOR, last: None, is_skipping: false };
    let mut bytes = buffer((STEP * SECTOR) as usize)?;
    let mut at = first;
    while at < end {
        if context.interrupt.take() {
            return Err(Failure::Interrupted);
        }
        let step = STEP.min(end - at);
        let Some(part) = bytes.get_mut(..(step * SECTOR) as usize) else { break };
        volume.read_at(at * SECTOR, part).map_err(|error| failed(name, error))?;
        dump.print(part);
        at += step;
    }
    println!("{:08x}", dump.offset);
    Ok(())
}

/// A hex dump; lines that are as the one before are left out, with a star.
struct Dump {
    offset: u64,
    last: Option<[u8; 16]>,
    is_skipping: bool,
}

impl Dump {
    fn print(&mut self, bytes: &[u8]) {
        for line in bytes.as_chunks::<16>().0 {
            let is_repeated = self.last.as_ref() == Some(line);
            if !is_repeated {
                self.line(line);
            } else if !self.is_skipping {
                println!("*");
            }
            (self.is_skipping, self.last) = (is_repeated, Some(*line));
            self.offset += 16;
        }
    }

    fn line(&self, line: &[u8; 16]) {
        print!("{:08x} ", self.offset);
        for (index, byte) in line.iter().enumerate() {
            print!("{}{byte:02x}", if index == 8 { "  " } else { " " });
        }
        let shown = |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' };
        println!("  |{}|", line.iter().map(shown).collect::<String>());
    }
}

/// Fills a sector with a byte. The rest of a larger block of the device is kept.
fn write(name: &str, sector: &str, value: &str) -> Outcome {
    let (volume, sector, value) = (volume(name)?, number(sector)?, number(value)?);
    let value = u8::try_from(value).map_err(|_| usage(format!("{value} is more than 255")))?;
    if let Some(holder) = block::holder(&volume) {
        return Err(Failure::Message(format!("{name} is in use by {holder}")));
    }
    if sector >= volume.sectors() {
        return Err(beyond(&volume, sector));
    }
    let block_bytes = u64::from(volume.limits().logical_block);
    let offset = sector * SECTOR;
    let start = offset - offset % block_bytes;
    let mut block = buffer(block_bytes as usize)?;
    let written = volume.read_at(start, &mut block).and_then(|()| {
        let within = (offset - start) as usize;
        block.iter_mut().skip(within).take(SECTOR as usize).for_each(|byte| *byte = value);
        volume.write_at(start, &block)?;
        volume.flush()
    });
    written.map_err(|error| failed(name, error))
}

fn overwrite(context: &mut Context<'_>, name: &str, tasks: &str) -> Outcome {
    let (volume, tasks) = (volume(name)?, number(tasks)?);
    if !(1..=block_overwrite::MOST_TASKS).contains(&tasks) {
        return Err(usage(format!("TASKS is 1 to {}, not {tasks}", block_overwrite::MOST_TASKS)));
    }
    block_overwrite::overwrite(context, &volume, tasks)
}

fn set_timeout(name: &str, ms: &str) -> Outcome {
    let (volume, ms) = (volume(name)?, number(ms)?);
    let ms = NonZero::new(ms).ok_or_else(|| usage("MS is at least 1"))?;
    volume.disk().set_timeout_ms(ms);
    Ok(())
}

fn rescan(name: &str) -> Outcome {
    let volume = volume(name)?;
    let found = block::rescan(volume.disk());
    let count = found.map_err(|error| Failure::Message(format!("{name}: {error}")))?;
    println!("{}: partitions: {count}", volume.disk().name());
    Ok(())
}

fn id(volume: &Volume) {
    let disk = volume.disk();
    let row = |name: &str, text: &str| {
        if !text.is_empty() {
            println!("{name:12} {text}");
        }
    };
    row("name", volume.name());
    row("number", &format!("{}", volume.number()));
    row("size", &format!("{} sectors, {}", volume.sectors(), Size(volume.bytes())));
    if let Some(part) = volume.partition() {
        row("partition", &format!("{} of {}", part.number, disk.name()));
        row("start", &format!("{}", volume.start()));
        row("type", &part.kind);
        row("label", &part.label);
        row("uuid", &part.uuid);
    }
    row("model", &disk.identity().model);
    row("serial", &disk.identity().serial);
    row("firmware", &disk.identity().firmware);
    let limits = disk.limits();
    let (logical, physical) = (limits.logical_block, limits.physical_block);
    row("blocks", &format!("{logical} bytes logical, {physical} physical"));
    row("request", &format!("{} sectors, {} segments", limits.max_sectors, limits.max_segments));
    let (queues, depth) = disk.queues();
    row("queues", &format!("{queues}, {depth} requests each"));
    row("features", &features(disk.features(), disk.is_read_only()));
    let statistics = volume.statistics();
    let (read, written) = statistics.bytes();
    let (reads, writes) = (statistics.reads, statistics.writes);
    row("reads", &format!("{}, {}, merged {}", reads.done, Size(read), reads.merged));
    row("writes", &format!("{}, {}, merged {}", writes.done, Size(written), writes.merged));
    let (flushes, discards) = (statistics.flushes.done, statistics.discards.done);
    row("others", &format!("{}, {}", Count(flushes, "flush"), Count(discards, "discard")));
    row("errors", &format!("{}", statistics.errors));
}

fn features(features: &Features, is_read_only: bool) -> String {
    let range = |limits: Option<RangeLimits>, name: &str| {
        limits.map(|limits| format!("{name} of {} sectors", limits.max_sectors))
    };
    let flag = |is_set: bool, name: &str| is_set.then(|| String::from(name));
    let all = [
        flag(is_read_only, "read-only"),
        flag(features.flush, "flush"),
        flag(features.force_unit_access, "durable writes"),
        range(features.discard, "discard"),
        range(features.write_zeroes, "write zeroes"),
        flag(features.non_rotational, "no moving parts"),
    ];
    let texts: Vec<String> = all.into_iter().flatten().collect();
    if texts.is_empty() { String::from("none") } else { texts.join(", ") }
}
