//! The pages of a transfer, as PRP entries (section 4.3): the first may begin within a page, all
//! others are whole pages but for the end of the last.

/// Bytes of a page.
pub const PAGE: u64 = 4096;

/// See [`pages`].
#[derive(Clone, Debug)]
pub struct Pages<I> {
    segments: I,
    at: u64,
    end: u64,
}

/// The entries for memory in `segments` (address and bytes), in order. Segments must meet at
/// ends of pages, or follow each other.
pub fn pages<I: Iterator<Item = (u64, u32)>>(segments: I) -> Pages<I> {
    Pages { segments, at: 0, end: 0 }
}

impl<I: Iterator<Item = (u64, u32)>> Iterator for Pages<I> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        while self.at >= self.end {
            let (address, bytes) = self.segments.next()?;
            let end = address.saturating_add(bytes.into());
            // What goes on where the last one ended within a page has that page already.
            let is_same_page = address == self.end && !address.is_multiple_of(PAGE);
            self.at = if is_same_page { address.next_multiple_of(PAGE) } else { address };
            self.end = end;
        }
        let entry = self.at;
        self.at = (entry & !(PAGE - 1)).saturating_add(PAGE);
        Some(entry)
    }
}
