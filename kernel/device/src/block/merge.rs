//! Merging: requests that are neighbours on the disk become one while they wait.
//!
//! The one with the lower sectors keeps the others in its list, in the order of their sectors;
//! each is completed by itself. Limits of the device hold for them together.

use alloc::collections::VecDeque;

use arch::paging::PAGE_SIZE;

use super::limits::Limits;
use super::request::{Operation, Request};
use super::segment::Segment;

/// Waiting requests that a new one is compared with, from the last on.
const LOOK_BACK: usize = 8;

/// Makes `request` part of one in `waiting`, if it can be.
///
/// # Errors
/// The request, if it cannot be.
pub(super) fn into_waiting(
    waiting: &mut VecDeque<Request>,
    request: Request,
    limits: &Limits,
) -> Result<(), Request> {
    if waiting.is_empty() || !request.operation().has_data() || request.inner().alone {
        return Err(request);
    }
    let mut request = request;
    for other in waiting.iter_mut().rev().take(LOOK_BACK) {
        if !may_join(other, &request, limits) {
            continue;
        }
        if end(other) == request.sector() && pages_join(other, &request, limits) {
            request = match append(other, request) {
                Ok(()) => return Ok(()),
                Err(request) => request,
            };
        } else if end(&request) == other.sector() && pages_join(&request, other, limits) {
            // The new one has the lower sectors: it takes the place.
            core::mem::swap(other, &mut request);
            request = match append(other, request) {
                Ok(()) => return Ok(()),
                Err(mut first) => {
                    core::mem::swap(other, &mut first);
                    first
                }
            };
        }
    }
    Err(request)
}

/// The first sector behind a request.
fn end(request: &Request) -> u64 {
    request.sector() + request.sectors()
}

/// Whether two can be one, if they are neighbours.
fn may_join(one: &Request, other: &Request, limits: &Limits) -> bool {
    let (a, b) = (one.inner(), other.inner());
    one.operation() == other.operation()
        && !a.alone
        && a.force_unit_access == b.force_unit_access
        && a.flush_after == b.flush_after
        && a.all_sectors + b.all_sectors <= u64::from(limits.max_sectors)
        && a.all_pieces + b.all_pieces <= usize::from(limits.max_segments)
}

/// Whether the memory of `second` may follow that of `first`.
fn pages_join(first: &Request, second: &Request, limits: &Limits) -> bool {
    if !limits.whole_pages {
        return true;
    }
    let last = first.inner().merged.back().unwrap_or(first);
    let last_end = last.inner().segments.last().map(Segment::end);
    let start = second.inner().segments.first().map(|segment| segment.address().as_u64());
    last_end.zip(start).is_some_and(|(end, start)| (end | start).is_multiple_of(PAGE_SIZE))
}

/// Makes `second`, with what was merged with it, the end of `first`.
///
/// # Errors
/// `second`, if there is no memory for the list.
fn append(first: &mut Request, mut second: Request) -> Result<(), Request> {
    let more = 1 + second.inner().merged.len();
    let first = first.inner_mut();
    if first.merged.try_reserve(more).is_err() {
        return Err(second);
    }
    first.all_sectors += second.inner().all_sectors;
    first.all_pieces += second.inner().all_pieces;
    let mut merged = core::mem::take(&mut second.inner_mut().merged);
    first.merged.push_back(second);
    first.merged.append(&mut merged);
    Ok(())
}

/// Takes all of `flushes` out as one; as many as there is memory for.
pub(super) fn flushes(flushes: &mut VecDeque<Request>) -> Option<Request> {
    let mut first = flushes.pop_front()?;
    let merged = &mut first.inner_mut().merged;
    if merged.try_reserve(flushes.len()).is_ok() {
        merged.append(flushes);
    }
    Some(first)
}

/// Takes a request that failed apart, if it was merged: each part is then done alone, so that
/// only those fail that must. The request itself is one of them, without the others, which are
/// returned in order; none if it was not merged, or is a flush.
pub(super) fn take_apart(request: &mut Request) -> VecDeque<Request> {
    if request.operation() == Operation::Flush {
        return VecDeque::new();
    }
    let inner = request.inner_mut();
    let mut parts = core::mem::take(&mut inner.merged);
    if !parts.is_empty() {
        inner.make_single();
        parts.iter_mut().for_each(|part| part.inner_mut().make_single());
    }
    parts
}
