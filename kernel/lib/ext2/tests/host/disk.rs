//! A disk in memory, and the store over it.
//!
//! [`Disk`] keeps all writes and flushes since the beginning, so that the state after a cut of
//! the power at any point can be made later. [`Store`] is the cache of metadata: it checks
//! what the engine promises, and drops what it may drop as soon as it can.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use ext2::{Storage, StorageError};

/// What happened to a disk.
#[derive(Clone)]
pub(crate) enum Event {
    Write(u32, Rc<[u8]>),
    Flush,
}

/// A disk whose cache loses what was not flushed.
pub(crate) struct Disk {
    pub(crate) block_size: usize,
    /// The disk when events began to be kept.
    base: Option<Vec<u8>>,
    pub(crate) now: Vec<u8>,
    pub(crate) events: Vec<Event>,
    /// Fails every read of these blocks.
    pub(crate) broken: Vec<u32>,
    /// How many reads failed.
    pub(crate) failed: Cell<usize>,
}

/// A disk that several share.
pub(crate) type Shared = Rc<RefCell<Disk>>;

impl Disk {
    pub(crate) fn new(image: Vec<u8>, block_size: usize) -> Shared {
        Rc::new(RefCell::new(Self {
            block_size,
            base: None,
            now: image,
            events: Vec::new(),
            broken: Vec::new(),
            failed: Cell::default(),
        }))
    }

    fn range(&self, block: u32) -> std::ops::Range<usize> {
        let start = block as usize * self.block_size;
        start..start + self.block_size
    }

    pub(crate) fn read(&self, block: u32) -> Option<Vec<u8>> {
        if self.broken.contains(&block) {
            self.failed.set(self.failed.get() + 1);
            return None;
        }
        self.now.get(self.range(block)).map(<[u8]>::to_vec)
    }

    pub(crate) fn write(&mut self, block: u32, bytes: &[u8]) {
        let range = self.range(block);
        self.now[range].copy_from_slice(bytes);
        if self.base.is_some() {
            self.events.push(Event::Write(block, bytes.into()));
        }
    }

    pub(crate) fn flush(&mut self) {
        if self.base.is_some() {
            self.events.push(Event::Flush);
        }
    }

    /// Keeps what happens from here on.
    pub(crate) fn keep_events(&mut self) {
        self.base = Some(self.now.clone());
    }

    /// The disk after `count` events, when the power was cut: what was flushed is there; of
    /// what was written after the last flush `choose` says for each write whether it is.
    pub(crate) fn cut(&self, count: usize, mut choose: impl FnMut() -> bool) -> Vec<u8> {
        let mut image = self.base.clone().unwrap();
        let events = &self.events[..count];
        let flushed = events.iter().rposition(|event| matches!(event, Event::Flush)).unwrap_or(0);
        for (index, event) in events.iter().enumerate() {
            if let Event::Write(block, bytes) = event
                && (index < flushed || choose())
            {
                image[self.range(*block)].copy_from_slice(bytes);
            }
        }
        image
    }
}

struct Cached {
    bytes: Rc<Vec<u8>>,
    dirty: bool,
}

/// The cache of metadata.
pub(crate) struct Store {
    disk: Shared,
    blocks: RefCell<HashMap<u32, Cached>>,
    /// How many more blocks can be kept before the memory is out.
    pub(crate) memory: RefCell<Option<usize>>,
    /// How many calls of `read` there were.
    pub(crate) reads: RefCell<usize>,
}

impl Store {
    pub(crate) fn new(disk: &Shared) -> Self {
        Self {
            disk: disk.clone(),
            blocks: RefCell::default(),
            memory: RefCell::default(),
            reads: RefCell::default(),
        }
    }

    /// Drops all that may be dropped.
    pub(crate) fn drop_clean(&self) {
        self.blocks.borrow_mut().retain(|_, cached| cached.dirty);
    }

    /// How many blocks must be kept.
    pub(crate) fn dirty(&self) -> usize {
        self.blocks.borrow().values().filter(|cached| cached.dirty).count()
    }

    fn take_memory(&self) -> Result<(), StorageError> {
        match &mut *self.memory.borrow_mut() {
            Some(0) => Err(StorageError::NoMemory),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn load(&self, block: u32) -> Result<(), StorageError> {
        if self.blocks.borrow().contains_key(&block) {
            return Ok(());
        }
        self.take_memory()?;
        let bytes = self.disk.borrow().read(block).ok_or(StorageError::Device)?;
        let cached = Cached { bytes: Rc::new(bytes), dirty: false };
        self.blocks.borrow_mut().insert(block, cached);
        Ok(())
    }
}

impl Storage for Store {
    type Frozen = Rc<Vec<u8>>;

    fn block_size(&self) -> usize {
        self.disk.borrow().block_size
    }

    fn blocks(&self) -> u64 {
        let disk = self.disk.borrow();
        (disk.now.len() / disk.block_size) as u64
    }

    fn read<R>(&self, block: u32, look: impl FnOnce(&[u8]) -> R) -> Result<R, StorageError> {
        *self.reads.borrow_mut() += 1;
        self.load(block)?;
        // Held while `look` runs: it must not come back.
        Ok(look(&self.blocks.borrow_mut()[&block].bytes))
    }

    fn modify<R>(
        &mut self,
        block: u32,
        change: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, StorageError> {
        self.load(block)?;
        let blocks = self.blocks.get_mut();
        let cached = blocks.get_mut(&block).unwrap();
        cached.dirty = true;
        Ok(change(Rc::make_mut(&mut cached.bytes).as_mut_slice()))
    }

    fn fresh<R>(
        &mut self,
        block: u32,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, StorageError> {
        assert!(u64::from(block) < self.blocks());
        self.take_memory()?;
        let mut bytes = vec![0; self.block_size()];
        let result = fill(&mut bytes);
        let cached = Cached { bytes: Rc::new(bytes), dirty: true };
        let before = self.blocks.get_mut().insert(block, cached);
        assert!(before.is_none_or(|before| !before.dirty), "block {block} was metadata already");
        Ok(result)
    }

    fn freeze(&mut self, block: u32) -> Result<Self::Frozen, StorageError> {
        let cached = &self.blocks.get_mut()[&block];
        assert!(cached.dirty);
        Ok(cached.bytes.clone())
    }

    fn settle(&mut self, block: u32) {
        if let Some(cached) = self.blocks.get_mut().get_mut(&block) {
            cached.dirty = false;
        }
    }

    fn forget(&mut self, block: u32) {
        self.blocks.get_mut().remove(&block);
    }
}
