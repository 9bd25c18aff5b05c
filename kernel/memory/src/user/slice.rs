//! [`UserSlice`]: a range of user memory that can only be copied.
//!
//! Nothing is checked when one is made but the arithmetic; each copy meets the memory as
//! it is then, and a bad address is [`BadAddress`] (EFAULT).

use alloc::vec::Vec;

use arch::paging::PAGE_SIZE;
use arch::user_copy::{self, UserFault};

use super::value::{UserValue, as_bytes, as_bytes_mut};

/// A user address that cannot be read or written: EFAULT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAddress;

impl From<BadAddress> for abi::Errno {
    fn from(_: BadAddress) -> Self {
        Self::EFAULT
    }
}

impl From<UserFault> for BadAddress {
    fn from(_: UserFault) -> Self {
        Self
    }
}

/// `len` bytes of user memory from `address` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserSlice {
    address: u64,
    len: usize,
}

impl UserSlice {
    /// The range, whatever is there.
    pub const fn new(address: u64, len: usize) -> Self {
        Self { address, len }
    }

    /// First address.
    pub const fn address(&self) -> u64 {
        self.address
    }

    /// Bytes.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing to copy.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The part from byte `from` on; empty if that is past the end.
    pub const fn skip(&self, from: usize) -> Self {
        let from = if from < self.len { from } else { self.len };
        Self { address: self.address.wrapping_add(from as u64), len: self.len - from }
    }

    /// The first `len` bytes, or all if there are fewer.
    pub const fn take(&self, len: usize) -> Self {
        Self { address: self.address, len: if len < self.len { len } else { self.len } }
    }

    /// Copies the start of the slice into `to`: as many bytes as the shorter has.
    /// Returns their number.
    ///
    /// # Errors
    /// [`BadAddress`]; bytes before the bad one may have been copied.
    pub fn read(&self, to: &mut [u8]) -> Result<usize, BadAddress> {
        let len = self.len.min(to.len());
        // `len` is at most both lengths.
        let (to, _) = to.split_at_mut(len);
        user_copy::copy_from_user(to, self.address)?;
        Ok(len)
    }

    /// Copies `from` to the start of the slice: as many bytes as the shorter has.
    /// Returns their number.
    ///
    /// # Errors
    /// [`BadAddress`]; bytes before the bad one may have been copied.
    pub fn write(&self, from: &[u8]) -> Result<usize, BadAddress> {
        let len = self.len.min(from.len());
        let (from, _) = from.split_at(len);
        user_copy::copy_to_user(self.address, from)?;
        Ok(len)
    }

    /// Clears the whole slice.
    ///
    /// # Errors
    /// [`BadAddress`].
    pub fn clear(&self) -> Result<(), BadAddress> {
        Ok(user_copy::clear_user(self.address, self.len)?)
    }

    /// Reads a value at user address `address`.
    ///
    /// # Errors
    /// [`BadAddress`].
    pub fn read_value<T: UserValue>(address: u64) -> Result<T, BadAddress> {
        let mut value = T::ZERO;
        user_copy::copy_from_user(as_bytes_mut(&mut value), address)?;
        Ok(value)
    }

    /// Writes a value at user address `address`.
    ///
    /// # Errors
    /// [`BadAddress`].
    pub fn write_value<T: UserValue>(address: u64, value: &T) -> Result<(), BadAddress> {
        Ok(user_copy::copy_to_user(address, as_bytes(value))?)
    }
}

/// Reads the string at user address `address` up to its zero byte, which is left out.
/// `None` if there is no zero byte within `limit` bytes.
///
/// # Errors
/// [`BadAddress`] if a byte before the end cannot be read.
pub fn read_c_string(address: u64, limit: usize) -> Result<Option<Vec<u8>>, BadAddress> {
    let mut text = Vec::new();
    let mut chunk = [0; 128];
    while text.len() < limit {
        let at = address.checked_add(text.len() as u64).ok_or(BadAddress)?;
        // Never past a page: the next one may not be there, nor needed.
        let to_page_end = (PAGE_SIZE - at % PAGE_SIZE) as usize;
        let len = to_page_end.min(chunk.len()).min(limit - text.len());
        let (chunk, _) = chunk.split_at_mut(len);
        UserSlice::new(at, len).read(chunk)?;
        let end = chunk.iter().position(|&byte| byte == 0);
        let (found, _) = chunk.split_at(end.unwrap_or(len));
        text.extend_from_slice(found);
        if end.is_some() {
            return Ok(Some(text));
        }
    }
    Ok(None)
}

#[base::kernel_test]
fn kernel_and_unmapped_addresses_are_bad() {
    let mut buffer = [0u8; 16];
    for address in [0, 8, 0x1000, 0x7fff_ffff_efff, 0xffff_8000_0000_0000, u64::MAX - 4] {
        assert_eq!(UserSlice::new(address, 16).read(&mut buffer), Err(BadAddress));
        assert_eq!(UserSlice::new(address, 16).write(&buffer), Err(BadAddress));
        assert_eq!(UserSlice::new(address, 16).clear(), Err(BadAddress));
        assert_eq!(UserSlice::read_value::<u64>(address), Err(BadAddress));
        assert_eq!(read_c_string(address, 100), Err(BadAddress));
    }
    assert_eq!(UserSlice::new(0, 0).read(&mut buffer), Ok(0));
}

#[base::kernel_test]
fn a_fault_says_how_much_is_left() {
    let mut buffer = [0u8; 40];
    for bytes in 1..buffer.len() {
        let left = Err(UserFault { remaining: bytes });
        let (part, _) = buffer.split_at_mut(bytes);
        assert_eq!(user_copy::copy_from_user(part, 0x1000), left);
        assert_eq!(user_copy::copy_to_user(0x1000, part), left);
        assert_eq!(user_copy::clear_user(0x1000, bytes), left);
    }
}
