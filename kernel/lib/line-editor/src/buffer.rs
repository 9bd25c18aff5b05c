//! [`Buffer`]: one line, a cursor in it, and what was cut from it last.

use alloc::string::String;
use core::ops::Range;

/// A line with a cursor. The cursor stands between characters; the line never grows
/// beyond its limit.
#[derive(Clone, Debug)]
pub struct Buffer {
    text: String,
    /// Byte offset, always between characters.
    cursor: usize,
    limit: usize,
    /// What was cut last.
    cut: String,
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

impl Buffer {
    /// An empty line of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { text: String::new(), cursor: 0, limit, cut: String::new() }
    }

    /// The line.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The cursor as a byte offset into the line.
    #[must_use]
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// What stands before the cursor and behind it.
    #[must_use]
    pub fn split(&self) -> (&str, &str) {
        self.text.split_at_checked(self.cursor).unwrap_or((&self.text, ""))
    }

    /// Empties the line and returns what it was. What was cut is kept.
    pub fn take(&mut self) -> String {
        self.cursor = 0;
        core::mem::take(&mut self.text)
    }

    /// Replaces the line, cut to the limit, and puts the cursor at its end.
    pub fn set(&mut self, text: &str) {
        self.text.clear();
        self.cursor = 0;
        self.insert(text);
    }

    /// Inserts as many characters of `text` as fit; returns whether all did.
    pub fn insert(&mut self, text: &str) -> bool {
        let room = self.limit.saturating_sub(self.text.len());
        let fitting = text.get(..floor_boundary(text, room)).unwrap_or("");
        self.text.insert_str(self.cursor, fitting);
        self.cursor += fitting.len();
        fitting.len() == text.len()
    }

    /// Replaces what stands between byte `start` and the cursor; returns whether it could:
    /// `start` is no place in the text before the cursor, or the text would be too long.
    pub fn replace_before(&mut self, start: usize, text: &str) -> bool {
        let Some(old) = self.text.get(start..self.cursor) else {
            return false;
        };
        if self.text.len() - old.len() + text.len() > self.limit {
            return false;
        }
        self.text.replace_range(start..self.cursor, text);
        self.cursor = start + text.len();
        true
    }

    fn place_left(&self) -> usize {
        self.split().0.char_indices().next_back().map_or(0, |(at, _)| at)
    }

    fn place_right(&self) -> usize {
        self.cursor + self.split().1.chars().next().map_or(0, char::len_utf8)
    }

    /// The start of the word that ends at or before the cursor, words being what `inside`
    /// holds for.
    fn word_start(&self, inside: fn(char) -> bool) -> usize {
        let (before, _) = self.split();
        before.trim_end_matches(|c| !inside(c)).trim_end_matches(inside).len()
    }

    fn word_end(&self) -> usize {
        let (_, behind) = self.split();
        let rest = behind.trim_start_matches(|c| !is_word(c)).trim_start_matches(is_word);
        self.text.len() - rest.len()
    }

    /// One character to the left.
    pub fn left(&mut self) {
        self.cursor = self.place_left();
    }

    /// One character to the right.
    pub fn right(&mut self) {
        self.cursor = self.place_right();
    }

    /// To the start of this word, or of the one before.
    pub fn word_left(&mut self) {
        self.cursor = self.word_start(is_word);
    }

    /// To the end of this word, or of the one behind.
    pub fn word_right(&mut self) {
        self.cursor = self.word_end();
    }

    /// To the start.
    pub fn home(&mut self) {
        self.cursor = 0;
    }

    /// To the end.
    pub fn end(&mut self) {
        self.cursor = self.text.len();
    }

    /// Deletes the character before the cursor.
    pub fn delete_left(&mut self) {
        let start = self.place_left();
        self.text.replace_range(start..self.cursor, "");
        self.cursor = start;
    }

    /// Deletes the character at the cursor.
    pub fn delete_right(&mut self) {
        self.text.replace_range(self.cursor..self.place_right(), "");
    }

    /// Takes `range` out; nothing in it leaves what was cut before as it is.
    fn cut(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        self.cursor = range.start;
        self.cut = self.text.drain(range).collect();
    }

    /// Cuts from the cursor to the end.
    pub fn cut_to_end(&mut self) {
        self.cut(self.cursor..self.text.len());
    }

    /// Cuts from the start to the cursor.
    pub fn cut_to_start(&mut self) {
        self.cut(0..self.cursor);
    }

    /// Cuts the word before the cursor; words are what white space separates.
    pub fn cut_blank_word_left(&mut self) {
        self.cut(self.word_start(|c| !c.is_whitespace())..self.cursor);
    }

    /// Cuts the word before the cursor.
    pub fn cut_word_left(&mut self) {
        self.cut(self.word_start(is_word)..self.cursor);
    }

    /// Cuts the word behind the cursor.
    pub fn cut_word_right(&mut self) {
        self.cut(self.cursor..self.word_end());
    }

    /// Inserts what was cut last; returns whether it fitted.
    pub fn paste(&mut self) -> bool {
        let cut = core::mem::take(&mut self.cut);
        let fitted = self.insert(&cut);
        self.cut = cut;
        fitted
    }

    /// Swaps the characters before and at the cursor and goes behind them; at the end of
    /// the line, the two before it.
    pub fn swap(&mut self) {
        if self.cursor == self.text.len() {
            self.left();
        }
        let (start, end) = (self.place_left(), self.place_right());
        if start < self.cursor && self.cursor < end {
            let before: String = self.text.drain(start..self.cursor).collect();
            self.text.insert_str(end - before.len(), &before);
        }
        self.cursor = end;
    }
}

/// The largest place between characters of `text` that is not past `offset`.
fn floor_boundary(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str, cursor: usize) -> Buffer {
        let mut buffer = Buffer::new(100);
        buffer.set(text);
        buffer.cursor = cursor;
        buffer
    }

    #[test]
    fn words() {
        let mut buffer = at("ls /bin/primes; exit", 20);
        buffer.word_left();
        assert_eq!(buffer.split(), ("ls /bin/primes; ", "exit"));
        buffer.word_left();
        assert_eq!(buffer.split(), ("ls /bin/", "primes; exit"));
        buffer.word_right();
        assert_eq!(buffer.split(), ("ls /bin/primes", "; exit"));
        buffer.cut_blank_word_left();
        assert_eq!(buffer.split(), ("ls ", "; exit"));
        buffer.cut_word_right();
        assert_eq!(buffer.split(), ("ls ", ""));
        buffer.paste();
        assert_eq!(buffer.text(), "ls ; exit");
        buffer.cut_word_left();
        assert_eq!(buffer.text(), "ls ; ");
        buffer.cut_to_end();
        buffer.paste();
        assert_eq!(buffer.text(), "ls ; exit", "an empty cut keeps the last one");
    }

    #[test]
    fn swapping() {
        for (text, cursor, after, to) in
            [("ab", 1, "ba", 2), ("abc", 1, "bac", 2), ("abc", 3, "acb", 3), ("", 0, "", 0)]
        {
            let mut buffer = at(text, cursor);
            buffer.swap();
            assert_eq!((buffer.text(), buffer.cursor()), (after, to), "{text} {cursor}");
        }
        let mut buffer = at("a", 1);
        buffer.swap();
        assert_eq!((buffer.text(), buffer.cursor()), ("a", 1));
        let mut buffer = at("é€", 2);
        buffer.swap();
        assert_eq!((buffer.text(), buffer.cursor()), ("€é", 5));
    }

    #[test]
    fn the_limit_holds() {
        let mut buffer = Buffer::new(5);
        assert!(buffer.insert("abc"));
        assert!(!buffer.insert("€"), "three bytes where two are left");
        assert_eq!(buffer.text(), "abc");
        assert!(!buffer.replace_before(0, "123456"));
        assert!(buffer.replace_before(1, "1234"));
        assert!(!buffer.replace_before(7, ""));
        assert_eq!(buffer.text(), "a1234");
        assert!(!buffer.insert("x"));
    }

    /// The same line as a vector of characters.
    #[derive(Default)]
    struct Model {
        text: Vec<char>,
        cursor: usize,
        cut: Vec<char>,
    }

    impl Model {
        fn remove(&mut self, range: Range<usize>) {
            if !range.is_empty() {
                self.cursor = range.start;
                self.cut = self.text.drain(range).collect();
            }
        }

        fn word_left(&self, inside: fn(char) -> bool) -> usize {
            let mut at = self.cursor;
            while at > 0 && !inside(self.text[at - 1]) {
                at -= 1;
            }
            while at > 0 && inside(self.text[at - 1]) {
                at -= 1;
            }
            at
        }

        fn word_right(&self) -> usize {
            let mut at = self.cursor;
            while at < self.text.len() && !is_word(self.text[at]) {
                at += 1;
            }
            while at < self.text.len() && is_word(self.text[at]) {
                at += 1;
            }
            at
        }

        fn bytes(&self) -> usize {
            self.text.iter().map(|c| c.len_utf8()).sum()
        }

        fn insert(&mut self, characters: &[char], limit: usize) {
            for &c in characters {
                if self.bytes() + c.len_utf8() > limit {
                    break;
                }
                self.text.insert(self.cursor, c);
                self.cursor += 1;
            }
        }
    }

    proptest! {
        #[test]
        fn behaves_as_the_model(
            steps in prop::collection::vec((0u8..20, prop::sample::select(vec!['a', ' ', '/', 'é', '€', '9'])), 0..120)
        ) {
            const LIMIT: usize = 40;
            let mut buffer = Buffer::new(LIMIT);
            let mut model = Model::default();
            for (step, c) in steps {
                let len = model.text.len();
                match step {
                    0 => { buffer.left(); model.cursor = model.cursor.saturating_sub(1); }
                    1 => { buffer.right(); model.cursor = (model.cursor + 1).min(len); }
                    2 => { buffer.home(); model.cursor = 0; }
                    3 => { buffer.end(); model.cursor = len; }
                    4 => { buffer.word_left(); model.cursor = model.word_left(is_word); }
                    5 => { buffer.word_right(); model.cursor = model.word_right(); }
                    6 => {
                        buffer.delete_left();
                        if model.cursor > 0 { model.cursor -= 1; model.text.remove(model.cursor); }
                    }
                    7 => {
                        buffer.delete_right();
                        if model.cursor < len { model.text.remove(model.cursor); }
                    }
                    8 => { buffer.cut_to_end(); let at = model.cursor; model.remove(at..len); }
                    9 => { buffer.cut_to_start(); model.remove(0..model.cursor); }
                    10 => {
                        buffer.cut_blank_word_left();
                        model.remove(model.word_left(|c| !c.is_whitespace())..model.cursor);
                    }
                    11 => { buffer.cut_word_left(); model.remove(model.word_left(is_word)..model.cursor); }
                    12 => { buffer.cut_word_right(); model.remove(model.cursor..model.word_right()); }
                    13 => { buffer.paste(); let cut = model.cut.clone(); model.insert(&cut, LIMIT); }
                    14 => {
                        buffer.swap();
                        if model.cursor == len { model.cursor = model.cursor.saturating_sub(1); }
                        if model.cursor > 0 && model.cursor < len {
                            model.text.swap(model.cursor - 1, model.cursor);
                        }
                        model.cursor = (model.cursor + 1).min(len);
                    }
                    _ => { buffer.insert(c.encode_utf8(&mut [0; 4])); model.insert(&[c], LIMIT); }
                }
                let (before, behind) = buffer.split();
                prop_assert_eq!(before, model.text[..model.cursor].iter().collect::<String>());
                prop_assert_eq!(behind, model.text[model.cursor..].iter().collect::<String>());
                prop_assert!(buffer.text().len() <= LIMIT);
            }
        }
    }
}
