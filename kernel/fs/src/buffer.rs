//! Where a read puts its bytes and a write takes them from: [`Destination`] and [`Source`],
//! in user memory, in one part or several ([`UserParts`]), or in the kernel's. Both are used up
//! from the front.

use abi::Result;
use memory::user::{BadAddress, UserSlice};

/// Memory of the current thread's program, in parts that follow each other as the bytes of a file
/// do (readv(2)). It is used up from the front.
#[derive(Clone, Copy, Debug)]
pub struct UserParts<'a> {
    /// What is left of the part that comes next; empty only if nothing is left of any.
    first: UserSlice,
    /// Those behind it.
    rest: &'a [UserSlice],
    /// Bytes of all.
    len: usize,
}

impl<'a> UserParts<'a> {
    /// All of `parts`, of which some may be empty. Together they have at most `isize::MAX` bytes.
    pub fn new(parts: &'a [UserSlice]) -> Self {
        let len = parts.iter().map(UserSlice::len).sum();
        let mut all = Self { first: UserSlice::new(0, 0), rest: parts, len };
        all.skip(0);
        all
    }

    /// Bytes that are left.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether none are left.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes that are left of the part that comes next.
    pub const fn first(&self) -> UserSlice {
        self.first
    }

    /// Leaves out the first `len` bytes, or all.
    pub fn skip(&mut self, len: usize) {
        let mut left = len.min(self.len);
        self.len -= left;
        while left >= self.first.len()
            && let Some((next, rest)) = self.rest.split_first()
        {
            left -= self.first.len();
            (self.first, self.rest) = (*next, rest);
        }
        self.first = self.first.skip(left);
    }

    /// Calls `copy` with the start, part by part, as many bytes as `len` says or there are, and
    /// how many came before; leaves them out. Returns how many.
    fn transfer(
        &mut self,
        len: usize,
        mut copy: impl FnMut(UserSlice, usize) -> Result<(), BadAddress>,
    ) -> Result<usize> {
        let len = len.min(self.len);
        let mut after = *self;
        let mut done = 0;
        while done < len {
            let part = after.first.take(len - done);
            copy(part, done)?;
            done += part.len();
            after.skip(part.len());
        }
        *self = after;
        Ok(len)
    }
}

impl From<UserSlice> for UserParts<'_> {
    fn from(slice: UserSlice) -> Self {
        Self { first: slice, rest: &[], len: slice.len() }
    }
}

/// Where the bytes of a read go.
#[derive(Debug)]
pub enum Destination<'a> {
    /// Memory of the current thread's program.
    User(UserParts<'a>),
    /// Memory of the kernel.
    Kernel(&'a mut [u8]),
}

impl Destination<'_> {
    /// Bytes that there is still room for.
    pub fn len(&self) -> usize {
        match self {
            Self::User(parts) => parts.len(),
            Self::Kernel(bytes) => bytes.len(),
        }
    }

    /// Whether there is no room left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies the start of `bytes`, as much as there is room for; how many bytes. What is put
    /// next goes behind them.
    ///
    /// # Errors
    /// `EFAULT`; nothing is used up then, but bytes before the bad address may have been
    /// written.
    pub fn put(&mut self, bytes: &[u8]) -> Result<usize> {
        match self {
            Self::User(parts) => parts.transfer(bytes.len(), |part, done| {
                part.write(bytes.get(done..).unwrap_or_default()).map(|_| ())
            }),
            Self::Kernel(room) => {
                let len = room.len().min(bytes.len());
                let (to, rest) = core::mem::take(room).split_at_mut(len);
                let (from, _) = bytes.split_at(len);
                to.copy_from_slice(from);
                *room = rest;
                Ok(len)
            }
        }
    }

    /// Clears the start, at most `most` bytes; how many. What is put next goes behind them.
    ///
    /// # Errors
    /// As [`Destination::put`].
    pub fn put_zeros(&mut self, most: usize) -> Result<usize> {
        match self {
            Self::User(parts) => parts.transfer(most, |part, _| part.clear()),
            Self::Kernel(room) => {
                let len = room.len().min(most);
                let (to, rest) = core::mem::take(room).split_at_mut(len);
                to.fill(0);
                *room = rest;
                Ok(len)
            }
        }
    }
}

impl From<UserSlice> for Destination<'_> {
    fn from(slice: UserSlice) -> Self {
        Self::User(slice.into())
    }
}

/// Where the bytes of a write come from.
#[derive(Debug)]
pub enum Source<'a> {
    /// Memory of the current thread's program.
    User(UserParts<'a>),
    /// Memory of the kernel.
    Kernel(&'a [u8]),
}

impl Source<'_> {
    /// Bytes that are left.
    pub fn len(&self) -> usize {
        match self {
            Self::User(parts) => parts.len(),
            Self::Kernel(bytes) => bytes.len(),
        }
    }

    /// Whether none are left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies bytes to the start of `to`, as many as there are and have room; how many. What is
    /// taken next comes behind them.
    ///
    /// # Errors
    /// `EFAULT`; nothing is used up then.
    pub fn take(&mut self, to: &mut [u8]) -> Result<usize> {
        match self {
            Self::User(parts) => parts.transfer(to.len(), |part, done| {
                part.read(to.get_mut(done..).unwrap_or_default()).map(|_| ())
            }),
            Self::Kernel(bytes) => {
                let len = bytes.len().min(to.len());
                let (from, rest) = bytes.split_at(len);
                let (to, _) = to.split_at_mut(len);
                to.copy_from_slice(from);
                *bytes = rest;
                Ok(len)
            }
        }
    }

    /// Leaves out the first `len` bytes, or all, without looking at them.
    pub fn skip(&mut self, len: usize) {
        match self {
            Self::User(parts) => parts.skip(len),
            Self::Kernel(bytes) => *bytes = bytes.get(len..).unwrap_or_default(),
        }
    }
}

impl From<UserSlice> for Source<'_> {
    fn from(slice: UserSlice) -> Self {
        Self::User(slice.into())
    }
}

#[base::kernel_test]
fn buffers_are_used_up_from_the_front() {
    let mut bytes = [0; 5];
    let mut to = Destination::Kernel(&mut bytes);
    assert_eq!([to.put(b"ab"), to.put(b""), to.put(b"cdefg"), to.put(b"h")], [2, 0, 3, 0].map(Ok));
    assert!(to.is_empty());
    assert_eq!(&bytes, b"abcde");

    let mut from = Source::Kernel(b"abcde");
    let mut part = [0; 3];
    assert_eq!((from.take(&mut part), from.len()), (Ok(3), 2));
    assert_eq!(&part, b"abc");
    assert_eq!((from.take(&mut part), from.len()), (Ok(2), 0));
    assert_eq!(&part, b"dec");

    let mut bad = Source::from(UserSlice::new(0, 4));
    assert_eq!((bad.take(&mut part), bad.len()), (Err(abi::Errno::EFAULT), 4));
}

#[base::kernel_test]
fn parts_are_used_up_one_after_the_other() {
    let slices = [(100, 0), (200, 3), (300, 0), (400, 5)];
    let slices = slices.map(|(address, len)| UserSlice::new(address, len));
    let mut parts = UserParts::new(&slices);
    let first = |parts: &UserParts<'_>| (parts.first().address(), parts.first().len(), parts.len());
    assert_eq!(first(&parts), (200, 3, 8));
    parts.skip(2);
    assert_eq!(first(&parts), (202, 1, 6));
    let mut seen = 0;
    // What fails uses nothing up.
    let fails = |part: UserSlice, _| if part.address() == 400 { Err(BadAddress) } else { Ok(()) };
    assert_eq!(parts.transfer(4, fails), Err(abi::Errno::EFAULT));
    assert_eq!(first(&parts), (202, 1, 6));
    let moved = parts.transfer(4, |part, done| {
        assert_eq!(done, seen);
        seen += part.len();
        Ok(())
    });
    assert_eq!((moved, seen), (Ok(4), 4));
    assert_eq!(first(&parts), (403, 2, 2));
    parts.skip(2);
    assert!(parts.is_empty() && parts.first().is_empty());
    assert!(UserParts::new(&[]).is_empty());
    assert!(UserParts::new(slices.get(..1).unwrap_or_default()).first().is_empty());
}
