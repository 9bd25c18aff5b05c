//! [`Completion`]: what a controller answers (section 4.6).

use core::fmt;

/// An entry of a completion queue: 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    words: [u32; 4],
}

/// The bit of the fourth double word that turns over with each round of the ring.
const PHASE: u32 = 1 << 16;

impl Completion {
    /// Bytes of an entry.
    pub const BYTES: usize = 16;
    /// Where the double word with the phase stands: it is written last, and read first.
    pub const PHASE_OFFSET: usize = 12;

    /// Whether the fourth double word of an entry has this phase.
    pub const fn has_phase(fourth: u32, phase: bool) -> bool {
        (fourth & PHASE != 0) == phase
    }

    /// An entry of these double words.
    pub const fn new(words: [u32; 4]) -> Self {
        Self { words }
    }

    fn word(&self, index: usize) -> u32 {
        self.words.get(index).copied().unwrap_or(0)
    }

    /// What the command's own result is.
    pub fn result(&self) -> u32 {
        self.word(0)
    }

    /// Where the controller stands in the submission queue: all before has been taken.
    pub fn submission_head(&self) -> u16 {
        self.word(2) as u16
    }

    /// The number of the command.
    pub fn id(&self) -> u16 {
        self.word(3) as u16
    }

    /// How the command ended.
    pub fn status(&self) -> Status {
        Status((self.word(3) >> 17) as u16)
    }

    /// How many pairs of queues a [`Command::request_queues`](crate::Command::request_queues) was
    /// granted.
    pub fn granted_queues(&self) -> u16 {
        let (submission, completion) = (self.result() as u16, (self.result() >> 16) as u16);
        submission.min(completion).saturating_add(1)
    }
}

/// How a command ended: kind in bits 8 to 10, code in bits 0 to 7 (section 4.6.1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Status(u16);

impl Status {
    /// Well.
    pub const SUCCESS: Self = Self(0);
    /// The command needs another field's value.
    pub const INVALID_FIELD: Self = Self(0x002);
    /// The data could not be transferred.
    pub const TRANSFER_ERROR: Self = Self(0x004);
    /// Something is wrong within the controller.
    pub const INTERNAL_ERROR: Self = Self(0x006);
    /// It was aborted on request.
    pub const ABORTED: Self = Self(0x007);
    /// It was aborted since its queue was deleted.
    pub const QUEUE_DELETED: Self = Self(0x008);
    /// There is no such namespace.
    pub const INVALID_NAMESPACE: Self = Self(0x00b);
    /// The namespace is write-protected.
    pub const WRITE_PROTECTED: Self = Self(0x020);
    /// The blocks are not all there.
    pub const OUT_OF_RANGE: Self = Self(0x080);
    /// The namespace is not ready.
    pub const NOT_READY: Self = Self(0x082);
    /// A block cannot be written.
    pub const WRITE_FAULT: Self = Self(0x280);
    /// A block cannot be read.
    pub const READ_ERROR: Self = Self(0x281);
    /// The namespace can only be read.
    pub const READ_ONLY: Self = Self(0x182);

    /// The kind and code of `bits`.
    pub const fn new(bits: u16) -> Self {
        Self(bits)
    }

    /// Kind and code, without the hints for the driver.
    pub const fn code(self) -> u16 {
        self.0 & 0x7ff
    }

    /// Whether it ended as `other` says.
    pub const fn is(self, other: Self) -> bool {
        self.code() == other.code()
    }

    /// Whether it ended well.
    pub const fn is_success(self) -> bool {
        self.code() == 0
    }

    /// Whether it is about the medium: an error of the data itself.
    pub const fn is_media_error(self) -> bool {
        self.code() >> 8 == 2
    }

    /// Whether to try again makes no sense.
    pub const fn is_final(self) -> bool {
        self.0 & 1 << 14 != 0
    }

    fn text(self) -> Option<&'static str> {
        Some(match self.code() {
            0x000 => "success",
            0x001 => "invalid command",
            0x002 => "invalid field",
            0x003 => "command identifier in use",
            0x004 => "data transfer error",
            0x005 => "aborted for loss of power",
            0x006 => "internal error",
            0x007 => "aborted",
            0x008 => "aborted with its queue",
            0x00b => "invalid namespace",
            0x013 => "invalid offset of a page entry",
            0x020 => "write-protected",
            0x080 => "block out of range",
            0x081 => "capacity exceeded",
            0x082 => "namespace not ready",
            0x100 => "invalid completion queue",
            0x101 => "invalid queue number",
            0x102 => "invalid queue size",
            0x108 => "invalid interrupt vector",
            0x182 => "read-only",
            0x280 => "write fault",
            0x281 => "unrecovered read error",
            0x286 => "access denied",
            0x287 => "deallocated block",
            _ => return None,
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => f.write_str(text),
            None => write!(f, "status {:#05x}", self.code()),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Status({:#06x}, {self})", self.0)
    }
}
