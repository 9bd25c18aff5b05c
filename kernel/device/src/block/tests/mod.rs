//! Kernel tests of the block layer, on [`TestDisk`](super::test_disk::TestDisk)s.

mod faults;
mod io;
mod memory;
mod merging;
mod order;
mod partitions;
mod torture;
mod volumes;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Completion, Finished, Registration, Request, Segments, Volume, Waiter, find};
use base::sync::IrqSpinLock;

/// The whole of a disk that is registered.
fn whole(registration: &Registration) -> Arc<Volume> {
    find(registration.name()).expect("registered")
}

/// Keeps how requests ended, in that order.
struct Ends(IrqSpinLock<Vec<Finished>>);

impl Ends {
    fn new() -> Arc<Self> {
        Arc::new(Self(IrqSpinLock::new("test ends", Vec::new())))
    }

    fn take(&self) -> Vec<Finished> {
        core::mem::take(&mut self.0.lock())
    }

    /// First sectors, and whether it was well.
    fn sectors(&self) -> Vec<(u64, bool)> {
        self.take().iter().map(|end| (end.sector, end.result.is_ok())).collect()
    }
}

impl Completion for Ends {
    fn finished(&self, finished: Finished) {
        self.0.lock().push(finished);
    }
}

/// Memory of `sectors` sectors, each filled with its number counted from `first` on.
fn numbered(first: u64, sectors: u64) -> Segments {
    let mut segments = Segments::allocate((sectors * 512) as usize).expect("memory");
    for sector in 0..sectors {
        segments.write((sector * 512) as usize, &[(first + sector) as u8; 512]);
    }
    segments
}

fn is_numbered(segments: &Segments, first: u64) -> bool {
    let mut sector = [0; 512];
    (0..segments.bytes() / 512).all(|index| {
        segments.read(index * 512, &mut sector);
        sector.iter().all(|&byte| byte == (first + index as u64) as u8)
    })
}

/// A write of numbered sectors.
fn write(first: u64, sectors: u64, ends: &Arc<Ends>) -> Request {
    Request::write(first, numbered(first, sectors), ends.clone()).expect("memory")
}

fn read(first: u64, sectors: u64, ends: &Arc<Ends>) -> Request {
    let segments = Segments::allocate((sectors * 512) as usize).expect("memory");
    Request::read(first, segments, ends.clone()).expect("memory")
}

/// A request that a waiter waits for.
fn waited(make: impl FnOnce(Arc<Waiter>) -> Request) -> (Request, Arc<Waiter>) {
    let waiter = Waiter::new();
    (make(waiter.clone()), waiter)
}

fn all(requests: impl IntoIterator<Item = Request>) -> VecDeque<Request> {
    requests.into_iter().collect()
}
