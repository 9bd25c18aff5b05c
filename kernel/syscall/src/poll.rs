//! poll(2).

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::poll::{POLLIN, POLLNVAL, POLLOUT, POLLRDNORM, POLLWRNORM, pollfd};
use abi::{Errno, Result};
use base::time;
use fs::OpenFile;
use memory::frames::check_user_may_allocate;
use memory::user::UserSlice;
use process::fds::MAX_DESCRIPTORS;
use task::{WaitError, WaitOptions, sleep_until};

use crate::call::Call;

const ENTRY_BYTES: u64 = size_of::<pollfd>() as u64;
const READABLE: u32 = POLLIN | POLLRDNORM;
const WRITABLE: u32 = POLLOUT | POLLWRNORM;

/// An entry with the file that it names.
struct Polled {
    entry: pollfd,
    file: Option<Arc<OpenFile>>,
}

impl Polled {
    /// The events that are there now.
    fn look(&self) -> u32 {
        if self.entry.fd < 0 {
            return 0;
        }
        let Some(file) = &self.file else { return POLLNVAL };
        let ready = file.file().readiness();
        let read = if ready.read { READABLE } else { 0 };
        let write = if ready.write { WRITABLE } else { 0 };
        (read | write) & u32::from(self.entry.events as u16)
    }
}

/// Looks at all; how many have an event.
fn look(polled: &mut [Polled]) -> usize {
    let mut ready = 0;
    for one in polled.iter_mut() {
        let events = one.look();
        one.entry.revents = events as i16;
        ready += usize::from(events != 0);
    }
    ready
}

/// poll(2).
pub(crate) fn poll(call: &Call<'_>) -> Result<usize> {
    let [address, count, timeout, ..] = call.args;
    if count as u32 as usize > MAX_DESCRIPTORS {
        return Err(Errno::EINVAL);
    }
    let count = u64::from(count as u32);
    let timeout = timeout as i32;
    check_user_may_allocate()?;
    let mut polled = Vec::new();
    polled.try_reserve_exact(count as usize).map_err(|_| Errno::ENOMEM)?;
    for index in 0..count {
        let at = address.checked_add(index * ENTRY_BYTES).ok_or(Errno::EFAULT)?;
        let entry: pollfd = UserSlice::read_value(at)?;
        let file = call.thread.process.descriptors.get(entry.fd as u64).ok();
        polled.push(Polled { entry, file });
    }

    let mut ready = look(&mut polled);
    if ready == 0 && timeout != 0 {
        let timeout = u64::try_from(timeout).ok();
        let deadline = timeout.map(|ms| time::now_ns().saturating_add(ms * 1_000_000));
        let options = WaitOptions { deadline, interruptible: true };
        // The console is the only file that may be not ready, so one queue is enough.
        let queue = polled.iter().filter_map(|one| one.file.as_ref()?.file().wait_queue()).next();
        let outcome = match queue {
            Some(queue) => queue.wait_with(options, || {
                let ready = look(&mut polled);
                (ready > 0).then_some(ready)
            }),
            None => sleep_until(options).map(|()| 0),
        };
        ready = match outcome {
            Ok(ready) => ready,
            Err(WaitError::TimedOut) => 0,
            Err(WaitError::Interrupted) => return Err(Errno::EINTR),
        };
    }
    for (index, one) in (0..count).zip(&polled) {
        UserSlice::write_value(address + index * ENTRY_BYTES, &one.entry)?;
    }
    Ok(ready)
}
