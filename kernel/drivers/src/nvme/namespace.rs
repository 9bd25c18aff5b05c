//! Namespaces as disks.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;

use device::block::{
    BlockDevice, DEFAULT_TIMEOUT_NS, Description, DiskName, Features, Identity, Limits,
    RangeLimits, Refused, Registration, Request, SECTOR, register,
};
use nvme_protocol::{
    Controller as About, Identify, Namespace as AboutNamespace, foreign_command_set,
};

use super::controller::{Answer, Controller};
use super::error::NvmeError;
use super::io_queue::{MAX_TRANSFER, NamespaceId};

/// Blocks that are supported: 512 to 4096 bytes, as powers of two.
const BLOCK_SHIFTS: core::ops::RangeInclusive<u8> = 9..=12;
/// Most blocks of a command.
const MOST_BLOCKS: u64 = 1 << 16;

/// A namespace of a controller.
struct Namespace {
    controller: Arc<Controller>,
    id: NamespaceId,
}

impl BlockDevice for Namespace {
    fn submit(&self, request: Request) -> Result<(), Refused> {
        match self.controller.queues().get(request.queue()) {
            Some(queue) => queue.submit(request, self.id),
            None => Err(Refused(request)),
        }
    }

    fn kick(&self, queue: usize) {
        if let Some(queue) = self.controller.queues().get(queue) {
            queue.kick();
        }
    }

    fn timed_out(&self, queue: usize, tag: u16) {
        self.controller.timed_out(queue, self.id.number, tag);
    }
}

/// Why a namespace is not made a disk.
fn unsupported(namespace: &AboutNamespace<'_>) -> Option<String> {
    let format = namespace.format();
    if namespace.has_protection() || format.metadata_bytes != 0 {
        return Some(String::from("blocks with metadata are not supported"));
    }
    let shift = format.block_shift;
    let bytes = 1u64.checked_shl(shift.into()).unwrap_or(0);
    (!BLOCK_SHIFTS.contains(&shift)).then(|| format!("blocks of {bytes} bytes are not supported"))
}

/// The command set of namespace `number`, if it is another one than that of disks: a zoned
/// namespace is one that is not written where anybody likes.
///
/// # Errors
/// As [`NvmeError`] says.
fn other_command_set(controller: &Controller, number: u32) -> Result<Option<u8>, NvmeError> {
    match controller.identify(Identify::Descriptors(number)) {
        Ok(list) => Ok(foreign_command_set(&list)),
        // A controller of before version 1.3 has no such list, and no such namespaces.
        Err(NvmeError::Refused(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Registers namespace `number` as a disk called `name`, as part of `parent`; `None` if it is
/// not active or not supported.
///
/// # Errors
/// As [`NvmeError`] says.
pub(super) fn add(
    parent: &Arc<device::Device>,
    controller: &Arc<Controller>,
    answer: &Answer,
    number: u32,
    name: String,
) -> Result<Option<Registration>, NvmeError> {
    let bytes = controller.identify(Identify::Namespace(number))?;
    let namespace = AboutNamespace::new(&bytes);
    if namespace.blocks() == 0 {
        return Ok(None);
    }
    if let Some(set) = other_command_set(controller, number)? {
        log::warn!("{name}: namespaces of command set {set:#x} are not supported");
        return Ok(None);
    }
    if let Some(why) = unsupported(&namespace) {
        log::warn!("{name}: {why}");
        return Ok(None);
    }
    let about = About::new(answer);
    let sector_shift = namespace.format().block_shift - 9;
    let id = NamespaceId { number, sector_shift };
    let queues = controller.queues();
    let entries = queues.first().map_or(2, |queue| queue.entries());
    let description = Description {
        name: DiskName::Fixed(name),
        sectors: namespace.blocks().saturating_mul(1 << sector_shift),
        read_only: namespace.is_write_protected(),
        limits: limits(&about, &namespace, sector_shift),
        features: features(&about, &namespace, sector_shift),
        queues: queues.len(),
        depth: entries - 1,
        timeout_ns: DEFAULT_TIMEOUT_NS,
        identity: Identity {
            model: about.model().to_string(),
            serial: about.serial().to_string(),
            firmware: about.firmware().to_string(),
        },
    };
    let device = Arc::new(Namespace { controller: controller.clone(), id });
    let registration = register(parent, description, device)?;
    controller.disks.lock().push(registration.handle());
    Ok(Some(registration))
}

fn limits(about: &About<'_>, namespace: &AboutNamespace<'_>, sector_shift: u8) -> Limits {
    let block = (SECTOR as u32) << sector_shift;
    let most = about.max_transfer_bytes().unwrap_or(MAX_TRANSFER).min(MAX_TRANSFER);
    // A unit that the medium writes at once, where it is one that the layer knows.
    let unit = namespace.write_unit().and_then(|blocks| block.checked_mul(blocks));
    Limits {
        logical_block: block,
        physical_block: unit.filter(|unit| unit.is_power_of_two()).unwrap_or(block),
        max_sectors: (most.min(MOST_BLOCKS << (sector_shift + 9)) / SECTOR) as u32,
        max_segments: (MAX_TRANSFER / 4096) as u16,
        max_segment_bytes: u32::MAX,
        dma_below: u64::MAX,
        dma_alignment: 4,
        whole_pages: true,
    }
}

fn features(about: &About<'_>, namespace: &AboutNamespace<'_>, sector_shift: u8) -> Features {
    let most = about.max_transfer_bytes().unwrap_or(u64::MAX) >> (9 + sector_shift);
    let zeroes = most.min(MOST_BLOCKS) << sector_shift;
    let discards = u64::from(u32::MAX) >> sector_shift << sector_shift;
    let unit = namespace.deallocate_unit().unwrap_or(1);
    let range =
        |sectors: u64, granularity| RangeLimits { max_sectors: sectors as u32, granularity };
    Features {
        flush: about.has_volatile_cache(),
        force_unit_access: about.has_volatile_cache(),
        discard: about
            .has_dataset_management()
            .then(|| range(discards, unit.checked_shl(sector_shift.into()).unwrap_or(1))),
        write_zeroes: about.has_write_zeroes().then(|| range(zeroes, 1 << sector_shift)),
        non_rotational: true,
    }
}
