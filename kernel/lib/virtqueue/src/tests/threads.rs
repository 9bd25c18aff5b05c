//! Driver and device at the same time, each asleep when it waits for the other: a notification
//! or an interrupt that gets lost would leave both asleep.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::agreement::pair;
use super::model::Device;
use super::{AGREEMENTS, size};
use crate::Buffer;

/// Much longer than any of it takes.
const BOUND: Duration = Duration::from_secs(60);

/// Finishes all chains in batches, the last of each first.
fn serve(mut device: Device, chains: u64, notified: &Receiver<()>, interrupt: &Sender<()>) {
    let mut served = 0;
    while served < chains {
        device.want(false);
        let mut batch = Vec::new();
        while let Some(chain) = device.take() {
            batch.push(chain);
        }
        for chain in batch.into_iter().rev() {
            served += 1;
            if device.finish(chain.head, chain.buffers[0].address as u32) {
                interrupt.send(()).expect("the driver listens");
            }
        }
        if served < chains && device.waiting() == 0 {
            device.want(true);
            if device.waiting() == 0 {
                notified.recv_timeout(BOUND).expect("a notification got lost");
            }
        }
    }
}

#[test]
fn nobody_waits_for_ever() {
    for queueing in AGREEMENTS {
        // In small ones somebody sleeps at each chain.
        for (entries, chains) in [(1, 10_000), (2, 10_000), (16, 70_000), (256, 140_000)] {
            let (mut queue, device) = pair(size(entries), queueing);
            let (notify, notified) = channel();
            let (interrupt, interrupted) = channel();
            let server = std::thread::spawn(move || serve(device, chains, &notified, &interrupt));
            let (mut added, mut done, mut sum) = (0, 0, 0);
            while done < chains {
                while added < chains && queue.free() > 0 {
                    let address = added % 1000;
                    queue.add([Buffer::writable(address, 1000)], address).expect("free");
                    added += 1;
                    // Now one by one, now many at once.
                    if added % 37 < 20 && queue.publish() {
                        notify.send(()).expect("the device listens");
                    }
                }
                if queue.publish() {
                    notify.send(()).expect("the device listens");
                }
                queue.disarm();
                while let Some(chain) = queue.pop().expect("a good device") {
                    assert_eq!(u64::from(chain.written), chain.token);
                    (done, sum) = (done + 1, sum + chain.token);
                }
                let must_wait = done < chains && (added == chains || queue.free() == 0);
                if must_wait && queue.arm() {
                    interrupted.recv_timeout(BOUND).expect("an interrupt got lost");
                }
            }
            server.join().expect("the device ends well");
            assert_eq!(sum, (0..chains).map(|number| number % 1000).sum());
        }
    }
}

/// Lets two threads go on at the same moment.
struct Gate(AtomicU64);

impl Gate {
    /// `round` counts the calls of this thread.
    fn pass(&self, round: &mut u64) {
        *round += 1;
        self.0.fetch_add(1, SeqCst);
        for spins in 0_u64.. {
            if self.0.load(SeqCst) >= *round * 2 {
                return;
            }
            // The machine may have one CPU.
            if spins > 2000 {
                std::thread::yield_now();
            }
        }
    }
}

/// One side says what it wants while the other goes on: at least one sees the other.
#[test]
fn wishes_and_indexes_are_not_both_missed() {
    const ROUNDS: u64 = 30_000;
    for queueing in AGREEMENTS {
        let (mut queue, mut device) = pair(size(4), queueing);
        let gate = Arc::new(Gate(AtomicU64::new(0)));
        let (tell, told) = channel();
        let other_gate = gate.clone();
        let server = std::thread::spawn(move || {
            let mut round = 0;
            device.want(false);
            for _ in 0..ROUNDS {
                other_gate.pass(&mut round);
                device.want(true);
                let sees = device.waiting() != 0;
                other_gate.pass(&mut round);
                tell.send(sees).expect("the driver listens");
                device.want(false);
                let chain = device.take().expect("published");
                other_gate.pass(&mut round);
                tell.send(device.finish(chain.head, 0)).expect("the driver listens");
                other_gate.pass(&mut round);
            }
        });
        let mut round = 0;
        queue.disarm();
        for token in 0..ROUNDS {
            queue.add([Buffer::readable(token, 1)], token).expect("room");
            gate.pass(&mut round);
            let notifies = queue.publish();
            gate.pass(&mut round);
            assert!(told.recv() == Ok(true) || notifies, "round {token}: the device sleeps on");
            gate.pass(&mut round);
            let sleeps = queue.arm();
            gate.pass(&mut round);
            assert!(told.recv() == Ok(true) || !sleeps, "round {token}: the driver sleeps on");
            queue.disarm();
            assert_eq!(queue.pop().expect("good").expect("finished").token, token);
        }
        server.join().expect("the device ends well");
    }
}
