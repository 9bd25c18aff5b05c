//! What a frame is for: [`FrameUse`].

use core::fmt;

/// Places of a table by use: a power of two, so that any number has its place.
pub(super) const COUNT: usize = 16;
static_assertions::const_assert!(FrameUse::ALL.len() <= COUNT);

/// What a frame is for. The accounting has a count for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameUse {
    /// Private memory of a user program.
    Anonymous,
    /// Memory that user programs share.
    SharedMemory,
    /// Contents of a file.
    FileCache,
    /// Memory that the host of a virtual machine has borrowed.
    Balloon,
    /// Page tables of a user address space.
    UserTable,
    /// Stacks of tasks.
    KernelStack,
    /// Page tables of the kernel.
    KernelTable,
    /// Slabs and other blocks of the kernel heap.
    Heap,
    /// Objects of the heap that have a frame each, since no slab could be had for them.
    HeapSingle,
    /// What kernel virtual allocations map.
    Vmalloc,
    /// Memory that devices read and write.
    Dma,
    /// The CPUs' copies of the per-CPU variables.
    PerCpu,
    /// Anything else.
    Other,
}

impl FrameUse {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::Anonymous,
        Self::SharedMemory,
        Self::FileCache,
        Self::Balloon,
        Self::UserTable,
        Self::KernelStack,
        Self::KernelTable,
        Self::Heap,
        Self::HeapSingle,
        Self::Vmalloc,
        Self::Dma,
        Self::PerCpu,
        Self::Other,
    ];

    /// Whether frames are taken on behalf of a user program, or of the host: then the reserve is
    /// left alone.
    pub const fn is_for_user(self) -> bool {
        self as u8 <= Self::KernelStack as u8
    }

    /// A short name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::SharedMemory => "shared memory",
            Self::FileCache => "file cache",
            Self::Balloon => "balloon",
            Self::UserTable => "user page tables",
            Self::KernelStack => "kernel stacks",
            Self::KernelTable => "kernel page tables",
            Self::Heap => "heap",
            Self::HeapSingle => "heap, single frames",
            Self::Vmalloc => "vmalloc",
            Self::Dma => "DMA",
            Self::PerCpu => "per-CPU variables",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for FrameUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
