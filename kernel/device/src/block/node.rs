//! Disks and partitions in the tree of devices, with their attributes: those that Linux has in
//! `/sys/block/NAME` and its `queue` (`Documentation/ABI/stable/sysfs-block`), as far as there is
//! something to tell.
//!
//! Basalt's own are `holder`, who has the volume (Linux has directories `holders` and `slaves`
//! with links to other block devices); `rescan`, `nr_hw_queues`, `model`, `serial` and
//! `firmware_rev` of a disk (Linux has the latter where the kind of disk has them, in `device`);
//! `kind`, `label` and `uuid` of a partition (Linux tells them in no file). What of `queue` can be
//! set on Linux can only be read here, but for `io_timeout`.

use alloc::sync::Arc;
use core::fmt;
use core::num::NonZero;

use abi::{Errno, Result};

use super::partitions;
use super::volume::Volume;
use crate::{AddError, Attribute, Builder, Device, DeviceGuard, add};

/// What kind of device disks and partitions are.
const CLASS: &str = "block";
/// Nanoseconds in a millisecond.
const MS: u64 = 1_000_000;

/// Adds a volume to the tree, as part of `parent`.
///
/// # Errors
/// As [`AddError`] says.
pub(super) fn add_volume(
    parent: &Arc<Device>,
    volume: &Arc<Volume>,
) -> core::result::Result<DeviceGuard, AddError> {
    let mut device = Device::new(alloc::string::String::from(volume.name()))
        .class(CLASS)
        .identity(volume.clone())
        .tell(tell)
        .attribute(line("dev", |it, to| write!(to, "{}", it.number())))
        .attribute(line("size", |it, to| write!(to, "{}", it.sectors())))
        .attribute(line("ro", |it, to| write!(to, "{}", u8::from(it.is_read_only()))))
        .attribute(line("stat", |it, to| write!(to, "{}", it.statistics())))
        .attribute(line("holder", |it, to| {
            to.write_str(super::holder(it).as_deref().unwrap_or_default())
        }));
    device = match volume.partition() {
        Some(_) => part(device),
        None => disk(device),
    };
    add(parent, device)
}

/// What Linux tells udev of a disk or partition, in that order.
fn tell(device: &Device, to: &mut dyn fmt::Write) -> fmt::Result {
    let Some(volume) = device.identity::<Arc<Volume>>() else { return Ok(()) };
    let number = volume.number();
    write!(to, "MAJOR={}\nMINOR={}\nDEVNAME={}\n", number.major, number.minor, volume.name())?;
    let Some(part) = volume.partition() else { return to.write_str("DEVTYPE=disk\n") };
    write!(to, "DEVTYPE=partition\nPARTN={}\n", part.number)?;
    if part.label.is_empty() { Ok(()) } else { writeln!(to, "PARTNAME={}", part.label) }
}

/// An attribute of one line.
fn line(
    name: &'static str,
    show: impl Fn(&Arc<Volume>, &mut dyn fmt::Write) -> fmt::Result + Send + Sync + 'static,
) -> Attribute {
    Attribute::new(name, move |device, to| {
        let volume = device.identity::<Arc<Volume>>().ok_or(Errno::ENODEV)?;
        // The text's receiver is out of memory, then.
        show(volume, to).and_then(|()| to.write_char('\n')).map_err(|_| Errno::ENOMEM)
    })
}

fn part(device: Builder) -> Builder {
    let info = |show: fn(&super::PartitionInfo, &mut dyn fmt::Write) -> fmt::Result| {
        move |it: &Arc<Volume>, to: &mut dyn fmt::Write| {
            it.partition().map_or(Ok(()), |info| show(info, to))
        }
    };
    device
        .attribute(line("partition", info(|info, to| write!(to, "{}", info.number))))
        .attribute(line("start", |it, to| write!(to, "{}", it.start())))
        .attribute(line("kind", info(|info, to| to.write_str(&info.kind))))
        .attribute(line("label", info(|info, to| to.write_str(&info.label))))
        .attribute(line("uuid", info(|info, to| to.write_str(&info.uuid))))
}

fn disk(device: Builder) -> Builder {
    let limit = |name, of: fn(&super::Limits) -> u64| {
        line(name, move |it, to| write!(to, "{}", of(it.limits())))
    };
    let range = |name, of: fn(&super::Features) -> Option<super::RangeLimits>| {
        line(name, move |it, to| {
            let bytes = of(it.features()).map_or(0, |limits| u64::from(limits.max_sectors) * 512);
            write!(to, "{bytes}")
        })
    };
    device
        .attribute(line("model", |it, to| to.write_str(&it.disk().identity().model)))
        .attribute(line("serial", |it, to| to.write_str(&it.disk().identity().serial)))
        .attribute(line("firmware_rev", |it, to| to.write_str(&it.disk().identity().firmware)))
        .attribute(line("inflight", |it, to| {
            let (in_flight, waiting) = it.disk().load();
            write!(to, "{in_flight} {waiting}")
        }))
        .attribute(line("nr_hw_queues", |it, to| write!(to, "{}", it.disk().queues().0)))
        .attribute(line("queue/nr_requests", |it, to| write!(to, "{}", it.disk().queues().1)))
        .attribute(limit("queue/logical_block_size", |limits| limits.logical_block.into()))
        .attribute(limit("queue/physical_block_size", |limits| limits.physical_block.into()))
        .attribute(limit("queue/max_sectors_kb", |limits| u64::from(limits.max_sectors) / 2))
        .attribute(limit("queue/max_segments", |limits| limits.max_segments.into()))
        .attribute(limit("queue/max_segment_size", |limits| limits.max_segment_bytes.into()))
        .attribute(range("queue/discard_max_bytes", |features| features.discard))
        .attribute(range("queue/write_zeroes_max_bytes", |features| features.write_zeroes))
        .attribute(line("queue/rotational", |it, to| {
            write!(to, "{}", u8::from(!it.features().non_rotational))
        }))
        .attribute(line("queue/write_cache", |it, to| {
            to.write_str(if it.features().flush { "write back" } else { "write through" })
        }))
        .attribute(line("queue/fua", |it, to| {
            write!(to, "{}", u8::from(it.features().force_unit_access))
        }))
        .attribute(
            line("queue/io_timeout", |it, to| write!(to, "{}", it.disk().timeout_ns() / MS))
                .with_store(set_timeout),
        )
        .attribute(Attribute::action("rescan", |device, _| rescan(device)))
}

/// Sets after how many milliseconds a request has taken too long.
fn set_timeout(device: &Device, text: &str) -> Result<()> {
    let volume = device.identity::<Arc<Volume>>().ok_or(Errno::ENODEV)?;
    let ms: NonZero<u64> = text.trim().parse().map_err(|_| Errno::EINVAL)?;
    volume.disk().set_timeout_ms(ms);
    Ok(())
}

/// Whatever is written to it, the table of partitions is read again.
fn rescan(device: &Device) -> Result<()> {
    let volume = device.identity::<Arc<Volume>>().ok_or(Errno::ENODEV)?;
    partitions::rescan(volume.disk()).map(drop).map_err(Errno::from)
}
