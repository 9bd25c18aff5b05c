//! What must be there after a cut of the power: [`Promises`].

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::model::{Model, Node};
use crate::sparse::Sparse;

/// A name: the inode of a directory, and the name in it.
pub(crate) type Place = (u32, String);

/// What was promised of an inode when fsync returned for it, as far as it has not been changed
/// since.
#[derive(Clone, Debug, Default)]
pub(crate) struct Promise {
    /// The contents; `None` if they have been changed, or there are none.
    pub(crate) contents: Option<Rc<Sparse>>,
    /// Names that it must have.
    pub(crate) must: BTreeSet<Place>,
    /// Names, in whatever directory, one of which it must have.
    pub(crate) may: BTreeSet<String>,
}

/// An inode, and what is in it if it is a file.
pub(crate) type Version = (u32, Option<Rc<Sparse>>);

/// All that is promised at one time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Promises {
    pub(crate) inodes: BTreeMap<u32, Promise>,
    /// Names that must be there, since what had them was replaced: by one of these inodes,
    /// with these contents.
    pub(crate) replaced: BTreeMap<Place, Vec<Version>>,
}

/// What is found in an image after e2fsck was there.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Inodes by name, lost+found left out.
    pub(crate) names: BTreeMap<Place, u32>,
    /// Contents of the files.
    pub(crate) contents: BTreeMap<u32, Sparse>,
}

impl Promises {
    /// fsync has returned for an inode.
    pub(crate) fn synced(&mut self, model: &Model, inode: u32) {
        let names = model.names_of(inode);
        if names.is_empty() {
            return;
        }
        let contents = match &model.nodes[&inode] {
            Node::File { contents, .. } => Some(Rc::new(contents.clone())),
            _ => None,
        };
        let may = names.iter().map(|(_, name)| name.clone()).collect();
        let must = names.into_iter().collect();
        self.inodes.insert(inode, Promise { contents, must, may });
        if let Node::Directory { entries } = &model.nodes[&inode] {
            for (name, child) in entries {
                let promise = self.inodes.entry(*child).or_default();
                promise.must.insert((inode, name.clone()));
                promise.may.extend(model.names_of(*child).into_iter().map(|(_, name)| name));
            }
        }
    }

    /// The contents of an inode are being changed.
    pub(crate) fn changes(&mut self, inode: u32) {
        if let Some(promise) = self.inodes.get_mut(&inode) {
            promise.contents = None;
        }
        for who in self.replaced.values_mut().flatten().filter(|(who, _)| *who == inode) {
            who.1 = None;
        }
    }

    /// An inode got a name.
    pub(crate) fn named(&mut self, inode: u32, place: &Place) {
        if let Some(promise) = self.inodes.get_mut(&inode) {
            promise.may.insert(place.1.clone());
        }
    }

    /// An inode lost a name; with the last it is gone.
    pub(crate) fn unnamed(&mut self, inode: u32, place: &Place, gone: bool) {
        self.replaced.remove(place);
        if gone {
            self.inodes.remove(&inode);
        } else if let Some(promise) = self.inodes.get_mut(&inode) {
            promise.must.remove(place);
        }
    }

    /// A name that `old` had is that of `new` now.
    pub(crate) fn replaced(
        &mut self,
        place: &Place,
        old: u32,
        new: u32,
        gone: bool,
        directory: bool,
    ) {
        let mut who = self.replaced.remove(place).unwrap_or_default();
        // Of two names of a directory e2fsck takes one away, be it the new one.
        let kept = |promise: &&Promise| promise.must.contains(place) && !directory;
        if let Some(promise) = self.inodes.get(&old).filter(kept) {
            who.push((old, promise.contents.clone()));
        }
        self.unnamed(old, place, gone);
        if !who.is_empty() {
            who.push((new, None));
            self.replaced.insert(place.clone(), who);
        }
    }

    /// Fails unless all is kept.
    pub(crate) fn check(&self, found: &Found) -> Result<(), String> {
        let mut names: BTreeMap<u32, BTreeSet<&Place>> = BTreeMap::new();
        for (place, inode) in &found.names {
            names.entry(*inode).or_default().insert(place);
        }
        for (inode, promise) in &self.inodes {
            let have = names.remove(inode).unwrap_or_default();
            for place in &promise.must {
                if !have.contains(place) {
                    return Err(format!("inode {inode} has lost the name {place:?}: {promise:?}"));
                }
            }
            if !have.iter().any(|(_, name)| promise.may.contains(name)) {
                return Err(format!("inode {inode} is lost, it has {have:?}: {promise:?}"));
            }
            if let Some(contents) = &promise.contents
                && found.contents.get(inode) != Some(contents)
            {
                return Err(format!("inode {inode}, {have:?}, has other contents"));
            }
        }
        for (place, who) in &self.replaced {
            let inode = found.names.get(place);
            let Some((inode, contents)) = who.iter().find(|(who, _)| Some(who) == inode) else {
                return Err(format!("{place:?} is {inode:?}, not one of {who:?}"));
            };
            if let Some(contents) = contents
                && found.contents.get(inode) != Some(contents)
            {
                return Err(format!("inode {inode}, {place:?}, has other contents"));
            }
        }
        Ok(())
    }
}
