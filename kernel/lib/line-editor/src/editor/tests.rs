//! The editor at a small terminal: what it draws is looked at on a screen.

use super::*;
use crate::completion::{Columns, Completions, NoCompletion};
use proptest::prelude::*;
use vte::{Params, Parser, Perform};

/// A terminal: rows of characters and a cursor; the sequences that the editor writes, and
/// no other.
struct Screen {
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
    columns: usize,
}

impl Screen {
    fn new(columns: usize) -> Self {
        Self { rows: vec![Vec::new()], row: 0, column: 0, columns }
    }

    fn write(&mut self, text: &str) {
        Parser::<16>::new_with_size().advance(self, text.as_bytes());
    }

    fn line(&self, row: usize) -> String {
        let text: String = self.rows[row].iter().filter(|&&c| c != '\0').collect();
        text.trim_end().into()
    }
}

impl Perform for Screen {
    fn print(&mut self, character: char) {
        let width = unicode_width::UnicodeWidthChar::width(character).unwrap();
        if width == 0 {
            return;
        }
        assert!(self.column + width < self.columns, "the last column stays free");
        let row = &mut self.rows[self.row];
        row.resize(row.len().max(self.column + width), ' ');
        row[self.column] = character;
        // The second half of a wide character.
        row[self.column + 1..self.column + width].fill('\0');
        self.column += width;
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\r' => self.column = 0,
            b'\n' => {
                (self.row, self.column) = (self.row + 1, 0);
                self.rows.resize(self.row + 1, Vec::new());
            }
            _ => panic!("control {byte:#x}"),
        }
    }

    fn csi_dispatch(&mut self, params: &Params, _: &[u8], _: bool, action: char) {
        let first = params.iter().next().map_or(0, |p| p[0]);
        match action {
            'K' => self.rows[self.row].truncate(self.column),
            'C' => self.column += usize::from(first),
            'm' => {}
            _ => panic!("sequence {action}"),
        }
    }
}

const PROMPT: Prompt = Prompt { style: "\x1b[32m", text: "> " };

/// An editor at a screen.
struct Session {
    editor: Editor,
    screen: Screen,
    shown: View,
    /// What was written last.
    written: String,
}

impl Session {
    fn new(columns: usize) -> Self {
        let mut editor = Editor::new(200, 5);
        editor.set_columns(columns);
        editor.start(PROMPT);
        let mut session = Self {
            editor,
            screen: Screen::new(columns),
            shown: View::empty(),
            written: String::new(),
        };
        session.draw();
        session
    }

    fn draw(&mut self) {
        let view = self.editor.view();
        self.written.clear();
        view.draw_over(&self.shown, &mut self.written).unwrap();
        self.screen.write(&self.written);
        self.shown = view;
    }

    fn keys(&mut self, bytes: &[u8]) -> Reaction {
        self.keys_with(bytes, &mut NoCompletion)
    }

    fn keys_with(&mut self, bytes: &[u8], completer: &mut dyn Completer) -> Reaction {
        let mut reaction = Reaction::None;
        for &byte in bytes {
            reaction = self.editor.feed(byte, completer);
            self.draw();
            if let Reaction::Line(_) = reaction {
                self.screen.write("\n");
                self.shown = View::empty();
                self.editor.start(PROMPT);
                self.draw();
            }
        }
        reaction
    }

    fn line(&self) -> String {
        self.screen.line(self.screen.row)
    }
}

#[test]
fn typing_and_moving() {
    let mut session = Session::new(80);
    session.keys(b"hllo\x01\x1b[Ce");
    assert_eq!(session.line(), "> hello");
    assert_eq!(session.screen.column, 4);
    session.keys(b"\x05!\x02\x02\x7f");
    assert_eq!(session.line(), "> helo!");
    assert_eq!(session.keys(b"\r"), Reaction::Line("helo!".into()));
    assert_eq!(session.screen.line(0), "> helo!");
    assert_eq!(session.line(), ">");
}

#[test]
fn what_is_written_is_short() {
    let mut session = Session::new(80);
    for (keys, written) in [
        ("a", "a"),
        ("b", "b"),
        ("\x02", "\r\x1b[3C"),
        ("\x06", "\r\x1b[4C"),
        ("\x7f", "\r\x1b[2Ca\x1b[K"),
        ("\x05", ""),
    ] {
        session.keys(keys.as_bytes());
        assert_eq!(session.written, written, "{keys:?}");
    }
}

#[test]
fn wide_characters_count_twice() {
    let mut session = Session::new(80);
    session.keys("日本e\u{301}x\x1b[D".as_bytes());
    assert_eq!(session.screen.column, 2 + 4 + 1);
    assert_eq!(session.line(), "> 日本ex");
}

#[test]
fn long_lines_scroll_sideways() {
    let mut session = Session::new(20);
    session.keys(b"0123456789abcdefghijklmnopqrstuvwxyz");
    assert!(session.line().starts_with("> <") && session.line().ends_with("xyz"));
    session.keys(b"\x01");
    assert_eq!(session.line(), "> 0123456789abcdef>");
    assert_eq!(session.screen.column, 2);
    session.keys(b"\x06\x06\x06");
    assert_eq!(session.line(), "> 0123456789abcdef>", "stands still while the cursor is seen");
    assert_eq!(session.screen.column, 5);
    session.keys(b"\x0b");
    assert_eq!(session.line(), "> 012");
}

#[test]
fn a_prompt_that_leaves_no_room_is_left_out() {
    let mut session = Session::new(9);
    session.keys(b"abcdefghijk\x01");
    assert_eq!(session.line(), "abcdefg>");
    // A terminal that says it has no columns still gets a row.
    let view = View::compose(0, ("", "> "), "abcdefghijk", 11, &mut 0);
    assert_eq!(view.to_string(), "\r<hijk\x1b[K");
}

#[test]
fn ends_of_lines() {
    let mut session = Session::new(80);
    assert_eq!(session.keys(b"\x04"), Reaction::EndOfInput);
    assert_eq!(session.keys(b"ab\x01\x04"), Reaction::Redraw);
    assert_eq!(session.line(), "> b");
    assert_eq!(session.keys(b"\x03"), Reaction::Interrupted);
    assert_eq!(session.keys(b"\x0c"), Reaction::ClearScreen);
}

#[test]
fn history_goes_up_and_down() {
    let mut session = Session::new(80);
    session.keys(b"one\rtwo\rtwo\rdra");
    session.keys(b"\x1b[A");
    assert_eq!(session.line(), "> two");
    session.keys(b"\x1bOA");
    assert_eq!(session.line(), "> one");
    assert_eq!(session.keys(b"\x10"), Reaction::Bell);
    session.keys(b"\x0e\x0e");
    assert_eq!(session.line(), "> dra");
    assert_eq!(session.keys(b"\x0e"), Reaction::Bell);
}

#[test]
fn search_finds_older_lines() {
    let mut session = Session::new(80);
    session.keys(b"exec /bin/hello\rmem\rexec /bin/primes\rdraft\x12ex");
    assert_eq!(session.line(), "(reverse-i-search)`ex': exec /bin/primes");
    session.keys(b"\x12");
    assert_eq!(session.line(), "(reverse-i-search)`ex': exec /bin/hello");
    assert_eq!(session.keys(b"\x12"), Reaction::Bell);
    assert_eq!(session.keys(b"q"), Reaction::Bell);
    assert_eq!(session.line(), "(failing reverse-i-search)`exq': exec /bin/hello");
    session.keys(b"\x7f");
    assert_eq!(session.line(), "(reverse-i-search)`ex': exec /bin/primes");
    session.keys(b"\x07");
    assert_eq!(session.line(), "> draft");
    session.keys(b"\x12hel\x05!");
    assert_eq!(session.line(), "> exec /bin/hello!");
    session.keys(b"\x15\x12mem");
    assert_eq!(session.keys(b"\r"), Reaction::Line("mem".into()));
}

fn words(before: &str) -> Completions {
    let start = before.rfind(' ').map_or(0, |space| space + 1);
    let candidates = ["tasks", "test", "timer", "mem"]
        .into_iter()
        .filter(|word| word.starts_with(&before[start..]))
        .map(|word| Candidate { text: word.into(), suffix: " " })
        .collect();
    Completions { start, candidates }
}

#[test]
fn tab_completes_then_lists() {
    let mut session = Session::new(80);
    session.keys_with(b"m\t", &mut words);
    assert_eq!(session.line(), "> mem");
    assert_eq!(session.screen.column, 6, "with the space");
    assert_eq!(session.keys_with(b"t\t", &mut words), Reaction::Bell);
    let Reaction::List(list) = session.keys_with(b"\t", &mut words) else { panic!() };
    assert_eq!(Columns { candidates: &list, width: 80 }.to_string(), "tasks  test   timer\n");
    assert_eq!(session.keys_with(b"e\t", &mut words), Reaction::Redraw);
    assert_eq!(session.line(), "> mem test");
    assert_eq!(session.keys_with(b"x\t", &mut words), Reaction::Bell);
    // A completion that does not fit changes nothing.
    let mut long = |_: &str| Completions {
        start: 0,
        candidates: vec![Candidate { text: "x".repeat(500), suffix: "" }],
    };
    assert_eq!(session.keys_with(b"\t", &mut long), Reaction::Bell);
}

#[test]
fn a_log_line_goes_above() {
    let mut session = Session::new(40);
    session.keys(b"half a com\x02\x02");
    let mut hide = String::new();
    View::hide(&mut hide).unwrap();
    session.screen.write(&hide);
    session.screen.write("[1.0] a log line\n");
    session.screen.write(&session.shown.to_string());
    assert_eq!(session.screen.line(0), "[1.0] a log line");
    assert_eq!(session.line(), "> half a com");
    assert_eq!(session.screen.column, 10);
}

proptest! {
    /// Whatever is typed, the screen shows the cursor's neighbourhood of the line in one
    /// row, and the cursor in the right column.
    #[test]
    fn the_screen_shows_the_line(
        keys in prop::collection::vec(prop::sample::select(vec![
            "a", "b", " ", "long words ", "日", "é", "\x01", "\x05", "\x02", "\x06", "\x1bb",
            "\x1bf", "\x7f", "\x0b", "\x15", "\x17", "\x19", "\x14", "\x1b[A", "\x1b[B", "\r", "\t", "\x12",
        ]), 0..80),
        columns in 12usize..50,
    ) {
        let mut session = Session::new(columns);
        for key in keys {
            session.keys(key.as_bytes());
            if session.editor.search.is_some() {
                continue;
            }
            let (before, behind) = session.editor.buffer.split();
            let row = &session.screen.rows[session.screen.row];
            let cells = |cells: &[char]| cells.iter().filter(|&&c| c != '\0').collect::<String>();
            let left = cells(&row[..session.screen.column]);
            let right = cells(&row[session.screen.column..]);
            match left.strip_prefix("> ").expect("the prompt") {
                hidden if hidden.starts_with('<') => prop_assert!(before.ends_with(&hidden[1..])),
                whole => prop_assert_eq!(whole, before),
            }
            match right.strip_suffix('>') {
                Some(hidden) => prop_assert!(behind.starts_with(hidden)),
                None => prop_assert_eq!(right, behind),
            }
        }
    }
}
