//! Where a read puts its bytes and a write takes them from: [`Destination`] and [`Source`],
//! in user memory or in the kernel's. Both are used up from the front.

use abi::Result;
use memory::user::UserSlice;

/// Where the bytes of a read go.
#[derive(Debug)]
pub enum Destination<'a> {
    /// Memory of the current thread's program.
    User(UserSlice),
    /// Memory of the kernel.
    Kernel(&'a mut [u8]),
}

impl Destination<'_> {
    /// Bytes that there is still room for.
    pub fn len(&self) -> usize {
        match self {
            Self::User(slice) => slice.len(),
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
            Self::User(slice) => {
                let len = slice.write(bytes)?;
                *slice = slice.skip(len);
                Ok(len)
            }
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
}

impl Destination<'_> {
    /// Clears the start, at most `most` bytes; how many. What is put next goes behind them.
    ///
    /// # Errors
    /// As [`Destination::put`].
    pub fn put_zeros(&mut self, most: usize) -> Result<usize> {
        match self {
            Self::User(slice) => {
                let part = slice.take(most);
                part.clear()?;
                *slice = slice.skip(part.len());
                Ok(part.len())
            }
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
        Self::User(slice)
    }
}

/// Where the bytes of a write come from.
#[derive(Debug)]
pub enum Source<'a> {
    /// Memory of the current thread's program.
    User(UserSlice),
    /// Memory of the kernel.
    Kernel(&'a [u8]),
}

impl Source<'_> {
    /// Bytes that are left.
    pub fn len(&self) -> usize {
        match self {
            Self::User(slice) => slice.len(),
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
            Self::User(slice) => {
                let len = slice.read(to)?;
                *slice = slice.skip(len);
                Ok(len)
            }
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
}

impl Source<'_> {
    /// Leaves out the first `len` bytes, or all, without looking at them.
    pub fn skip(&mut self, len: usize) {
        match self {
            Self::User(slice) => *slice = slice.skip(len),
            Self::Kernel(bytes) => *bytes = bytes.get(len..).unwrap_or_default(),
        }
    }
}

impl From<UserSlice> for Source<'_> {
    fn from(slice: UserSlice) -> Self {
        Self::User(slice)
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

    let mut bad = Source::User(UserSlice::new(0, 4));
    assert_eq!((bad.take(&mut part), bad.len()), (Err(abi::Errno::EFAULT), 4));
}
