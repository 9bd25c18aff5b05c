//! Pages of a page cache to a disk and back: one [`Part`] of a batch in one request.

use alloc::sync::Arc;

use abi::Errno;
use base::sync::IrqSpinLock;
use device::block::{BlockError, Completion, Finished, Request, SECTOR, Segment, Segments, Volume};
use memory::OutOfMemory;
use vm::cache::Part;
use vm::{ObjectError, PAGE};

/// A part that is on its way, and what is dropped when it has arrived.
struct OnItsWay<G>(IrqSpinLock<Option<(Part, G)>>);

impl<G: Send + 'static> Completion for OnItsWay<G> {
    fn finished(&self, finished: Finished) {
        let part = self.0.lock().take();
        if let Some((part, guard)) = part {
            part.done(finished.result.map_err(object_error));
            drop(guard);
        }
    }
}

/// The error of a disk as one of a page.
pub(crate) fn object_error(error: BlockError) -> ObjectError {
    match error {
        BlockError::NoMemory => ObjectError::OutOfMemory,
        _ => ObjectError::Io,
    }
}

/// The error of a disk as a call has it.
pub(crate) fn errno(error: BlockError) -> Errno {
    match error {
        BlockError::NoMemory => Errno::ENOMEM,
        BlockError::NotSupported => Errno::EOPNOTSUPP,
        _ => Errno::EIO,
    }
}

/// Most pages of one request.
pub(crate) fn most_pages(volume: &Volume) -> u64 {
    let limits = volume.limits();
    let sectors = u64::from(limits.max_sectors) * SECTOR / PAGE;
    sectors.min(u64::from(limits.max_segments)).max(1)
}

/// Begins a request for the pages of a part, at most [`most_pages`], which lie side by side on the
/// disk from `sector` on. The first `bytes` bytes of them are read or written: whole sectors, with
/// some of each page. What goes wrong the part is told; then, perhaps in an interrupt handler,
/// `guard` is dropped. May sleep until there is room in the disk's queue.
pub(crate) fn transfer<G: Send + 'static>(
    volume: &Arc<Volume>,
    part: Part,
    guard: G,
    sector: u64,
    bytes: u64,
    is_write: bool,
) {
    let Ok(segments) = segments_of(&part, bytes) else {
        return part.done(Err(ObjectError::OutOfMemory));
    };
    let on_its_way = Arc::new(OnItsWay(IrqSpinLock::new("pages of a file", Some((part, guard)))));
    let request = match is_write {
        true => Request::write(sector, segments, on_its_way.clone()),
        false => Request::read(sector, segments, on_its_way.clone()),
    };
    match request {
        Ok(request) => volume.submit(request),
        Err(OutOfMemory) => {
            let part = on_its_way.0.lock().take();
            if let Some((part, _)) = part {
                part.done(Err(ObjectError::OutOfMemory));
            }
        }
    }
}

/// The pages of a part, as memory of a request.
fn segments_of(part: &Part, bytes: u64) -> Result<Segments, OutOfMemory> {
    let mut segments = Segments::new();
    let mut left = bytes;
    for (_, frame) in part.frames() {
        let len = left.min(PAGE);
        left -= len;
        let segment = Segment::of_frame(frame.share(), 0, len as usize).ok_or(OutOfMemory)?;
        segments.push(segment)?;
    }
    Ok(segments)
}
