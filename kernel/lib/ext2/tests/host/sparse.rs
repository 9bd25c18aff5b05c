//! The contents of a file, without what is zero: [`Sparse`].

use std::collections::BTreeMap;

/// Bytes of a piece.
const PIECE: u64 = 1024;

/// Bytes, most of which may be zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sparse {
    pub(crate) size: u64,
    /// Pieces that are not all zero, by number.
    pieces: BTreeMap<u64, Vec<u8>>,
}

impl Sparse {
    /// Writes bytes; it gets larger if need be.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        self.size = self.size.max(end);
        for number in offset / PIECE..end.div_ceil(PIECE) {
            let start = number * PIECE;
            let (from, to) = (start.max(offset), (start + PIECE).min(end));
            let piece = self.pieces.entry(number).or_insert_with(|| vec![0; PIECE as usize]);
            piece[(from - start) as usize..(to - start) as usize]
                .copy_from_slice(&bytes[(from - offset) as usize..(to - offset) as usize]);
            if piece.iter().all(|byte| *byte == 0) {
                self.pieces.remove(&number);
            }
        }
    }

    /// Sets the size.
    pub(crate) fn truncate(&mut self, size: u64) {
        self.size = size;
        self.pieces.retain(|number, _| *number < size.div_ceil(PIECE));
        if let Some(piece) = self.pieces.get_mut(&(size / PIECE)) {
            piece[(size % PIECE) as usize..].fill(0);
            if piece.iter().all(|byte| *byte == 0) {
                self.pieces.remove(&(size / PIECE));
            }
        }
    }
}

#[test]
fn zeros_take_no_room() {
    let mut one = Sparse::default();
    one.write(5000, &[1; 3000]);
    one.write(5000, &[0; 3000]);
    assert_eq!(one, Sparse { size: 8000, ..Sparse::default() });
    one.write(100, &[1; 100]);
    one.truncate(150);
    one.truncate(200);
    let mut other = Sparse::default();
    other.write(100, &[1; 50]);
    other.truncate(200);
    assert_eq!(one, other);
}
