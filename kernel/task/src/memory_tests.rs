//! Kernel tests of memory by tasks on all CPUs.

use alloc::boxed::Box;
use alloc::vec::Vec;

use base::sync::SpinLock;
use base::{smp, time};
use memory::dma::{DmaBuffer, DmaPool};
use memory::frames::{self, Frame, FrameRun, FrameUse, LargeFrame};

use crate::test_tools::start;
use crate::{sleep, yield_now};

const PAGE: usize = 4096;

static POOL: DmaPool = DmaPool::new();

/// What a task of the torture has at a time.
#[derive(Default)]
struct Held {
    frames: Vec<Frame>,
    runs: Vec<FrameRun>,
    large: Vec<LargeFrame>,
    blocks: Vec<(u8, Box<[u8]>)>,
    buffers: Vec<DmaBuffer>,
}

/// Frames that tasks give each other.
static SHARED: SpinLock<Vec<Frame>> = SpinLock::new("torture", Vec::new());

fn random(seed: &mut u64) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    (*seed >> 11) as usize
}

impl Held {
    fn step(&mut self, seed: &mut u64) {
        const USES: [FrameUse; 3] = [FrameUse::Anonymous, FrameUse::FileCache, FrameUse::Other];
        let (kind, size) = (random(seed) % 12, random(seed));
        match kind {
            0..3 => self.frames.extend(Frame::allocate(USES[size % 3]).ok()),
            3 => {
                if let Some(frame) = self.frames.last() {
                    let shared = frame.share();
                    assert!(shared.is_shared());
                    SHARED.lock().push(shared);
                }
            }
            4 => {
                let taken = SHARED.lock().pop();
                self.frames.extend(taken);
            }
            5 => self.runs.extend(FrameRun::allocate(1 + size % 40, 1, FrameUse::Other).ok()),
            6 if size % 16 == 0 => self.large.extend(LargeFrame::zeroed(FrameUse::Anonymous).ok()),
            6 => self.runs.extend(FrameRun::allocate_order(size as u32 % 6, FrameUse::Other).ok()),
            7..9 => {
                let bytes = if size % 8 == 0 { size % (20 * PAGE) } else { size % 600 };
                let mut block = Vec::new();
                if block.try_reserve_exact(bytes).is_ok() {
                    block.resize(bytes, size as u8);
                    self.blocks.push((size as u8, block.into_boxed_slice()));
                }
            }
            9 => self.buffers.extend(POOL.allocate(1 + size % 5000).ok()),
            _ => self.free(size),
        }
    }

    fn free(&mut self, which: usize) {
        fn some<T>(values: &mut Vec<T>, which: usize) -> Option<T> {
            if values.is_empty() { None } else { Some(values.swap_remove(which % values.len())) }
        }
        for _ in 0..3 {
            some(&mut self.frames, which);
            if let Some((byte, block)) = some(&mut self.blocks, which) {
                assert!(block.iter().all(|&is| is == byte), "another's bytes");
            }
        }
        some(&mut self.buffers, which);
        some(&mut self.runs, which);
        some(&mut self.large, which);
    }
}

#[base::kernel_test]
fn every_frame_is_accounted_for_after_torture() {
    let end = time::now_ns() + 1_000_000_000;
    let tasks = start(2 * smp::online().len() as usize, "memory torture", move |index| {
        let mut seed = end.rotate_left(20) + index as u64;
        let mut held = Held::default();
        while time::now_ns() < end {
            (0..50).for_each(|_| held.step(&mut seed));
            yield_now();
        }
    });
    tasks.iter().for_each(|task| task.join());
    *SHARED.lock() = Vec::new();
    let audit = frames::audit_patiently(|| sleep(20_000_000));
    if let Some(first) = audit.first {
        panic!("{} errors; the first: {first}", audit.errors);
    }
    assert!(audit.used > 0 && audit.free > 0 && audit.shared == 0);
}

/// Takes most of the memory quickly, by large blocks; a thousand frames and the reserve are left.
fn take_most() -> Vec<FrameRun> {
    let mut runs: Vec<FrameRun> = Vec::with_capacity(100);
    let reserve = frames::statistics().reserve;
    for order in (9..=18).rev() {
        while frames::statistics().free > (1 << order) + reserve + 1000
            && runs.len() < runs.capacity()
            && let Ok(run) = FrameRun::allocate_order(order, FrameUse::Other)
        {
            runs.push(run);
        }
    }
    runs
}

/// Whatever CPUs keep for themselves: a task gets all that is not the kernel's, and an error then.
#[base::kernel_test]
fn no_frame_is_out_of_reach() {
    // Every CPU has some frames in its cache.
    let tasks = start(2 * smp::online().len() as usize, "frames", |_| {
        let some: Vec<Frame> =
            (0..100).map_while(|_| Frame::allocate(FrameUse::Other).ok()).collect();
        assert_eq!(some.len(), 100);
    });
    tasks.iter().for_each(|task| task.join());
    let before = frames::statistics();
    let runs = take_most();
    let mut singles: Vec<Frame> = Vec::new();
    let left = frames::statistics().free;
    singles.try_reserve_exact(left).expect("some memory is left");
    let user = |_| Frame::allocate(FrameUse::Anonymous).ok();
    singles.extend((0..left).map_while(user));
    let at_end = frames::statistics();
    let (user, kernel) = (Frame::allocate(FrameUse::UserTable), Frame::allocate(FrameUse::Heap));
    drop((singles, runs));
    assert!(user.is_err() && kernel.is_ok(), "the reserve is the kernel's");
    assert!(at_end.free.abs_diff(at_end.reserve) <= 16 && at_end.cached == 0, "{at_end:?}");
    // Reclaim may have freed what was kept ready before; new page tables stay.
    assert!(frames::statistics().free + 64 > before.free, "{before:?}");
}

/// The reserve is of use even if no two free frames lie side by side: what the kernel cannot do
/// without comes from there.
#[base::kernel_test]
fn scattered_frames_serve_every_small_size() {
    const SIZES: [usize; 7] = [528, 768, 1024, 1500, 1536, 2048, PAGE];
    const EACH: usize = 30;
    let mut blocks: Vec<Vec<u8>> = Vec::with_capacity(SIZES.len() * EACH);
    let runs = take_most();
    let left = frames::statistics().free;
    let mut singles: Vec<Frame> = Vec::new();
    singles.try_reserve_exact(left).expect("some memory is left");
    singles.extend((0..left).map_while(|_| Frame::allocate(FrameUse::Other).ok()));
    let taken = singles.len();
    singles.retain(|frame| frame.address().frame() % 4 != 1);
    let freed = taken - singles.len();
    let mut missing = None;
    for size in SIZES.into_iter().flat_map(|size| [size; EACH]) {
        let mut block = Vec::new();
        if block.try_reserve_exact(size).is_err() {
            missing = missing.or(Some(size));
        }
        block.resize(block.capacity(), size as u8);
        blocks.push(block);
    }
    // Memory first: a failure takes some to be told.
    drop((singles, runs));
    assert!(freed > SIZES.len() * EACH, "{freed} of {taken} frames");
    assert_eq!(missing, None, "so many bytes could not be had");
    let intact = |block: &Vec<u8>| block.iter().all(|&byte| byte == block.capacity() as u8);
    assert!(blocks.iter().all(intact));
    drop(blocks);
    let audit = frames::audit_patiently(|| sleep(20_000_000));
    assert!(audit.errors == 0, "{:?}", audit.first);
}
