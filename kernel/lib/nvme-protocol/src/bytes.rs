//! Numbers and texts in bytes, little-endian.

/// The `N` bytes at `offset`; zeros past the end.
pub(crate) fn array<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(array(bytes, offset))
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array(bytes, offset))
}

pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(array(bytes, offset))
}

/// The text in `bytes` without the blanks around it, if it is printable ASCII.
pub(crate) fn text(bytes: &[u8]) -> &str {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let text = bytes.get(..end).and_then(|bytes| core::str::from_utf8(bytes).ok());
    let text = text.filter(|text| text.bytes().all(|byte| matches!(byte, b' '..=b'~')));
    text.unwrap_or_default().trim()
}
