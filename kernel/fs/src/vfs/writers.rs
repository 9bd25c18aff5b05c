//! Who may write to a file, and who needs that nobody does: a program that runs is not written
//! to, and what is open for writing is not run (`ETXTBSY`).
//!
//! A file system keeps [`Writers`] with each regular file ([`Inode::writers`]). An
//! [`OpenFile`](crate::OpenFile) that writes, and a mapping of one, hold a [`WriteAccess`]; the
//! mappings of a program hold a [`WriteDenied`].

use alloc::sync::Arc;
use core::sync::atomic::{AtomicI32, Ordering};

use abi::{Errno, Result};

use crate::vfs::inode::Inode;
use crate::vfs::path::Path;
use crate::vfs::superblock::Superblock;

/// How many write to a file, or, below zero, how many need that it stays as it is.
#[derive(Debug, Default)]
pub struct Writers(AtomicI32);

impl Writers {
    /// One step away from zero in the direction of `step`, unless others are on its other side.
    fn step(&self, step: i32) -> Result<()> {
        let next = |now: i32| (now.signum() != -step).then(|| now.checked_add(step)).flatten();
        match self.0.fetch_update(Ordering::Acquire, Ordering::Relaxed, next) {
            Ok(_) => Ok(()),
            Err(now) if now.signum() == -step => Err(Errno::ETXTBSY),
            Err(_) => Err(Errno::ENFILE),
        }
    }

    fn undo(&self, step: i32) {
        self.0.fetch_sub(step, Ordering::Release);
    }
}

/// A step that was taken with the [`Writers`] of a file, and is taken back when this goes.
#[derive(Debug)]
struct Step {
    inode: Arc<dyn Inode>,
    step: i32,
}

impl Step {
    fn take(inode: &Arc<dyn Inode>, step: i32) -> Result<Self> {
        if let Some(writers) = inode.writers() {
            writers.step(step)?;
        }
        Ok(Self { inode: inode.clone(), step })
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(writers) = self.inode.writers() {
            writers.undo(self.step);
        }
    }
}

/// As long as this is there, the file may be written to and is not run, and its file system does
/// not become read-only.
#[derive(Debug)]
pub(crate) struct WriteAccess {
    _step: Step,
    superblock: Arc<Superblock>,
}

impl WriteAccess {
    /// # Errors
    /// `ETXTBSY` if the file runs as a program; `EROFS`.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let step = Step::take(path.inode(), 1)?;
        let superblock = path.mount().superblock().clone();
        superblock.add_writer()?;
        Ok(Self { _step: step, superblock })
    }
}

impl Drop for WriteAccess {
    fn drop(&mut self) {
        self.superblock.writer_goes();
    }
}

/// As long as this is there, the file is not written to.
#[derive(Debug)]
pub(crate) struct WriteDenied(#[expect(dead_code, reason = "it is held, not looked at")] Step);

impl WriteDenied {
    /// # Errors
    /// `ETXTBSY` if it is open for writing.
    pub(crate) fn take(inode: &Arc<dyn Inode>) -> Result<Self> {
        Step::take(inode, -1).map(Self)
    }
}
