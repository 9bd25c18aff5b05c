//! [`Table`]: the inodes of a file system that are in memory, by number, so that each is there once;
//! and which of them have something that is to be stored, or that nobody uses any more and that are
//! still to go from the disk.
//!
//! An inode says itself when it goes, in its `Drop` ([`Table::forget`]). That can be anywhere: where
//! a name is let go because memory is out, in a task that stores something, in one that holds locks
//! of the VFS. So `forget` must not wait for anybody who waits for the disk, for memory, or for a
//! lock:
//!
//! - The tree has a spin lock, which nobody holds while they read an inode. Who does that holds
//!   one of [`Table::loading`], which `forget` does not take.
//! - Nothing is dropped under the spin lock that has a `Drop` of its own: what the tree gave back
//!   goes when the lock is free.
//! - To put an inode in may take memory under the spin lock, and so have memory reclaimed. What is
//!   reclaimed under a lock are pages and unused memory of the heap, never an inode: names, which
//!   keep inodes, go only where a task may sleep (`memory::reclaim::Kind`).
//! - `forget` takes no memory. What is to go from the disk keeps its place in the tree and gets a
//!   mark.

use alloc::sync::{Arc, Weak};

use abi::{Errno, Result};
use base::sync::SpinLock;
use page_tree::{PageTree, Tag};
use task::{Mutex, named_mutex};

/// Inodes that can be read at a time.
const LOADERS: usize = 16;

/// The mark of an inode that is dead and has no name: which of the tree's it is means nothing.
const RELEASED: Tag = Tag::Dirty;
/// The mark of one of which something is to be stored, likewise.
const LISTED: Tag = Tag::Writeback;

/// Inodes by number.
pub(super) struct Table<T> {
    inodes: SpinLock<PageTree<Weak<T>>>,
    /// Held while an inode is read, by number: nobody else reads the same one, changes it and lets
    /// it go meanwhile.
    loading: [Mutex<()>; LOADERS],
}

impl<T> Table<T> {
    pub(super) fn new() -> Self {
        Self {
            inodes: SpinLock::new("ext2 inodes", PageTree::new()),
            loading: [const { named_mutex("ext2 inode read", ()) }; LOADERS],
        }
    }

    fn find(&self, number: u32) -> Option<Arc<T>> {
        self.inodes.lock().get(number.into()).and_then(Weak::upgrade)
    }

    /// The inode of a number, which `load` reads if it is not in memory. May sleep.
    ///
    /// # Errors
    /// `ENOMEM`; what `load` says.
    pub(super) fn inode(
        &self,
        number: u32,
        load: impl FnOnce() -> Result<Arc<T>>,
    ) -> Result<Arc<T>> {
        if let Some(known) = self.find(number) {
            return Ok(known);
        }
        let loading = self.loading.get(number as usize % LOADERS).ok_or(Errno::EINVAL)?;
        let _loading = loading.lock();
        if let Some(known) = self.find(number) {
            return Ok(known);
        }
        let inode = load()?;
        let old = self.inodes.lock().insert(number.into(), Arc::downgrade(&inode));
        match old {
            Ok(_) => Ok(inode),
            Err(page_tree::NoMemory) => Err(Errno::ENOMEM),
        }
    }

    /// Marks an inode that is there as one of which something is to be stored. Takes no memory.
    pub(super) fn list(&self, number: u32) {
        self.inodes.lock().set_tag(number.into(), LISTED, true);
    }

    /// Takes the mark away.
    pub(super) fn unlist(&self, number: u32) {
        self.inodes.lock().set_tag(number.into(), LISTED, false);
    }

    /// The first inode from `number` on of which something is to be stored.
    pub(super) fn next_listed(&self, number: u32) -> Option<(u32, Arc<T>)> {
        let inodes = self.inodes.lock();
        let mut at = u64::from(number);
        loop {
            let (index, inode) = inodes.next_tagged(at, LISTED)?;
            if let Some(inode) = inode.upgrade() {
                return u32::try_from(index).ok().map(|number| (number, inode));
            }
            at = index + 1;
        }
    }

    /// The inode of a number, if something of it is to be stored.
    pub(super) fn listed(&self, number: u32) -> Option<Arc<T>> {
        let inodes = self.inodes.lock();
        let inode = inodes.get(number.into()).filter(|_| inodes.has_tag(number.into(), LISTED));
        inode.and_then(Weak::upgrade)
    }

    /// An inode is being dropped. One without a name is to go from the disk
    /// ([`Table::take_released`]); true then.
    pub(super) fn forget(&self, number: u32, has_name: bool) -> bool {
        let index = number.into();
        let mut inodes = self.inodes.lock();
        let is_marked = inodes.has_tag(index, RELEASED);
        let dead = match inodes.get_mut(index) {
            // It has come back under its number meanwhile.
            Some(known) if known.strong_count() > 0 => None,
            // It has come back, and gone once more before this: the mark is that one's.
            Some(_) if has_name && is_marked => None,
            Some(_) if has_name => inodes.remove(index),
            Some(known) => {
                let dead = core::mem::take(known);
                inodes.set_tag(index, RELEASED, true);
                Some(dead)
            }
            // There was no memory for it in here. If it has no name either, it goes when the file
            // system is unmounted.
            None => None,
        };
        let is_released = inodes.has_tag(index, RELEASED);
        drop(inodes);
        // With the memory that it was in, unless its `Drop` is still on.
        drop(dead);
        is_released
    }

    /// Takes one out that is to go from the disk.
    pub(super) fn take_released(&self) -> Option<u32> {
        let mut inodes = self.inodes.lock();
        loop {
            let (index, known) = inodes.next_tagged(0, RELEASED)?;
            if known.strong_count() > 0 {
                // Somebody has it once more, and lets it go once more.
                inodes.set_tag(index, RELEASED, false);
                continue;
            }
            let dead = inodes.remove(index);
            drop(inodes);
            drop(dead);
            return u32::try_from(index).ok();
        }
    }
}

#[cfg(not(test))]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// As an inode: with its last user it tells the table.
    struct Node {
        table: Arc<Table<Node>>,
        number: u32,
        has_name: bool,
    }

    impl Drop for Node {
        fn drop(&mut self) {
            self.table.forget(self.number, self.has_name);
        }
    }

    fn node(table: &Arc<Table<Node>>, number: u32, has_name: bool) -> Arc<Node> {
        Arc::new(Node { table: table.clone(), number, has_name })
    }

    fn load(table: &Arc<Table<Node>>, number: u32, has_name: bool) -> Arc<Node> {
        table.inode(number, || Ok(node(table, number, has_name))).expect("memory")
    }

    #[base::kernel_test]
    fn an_inode_is_there_once_and_goes_with_its_last_user() {
        let table = Arc::new(Table::new());
        let one = load(&table, 12, true);
        let same = table.inode(12, || Err(Errno::EIO)).expect("it is there");
        assert!(Arc::ptr_eq(&one, &same));
        drop((one, same));
        assert_eq!(table.inode(12, || Err(Errno::EIO)).err(), Some(Errno::EIO));
        assert!(table.inodes.lock().is_empty());
        assert_eq!(table.take_released(), None);
    }

    #[base::kernel_test]
    fn inodes_without_names_wait_to_go_from_the_disk() {
        let table = Arc::new(Table::new());
        let kept = load(&table, 70_000, false);
        for number in [11, 5000, 12] {
            drop(load(&table, number, false));
        }
        let released: Vec<_> = core::iter::from_fn(|| table.take_released()).collect();
        assert_eq!(released, [11, 12, 5000]);
        drop(kept);
        // One that comes back is released when it goes again.
        let again = load(&table, 70_000, false);
        assert_eq!(table.take_released(), None);
        drop(again);
        assert_eq!(table.take_released(), Some(70_000));
        assert_eq!(table.take_released(), None);
        assert!(table.inodes.lock().is_empty());
    }

    #[base::kernel_test]
    fn what_is_listed_is_found_in_order() {
        let table = Arc::new(Table::new());
        let nodes: Vec<_> = [7, 3, 5000].map(|number| load(&table, number, true)).into();
        table.list(5000);
        table.list(3);
        let numbers = |table: &Table<Node>| {
            let mut from = 0;
            let next = || {
                let (number, node) = table.next_listed(from)?;
                assert_eq!(node.number, number);
                from = number + 1;
                Some(number)
            };
            core::iter::from_fn(next).collect::<Vec<_>>()
        };
        assert_eq!(numbers(&table), [3, 5000]);
        assert!(table.listed(7).is_none() && table.listed(3).is_some());
        table.unlist(3);
        assert_eq!(numbers(&table), [5000]);
        drop(nodes);
        assert!(numbers(&table).is_empty());
        assert!(table.inodes.lock().is_empty());
    }

    /// An inode dies, comes back and goes for good before the first one's end was told.
    #[base::kernel_test]
    fn an_inode_that_dies_late_does_not_take_the_next_ones_mark() {
        let table = Arc::new(Table::new());
        drop(load(&table, 12, false));
        assert!(table.forget(12, true));
        assert_eq!(table.take_released(), Some(12));
    }

    /// As when memory is out while an inode is read, and names are let go for that.
    #[base::kernel_test]
    fn an_inode_may_go_while_another_one_is_read() {
        let table = Arc::new(Table::new());
        // The same lock of reading, and the one that is read itself.
        let other = load(&table, 3 + LOADERS as u32, true);
        let nameless = load(&table, 3 + 2 * LOADERS as u32, false);
        let read = table.inode(3, || {
            drop((other, nameless));
            drop(node(&table, 3, true));
            Ok(node(&table, 3, true))
        });
        let read = read.expect("memory");
        assert!(Arc::ptr_eq(&read, &load(&table, 3, true)));
        assert_eq!(table.inodes.lock().len(), 2);
        assert_eq!(table.take_released(), Some(3 + 2 * LOADERS as u32));
    }
}
