//! The options of a mount: [`Options`].

use abi::{Errno, Result};

use super::PAGE;

/// How a tmpfs is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// Most pages of all files together.
    pub(super) pages: u64,
    /// Most inodes.
    pub(super) inodes: u64,
    /// Permissions, owner and group of the root.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Options {
    /// Reads `size=1G,mode=755` and the like, for a machine with so many frames of memory: half
    /// of them may be used if nothing is said, as on Linux.
    ///
    /// # Errors
    /// `EINVAL`.
    pub(super) fn parse(text: &[u8], frames: u64) -> Result<Self> {
        let half = frames / 2;
        let mut options = Self { pages: half, inodes: half, mode: 0o1777, uid: 0, gid: 0 };
        let text = core::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
        for option in text.split(',').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').ok_or(Errno::EINVAL)?;
            match name {
                "size" => options.pages = size(value, frames)?,
                "nr_blocks" => options.pages = unlimited(quantity(value)?),
                "nr_inodes" => options.inodes = unlimited(quantity(value)?),
                "mode" => {
                    let mode = u32::from_str_radix(value, 8).map_err(|_| Errno::EINVAL)?;
                    options.mode = mode & 0o7777;
                }
                "uid" => options.uid = value.parse().map_err(|_| Errno::EINVAL)?,
                "gid" => options.gid = value.parse().map_err(|_| Errno::EINVAL)?,
                _ => return Err(Errno::EINVAL),
            }
        }
        Ok(options)
    }
}

/// 0 is no limit.
fn unlimited(limit: u64) -> u64 {
    if limit == 0 { u64::MAX } else { limit }
}

/// A number with `k`, `m`, `g` or `t` behind it.
fn quantity(text: &str) -> Result<u64> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (text.get(..text.len() - 1), 10),
        Some(b'm' | b'M') => (text.get(..text.len() - 1), 20),
        Some(b'g' | b'G') => (text.get(..text.len() - 1), 30),
        Some(b't' | b'T') => (text.get(..text.len() - 1), 40),
        _ => (Some(text), 0),
    };
    let number: u64 = digits.and_then(|text| text.parse().ok()).ok_or(Errno::EINVAL)?;
    number.checked_mul(1 << shift).ok_or(Errno::EINVAL)
}

/// Pages, from bytes or a part of the memory in percent.
fn size(text: &str, frames: u64) -> Result<u64> {
    if let Some(percent) = text.strip_suffix('%') {
        let percent: u64 = percent.parse().map_err(|_| Errno::EINVAL)?;
        return Ok(frames.saturating_mul(percent) / 100);
    }
    Ok(unlimited(quantity(text)?.div_ceil(PAGE)))
}

#[base::kernel_test]
fn options_are_read_as_on_linux() {
    let parse = |text: &[u8]| Options::parse(text, 1000);
    let usual = Options { pages: 500, inodes: 500, mode: 0o1777, uid: 0, gid: 0 };
    assert_eq!(parse(b""), Ok(usual));
    assert_eq!(parse(b"size=64k"), Ok(Options { pages: 16, ..usual }));
    assert_eq!(parse(b"size=1,mode=755"), Ok(Options { pages: 1, mode: 0o755, ..usual }));
    assert_eq!(parse(b"size=10%"), Ok(Options { pages: 100, ..usual }));
    assert_eq!(
        parse(b"size=0,nr_inodes=1k"),
        Ok(Options { pages: u64::MAX, inodes: 1024, ..usual })
    );
    assert_eq!(parse(b"uid=5,gid=7"), Ok(Options { uid: 5, gid: 7, ..usual }));
    for bad in
        [b"size".as_slice(), b"size=", b"size=-1", b"size=99999999t", b"mode=8", b"x=1", b"\xff"]
    {
        assert_eq!(parse(bad), Err(Errno::EINVAL));
    }
}
