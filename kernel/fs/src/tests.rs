//! Tests of [`OpenFile`]: how its flags and its position steer a [`File`]. A [`Spy`] is the file.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::fcntl::{O_APPEND, O_DSYNC, O_SYNC, O_WRONLY};
use abi::{Errno, Result};
use base::sync::SpinLock;

use crate::buffer::{Destination, Source};
use crate::file::File;
use crate::open_file::OpenFile;
use crate::status::Status;

/// What was asked of a [`Spy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Write { position: u64, len: usize },
    Sync { only_data: bool },
}

use Asked::{Sync, Write};

/// A file of 10 bytes that takes 100 bytes at most at a time, and notes what is asked of it.
#[derive(Debug)]
struct Spy {
    asked: SpinLock<Vec<Asked>>,
    synced: Result<()>,
}

impl Spy {
    fn opened(flags: u32, synced: Result<()>) -> (Arc<Self>, Arc<OpenFile>) {
        let spy = Arc::new(Self { asked: SpinLock::new("spy", Vec::new()), synced });
        (spy.clone(), OpenFile::new(spy, flags))
    }

    fn note(&self, asked: Asked) {
        self.asked.lock().push(asked);
    }

    /// What was asked since the last time.
    fn take(&self) -> Vec<Asked> {
        core::mem::take(&mut *self.asked.lock())
    }
}

impl File for Spy {
    fn read(&self, _position: u64, _to: &mut Destination<'_>) -> Result<usize> {
        Ok(0)
    }

    fn write(&self, position: u64, from: &mut Source<'_>) -> Result<usize> {
        let len = from.len().min(100);
        from.skip(len);
        self.note(Write { position, len });
        Ok(len)
    }

    fn sync(&self, only_data: bool) -> Result<()> {
        self.note(Sync { only_data });
        self.synced
    }

    fn status(&self) -> Status {
        Status { size: 10, ..Status::default() }
    }

    fn is_seekable(&self) -> bool {
        true
    }
}

#[base::kernel_test]
fn a_write_is_stored_if_the_file_was_opened_so() {
    for (flags, stored) in [
        (0, None),
        (O_DSYNC, Some(Sync { only_data: true })),
        (O_SYNC, Some(Sync { only_data: false })),
    ] {
        let (spy, file) = Spy::opened(O_WRONLY | flags, Ok(()));
        let asked = |position| {
            [Some(Write { position, len: 3 }), stored].into_iter().flatten().collect::<Vec<_>>()
        };
        assert_eq!(file.write(&mut Source::Kernel(b"abc")), Ok(3));
        assert_eq!(spy.take(), asked(0));
        assert_eq!(file.write_at(7, &mut Source::Kernel(b"abc")), Ok(3));
        assert_eq!(spy.take(), asked(7));
        file.set_flags(O_APPEND).expect("append");
        assert_eq!(file.write(&mut Source::Kernel(b"abc")), Ok(3));
        assert_eq!(spy.take(), asked(10));
        assert_eq!(file.write_at(7, &mut Source::Kernel(b"abc")), Ok(3));
        assert_eq!(spy.take(), asked(10));
        // Nothing was written: nothing is to be stored.
        assert_eq!(file.write(&mut Source::Kernel(b"")), Ok(0));
        assert!(!spy.take().iter().any(|asked| matches!(asked, Sync { .. })));
    }
}

#[base::kernel_test]
fn a_write_that_cannot_be_stored_fails() {
    for flags in [0, O_APPEND] {
        let (_, file) = Spy::opened(O_WRONLY | O_DSYNC | flags, Err(Errno::EIO));
        assert_eq!(file.write(&mut Source::Kernel(b"abc")), Err(Errno::EIO));
        assert_eq!(file.position(), 0, "it stays, as on Linux");
        assert_eq!(file.write_at(7, &mut Source::Kernel(b"abc")), Err(Errno::EIO));
        // Where there is nothing to store to, as with a device, there is nothing to fail.
        let (_, file) = Spy::opened(O_WRONLY | O_DSYNC | flags, Err(Errno::EINVAL));
        assert_eq!(file.write(&mut Source::Kernel(b"abc")), Ok(3));
    }
}
