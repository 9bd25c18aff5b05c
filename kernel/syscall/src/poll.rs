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

/// How often one who waits for files with different queues looks.
const LOOK_NS: u64 = 20_000_000;

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

/// Waits until some have an event; how many.
fn wait(polled: &mut [Polled], deadline: Option<u64>) -> Result<usize, WaitError> {
    let mut queues = polled.iter().filter_map(|one| one.file.as_ref()?.file().wait_queue());
    let first = queues.next();
    let has_more = first.is_some_and(|first| queues.any(|queue| !core::ptr::eq(queue, first)));
    loop {
        // A task waits in one queue: for what others are woken by it looks every now and then.
        let look_again = has_more.then(|| time::now_ns().saturating_add(LOOK_NS));
        let end = deadline.into_iter().chain(look_again).min();
        let options = WaitOptions { deadline: end, interruptible: true };
        let outcome = match first {
            Some(queue) => queue.wait_with(options, || {
                let ready = look(polled);
                (ready > 0).then_some(ready)
            }),
            None => sleep_until(options).map(|()| 0),
        };
        match outcome {
            Err(WaitError::TimedOut) if deadline.is_none_or(|end| time::now_ns() < end) => {}
            outcome => return outcome,
        }
    }
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
        ready = match wait(&mut polled, deadline) {
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
