//! [`Table`]: what is locked, by file, and who waits for it.
//!
//! A file is in the table as long as somebody has locks on it, or is about to. It is known by the
//! address of its inode, which nobody else gets meanwhile: whoever has locks also has the file
//! open.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::{Errno, Result};
use arch::paging::PAGE_SIZE;
use hashbrown::HashMap;
use memory::frames::{check_user_may_take, statistics};
use record_locks::{Bytes, Mode, NoRoom, Owner, Record, RecordLocks};
use spin::Once;
use task::{Condvar, Mutex, MutexGuard, named_mutex};

use super::no_memory;
use crate::open_file::OpenFile;

const PAGE: usize = PAGE_SIZE as usize;

/// Most locks of one file: a look at all of them is a short time.
pub(super) const MOST_OF_FILE: usize = 32_768;

/// Most locks of all files: a 64th of the memory.
fn most_of_all() -> usize {
    static MOST: Once<usize> = Once::new();
    *MOST.call_once(|| statistics().total / 64 * PAGE / size_of::<Record>())
}

/// A file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(usize);

impl Key {
    pub(super) fn of(file: &OpenFile) -> Self {
        Self(match file.path() {
            Some(path) => Arc::as_ptr(path.inode()).addr(),
            None => core::ptr::from_ref(file.file()).addr(),
        })
    }
}

/// Locks of one family do not keep those of the other away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Of whole files (flock(2)), an open file's: all bytes, in one record.
    Files,
    /// Of bytes (fcntl(2)).
    Records,
}

/// What somebody wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) family: Family,
    pub(super) owner: Owner,
    pub(super) bytes: Bytes,
    /// `None`: to unlock them.
    pub(super) mode: Option<Mode>,
}

impl Wish {
    /// Whether it is one of those that deadlocks are looked for among. An open file may be many
    /// processes', and who of them waits for whom nobody knows.
    fn is_process_record(&self) -> bool {
        self.family == Family::Records && self.owner.pid.is_some()
    }
}

/// The locks of a file.
#[derive(Debug)]
pub(super) struct FileLocks {
    /// Device and inode number.
    pub(super) number: ([u32; 2], u64),
    files: RecordLocks,
    records: RecordLocks,
    /// Tasks that are about to take locks.
    users: usize,
    /// Where they wait until one is freed.
    freed: Arc<Condvar>,
}

impl FileLocks {
    fn new(number: ([u32; 2], u64)) -> Self {
        let (files, records) = (RecordLocks::new(), RecordLocks::new());
        Self { number, files, records, users: 0, freed: Arc::new(Condvar::new("file lock")) }
    }

    pub(super) fn of(&self, family: Family) -> &RecordLocks {
        match family {
            Family::Files => &self.files,
            Family::Records => &self.records,
        }
    }

    fn of_mut(&mut self, family: Family) -> &mut RecordLocks {
        match family {
            Family::Files => &mut self.files,
            Family::Records => &mut self.records,
        }
    }

    fn is_used(&self) -> bool {
        self.users > 0 || !self.files.is_empty() || !self.records.is_empty()
    }
}

/// Somebody who waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) ticket: u64,
    pub(super) key: Key,
    pub(super) wish: Wish,
    /// The owner of a lock that is in the way; `None` if one was freed since: it is about to look
    /// again.
    pub(super) blocker: Option<u64>,
}

/// All file locks.
#[derive(Debug, Default)]
pub(super) struct Table {
    files: HashMap<Key, FileLocks>,
    pub(super) waiting: Vec<Waiting>,
    /// How many locks there are.
    count: usize,
    tickets: u64,
}

/// Locks the table of all locks.
#[cfg_attr(debug_assertions, track_caller)]
pub(super) fn lock() -> MutexGuard<'static, Table> {
    static TABLE: Once<Mutex<Table>> = Once::new();
    TABLE.call_once(|| named_mutex("file locks", Table::default())).lock()
}

impl Table {
    /// All files with locks.
    pub(super) fn files(&self) -> impl Iterator<Item = (Key, &FileLocks)> {
        self.files.iter().map(|(key, file)| (*key, file))
    }

    /// The locks of a file, if it has some.
    pub(super) fn records(&self, key: Key, family: Family) -> Option<&RecordLocks> {
        self.files.get(&key).map(|file| file.of(family))
    }

    /// Keeps a file in the table until [`Table::leave`], and puts it there if need be.
    ///
    /// # Errors
    /// `ENOLCK` without memory.
    pub(super) fn enter(&mut self, key: Key, number: ([u32; 2], u64)) -> Result<()> {
        self.files.try_reserve(1).map_err(no_memory)?;
        self.files.entry(key).or_insert_with(|| FileLocks::new(number)).users += 1;
        Ok(())
    }

    /// The other end of [`Table::enter`].
    pub(super) fn leave(&mut self, key: Key) {
        if let Some(file) = self.files.get_mut(&key) {
            file.users = file.users.saturating_sub(1);
        }
        self.tidy(key);
    }

    fn tidy(&mut self, key: Key) {
        if self.files.get(&key).is_some_and(|file| !file.is_used()) {
            self.files.remove(&key);
        }
    }

    /// Does what is wished; or `Some`: who has a lock that is in the way.
    ///
    /// # Errors
    /// `ENOLCK`: too many locks, or no memory.
    pub(super) fn attempt(&mut self, key: Key, wish: &Wish) -> Result<Option<Owner>> {
        let Wish { family, owner, bytes, mode } = *wish;
        let Some(file) = self.files.get_mut(&key) else { return Ok(None) };
        if let Some(mode) = mode {
            let own = file.of(family).own(owner.number, bytes);
            if family == Family::Files && own.is_some_and(|own| own.mode != mode) {
                self.set(key, &Wish { mode: None, ..*wish })?;
            }
            let records = self.records(key, family);
            let conflict = records.and_then(|all| all.conflict(owner.number, bytes, mode));
            if let Some(conflict) = conflict {
                return Ok(Some(conflict.owner));
            }
        }
        self.set(key, wish).map(|()| None)
    }

    /// Locks or unlocks.
    fn set(&mut self, key: Key, wish: &Wish) -> Result<()> {
        let Some(file) = self.files.get_mut(&key) else { return Ok(()) };
        let records = file.of_mut(wish.family);
        let before = records.len();
        let most = MOST_OF_FILE.min(before + most_of_all().saturating_sub(self.count));
        let set = |all: &mut RecordLocks| all.set(wish.owner, wish.bytes, wish.mode, most);
        let frees = match set(records) {
            Ok(frees) => frees,
            Err(NoRoom) => {
                let growth = records.growth(RecordLocks::MOST_ADDED);
                check_user_may_take(growth.div_ceil(PAGE)).map_err(no_memory)?;
                records.reserve(RecordLocks::MOST_ADDED).map_err(no_memory)?;
                set(records).map_err(no_memory)?
            }
        };
        self.count = self.count + records.len() - before;
        if frees {
            self.wake(key);
        }
        Ok(())
    }

    /// Takes away all that an owner has locked of a file.
    pub(super) fn release(&mut self, key: Key, families: &[Family], owner: u64) {
        let Some(file) = self.files.get_mut(&key) else { return };
        let mut had = false;
        for &family in families {
            let records = file.of_mut(family);
            self.count -= records.len();
            had |= records.remove_owner(owner);
            self.count += records.len();
        }
        if had {
            self.wake(key);
            self.tidy(key);
        }
    }

    /// Lets all look again who wait for locks of a file. They wait for nobody until they have.
    fn wake(&mut self, key: Key) {
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.key == key) {
            waiting.blocker = None;
        }
        if let Some(file) = self.files.get(&key) {
            file.freed.notify_all();
        }
    }

    /// A number for somebody who may wait.
    pub(super) fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// Notes that the one with that ticket waits for `blocker`; where.
    ///
    /// # Errors
    /// `EDEADLK` if that waits for the same owner; `ENOLCK` without memory.
    pub(super) fn note_waiting(
        &mut self,
        ticket: u64,
        key: Key,
        wish: &Wish,
        blocker: u64,
    ) -> Result<Arc<Condvar>> {
        if wish.is_process_record() && self.waits_for(blocker, wish.owner.number) {
            return Err(Errno::EDEADLK);
        }
        let known = self.waiting.iter_mut().find(|waiting| waiting.ticket == ticket);
        if let Some(waiting) = known {
            waiting.blocker = Some(blocker);
        } else {
            self.waiting.try_reserve(1).map_err(no_memory)?;
            self.waiting.push(Waiting { ticket, key, wish: *wish, blocker: Some(blocker) });
        }
        self.files.get(&key).map(|file| file.freed.clone()).ok_or(Errno::ENOLCK)
    }

    /// The one with that ticket does not wait any more.
    pub(super) fn forget_waiting(&mut self, ticket: u64) {
        self.waiting.retain(|waiting| waiting.ticket != ticket);
    }

    /// Whether `from` waits, over any number of others, for `to`. Each owner's way is followed to
    /// the first lock alone that is in its way; when that is freed it looks again, and finds
    /// another circle then.
    fn waits_for(&self, from: u64, to: u64) -> bool {
        let mut at = from;
        // A way that is longer goes in a circle without `to`.
        for _ in 0..=self.waiting.len() {
            if at == to {
                return true;
            }
            let next = self.waiting.iter().find(|waiting| {
                waiting.wish.owner.number == at && waiting.wish.is_process_record()
            });
            match next.and_then(|waiting| waiting.blocker) {
                Some(blocker) => at = blocker,
                None => return false,
            }
        }
        false
    }
}
