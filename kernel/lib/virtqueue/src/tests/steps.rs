//! Random steps of driver and device, of which a naive model knows what must be.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::agreement::{cycle, pair};
use super::model::{Device, Memory, Taken};
use super::{AGREEMENTS, size};
use crate::{Access, AddError, Buffer, Virtqueue};

#[derive(Clone, Debug)]
enum Step {
    /// So many buffers to be read, so many to be written; with an indirect table.
    Add(usize, usize, bool),
    Publish,
    Take,
    /// The chain that the device took so many chains ago; how many bytes it says, of 255.
    Finish(usize, u8),
    Pop,
    Arm,
    Disarm,
    Want(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4_usize, 0..4_usize, any::<bool>()).prop_map(|(r, w, i)| Step::Add(r, w, i)),
        1 => (0..40_usize, 0..40_usize, any::<bool>()).prop_map(|(r, w, i)| Step::Add(r, w, i)),
        3 => Just(Step::Publish),
        4 => Just(Step::Take),
        4 => (0..8_usize, any::<u8>()).prop_map(|(ago, part)| Step::Finish(ago, part)),
        4 => Just(Step::Pop),
        1 => Just(Step::Arm),
        1 => Just(Step::Disarm),
        1 => any::<bool>().prop_map(Step::Want),
    ];
    prop::collection::vec(step, 1..400)
}

/// Both sides, and what the model knows. Numbers count from the first chain and do not wrap.
struct Bench {
    queue: Virtqueue<Memory, u64>,
    device: Device,
    entries: usize,
    /// Chains in flight by token, with how many descriptors each takes.
    chains: BTreeMap<u64, (Vec<Buffer>, usize)>,
    /// Tokens that the device may take next.
    added: VecDeque<u64>,
    /// How many of them it was shown.
    published: usize,
    /// Those that the device has.
    taken: Vec<Taken>,
    /// Those that the driver must get next.
    finished: VecDeque<(u64, u32)>,
    next_token: u64,
    /// Whether an interrupt must come with the next chain that is finished; `None`: whether it
    /// does is left open.
    is_armed: Option<bool>,
    /// The number of the chain that the device wants to be told of, if of one.
    wanted: Option<u64>,
    /// Chains ever shown to the device, and ever taken by it.
    shown: u64,
    seen: u64,
}

impl Bench {
    fn new(bit: u32, agreement: usize, start: u64) -> Self {
        let (mut queue, mut device) = pair(size(1 << bit), AGREEMENTS[agreement]);
        (0..start).for_each(|token| cycle(&mut queue, &mut device, token));
        device.want(true);
        Self {
            queue,
            device,
            entries: 1 << bit,
            chains: BTreeMap::new(),
            added: VecDeque::new(),
            published: 0,
            taken: Vec::new(),
            finished: VecDeque::new(),
            next_token: 1 << 20,
            is_armed: Some(true),
            wanted: Some(start),
            shown: start,
            seen: start,
        }
    }

    fn in_use(&self) -> usize {
        self.chains.values().map(|(_, descriptors)| descriptors).sum()
    }

    fn perform(&mut self, step: &Step) {
        match *step {
            Step::Add(reads, writes, indirect) => self.add(reads, writes, indirect),
            Step::Publish => self.publish(),
            Step::Take => self.take(),
            Step::Finish(ago, part) => self.finish(ago, part),
            Step::Pop => {
                let done = self.queue.pop().expect("a good device");
                let done = done.map(|done| (done.token, done.written));
                assert_eq!(done, self.finished.pop_front());
                if let Some((token, _)) = done {
                    self.chains.remove(&token).expect("in flight");
                }
            }
            Step::Arm => {
                assert_eq!(self.queue.arm(), self.finished.is_empty());
                // What is there already may be told of or not.
                self.is_armed = self.finished.is_empty().then_some(true);
            }
            Step::Disarm => {
                self.queue.disarm();
                self.is_armed = Some(false);
            }
            Step::Want(is_wanted) => {
                self.device.want(is_wanted);
                self.wanted = is_wanted.then_some(self.seen);
            }
        }
        assert_eq!(usize::from(self.queue.free()), self.entries - self.in_use());
        assert_eq!(usize::from(self.queue.in_flight()), self.chains.len());
    }

    fn add(&mut self, reads: usize, writes: usize, indirect: bool) {
        let token = self.next_token;
        // The first address tells chains apart; the sizes differ.
        let buffers: Vec<Buffer> = (0..reads + writes)
            .map(|index| Buffer {
                address: token << 16 | index as u64,
                bytes: 1 + index as u32 * 3,
                access: if index < reads { Access::Readable } else { Access::Writable },
            })
            .collect();
        let count = buffers.len();
        let free = self.entries - self.in_use();
        let needed = if indirect { 1 } else { count };
        let expected = if indirect && !self.queue.queueing().indirect {
            Some(AddError::NoIndirect)
        } else if indirect && free == 0 {
            Some(AddError::Full)
        } else if count == 0 {
            Some(AddError::Empty)
        } else if count > self.entries {
            Some(AddError::TooLong)
        } else {
            (needed > free).then_some(AddError::Full)
        };
        let result = if indirect {
            let (table, address) = (Memory::new(count * 16), token << 16 | 0xfff0);
            self.device.tables.insert(address, table.clone());
            self.queue.add_indirect(buffers.iter().copied(), &table, address, token)
        } else {
            self.queue.add(buffers.iter().copied(), token)
        };
        match (result, expected) {
            (Ok(()), None) => {
                self.chains.insert(token, (buffers, needed));
                self.added.push_back(token);
                self.next_token += 1;
            }
            (Err(refused), Some(reason)) => {
                assert_eq!((refused.reason, refused.token), (reason, token));
            }
            (result, expected) => panic!("{result:?} instead of {expected:?}"),
        }
    }

    fn publish(&mut self) {
        let new = self.shown + (self.added.len() - self.published) as u64;
        let expected = if self.queue.queueing().event_index {
            self.wanted.is_some_and(|wanted| (self.shown..new).contains(&wanted))
        } else {
            self.wanted.is_some() && new > self.shown
        };
        assert_eq!(self.queue.publish(), expected);
        (self.shown, self.published) = (new, self.added.len());
    }

    fn take(&mut self) {
        let taken = self.device.take();
        let expected = if self.published > 0 { self.added.pop_front() } else { None };
        let Some(token) = expected else {
            assert_eq!(taken, None);
            return;
        };
        self.published -= 1;
        self.seen += 1;
        let taken = taken.expect("published");
        assert_eq!(taken.buffers, self.chains[&token].0);
        self.taken.push(taken);
    }

    fn finish(&mut self, ago: usize, part: u8) {
        let Some(index) = self.taken.len().checked_sub(1 + ago) else { return };
        let chain = self.taken.remove(index);
        let written = (u64::from(chain.room()) * u64::from(part) / 255) as u32;
        let interrupts = self.device.finish(chain.head, written);
        if let Some(is_armed) = self.is_armed {
            assert_eq!(interrupts, is_armed);
        }
        // By the index there is one interrupt, then none until it is asked for again.
        if self.queue.queueing().event_index && self.is_armed == Some(true) {
            self.is_armed = Some(false);
        }
        self.finished.push_back((chain.address() >> 16, written));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn random_steps_from_the_start(bit in 0..7_u32, agreement in 0..4_usize, steps in steps()) {
        let mut bench = Bench::new(bit, agreement, 0);
        steps.iter().for_each(|step| bench.perform(step));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn random_steps_past_the_wrap(
        bit in 0..7_u32,
        agreement in 0..4_usize,
        before in 0..100_u64,
        steps in steps(),
    ) {
        let mut bench = Bench::new(bit, agreement, 65_536 - before);
        steps.iter().for_each(|step| bench.perform(step));
    }
}
