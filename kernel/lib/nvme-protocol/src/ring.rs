//! Where a driver stands in the rings (section 4.1).
//!
//! A submission ring is full with one entry less than it has, since it would look empty else.
//! In a completion ring an entry is new if its phase is that of the round: the controller writes
//! ones in its first round through memory of zeros, zeros in its second, and so on.

/// The driver's place in a submission ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubmissionRing {
    entries: u16,
    tail: u16,
    head: u16,
}

impl SubmissionRing {
    /// An empty ring of `entries` entries; fewer than 2 count as 2.
    pub const fn new(entries: u16) -> Self {
        Self { entries: if entries < 2 { 2 } else { entries }, tail: 0, head: 0 }
    }

    /// How many entries it has.
    pub const fn entries(&self) -> u16 {
        self.entries
    }

    /// How many commands the controller has not taken.
    pub const fn waiting(&self) -> u16 {
        if self.tail >= self.head {
            self.tail - self.head
        } else {
            self.entries - self.head + self.tail
        }
    }

    /// Whether there is no room.
    pub const fn is_full(&self) -> bool {
        self.waiting() + 1 == self.entries
    }

    /// The entry for the next command; `None` if there is no room.
    pub const fn push(&mut self) -> Option<u16> {
        if self.is_full() {
            return None;
        }
        let index = self.tail;
        self.tail = if index + 1 == self.entries { 0 } else { index + 1 };
        Some(index)
    }

    /// What the doorbell is told: the first free entry.
    pub const fn tail(&self) -> u16 {
        self.tail
    }

    /// The controller says where it stands. False, and nothing changed, if it cannot stand there:
    /// it was not told of as much.
    pub const fn taken_to(&mut self, head: u16) -> bool {
        let waiting = self.waiting();
        let next = Self { head, ..*self };
        let makes_sense = head < self.entries && next.waiting() <= waiting;
        if makes_sense {
            self.head = head;
        }
        makes_sense
    }
}

/// The driver's place in a completion ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompletionRing {
    entries: u16,
    head: u16,
    phase: bool,
}

impl CompletionRing {
    /// The start of a ring of `entries` entries (fewer than 2 count as 2), which are all zero.
    pub const fn new(entries: u16) -> Self {
        Self { entries: if entries < 2 { 2 } else { entries }, head: 0, phase: true }
    }

    /// The entry to look at, and what the doorbell is told when all before it were.
    pub const fn head(&self) -> u16 {
        self.head
    }

    /// The phase that the entry has if it is new.
    pub const fn phase(&self) -> bool {
        self.phase
    }

    /// Goes on to the next entry.
    pub const fn pop(&mut self) {
        self.head += 1;
        if self.head == self.entries {
            self.head = 0;
            self.phase = !self.phase;
        }
    }
}
