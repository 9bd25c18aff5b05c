//! The quoting rules of the kernel shell, as a stream of [`Piece`]s.
//!
//! The rules are those of POSIX (Shell Command Language 2.2) without expansion:
//! a backslash outside quotes takes the next character as it is; between single
//! quotes everything is as it is; between double quotes a backslash escapes
//! `"`, `\` and (more than POSIX: GRUB writes it so) `'`, and stands for itself
//! before any other character.

use core::fmt;
use core::str::CharIndices;

/// Why a text is not a list of words. Offsets are bytes into the text given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// A quote was opened and not closed.
    UnterminatedQuote {
        /// The quote character, `'` or `"`.
        quote: char,
        /// Where it was opened.
        offset: usize,
    },
    /// The text ends in a backslash with nothing to escape.
    TrailingBackslash {
        /// Where the backslash is.
        offset: usize,
    },
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnterminatedQuote { quote, offset } => {
                write!(f, "quote {quote} at column {} is not closed", offset + 1)
            }
            Self::TrailingBackslash { offset } => {
                write!(f, "nothing to escape after the backslash at column {}", offset + 1)
            }
        }
    }
}

impl core::error::Error for ParseError {}

/// What one or two characters of the text mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A character outside quotes and not escaped: it may separate.
    Bare(char),
    /// A character that only stands for itself.
    Literal(char),
    /// A quote opens: a word begins here even if nothing follows.
    Open,
    /// A quote closes.
    Close,
}

/// Goes through a text; yields each piece with the byte offset where it starts.
/// Ends after the first error.
pub(crate) struct Scanner<'a> {
    chars: CharIndices<'a>,
    /// The quote that is open, and where it was opened.
    open: Option<(char, usize)>,
    failed: bool,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { chars: text.char_indices(), open: None, failed: false }
    }

    /// The character after a backslash at `offset`, which stands outside quotes.
    fn escaped(&mut self, offset: usize) -> Result<Piece, ParseError> {
        match self.chars.next() {
            Some((_, c)) => Ok(Piece::Literal(c)),
            None => Err(ParseError::TrailingBackslash { offset }),
        }
    }

    /// What a backslash means between double quotes.
    fn escaped_in_double_quotes(&mut self) -> Piece {
        let mut ahead = self.chars.clone();
        match ahead.next() {
            Some((_, c @ ('"' | '\\' | '\''))) => {
                self.chars = ahead;
                Piece::Literal(c)
            }
            _ => Piece::Literal('\\'),
        }
    }
}

impl Iterator for Scanner<'_> {
    type Item = Result<(usize, Piece), ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let Some((offset, c)) = self.chars.next() else {
            let (quote, offset) = self.open.take()?;
            self.failed = true;
            return Some(Err(ParseError::UnterminatedQuote { quote, offset }));
        };
        let piece = match (self.open, c) {
            (Some((quote, _)), c) if c == quote => {
                self.open = None;
                Ok(Piece::Close)
            }
            (Some(('"', _)), '\\') => Ok(self.escaped_in_double_quotes()),
            (Some(_), c) => Ok(Piece::Literal(c)),
            (None, '\'' | '"') => {
                self.open = Some((c, offset));
                Ok(Piece::Open)
            }
            (None, '\\') => self.escaped(offset),
            (None, c) => Ok(Piece::Bare(c)),
        };
        self.failed = piece.is_err();
        Some(piece.map(|piece| (offset, piece)))
    }
}
