//! The tree of objects, and how names find them (ACPI 6.5, section 5.3).

use alloc::vec::Vec;

use crate::error::push;
use crate::field::{BufferField, Field, Region};
use crate::stream::{Path, Segment};
use crate::{Aml, Error, Value};

/// Names an object of the namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub(crate) usize);

/// A method: its code, and what it takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Method {
    pub(crate) table: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) arguments: usize,
}

/// What an object is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A place for others: a scope, a processor, a thermal zone, a power resource.
    Scope,
    Device,
    Value(Value),
    Method(Method),
    /// `_OSI`: answers that it is no operating system that is asked for.
    Interfaces,
    Region(Region),
    Field(Field),
    BufferField(BufferField),
    /// Another name of an object.
    Alias(NodeId),
    /// What has no value here: a mutex, an event, a field of a kind that is not supported.
    Opaque,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: Segment,
    pub(crate) parent: NodeId,
    pub(crate) kind: Kind,
    first_child: Option<NodeId>,
    last_child: Option<NodeId>,
    next: Option<NodeId>,
}

/// All objects.
#[derive(Debug)]
pub(crate) struct Namespace {
    nodes: Vec<Node>,
}

/// Most objects: a large machine has ten thousand.
const MOST: usize = 200_000;

impl Namespace {
    pub(crate) const ROOT: NodeId = NodeId(0);

    pub(crate) fn new() -> Self {
        let root = Node {
            name: *b"\\___",
            parent: Self::ROOT,
            kind: Kind::Scope,
            first_child: None,
            last_child: None,
            next: None,
        };
        let mut space = Self { nodes: Vec::new() };
        // What cannot be had is missing then, which evaluations say.
        let _ = push(&mut space.nodes, root);
        let scopes = [*b"_SB_", *b"_GPE", *b"_PR_", *b"_SI_", *b"_TZ_"];
        for name in scopes {
            let _ = space.add(Self::ROOT, name, Kind::Scope);
        }
        let _ = space.add(Self::ROOT, *b"_GL_", Kind::Opaque);
        let _ = space.add(Self::ROOT, *b"_OSI", Kind::Interfaces);
        let _ = space.add(Self::ROOT, *b"_REV", Kind::Value(Value::Integer(2)));
        space
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0)
    }

    pub(crate) fn get_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(id.0)
    }

    pub(crate) fn parent(&self, id: NodeId) -> NodeId {
        self.get(id).map_or(Self::ROOT, |node| node.parent)
    }

    pub(crate) fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        let first = self.get(id).and_then(|node| node.first_child);
        core::iter::successors(first, |&child| self.get(child)?.next)
    }

    pub(crate) fn child(&self, id: NodeId, name: Segment) -> Option<NodeId> {
        self.children(id).find(|&child| self.get(child).is_some_and(|node| node.name == name))
    }

    /// Adds an object; one of that name is replaced.
    pub(crate) fn add(
        &mut self,
        parent: NodeId,
        name: Segment,
        kind: Kind,
    ) -> Result<NodeId, Error> {
        if let Some(known) = self.child(parent, name) {
            if let Some(node) = self.get_mut(known) {
                node.kind = kind;
            }
            return Ok(known);
        }
        if self.nodes.len() >= MOST {
            return Err(Error::OutOfMemory);
        }
        let id = NodeId(self.nodes.len());
        let node = Node { name, parent, kind, first_child: None, last_child: None, next: None };
        push(&mut self.nodes, node)?;
        let last = self.get_mut(parent).and_then(|parent| parent.last_child.replace(id));
        match last.and_then(|last| self.get_mut(last)) {
            Some(last) => last.next = Some(id),
            None => {
                if let Some(parent) = self.get_mut(parent) {
                    parent.first_child = Some(id);
                }
            }
        }
        Ok(id)
    }

    /// Forgets all objects from the `len`th on, which a method has made: they are the last
    /// children of whatever they are in.
    pub(crate) fn forget(&mut self, len: usize) {
        while self.nodes.len() > len {
            let Some(node) = self.nodes.pop() else { return };
            let before = self.children(node.parent).take_while(|child| child.0 < self.len()).last();
            if let Some(parent) = self.get_mut(node.parent) {
                parent.last_child = before;
                if before.is_none() {
                    parent.first_child = None;
                }
            }
            if let Some(before) = before.and_then(|before| self.get_mut(before)) {
                before.next = None;
            }
        }
    }

    /// Where `path` begins, seen from `scope`.
    fn start(&self, scope: NodeId, path: &Path) -> NodeId {
        let mut at = if path.from_root { Self::ROOT } else { scope };
        for _ in 0..path.up {
            at = self.parent(at);
        }
        at
    }

    fn walk(&self, from: NodeId, segments: &[Segment]) -> Option<NodeId> {
        segments.iter().try_fold(from, |at, &name| self.child(at, name).map(|id| self.target(id)))
    }

    /// What an alias stands for, or the object itself.
    fn target(&self, id: NodeId) -> NodeId {
        match self.get(id).map(|node| &node.kind) {
            // An alias is made for an object that is none.
            Some(Kind::Alias(target)) => *target,
            _ => id,
        }
    }

    /// The object that `path` names in `scope`.
    pub(crate) fn resolve(&self, scope: NodeId, path: &Path) -> Result<NodeId, Error> {
        let found = if path.is_searched() {
            let mut at = scope;
            loop {
                if let Some(found) = self.walk(at, &path.segments) {
                    break Some(found);
                }
                if at == Self::ROOT {
                    break None;
                }
                at = self.parent(at);
            }
        } else {
            self.walk(self.start(scope, path), &path.segments)
        };
        found.ok_or(Error::NotFound(path.last()))
    }

    /// Where an object called `path` is to be made: in what, and its own name.
    pub(crate) fn place_for(&self, scope: NodeId, path: &Path) -> Result<(NodeId, Segment), Error> {
        let (name, before) = path.segments.split_last().ok_or(Error::Malformed)?;
        let parent = self.walk(self.start(scope, path), before);
        Ok((parent.ok_or(Error::NotFound(before.last().copied().unwrap_or(*name)))?, *name))
    }
}

impl Aml {
    /// The object called `path` in `scope`: segments of up to four characters, with dots
    /// between them. It is not looked for further up.
    pub fn find(&self, scope: NodeId, path: &str) -> Option<NodeId> {
        path.split('.').try_fold(scope, |at, part| {
            let mut name = *b"____";
            if part.len() > name.len() {
                return None;
            }
            name.iter_mut().zip(part.bytes()).for_each(|(to, byte)| *to = byte);
            self.space.child(at, name).map(|id| self.space.target(id))
        })
    }

    /// What is in an object.
    pub fn children(&self, of: NodeId) -> impl Iterator<Item = NodeId> {
        self.space.children(of)
    }

    /// The object that it is in; the root's is itself.
    pub fn parent(&self, of: NodeId) -> NodeId {
        self.space.parent(of)
    }

    /// Whether it is a device.
    pub fn is_device(&self, node: NodeId) -> bool {
        self.space.get(node).is_some_and(|node| matches!(node.kind, Kind::Device))
    }

    /// Its name: four characters.
    pub fn name(&self, node: NodeId) -> [u8; 4] {
        self.space.get(node).map_or(*b"????", |node| node.name)
    }

    /// All objects, each before what is in it.
    pub fn all(&self) -> impl Iterator<Item = NodeId> {
        (0..self.space.len()).map(NodeId)
    }
}
