//! Bounces: where a device cannot reach the memory of a request, or not as it lies there, the
//! request goes through frames that it can reach.

use memory::OutOfMemory;

use super::limits::Limits;
use super::segment::Segments;

/// Memory for as many bytes as `own` has, which a device with `limits` can take: whole frames,
/// but for the end of the last. If `fill`, it holds what `own` holds.
///
/// # Errors
/// [`OutOfMemory`].
pub(super) fn copy_for(
    own: &Segments,
    limits: &Limits,
    fill: bool,
) -> Result<Segments, OutOfMemory> {
    let mut segments = Segments::allocate_below(own.bytes(), limits.dma_below)?;
    if fill {
        copy(own, &mut segments);
    }
    Ok(segments)
}

/// Copies the bytes of `from` to `to`, as many as both have.
pub(super) fn copy(from: &Segments, to: &mut Segments) {
    let mut part = [0; 256];
    let mut sources = from.iter().peekable();
    let mut taken = 0; // of the source at hand
    for target in to.iter_mut() {
        let mut at = 0;
        while at < target.len()
            && let Some(source) = sources.peek()
        {
            let len = part.len().min(target.len() - at).min(source.len() - taken);
            if let Some(part) = part.get_mut(..len) {
                source.read(taken, part);
                target.write(at, part);
            }
            at += len;
            taken += len;
            if taken == source.len() {
                taken = 0;
                sources.next();
            }
        }
    }
}
