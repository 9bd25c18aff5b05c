//! [`Rings`]: a pair of queues in memory: commands go into one, answers come out of the other.
//! The admin queues and the I/O queues are such pairs; their users have the lock.

use core::sync::atomic::{Ordering, fence};

use memory::OutOfMemory;
use memory::dma::{DmaPool, SharedDma};
use nvme_protocol::{Command, Completion, CompletionRing, SubmissionRing};

use super::registers::Hardware;

/// Bytes of the least memory of a queue: they begin on a page.
const PAGE: usize = 4096;

static MEMORY: DmaPool = DmaPool::new();

/// A submission queue and its completion queue, with the same number and as many entries.
pub(super) struct Rings {
    hardware: Hardware,
    number: u16,
    submission: SubmissionRing,
    completion: CompletionRing,
    commands: SharedDma,
    answers: SharedDma,
    /// The tail that the controller was told.
    told: u16,
}

/// An answer does not fit what the controller was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nonsense;

impl Rings {
    /// # Errors
    /// [`OutOfMemory`].
    pub(super) fn new(hardware: &Hardware, number: u16, entries: u16) -> Result<Self, OutOfMemory> {
        let allocate =
            |bytes: usize| MEMORY.allocate_shared((usize::from(entries) * bytes).max(PAGE));
        Ok(Self {
            hardware: hardware.clone(),
            number,
            submission: SubmissionRing::new(entries),
            completion: CompletionRing::new(entries),
            commands: allocate(Command::BYTES)?,
            answers: allocate(Completion::BYTES)?,
            told: 0,
        })
    }

    /// Entries of each.
    pub(super) fn entries(&self) -> u16 {
        self.submission.entries()
    }

    /// Where both are in memory: for commands, and for answers.
    pub(super) fn addresses(&self) -> (u64, u64) {
        (self.commands.address().as_u64(), self.answers.address().as_u64())
    }

    /// Begins anew, with empty queues. The controller does not use them.
    pub(super) fn reset(&mut self) {
        self.submission = SubmissionRing::new(self.entries());
        self.completion = CompletionRing::new(self.entries());
        self.told = 0;
        for index in 0..usize::from(self.entries()) {
            self.answers.store32(index * Completion::BYTES + Completion::PHASE_OFFSET, 0);
        }
    }

    /// Puts a command in; the controller does not know it before [`Rings::ring`]. False if there
    /// is no room.
    pub(super) fn push(&mut self, command: &Command) -> bool {
        let Some(index) = self.submission.push() else { return false };
        let start = usize::from(index) * Command::BYTES;
        for (offset, word) in (start..).step_by(8).zip(command.long_words()) {
            self.commands.store64(offset, word);
        }
        true
    }

    /// Tells the controller of commands that it does not know.
    pub(super) fn ring(&mut self) {
        let tail = self.submission.tail();
        if core::mem::replace(&mut self.told, tail) != tail {
            // The commands, and what they are about, are in memory before.
            fence(Ordering::Release);
            self.hardware.ring_submission(self.number, tail);
        }
    }

    /// Takes the next answer out, if there is one.
    ///
    /// # Errors
    /// [`Nonsense`] if the controller has taken commands that it was not told of.
    pub(super) fn pop(&mut self) -> Result<Option<Completion>, Nonsense> {
        let start = usize::from(self.completion.head()) * Completion::BYTES;
        let fourth = self.answers.load32(start + Completion::PHASE_OFFSET);
        if !Completion::has_phase(fourth, self.completion.phase()) {
            return Ok(None);
        }
        // The rest was written before the phase.
        fence(Ordering::Acquire);
        let (first, third) = (self.answers.load32(start), self.answers.load32(start + 8));
        let answer = Completion::new([first, 0, third, fourth]);
        self.completion.pop();
        if self.submission.taken_to(answer.submission_head()) {
            Ok(Some(answer))
        } else {
            Err(Nonsense)
        }
    }

    /// Tells the controller that the answers which were taken out have room for others.
    pub(super) fn acknowledge(&mut self) {
        self.hardware.ring_completion(self.number, self.completion.head());
    }
}
