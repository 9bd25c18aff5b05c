//! [`Node`]: a file of a pseudo file system, and the traits of what can be one.

use alloc::sync::Arc;
use core::ops::ControlFlow;

use abi::{Errno, Result};

use crate::pseudo::folder::Folder;
use crate::pseudo::text::Text;
use crate::status::Kind;
use crate::vfs::LinkTarget;

/// Called with an entry of a directory: its key, its name, and what it is. It may sleep.
pub type Visit<'a> = dyn FnMut(u64, &str, Kind) -> ControlFlow<()> + 'a;

/// A directory. Calls may sleep, and several come at once.
pub trait Directory: Send + Sync {
    /// The entry of a name; `None` if there is none.
    ///
    /// # Errors
    /// `ENOENT` or `ESRCH` if what the directory is about has gone; `ENOMEM`.
    fn find(&self, name: &str) -> Result<Option<Node>>;

    /// Calls `visit` with the entries whose key is `from` or higher, by rising keys, until it
    /// breaks off. An entry keeps its key as long as it is there; keys are below 2^62.
    ///
    /// # Errors
    /// As [`Directory::find`].
    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()>;

    /// Whether what it is about is still there.
    fn is_current(&self) -> bool {
        true
    }

    /// Its permissions.
    fn mode(&self) -> u32 {
        0o755
    }
}

/// A file with a text. Calls may sleep, and several come at once.
pub trait TextFile: Send + Sync {
    /// Writes the text to `to`.
    ///
    /// # Errors
    /// What the reader is to get; `ENODEV` if what it is about has gone. What `to` says is
    /// passed on with [`Text::result`].
    fn show(&self, to: &mut Text) -> Result<()>;

    /// Takes a text, as one call of write(2) brought it.
    ///
    /// # Errors
    /// What the writer is to get: `EINVAL` if the text is none of those that it knows.
    fn store(&self, text: &str) -> Result<()> {
        let _ = text;
        Err(Errno::EIO)
    }

    /// Its permissions: bits for reading if it has a text, for writing if it takes one.
    fn mode(&self) -> u32 {
        0o444
    }

    /// Whether what it is about is still there.
    fn is_current(&self) -> bool {
        true
    }
}

/// A file with bytes that are no text.
pub trait BytesFile: Send + Sync {
    /// Its length, if that is known beforehand.
    fn size(&self) -> Option<u64>;

    /// Reads from `offset` on; how many bytes, 0 at the end.
    ///
    /// # Errors
    /// What the reader is to get.
    fn read(&self, offset: u64, to: &mut [u8]) -> Result<usize>;

    /// Its permissions.
    fn mode(&self) -> u32 {
        0o444
    }

    /// Whether what it is about is still there.
    fn is_current(&self) -> bool {
        true
    }
}

/// A symbolic link.
pub trait Link: Send + Sync {
    /// Where it leads now.
    ///
    /// # Errors
    /// `ENOENT` if that has gone; `ENOMEM`.
    fn target(&self) -> Result<LinkTarget<'static>>;

    /// Whether what it is about is still there.
    fn is_current(&self) -> bool {
        true
    }
}

/// A file of a pseudo file system.
#[derive(Clone)]
pub enum Node {
    /// A directory.
    Directory(Arc<dyn Directory>),
    /// A text.
    Text(Arc<dyn TextFile>),
    /// Bytes.
    Bytes(Arc<dyn BytesFile>),
    /// A symbolic link.
    Link(Arc<dyn Link>),
}

impl core::fmt::Debug for Node {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Node({:?})", self.kind())
    }
}

impl Node {
    /// A text that `show` writes.
    pub fn text(show: impl Fn(&mut Text) -> Result<()> + Send + Sync + 'static) -> Self {
        Self::Text(Arc::new(Shown { show }))
    }

    /// A text that `show` writes and `store` takes, without the newline at its end.
    pub fn setting(
        show: impl Fn(&mut Text) -> Result<()> + Send + Sync + 'static,
        store: impl Fn(&str) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::Text(Arc::new(Setting { show, store }))
    }

    /// A link with the path that `target` says.
    pub fn link(target: impl Fn() -> Result<LinkTarget<'static>> + Send + Sync + 'static) -> Self {
        Self::Link(Arc::new(Linked { target }))
    }

    /// Bytes that never change.
    pub fn bytes(bytes: Arc<[u8]>) -> Self {
        Self::Bytes(Arc::new(Fixed(bytes)))
    }

    /// A folder.
    pub fn folder(folder: &Arc<Folder>) -> Self {
        Self::Directory(folder.clone())
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Directory(_) => Kind::Directory,
            Self::Text(_) | Self::Bytes(_) => Kind::Regular,
            Self::Link(_) => Kind::Symlink,
        }
    }

    /// Its permissions.
    pub(super) fn mode(&self) -> u32 {
        match self {
            Self::Directory(directory) => directory.mode(),
            Self::Text(text) => text.mode(),
            Self::Bytes(bytes) => bytes.mode(),
            Self::Link(_) => 0o777,
        }
    }

    /// Whether what it is about is still there.
    pub(super) fn is_current(&self) -> bool {
        match self {
            Self::Directory(directory) => directory.is_current(),
            Self::Text(text) => text.is_current(),
            Self::Bytes(bytes) => bytes.is_current(),
            Self::Link(link) => link.is_current(),
        }
    }
}

struct Shown<F> {
    show: F,
}

impl<F: Fn(&mut Text) -> Result<()> + Send + Sync> TextFile for Shown<F> {
    fn show(&self, to: &mut Text) -> Result<()> {
        (self.show)(to)
    }
}

struct Setting<F, G> {
    show: F,
    store: G,
}

impl<F, G> TextFile for Setting<F, G>
where
    F: Fn(&mut Text) -> Result<()> + Send + Sync,
    G: Fn(&str) -> Result<()> + Send + Sync,
{
    fn show(&self, to: &mut Text) -> Result<()> {
        (self.show)(to)
    }

    fn store(&self, text: &str) -> Result<()> {
        (self.store)(text.strip_suffix('\n').unwrap_or(text))
    }

    fn mode(&self) -> u32 {
        0o644
    }
}

struct Linked<F> {
    target: F,
}

impl<F: Fn() -> Result<LinkTarget<'static>> + Send + Sync> Link for Linked<F> {
    fn target(&self) -> Result<LinkTarget<'static>> {
        (self.target)()
    }
}

struct Fixed(Arc<[u8]>);

impl BytesFile for Fixed {
    fn size(&self) -> Option<u64> {
        Some(self.0.len() as u64)
    }

    fn read(&self, offset: u64, to: &mut [u8]) -> Result<usize> {
        let from = usize::try_from(offset).ok().and_then(|at| self.0.get(at..));
        let from = from.unwrap_or_default();
        let len = from.len().min(to.len());
        let ((to, _), (from, _)) = (to.split_at_mut(len), from.split_at(len));
        to.copy_from_slice(from);
        Ok(len)
    }

    fn mode(&self) -> u32 {
        0o400
    }
}
