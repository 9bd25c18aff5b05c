//! A mounted file system with a page cache, as the kernel has one: [`Volume`].

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::rc::Rc;

use ext2::{
    Batch, Caller, Error, Exchange, Ext2, MountOptions, NewInode, NewKind, Removed, Rename,
    Renamed, Scope, Timestamp, probe,
};

use crate::disk::{Disk, Shared, Store};
use crate::sparse::Sparse;
use crate::tools::assert_clean;

/// A batch that is being written.
struct Flight {
    batch: Batch<Rc<Vec<u8>>>,
    /// How many phases have been written.
    phase: usize,
}

/// A page of a file.
struct Page {
    bytes: Vec<u8>,
    dirty: bool,
}

/// A mounted file system.
pub(crate) struct Volume {
    pub(crate) fs: Ext2<Store>,
    pub(crate) disk: Shared,
    pages: BTreeMap<(u32, u32), Page>,
    flight: Option<Flight>,
    /// Seconds since 1970.
    pub(crate) clock: i64,
    pub(crate) privileged: bool,
    /// How often an operation had to write back first.
    pub(crate) forced: usize,
}

/// A plain file of its owner.
pub(crate) const FILE: NewInode<'_> =
    NewInode { kind: NewKind::Regular, permissions: 0o644, uid: 1000, gid: 100 };
/// A plain directory.
pub(crate) const DIRECTORY: NewInode<'_> =
    NewInode { kind: NewKind::Directory, permissions: 0o755, uid: 0, gid: 0 };

/// Mounts an image to be written.
pub(crate) fn mount(image: Vec<u8>) -> Volume {
    try_mount(image, false).unwrap()
}

/// Mounts an image, if that can be done.
pub(crate) fn try_mount(image: Vec<u8>, read_only: bool) -> Result<Volume, Error> {
    let clock = 1_800_000_000;
    let superblock = image.get(1024..).and_then(|rest| rest.first_chunk()).ok_or(Error::Invalid)?;
    let block_size = probe(superblock)?.block_size;
    let disk = Disk::new(image, block_size);
    let now = Timestamp::from_seconds(clock);
    let options = MountOptions { read_only, write_unclean: false, now };
    let fs = Ext2::mount(Store::new(&disk), &options)?;
    let pages = BTreeMap::new();
    Ok(Volume { fs, disk, pages, flight: None, clock, privileged: true, forced: 0 })
}

impl Volume {
    pub(crate) fn caller(&mut self) -> Caller {
        self.clock += 1;
        Caller { now: Timestamp::from_seconds(self.clock), privileged: self.privileged }
    }

    pub(crate) fn block_size(&self) -> usize {
        self.disk.borrow().block_size
    }

    /// Does something; if the engine asks for it, everything is written back before.
    pub(crate) fn retry<R>(
        &mut self,
        mut act: impl FnMut(&mut Ext2<Store>, &Caller) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let caller = self.caller();
        for _ in 0..3 {
            match act(&mut self.fs, &caller) {
                Err(Error::WriteBackFirst) => {}
                other => return other,
            }
            self.forced += 1;
            self.sync();
            assert!(self.fs.is_settled());
        }
        panic!("to write back does not help")
    }

    // What is written back.

    /// Writes the dirty pages of a file, or of all files.
    fn write_pages(&mut self, inode: Option<u32>) {
        let mut map: BTreeMap<u32, BTreeMap<u32, u32>> = BTreeMap::new();
        for ((file, index), page) in &mut self.pages {
            if !page.dirty || inode.is_some_and(|inode| inode != *file) {
                continue;
            }
            let map = map.entry(*file).or_insert_with(|| mapping(&self.fs, *file));
            let block = map.get(index).expect("a dirty page has a place");
            self.disk.borrow_mut().write(*block, &page.bytes);
            page.dirty = false;
        }
    }

    /// Begins a batch, if none is on its way.
    pub(crate) fn begin(&mut self, scope: Scope) {
        assert!(self.flight.is_none());
        let now = Timestamp::from_seconds(self.clock);
        let batch = self.fs.begin(scope, now).unwrap();
        self.flight = Some(Flight { batch, phase: 0 });
    }

    /// Writes one phase of the batch that is on its way, or ends it; says whether it has.
    pub(crate) fn step(&mut self) -> bool {
        let Some(flight) = &mut self.flight else { return true };
        if let Some(phase) = flight.batch.phases().get(flight.phase) {
            flight.phase += 1;
            let writes: Vec<_> =
                phase.iter().map(|write| (write.block, write.bytes.clone())).collect();
            let data = if flight.phase == 1 { flight.batch.data().to_vec() } else { Vec::new() };
            data.into_iter().for_each(|inode| self.write_pages(Some(inode)));
            let mut disk = self.disk.borrow_mut();
            writes.iter().for_each(|(block, bytes)| disk.write(*block, bytes));
            disk.flush();
            return false;
        }
        if let Some(flight) = self.flight.take() {
            self.fs.finish(flight.batch, true);
            self.fs.storage().drop_clean();
            assert_eq!(self.fs.dirty_blocks(), self.fs.storage().dirty());
        }
        true
    }

    /// Writes what is on its way to its end.
    pub(crate) fn land(&mut self) {
        while !self.step() {}
    }

    /// fsync of a file or directory.
    pub(crate) fn fsync(&mut self, inode: u32) {
        self.land();
        self.write_pages(Some(inode));
        self.begin(Scope::Inode(inode));
        self.land();
        self.disk.borrow_mut().flush();
    }

    /// Writes back everything.
    pub(crate) fn sync(&mut self) {
        self.land();
        self.write_pages(None);
        self.begin(Scope::All);
        self.land();
        for _ in 0..2 {
            if self.fs.is_settled() {
                break;
            }
            self.begin(Scope::All);
            self.land();
        }
        self.disk.borrow_mut().flush();
        assert!(self.pages.values().all(|page| !page.dirty));
    }

    /// Unmounts; returns the image.
    pub(crate) fn unmount(mut self) -> Vec<u8> {
        self.land();
        self.write_pages(None);
        self.fs.close().unwrap();
        self.sync();
        assert!(self.fs.is_settled());
        self.fs.mark_clean().unwrap();
        self.begin(Scope::All);
        self.land();
        assert!(self.fs.is_settled());
        assert_eq!(self.fs.take_report(), None);
        let disk = Rc::clone(&self.disk);
        drop(self);
        let disk = Rc::into_inner(disk).unwrap().into_inner();
        disk.now
    }

    /// Unmounts, and has e2fsck look at the image.
    #[track_caller]
    pub(crate) fn check(self) -> Vec<u8> {
        let image = self.unmount();
        assert_clean(&image);
        image
    }

    // Files.

    /// Writes into a file, which gets larger if need be.
    pub(crate) fn write(&mut self, inode: u32, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let size = self.block_size() as u64;
        let end = offset + bytes.len() as u64;
        if end > self.fs.max_file_size() {
            return Err(Error::FileTooLarge);
        }
        let (mut index, last) = (offset / size, end.div_ceil(size));
        while index < last {
            let (first, count) = (index as u32, (last - index) as u32);
            let placed = self.retry(|fs, caller| fs.allocate(inode, first, count, caller))?;
            for step in 0..placed.count {
                let page = self.page(inode, first + step, placed.new, placed.start + step);
                let start = u64::from(first + step) * size;
                let (from, to) = (start.max(offset), (start + size).min(end));
                let source = &bytes[(from - offset) as usize..(to - offset) as usize];
                page.bytes[(from - start) as usize..(to - start) as usize].copy_from_slice(source);
                page.dirty = true;
            }
            index += u64::from(placed.count);
        }
        self.fs.extend(inode, end)
    }

    /// A page of a file; one that is new is zeros.
    fn page(&mut self, inode: u32, index: u32, new: bool, block: u32) -> &mut Page {
        let disk = &self.disk;
        self.pages.entry((inode, index)).or_insert_with(|| {
            let size = disk.borrow().block_size;
            let bytes = if new { vec![0; size] } else { disk.borrow().read(block).unwrap() };
            Page { bytes, dirty: false }
        })
    }

    /// Sets the size of a file.
    pub(crate) fn truncate(&mut self, inode: u32, size: u64) -> Result<(), Error> {
        let block_size = self.block_size() as u64;
        let old = self.fs.inode(inode)?.size;
        let kept = size.div_ceil(block_size);
        self.pages.retain(|(file, index), _| *file != inode || u64::from(*index) < kept);
        let edge = size % block_size;
        if size < old && edge != 0 {
            let index = (size / block_size) as u32;
            if let Some(block) = mapping(&self.fs, inode).get(&index).copied() {
                let page = self.page(inode, index, false, block);
                page.bytes[edge as usize..].fill(0);
                page.dirty = true;
            }
        }
        self.retry(|fs, caller| fs.truncate(inode, size, caller))
    }

    /// All bytes of a file.
    pub(crate) fn read(&self, inode: u32) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; self.fs.inode(inode)?.size as usize];
        self.read_pieces(inode, |offset, piece| {
            bytes[offset as usize..][..piece.len()].copy_from_slice(piece);
        })?;
        Ok(bytes)
    }

    /// All bytes of a file that may be large.
    pub(crate) fn read_sparse(&self, inode: u32) -> Result<Sparse, Error> {
        let mut sparse = Sparse::default();
        self.read_pieces(inode, |offset, piece| sparse.write(offset, piece))?;
        sparse.size = self.fs.inode(inode)?.size;
        Ok(sparse)
    }

    /// Calls `each` with the bytes of a file that are not in holes.
    fn read_pieces(&self, inode: u32, mut each: impl FnMut(u64, &[u8])) -> Result<(), Error> {
        let size = self.fs.inode(inode)?.size;
        let block_size = self.block_size() as u64;
        let mut runs = Vec::new();
        self.fs.map(inode, 0..size.div_ceil(block_size) as u32, |run| runs.push(run))?;
        for run in runs {
            let Some(first) = run.start else { continue };
            for step in 0..run.count {
                let (index, block) = (run.first + step, first + step);
                let start = u64::from(index) * block_size;
                let count = (size - start).min(block_size) as usize;
                match self.pages.get(&(inode, index)) {
                    Some(page) => each(start, &page.bytes[..count]),
                    None => {
                        let bytes =
                            self.disk.borrow().read(block).ok_or(Error::Device { block })?;
                        each(start, &bytes[..count]);
                    }
                }
            }
        }
        Ok(())
    }

    /// The entries of a directory but `.` and `..`.
    pub(crate) fn list(&self, directory: u32) -> Result<BTreeMap<Vec<u8>, u32>, Error> {
        let mut found = BTreeMap::new();
        let mut twice = None;
        self.fs.read_directory(directory, 0, |entry| {
            if !matches!(entry.name, b"." | b"..")
                && found.insert(entry.name.to_vec(), entry.inode).is_some()
            {
                twice = Some(entry.name.to_vec());
            }
            ControlFlow::Continue(())
        })?;
        assert_eq!(twice, None, "a name is there twice");
        Ok(found)
    }

    // Names, with the retry that the engine may ask for.

    pub(crate) fn create(&mut self, at: u32, name: &str, new: &NewInode<'_>) -> Result<u32, Error> {
        self.retry(|fs, caller| fs.create(at, name.as_bytes(), new, caller))
    }

    pub(crate) fn link(&mut self, inode: u32, at: u32, name: &str) -> Result<(), Error> {
        self.retry(|fs, caller| fs.link(inode, at, name.as_bytes(), caller))
    }

    /// Removes a name; the caller must release what has none left.
    pub(crate) fn unlink(&mut self, at: u32, name: &str) -> Result<Removed, Error> {
        self.retry(|fs, caller| fs.unlink(at, name.as_bytes(), caller))
    }

    /// Removes a name, and the file with the last.
    pub(crate) fn remove(&mut self, at: u32, name: &str) -> Result<Removed, Error> {
        let removed = self.unlink(at, name)?;
        if removed.links == 0 {
            self.release(removed.inode)?;
        }
        Ok(removed)
    }

    pub(crate) fn remove_directory(&mut self, at: u32, name: &str) -> Result<Removed, Error> {
        let removed = self.retry(|fs, caller| fs.remove_directory(at, name.as_bytes(), caller))?;
        self.release(removed.inode)?;
        Ok(removed)
    }

    pub(crate) fn rename(
        &mut self,
        (from, from_name): (u32, &str),
        (to, to_name): (u32, &str),
        replace: bool,
    ) -> Result<Renamed, Error> {
        let (from_name, to_name) = (from_name.as_bytes(), to_name.as_bytes());
        let rename = Rename { from, from_name, to, to_name, replace };
        self.retry(|fs, caller| fs.rename(&rename, caller))
    }

    pub(crate) fn exchange(
        &mut self,
        (one, one_name): (u32, &str),
        (other, other_name): (u32, &str),
    ) -> Result<(), Error> {
        let (one_name, other_name) = (one_name.as_bytes(), other_name.as_bytes());
        let exchange = Exchange { one, one_name, other, other_name };
        self.retry(|fs, caller| fs.exchange(&exchange, caller))
    }

    /// Nobody has the inode open.
    pub(crate) fn release(&mut self, inode: u32) -> Result<(), Error> {
        self.pages.retain(|(file, _), _| *file != inode);
        self.fs.release(inode)
    }
}

/// Where the blocks of a file are.
fn mapping(fs: &Ext2<Store>, inode: u32) -> BTreeMap<u32, u32> {
    let mut map = BTreeMap::new();
    let size = fs.inode(inode).unwrap().size.max(1);
    let blocks = size.div_ceil(fs.usage().block_size as u64) as u32;
    fs.map(inode, 0..blocks, |run| {
        if let Some(start) = run.start {
            map.extend((0..run.count).map(|step| (run.first + step, start + step)));
        }
    })
    .unwrap();
    map
}
