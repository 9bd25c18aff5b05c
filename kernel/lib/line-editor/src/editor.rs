//! [`Editor`]: keys into a line, with history, search and completion.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use arrayvec::ArrayString;

use crate::buffer::Buffer;
use crate::completion::{Candidate, Completer};
use crate::history::History;
use crate::key::{Decoder, Key};
use crate::view::View;

/// Columns of a terminal that has not told.
const DEFAULT_COLUMNS: usize = 80;
/// Most bytes of a search text.
const SEARCH_BYTES: usize = 48;

/// What stands before the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// A sequence that sets the prompt's colour; may be empty.
    pub style: &'static str,
    /// The prompt.
    pub text: &'static str,
}

/// What the caller has to do after a byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing: the screen is right.
    None,
    /// Draw the view again.
    Redraw,
    /// Ring the bell: there was nothing to do. Draw the view again.
    Bell,
    /// Clear the screen and draw the view.
    ClearScreen,
    /// List these below the line, then draw the view in the next row.
    List(Vec<Candidate>),
    /// Enter: the line is done. The view shows it, the cursor at its end.
    Line(String),
    /// ^C: the line is given up. The view shows it as it was.
    Interrupted,
    /// ^D on an empty line.
    EndOfInput,
}

/// A search in the history.
struct Search {
    text: ArrayString<SEARCH_BYTES>,
    /// Number of the line found.
    found: Option<usize>,
    /// The line as it was.
    draft: String,
}

/// A line editor. [`start`](Self::start) begins a line, [`feed`](Self::feed) edits it.
pub struct Editor {
    decoder: Decoder,
    buffer: Buffer,
    history: History,
    prompt: Prompt,
    columns: usize,
    scroll: usize,
    search: Option<Search>,
    /// The last key was a Tab that could not complete any further.
    tab_pending: bool,
}

impl Editor {
    /// An editor for lines of at most `limit` bytes, with a history of `history` lines, for
    /// a terminal of 80 columns.
    #[must_use]
    pub fn new(limit: usize, history: usize) -> Self {
        Self {
            decoder: Decoder::new(),
            buffer: Buffer::new(limit),
            history: History::new(history),
            prompt: Prompt::default(),
            columns: DEFAULT_COLUMNS,
            scroll: 0,
            search: None,
            tab_pending: false,
        }
    }

    /// Sets the width of the terminal.
    pub fn set_columns(&mut self, columns: usize) {
        self.columns = columns;
    }

    /// The width of the terminal.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The lines before this one.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Begins a new, empty line.
    pub fn start(&mut self, prompt: Prompt) {
        self.prompt = prompt;
        self.buffer.take();
        self.history.leave();
        self.scroll = 0;
        self.search = None;
        self.tab_pending = false;
    }

    /// What the terminal should show now.
    pub fn view(&mut self) -> View {
        let (text, cursor) = (self.buffer.text(), self.buffer.cursor());
        let Some(search) = &self.search else {
            let prompt = (self.prompt.style, self.prompt.text);
            return View::compose(self.columns, prompt, text, cursor, &mut self.scroll);
        };
        let failing =
            if search.found.is_none() && !search.text.is_empty() { "failing " } else { "" };
        let mut prompt = ArrayString::<{ SEARCH_BYTES + 40 }>::new();
        // There is room: the text is bounded.
        let _ = write!(prompt, "({failing}reverse-i-search)`{}': ", search.text);
        View::compose(self.columns, ("", &prompt), text, cursor, &mut self.scroll)
    }

    /// Takes one byte from the terminal.
    pub fn feed(&mut self, byte: u8, completer: &mut dyn Completer) -> Reaction {
        let mut keys = [None; 4];
        let mut slots = keys.iter_mut();
        self.decoder.decode(byte, |key| {
            if let Some(slot) = slots.next() {
                *slot = Some(key);
            }
        });
        let mut reaction = Reaction::None;
        for key in keys.into_iter().flatten() {
            // Of two keys in one byte, the first is a broken character.
            reaction = self.press(key, completer);
        }
        reaction
    }

    /// Takes one key.
    pub fn press(&mut self, key: Key, completer: &mut dyn Completer) -> Reaction {
        let tab_pending = core::mem::take(&mut self.tab_pending);
        if let Some(search) = self.search.take()
            && let Some(reaction) = self.press_in_search(search, key)
        {
            return reaction;
        }
        let buffer = &mut self.buffer;
        let mut fitted = true;
        match key {
            Key::Char(character) => fitted = buffer.insert(character.encode_utf8(&mut [0; 4])),
            Key::Enter => {
                buffer.end();
                let line = String::from(buffer.text());
                self.history.push(&line);
                return Reaction::Line(line);
            }
            Key::Tab => return self.complete(tab_pending, completer),
            Key::Interrupt => return Reaction::Interrupted,
            Key::DeleteOrEnd if buffer.text().is_empty() => return Reaction::EndOfInput,
            Key::ClearScreen => return Reaction::ClearScreen,
            Key::Abort => return Reaction::None,
            Key::Search => {
                let draft = String::from(buffer.text());
                self.search = Some(Search { text: ArrayString::new(), found: None, draft });
            }
            Key::Up => match self.history.older(buffer.text()) {
                Some(line) => buffer.set(line),
                None => return Reaction::Bell,
            },
            Key::Down => match self.history.newer() {
                Some(line) => buffer.set(line),
                None => return Reaction::Bell,
            },
            Key::Backspace => buffer.delete_left(),
            Key::Delete | Key::DeleteOrEnd => buffer.delete_right(),
            Key::Left => buffer.left(),
            Key::Right => buffer.right(),
            Key::WordLeft => buffer.word_left(),
            Key::WordRight => buffer.word_right(),
            Key::Home => buffer.home(),
            Key::End => buffer.end(),
            Key::CutToEnd => buffer.cut_to_end(),
            Key::CutToStart => buffer.cut_to_start(),
            Key::CutBlankWordLeft => buffer.cut_blank_word_left(),
            Key::CutWordLeft => buffer.cut_word_left(),
            Key::CutWordRight => buffer.cut_word_right(),
            Key::Paste => fitted = buffer.paste(),
            Key::Swap => buffer.swap(),
        }
        if fitted { Reaction::Redraw } else { Reaction::Bell }
    }

    /// Tab: inserts what all candidates have in common; where that is nothing new, a second
    /// Tab lists them.
    fn complete(&mut self, second: bool, completer: &mut dyn Completer) -> Reaction {
        let (before, _) = self.buffer.split();
        let completions = completer.complete(before);
        let [first, others @ ..] = &*completions.candidates else {
            return Reaction::Bell;
        };
        let mut text = String::from(completions.common());
        if others.is_empty() {
            text.push_str(first.suffix);
        }
        let new = before.get(completions.start..).is_some_and(|typed| typed != text);
        if new && self.buffer.replace_before(completions.start, &text) {
            return Reaction::Redraw;
        }
        if second {
            return Reaction::List(completions.candidates);
        }
        self.tab_pending = true;
        Reaction::Bell
    }

    /// A key while searching; `None` if it ends the search and is to be taken as usual.
    fn press_in_search(&mut self, mut search: Search, key: Key) -> Option<Reaction> {
        let mut before = search.found.map_or(usize::MAX, |found| found + 1);
        match key {
            Key::Char(character) => {
                if search.text.try_push(character).is_err() {
                    self.search = Some(search);
                    return Some(Reaction::Bell);
                }
            }
            Key::Backspace => {
                search.text.pop();
                before = usize::MAX;
            }
            Key::Search => before = search.found.unwrap_or(usize::MAX),
            Key::Abort | Key::Interrupt => {
                self.buffer.set(&search.draft);
                return Some(Reaction::Redraw);
            }
            _ => return None,
        }
        let text = search.text.as_str();
        let found = self.history.search(text, before).filter(|_| !text.is_empty());
        let reaction = match found {
            Some((number, line)) => {
                self.buffer.set(line);
                let end = line.find(text).unwrap_or(0);
                self.buffer.home();
                while self.buffer.cursor() < end {
                    self.buffer.right();
                }
                search.found = Some(number);
                Reaction::Redraw
            }
            // Nothing older: the line found before stays.
            None if key == Key::Search => Reaction::Bell,
            None => {
                search.found = None;
                if text.is_empty() { Reaction::Redraw } else { Reaction::Bell }
            }
        };
        self.search = Some(search);
        Some(reaction)
    }
}

#[cfg(test)]
mod tests;
