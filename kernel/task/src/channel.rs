//! Channels: [`channel`] makes a queue of bounded length with ends that many tasks may share.
//! Whoever sends into a full one or receives from an empty one sleeps. Its places are allocated
//! when it is made, so that interrupt handlers can send and receive without waiting.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::fmt;

use base::sync::IrqSpinLock;
use memory::OutOfMemory;

use crate::wait::{WaitError, WaitOptions, WaitQueue};

/// Why nothing was sent or received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelError {
    /// The other side is gone for good; what it had sent has been received.
    Closed,
    /// The channel is full, or empty (`try_send`, `try_recv`).
    WouldBlock,
    /// The wait ended.
    Wait(WaitError),
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the other side is gone"),
            Self::WouldBlock => f.write_str("it would have to wait"),
            Self::Wait(error) => error.fmt(f),
        }
    }
}

/// A value that was not sent, and why.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T> {
    /// Why.
    pub reason: ChannelError,
    /// The value.
    pub value: T,
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SendError({:?})", self.reason)
    }
}

struct State<T> {
    values: VecDeque<T>,
    /// Never more: the places are all there are.
    capacity: usize,
    senders: usize,
    receivers: usize,
}

struct Shared<T> {
    state: IrqSpinLock<State<T>>,
    receivers: WaitQueue,
    senders: WaitQueue,
}

/// The end of a channel that values go into. Clones are ends of the same channel.
pub struct Sender<T>(Arc<Shared<T>>);

/// The end of a channel that values come out of, each once. Clones are ends of the same
/// channel.
pub struct Receiver<T>(Arc<Shared<T>>);

/// A channel for at most `capacity` values at a time (at least one). `name` says what they are.
///
/// # Errors
/// [`OutOfMemory`] for its places.
pub fn channel<T: Send>(
    name: &'static str,
    capacity: usize,
) -> Result<(Sender<T>, Receiver<T>), OutOfMemory> {
    let capacity = capacity.max(1);
    let mut values = VecDeque::new();
    values.try_reserve_exact(capacity).map_err(|_| OutOfMemory)?;
    let state = State { values, capacity, senders: 1, receivers: 1 };
    let shared = Arc::new(Shared {
        state: IrqSpinLock::new("channel", state),
        receivers: WaitQueue::of("channel (receive)", name),
        senders: WaitQueue::of("channel (send)", name),
    });
    Ok((Sender(shared.clone()), Receiver(shared)))
}

impl<T> Sender<T> {
    /// Sends a value if there is room. May be called from interrupt handlers.
    ///
    /// # Errors
    /// The value, with `Closed` or `WouldBlock`.
    pub fn try_send(&self, value: T) -> Result<(), SendError<T>> {
        {
            let mut state = self.0.state.lock();
            if state.receivers == 0 {
                drop(state);
                return Err(SendError { reason: ChannelError::Closed, value });
            }
            if state.values.len() >= state.capacity {
                drop(state);
                return Err(SendError { reason: ChannelError::WouldBlock, value });
            }
            state.values.push_back(value);
        }
        self.0.receivers.wake_one();
        Ok(())
    }

    /// Sends a value, sleeping until there is room.
    ///
    /// # Errors
    /// The value, with `Closed`.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.send_with(WaitOptions::FOREVER, value)
    }

    /// Sends a value, sleeping until there is room or the options end the wait.
    ///
    /// # Errors
    /// The value, with `Closed` or `Wait`.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn send_with(&self, options: WaitOptions, value: T) -> Result<(), SendError<T>> {
        let mut unsent = Some(value);
        let outcome = self.0.senders.wait_with(options, || {
            let Err(error) = self.try_send(unsent.take()?) else { return Some(()) };
            unsent = Some(error.value);
            (error.reason == ChannelError::Closed).then_some(())
        });
        match (unsent, outcome) {
            (None, _) => Ok(()),
            (Some(value), Ok(())) => Err(SendError { reason: ChannelError::Closed, value }),
            (Some(value), Err(error)) => {
                Err(SendError { reason: ChannelError::Wait(error), value })
            }
        }
    }
}

impl<T> Receiver<T> {
    /// Receives a value if one is there. May be called from interrupt handlers.
    ///
    /// # Errors
    /// `Closed` or `WouldBlock`.
    pub fn try_recv(&self) -> Result<T, ChannelError> {
        let value = {
            let mut state = self.0.state.lock();
            match state.values.pop_front() {
                Some(value) => value,
                None if state.senders == 0 => return Err(ChannelError::Closed),
                None => return Err(ChannelError::WouldBlock),
            }
        };
        self.0.senders.wake_one();
        Ok(value)
    }

    /// Receives a value, sleeping until there is one.
    ///
    /// # Errors
    /// `Closed`.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn recv(&self) -> Result<T, ChannelError> {
        self.recv_with(WaitOptions::FOREVER)
    }

    /// Receives a value, sleeping until there is one or the options end the wait.
    ///
    /// # Errors
    /// `Closed` or `Wait`; a value that is there wins.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn recv_with(&self, options: WaitOptions) -> Result<T, ChannelError> {
        let outcome = self.0.receivers.wait_with(options, || match self.try_recv() {
            Err(ChannelError::WouldBlock) => None,
            outcome => Some(outcome),
        });
        outcome.unwrap_or_else(|error| Err(ChannelError::Wait(error)))
    }

    /// Values that wait to be received.
    pub fn len(&self) -> usize {
        self.0.state.lock().values.len()
    }

    /// Whether none waits to be received.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.state.lock().senders += 1;
        Self(self.0.clone())
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.0.state.lock().receivers += 1;
        Self(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let left = {
            let mut state = self.0.state.lock();
            state.senders -= 1;
            state.senders
        };
        if left == 0 {
            self.0.receivers.wake_all();
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let unread = {
            let mut state = self.0.state.lock();
            state.receivers -= 1;
            if state.receivers > 0 {
                return;
            }
            core::mem::take(&mut state.values)
        };
        self.0.senders.wake_all();
        // Outside the lock: values may do anything when they are dropped.
        drop(unread);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({:?})", self.0.senders)
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({:?})", self.0.receivers)
    }
}

#[cfg(not(test))]
mod tests {
    use alloc::vec::Vec;
    use core::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::spawn;

    #[base::kernel_test]
    fn each_value_arrives_once_and_in_order() {
        const SENDERS: u64 = 3;
        const RECEIVERS: u64 = 3;
        const EACH: u64 = 500;
        static SUM: AtomicU64 = AtomicU64::new(0);
        static COUNT: AtomicU64 = AtomicU64::new(0);
        SUM.store(0, Ordering::Relaxed);
        COUNT.store(0, Ordering::Relaxed);
        let (sender, receiver) = channel::<(u64, u64)>("test", 4).expect("memory");
        let mut tasks = Vec::new();
        for number in 0..RECEIVERS {
            let receiver = receiver.clone();
            let body = move || {
                let mut last = [None; SENDERS as usize];
                loop {
                    // One of them gives up again and again.
                    let ns = if number == 0 { 30_000 } else { u64::MAX };
                    let (from, value) = match receiver.recv_with(WaitOptions::within(ns)) {
                        Ok(received) => received,
                        Err(ChannelError::Wait(WaitError::TimedOut)) => continue,
                        Err(error) => break assert_eq!(error, ChannelError::Closed),
                    };
                    assert!(last[from as usize] < Some(value), "{last:?}, then {value}");
                    last[from as usize] = Some(value);
                    SUM.fetch_add(value, Ordering::Relaxed);
                    COUNT.fetch_add(1, Ordering::Relaxed);
                }
            };
            tasks.push(spawn("receiver", body).expect("memory for a task"));
        }
        drop(receiver);
        for number in 0..SENDERS {
            let sender = sender.clone();
            let body = move || {
                for value in 0..EACH {
                    let mut unsent = (number, value);
                    loop {
                        let ns = if number == 0 { 30_000 } else { u64::MAX };
                        match sender.send_with(WaitOptions::within(ns), unsent) {
                            Ok(()) => break,
                            Err(error) => unsent = error.value,
                        }
                    }
                }
            };
            tasks.push(spawn("sender", body).expect("memory for a task"));
        }
        drop(sender);
        tasks.iter().for_each(|task| task.join());
        assert_eq!(COUNT.load(Ordering::Relaxed), SENDERS * EACH);
        assert_eq!(SUM.load(Ordering::Relaxed), SENDERS * (EACH * (EACH - 1) / 2));
    }

    #[base::kernel_test]
    fn a_channel_is_full_empty_and_closed() {
        let (sender, receiver) = channel("test", 2).expect("memory");
        let late = || WaitOptions::within(1_000_000);
        assert_eq!(receiver.try_recv(), Err(ChannelError::WouldBlock));
        assert_eq!(receiver.recv_with(late()), Err(ChannelError::Wait(WaitError::TimedOut)));
        assert!(receiver.is_empty());
        sender.send(1).expect("there is room");
        sender.try_send(2).expect("there is room");
        let full = sender.try_send(3).expect_err("it is full");
        assert_eq!((full.reason, full.value), (ChannelError::WouldBlock, 3));
        let full = sender.send_with(late(), 4).expect_err("it is full");
        assert_eq!((full.reason, full.value), (ChannelError::Wait(WaitError::TimedOut), 4));
        assert_eq!(receiver.recv(), Ok(1));
        // What was sent is still received after the sender has gone.
        drop(sender.clone());
        drop(sender);
        assert_eq!(receiver.recv(), Ok(2));
        assert_eq!(receiver.recv(), Err(ChannelError::Closed));
        assert_eq!(receiver.try_recv(), Err(ChannelError::Closed));
    }

    #[base::kernel_test]
    fn whoever_waits_learns_that_the_other_side_is_gone() {
        let (sender, receiver) = channel::<Arc<()>>("test", 1).expect("memory");
        let task = {
            let receiver = receiver.clone();
            spawn("receiver", move || {
                assert_eq!(receiver.recv().err(), Some(ChannelError::Closed));
            })
            .expect("memory for a task")
        };
        crate::sleep(1_000_000);
        drop(sender);
        task.join();
        drop(receiver);

        let (sender, receiver) = channel("test", 1).expect("memory");
        let value = Arc::new(());
        sender.send(value.clone()).expect("there is room");
        let task = {
            let value = value.clone();
            spawn("sender", move || {
                let error = sender.send(value).expect_err("nobody receives it");
                assert_eq!(error.reason, ChannelError::Closed);
            })
            .expect("memory for a task")
        };
        crate::sleep(1_000_000);
        drop(receiver);
        task.join();
        assert_eq!(Arc::strong_count(&value), 1, "what nobody receives is dropped");
    }
}
