//! [`View`]: what the terminal shows of the line being edited.
//!
//! The line always takes one row: a line that does not fit is scrolled sideways, with `<`
//! and `>` where something is hidden. So taking it off the screen is one short sequence,
//! whatever it shows, and neither drawing nor hiding needs memory or knows the state of
//! the screen but for its width.

use core::fmt::{self, Write};

use arrayvec::ArrayString;
use unicode_width::UnicodeWidthChar;

/// Widest terminal; wider ones are used up to here.
pub const MAX_COLUMNS: usize = 250;

/// Room for the prompt, in bytes.
const PROMPT_BYTES: usize = 224;
/// Room for the visible text, in bytes: a row of the longest characters.
const TEXT_BYTES: usize = MAX_COLUMNS * 4;
/// With fewer columns than this for the line, the prompt is left out.
const MIN_TEXT_COLUMNS: usize = 8;

/// A line as the terminal shows it: prompt, visible text, cursor. Of fixed size, so that it
/// can be copied to where it can be drawn from without sleeping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    style: &'static str,
    prompt: ArrayString<PROMPT_BYTES>,
    text: ArrayString<TEXT_BYTES>,
    /// Columns before the cursor.
    cursor: usize,
    /// Columns that prompt and text take.
    width: usize,
}

impl Default for View {
    fn default() -> Self {
        Self::empty()
    }
}

fn width_of(character: char) -> usize {
    // Control characters are shown as one `?`.
    character.width().unwrap_or(1)
}

/// Columns that a text takes in a terminal.
fn width(text: &str) -> usize {
    text.chars().map(width_of).sum()
}

fn visible(character: char) -> char {
    if character.is_control() { '?' } else { character }
}

/// Pushes characters as far as they fit.
fn push<const N: usize>(to: &mut ArrayString<N>, text: impl Iterator<Item = char>) {
    for character in text {
        if to.try_push(visible(character)).is_err() {
            return;
        }
    }
}

impl View {
    /// A row with nothing in it.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            style: "",
            prompt: ArrayString::new_const(),
            text: ArrayString::new_const(),
            cursor: 0,
            width: 0,
        }
    }

    /// How a terminal of `columns` columns shows `prompt` (in `style`, a sequence that
    /// takes no column) and `line` with the cursor at byte `cursor`. `scroll` is the byte
    /// offset of the first visible character; it is changed when the cursor would be out
    /// of sight, and kept otherwise, so that the text stands still.
    #[must_use]
    pub fn compose(
        columns: usize,
        (style, prompt): (&'static str, &str),
        line: &str,
        cursor: usize,
        scroll: &mut usize,
    ) -> Self {
        let mut view = Self { style, ..Self::empty() };
        // The last column stays free: a terminal with something there is about to wrap.
        let columns = columns.clamp(MIN_TEXT_COLUMNS + 1, MAX_COLUMNS) - 1;
        if width(prompt) + MIN_TEXT_COLUMNS <= columns {
            push(&mut view.prompt, prompt.chars());
        }
        let prompt_width = width(&view.prompt);
        let room = columns - prompt_width;

        if width(line) <= room {
            *scroll = 0;
        } else {
            keep_in_sight(line, cursor, room, scroll);
        }
        let marked = *scroll > 0;
        if marked {
            view.text.push('<');
        }
        let rest = line.get(*scroll..).unwrap_or("");
        let mut left = room - usize::from(marked);
        if width(rest) <= left {
            push(&mut view.text, rest.chars());
        } else {
            left -= 1; // for the mark
            let fits = |character: &char| {
                let fits = width_of(*character) <= left;
                left -= if fits { width_of(*character) } else { 0 };
                fits
            };
            push(&mut view.text, rest.chars().take_while(fits));
            push(&mut view.text, core::iter::once('>'));
        }
        let before = line.get(*scroll..cursor).unwrap_or("");
        view.cursor = prompt_width + usize::from(marked) + width(before);
        view.width = prompt_width + width(&view.text);
        view
    }

    /// Writes the row, whatever the cursor's column and the row's contents are now, and
    /// leaves the cursor in its place.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn draw(&self, out: &mut dyn Write) -> fmt::Result {
        let reset = if self.style.is_empty() { "" } else { "\x1b[0m" };
        write!(out, "\r{}{}{reset}{}\x1b[K", self.style, self.prompt, self.text)?;
        self.place_cursor(self.width, out)
    }

    /// Writes what makes a row that shows `shown` show this. Typing at the end of a line
    /// writes what was typed and nothing else.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn draw_over(&self, shown: &Self, out: &mut dyn Write) -> fmt::Result {
        if (self.style, &self.prompt) != (shown.style, &shown.prompt) {
            return self.draw(out);
        }
        match self.text.strip_prefix(&*shown.text) {
            Some("") => return self.place_cursor(shown.cursor, out),
            Some(added) if shown.cursor == shown.width => out.write_str(added)?,
            _ => {
                place(width(&self.prompt), out)?;
                write!(out, "{}\x1b[K", self.text)?;
            }
        }
        self.place_cursor(self.width, out)
    }

    /// Moves the cursor from column `from` to its place.
    fn place_cursor(&self, from: usize, out: &mut dyn Write) -> fmt::Result {
        if self.cursor == from { Ok(()) } else { place(self.cursor, out) }
    }

    /// Writes what empties the row and puts the cursor at its start.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn hide(out: &mut dyn Write) -> fmt::Result {
        out.write_str("\r\x1b[K")
    }
}

/// Chooses the first visible character so that the cursor is among `room` columns, two of
/// which the marks may take.
fn keep_in_sight(line: &str, cursor: usize, room: usize, scroll: &mut usize) {
    let in_sight = line.get(*scroll..cursor).is_some_and(|before| width(before) + 2 < room);
    if in_sight {
        return;
    }
    // The cursor comes to the middle, or the line to its start.
    let before = line.get(..cursor).unwrap_or("");
    let mut columns = 0;
    let first = before.char_indices().rev().take_while(|&(_, character)| {
        columns += width_of(character);
        columns <= room / 2
    });
    *scroll = first.last().map_or(cursor, |(at, _)| at);
}

/// Moves the cursor to a column of its row.
fn place(column: usize, out: &mut dyn Write) -> fmt::Result {
    match column {
        0 => out.write_str("\r"),
        column => write!(out, "\r\x1b[{column}C"),
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.draw(f)
    }
}
