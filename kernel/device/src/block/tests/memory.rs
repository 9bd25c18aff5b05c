//! Memory that a device does not reach as it is, and what a device sees of it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use memory::frames::{Frame, FrameUse};

use super::super::test_disk::{Answers, TestDisk, description};
use super::super::{Request, Segment, Segments};
use super::{Ends, whole};

/// Two pieces of memory in two frames, of 300 and 212 bytes, at odd places.
fn scattered() -> Segments {
    let mut segments = Segments::new();
    for (offset, len) in [(77, 300), (1001, 212)] {
        let frame = Frame::zeroed(FrameUse::Dma).expect("memory");
        segments.push(Segment::of_frame(frame, offset, len).expect("within")).expect("memory");
    }
    segments
}

/// Writes and reads scattered memory on a disk with other `limits`; what the disk saw.
fn go_through(change: impl FnOnce(&mut super::super::Limits)) -> Vec<(u64, u32)> {
    let mut with = description(64);
    change(&mut with.limits);
    let (disk, registration) = TestDisk::register(with);
    let volume = whole(&registration);
    let pattern: Vec<u8> = (0..512u32).map(|at| (at * 3) as u8).collect();
    let mut segments = scattered();
    segments.write(0, &pattern);
    let own: Vec<_> = segments.iter().map(Segment::address).collect();
    let back = volume.write_segments(5, segments).expect("it works");
    assert!(back.iter().map(Segment::address).eq(own), "the caller's own memory");
    assert_eq!(disk.bytes(5 * 512..6 * 512), pattern);
    let read = volume.read_segments(5, scattered()).expect("it works");
    let mut bytes = [0; 512];
    read.read(0, &mut bytes);
    assert_eq!(bytes[..], pattern[..]);
    // What the device sees.
    disk.set_answers(Answers::WhenAsked);
    let request = Request::read(5, scattered(), Ends::new()).expect("memory");
    volume.submit(request);
    let seen = disk.look(|request| {
        request.segments().map(|piece| (piece.address.as_u64(), piece.len)).collect()
    });
    disk.answer_all();
    seen
}

#[base::kernel_test]
fn memory_that_a_device_cannot_take_is_copied() {
    let low = 64 << 20;
    let seen = go_through(|limits| limits.dma_below = low);
    assert!(seen.iter().all(|&(start, len)| start + u64::from(len) <= low), "{seen:?}");
    let seen = go_through(|limits| limits.dma_alignment = 4);
    assert!(seen.iter().all(|&(start, len)| (start | u64::from(len)) % 4 == 0), "{seen:?}");
    let seen = go_through(|limits| limits.whole_pages = true);
    assert!(seen.len() == 1 && seen[0].0 % 4096 == 0, "{seen:?}");
    let seen = go_through(|limits| limits.max_segments = 1);
    assert_eq!(seen.len(), 1);
    let seen = go_through(|_| {});
    assert_eq!(seen.iter().map(|&(_, len)| len).collect::<Vec<_>>(), [300, 212]);
}

#[base::kernel_test]
fn neighbours_in_memory_are_one_piece_within_the_limit() {
    let mut with = description(1024);
    with.limits.max_segment_bytes = 6000;
    let (disk, registration) = TestDisk::register(with);
    let volume = whole(&registration);
    disk.set_answers(Answers::WhenAsked);
    // A frame in four pieces, in order, and a larger buffer.
    static POOL: memory::dma::DmaPool = memory::dma::DmaPool::new();
    let frame = Frame::zeroed(FrameUse::Dma).expect("memory");
    let mut segments = Segments::new();
    for part in 0..4 {
        let piece = Segment::of_frame(frame.share(), part * 1024, 1024).expect("within");
        segments.push(piece).expect("memory");
    }
    let buffer = POOL.allocate(8192).expect("memory");
    let piece = Segment::of_buffer(alloc::boxed::Box::new(buffer), 0, 8192).expect("within");
    segments.push(piece).expect("memory");
    assert!(Segment::of_frame(frame, 4000, 97).is_none());
    let ends = Ends::new();
    volume.submit(Request::read(0, segments, ends.clone()).expect("memory"));
    let lens = disk.look(|request| request.segments().map(|piece| piece.len).collect::<Vec<_>>());
    // Unless the buffer happens to follow the frame in memory.
    let apart = [4096, 6000, 2192];
    assert!(lens == apart || lens.iter().sum::<u32>() == 12288, "{lens:?}");
    assert!(lens.iter().all(|&len| len <= 6000));
    disk.answer_all();
    assert!(ends.take()[0].result.is_ok());
}

#[base::kernel_test]
fn memory_outlives_a_caller_that_does_not_wait() {
    let (disk, registration) = TestDisk::register(description(64));
    let volume = whole(&registration);
    disk.set_answers(Answers::WhenAsked);
    let frame = Frame::zeroed(FrameUse::Dma).expect("memory");
    let mut segments = Segments::new();
    let segment = Segment::of_frame(frame.share(), 0, 512).expect("within");
    segments.push(segment).expect("memory");
    let nobody: Arc<dyn super::Completion> = Arc::new(|_| {});
    volume.submit(Request::read(0, segments, nobody).expect("memory"));
    assert!(frame.is_shared());
    disk.answer_all();
    assert!(!frame.is_shared());
}
