//! An index of names in memory: [`Indices`].
//!
//! On the disk a name is found by looking through all entries. For directories of many blocks
//! an index says in which block a name can be, and how much room each block has. It is made
//! when such a directory is changed or when it is asked for, is kept up to date by every
//! change, and can be dropped at any time.

use alloc::vec::Vec;

use hashbrown::HashTable;

/// How many directories have an index at most.
const MOST: usize = 8;
/// How many names all indices have at most: some MiB.
const MOST_NAMES: usize = 1 << 19;

/// The index of a directory.
#[derive(Debug)]
pub(super) struct Index {
    directory: u32,
    /// When it was last used, as a count of uses.
    used: u64,
    /// Hashes of names, and which block of the directory has the name.
    names: HashTable<(u32, u32)>,
    /// The largest room in each block.
    rooms: Vec<u16>,
}

/// The indices of some directories.
#[derive(Debug, Default)]
pub(crate) struct Indices {
    list: Vec<Index>,
    uses: u64,
}

/// The hash of a name (FNV-1a).
pub(super) fn hash(name: &[u8]) -> u32 {
    name.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// A hash with all bits well mixed, as the table wants it.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Index {
    /// An index of a directory that has nothing in it yet.
    pub(super) fn new(directory: u32) -> Self {
        Self { directory, used: 0, names: HashTable::new(), rooms: Vec::new() }
    }

    /// Adds a name; says whether there was memory.
    #[must_use]
    pub(super) fn add(&mut self, hash: u32, block: u32) -> bool {
        let spread = |entry: &(u32, u32)| spread(entry.0);
        let room = self.names.len() < MOST_NAMES && self.names.try_reserve(1, spread).is_ok();
        if room {
            self.names.insert_unique(spread(&(hash, block)), (hash, block), spread);
        }
        room
    }

    /// Says how much room a block has.
    #[must_use]
    pub(super) fn set_room(&mut self, block: u32, room: usize) -> bool {
        let index = block as usize;
        if index == self.rooms.len() && self.rooms.try_reserve(1).is_ok() {
            self.rooms.push(0);
        }
        let slot = self.rooms.get_mut(index);
        let there = slot.is_some();
        if let Some(slot) = slot {
            *slot = room.min(u16::MAX.into()) as u16;
        }
        there
    }

    /// The blocks that may have a name with this hash.
    pub(super) fn blocks_with(&self, hash: u32) -> impl Iterator<Item = u32> {
        let same = self.names.iter_hash(spread(hash)).filter(move |entry| entry.0 == hash);
        same.map(|entry| entry.1)
    }

    /// The first block with so much room.
    pub(super) fn block_with_room(&self, need: usize) -> Option<u32> {
        self.rooms.iter().position(|room| usize::from(*room) >= need).map(|index| index as u32)
    }
}

impl Indices {
    /// The index of a directory, if there is one.
    pub(super) fn of(&self, directory: u32) -> Option<&Index> {
        self.list.iter().find(|index| index.directory == directory)
    }

    fn of_mut(&mut self, directory: u32) -> Option<&mut Index> {
        self.list.iter_mut().find(|index| index.directory == directory)
    }

    /// Notes that an index has been of use; says whether there is one.
    pub(super) fn touch(&mut self, directory: u32) -> bool {
        self.uses += 1;
        let uses = self.uses;
        let index = self.of_mut(directory);
        index.map(|index| index.used = uses).is_some()
    }

    /// Keeps an index; the one that has not been used for longest may have to go.
    pub(super) fn keep(&mut self, index: Index) {
        let names = |list: &[Index]| list.iter().map(|index| index.names.len()).sum::<usize>();
        while self.list.len() >= MOST
            || !self.list.is_empty() && names(&self.list) + index.names.len() > MOST_NAMES
        {
            let used = self.list.iter().enumerate().min_by_key(|(_, index)| index.used);
            let Some((oldest, _)) = used else { break };
            self.list.swap_remove(oldest);
        }
        if self.list.try_reserve(1).is_ok() {
            let directory = index.directory;
            self.list.push(index);
            self.touch(directory);
        }
    }

    /// Drops the index of a directory.
    pub(crate) fn drop_one(&mut self, directory: u32) {
        self.list.retain(|index| index.directory != directory);
    }

    /// Drops all indices.
    pub(crate) fn drop_all(&mut self) {
        self.list = Vec::new();
    }

    /// A directory has got a name in a block.
    pub(super) fn insert(&mut self, directory: u32, block: u32, name: &[u8]) {
        if self.of_mut(directory).is_some_and(|index| !index.add(hash(name), block)) {
            self.drop_one(directory);
        }
    }

    /// A directory has lost a name with this hash from a block.
    pub(super) fn remove(&mut self, directory: u32, block: u32, hash: u32) {
        let Some(index) = self.of_mut(directory) else { return };
        if let Ok(entry) = index.names.find_entry(spread(hash), |entry| *entry == (hash, block)) {
            entry.remove();
        } else {
            self.drop_one(directory);
        }
    }

    /// The largest room in a block has changed.
    pub(super) fn set_room(&mut self, directory: u32, block: u32, room: usize) {
        if self.of_mut(directory).is_some_and(|index| !index.set_room(block, room)) {
            self.drop_one(directory);
        }
    }

    /// There is this much room in one place of a block, and perhaps more in others.
    pub(super) fn raise_room(&mut self, directory: u32, block: u32, room: usize) {
        let Some(index) = self.of_mut(directory) else { return };
        let before = index.rooms.get(block as usize).map_or(0, |room| usize::from(*room));
        if room > before {
            self.set_room(directory, block, room);
        }
    }

    /// A directory has got one more block, of `size` bytes, which is empty.
    pub(super) fn grow(&mut self, directory: u32, block: u32, size: usize) {
        self.set_room(directory, block, size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_where_they_were_put() {
        let mut indices = Indices::default();
        let mut index = Index::new(7);
        for number in 0..5u32 {
            assert!(index.set_room(number, 10 * number as usize));
            assert!(index.add(hash(&number.to_le_bytes()), number));
        }
        assert!(!index.set_room(9, 1));
        indices.keep(index);
        indices.insert(7, 4, &3u32.to_le_bytes());
        let blocks = |indices: &Indices, number: u32| {
            let index = indices.of(7).unwrap();
            let mut blocks: Vec<_> = index.blocks_with(hash(&number.to_le_bytes())).collect();
            blocks.sort_unstable();
            blocks
        };
        assert_eq!(blocks(&indices, 3), [3, 4]);
        indices.remove(7, 3, hash(&3u32.to_le_bytes()));
        assert_eq!(blocks(&indices, 3), [4]);
        assert_eq!(blocks(&indices, 5), []);
        assert_eq!(indices.of(7).unwrap().block_with_room(30), Some(3));
        assert_eq!(indices.of(7).unwrap().block_with_room(41), None);
        // What does not agree is dropped.
        indices.remove(7, 0, hash(b"nothing"));
        assert!(indices.of(7).is_none());
    }

    #[test]
    fn the_longest_unused_goes_first() {
        let mut indices = Indices::default();
        (0..MOST as u32).for_each(|directory| indices.keep(Index::new(directory)));
        assert!(indices.touch(0));
        indices.keep(Index::new(100));
        assert!(indices.of(0).is_some() && indices.of(1).is_none() && indices.of(100).is_some());
    }
}
