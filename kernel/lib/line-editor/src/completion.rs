//! What Tab does: a [`Completer`] offers [`Candidate`]s, the editor inserts what they have
//! in common, and [`Columns`] lists them.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use unicode_width::UnicodeWidthStr;

/// One way to complete a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What stands in the line then, from the word's start on.
    pub text: String,
    /// What follows if this is the only candidate: a space, or nothing where the word goes
    /// on.
    pub suffix: &'static str,
}

/// The candidates for the word at the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completions {
    /// Byte offset in the line at which the word starts.
    pub start: usize,
    /// The candidates, in the order in which to list them.
    pub candidates: Vec<Candidate>,
}

impl Completions {
    /// What all candidates begin with.
    #[must_use]
    pub fn common(&self) -> &str {
        let mut texts = self.candidates.iter().map(|candidate| candidate.text.as_str());
        let Some(first) = texts.next() else { return "" };
        texts.fold(first, common_start)
    }
}

fn common_start<'a>(one: &'a str, other: &str) -> &'a str {
    let differ = |((_, a), b): &((usize, char), char)| a != b;
    match one.char_indices().zip(other.chars()).find(differ) {
        Some(((at, _), _)) => one.get(..at).unwrap_or(""),
        None if one.len() <= other.len() => one,
        None => one.get(..other.len()).unwrap_or(""),
    }
}

/// Who knows how words can be completed.
pub trait Completer {
    /// The candidates for the word that ends with `before`, the line up to the cursor.
    fn complete(&mut self, before: &str) -> Completions;
}

impl<F: FnMut(&str) -> Completions> Completer for F {
    fn complete(&mut self, before: &str) -> Completions {
        self(before)
    }
}

/// Completes nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoCompletion;

impl Completer for NoCompletion {
    fn complete(&mut self, _before: &str) -> Completions {
        Completions::default()
    }
}

/// Candidates in columns, filled from top to bottom as `ls` does; each row ends in a new
/// line.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    /// What to list.
    pub candidates: &'a [Candidate],
    /// Columns of the terminal.
    pub width: usize,
}

impl fmt::Display for Columns<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const GAP: usize = 2;
        let widest = self.candidates.iter().map(|c| c.text.width()).max().unwrap_or(0);
        let columns = ((self.width + GAP) / (widest + GAP)).max(1);
        let rows = self.candidates.len().div_ceil(columns);
        for row in 0..rows {
            let mut gap = 0;
            for candidate in self.candidates.iter().skip(row).step_by(rows) {
                write!(f, "{:gap$}{}", "", candidate.text)?;
                gap = widest + GAP - candidate.text.width();
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(texts: &[&str]) -> Vec<Candidate> {
        texts.iter().map(|&text| Candidate { text: text.into(), suffix: " " }).collect()
    }

    #[test]
    fn what_they_have_in_common() {
        for (texts, common) in [
            (&["tasks", "test", "timer"][..], "t"),
            (&["test", "tests"], "test"),
            (&["tests", "test"], "test"),
            (&["é1", "è1"], ""),
            (&["été", "étage"], "ét"),
            (&["a"], "a"),
            (&[], ""),
        ] {
            let completions = Completions { start: 0, candidates: candidates(texts) };
            assert_eq!(completions.common(), common, "{texts:?}");
        }
    }

    #[test]
    fn columns_fit_the_terminal() {
        let list = candidates(&["a", "bb", "ccc", "d", "e"]);
        let text = |width| Columns { candidates: &list, width }.to_string();
        assert_eq!(text(13), "a    ccc  e\nbb   d\n");
        assert_eq!(text(23), "a    bb   ccc  d    e\n");
        assert_eq!(text(1), "a\nbb\nccc\nd\ne\n");
        assert_eq!(Columns { candidates: &[], width: 80 }.to_string(), "");
    }
}
