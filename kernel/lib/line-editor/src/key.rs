//! Bytes from a terminal to [`Key`]s: control characters, UTF-8, and the escape sequences
//! that xterm, the Linux console, rxvt and screen send for cursor keys.
//!
//! The parser is `vte`'s. A sequence that means nothing here is dropped whole, so that no
//! part of it ends up in the line; so are the marks around a paste.

use vte::{Params, Parser, Perform};

/// What was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character to insert.
    Char(char),
    /// Enter.
    Enter,
    /// Tab.
    Tab,
    /// Delete the character before the cursor.
    Backspace,
    /// Delete the character at the cursor.
    Delete,
    /// ^D: as `Delete`, or on an empty line the end of input.
    DeleteOrEnd,
    /// ^C.
    Interrupt,
    /// ^G: give up a search.
    Abort,
    /// One character to the left.
    Left,
    /// One character to the right.
    Right,
    /// One word to the left.
    WordLeft,
    /// One word to the right.
    WordRight,
    /// To the start of the line.
    Home,
    /// To the end of the line.
    End,
    /// To the line before in the history.
    Up,
    /// To the line after in the history.
    Down,
    /// ^K: cut from the cursor to the end.
    CutToEnd,
    /// ^U: cut from the start to the cursor.
    CutToStart,
    /// ^W: cut what stands between the last white space and the cursor.
    CutBlankWordLeft,
    /// Alt-Backspace: cut the word before the cursor.
    CutWordLeft,
    /// Alt-D: cut the word behind the cursor.
    CutWordRight,
    /// ^Y: insert what was cut last.
    Paste,
    /// ^T: swap the two characters around the cursor.
    Swap,
    /// ^L: clear the screen.
    ClearScreen,
    /// ^R: search the history backwards.
    Search,
}

const ESCAPE: u8 = 0x1b;
const DELETE: u8 = 0x7f;

/// The state between two bytes.
#[derive(Default)]
pub struct Decoder {
    parser: Parser<16>,
    /// The next character belongs to an SS3 sequence, `ESC O`.
    single_shift: bool,
    /// The byte before this one.
    last: u8,
}

impl Decoder {
    /// A decoder that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one byte and hands `sink` the keys that it completes: mostly none or one, two
    /// where it also shows that a character before it was broken.
    pub fn decode(&mut self, byte: u8, mut sink: impl FnMut(Key)) {
        let last = core::mem::replace(&mut self.last, byte);
        match byte {
            // Whatever string an unfinished sequence has begun, these get through.
            0x03 | b'\r' => {
                self.reset();
                sink(if byte == b'\r' { Key::Enter } else { Key::Interrupt });
            }
            // Terminals and scripts that send both mean one Enter.
            b'\n' if last == b'\r' => {}
            DELETE if last == ESCAPE => {
                self.reset();
                sink(Key::CutWordLeft);
            }
            _ => {
                let single_shift = &mut self.single_shift;
                self.parser.advance(&mut Actions { single_shift, sink: &mut sink }, &[byte]);
            }
        }
    }

    fn reset(&mut self) {
        self.parser = Parser::new_with_size();
        self.single_shift = false;
    }
}

/// Turns what the parser found into keys.
struct Actions<'a> {
    single_shift: &'a mut bool,
    sink: &'a mut dyn FnMut(Key),
}

impl Actions<'_> {
    fn emit(&mut self, key: Option<Key>) {
        if let Some(key) = key {
            (self.sink)(key);
        }
    }
}

impl Perform for Actions<'_> {
    fn print(&mut self, character: char) {
        let key = if core::mem::take(self.single_shift) {
            cursor_key(character, 1)
        } else if character == char::from(DELETE) {
            Some(Key::Backspace)
        } else {
            // The parser prints C1 controls that come byte by byte.
            (!character.is_control()).then_some(Key::Char(character))
        };
        self.emit(key);
    }

    fn execute(&mut self, byte: u8) {
        *self.single_shift = false;
        self.emit(control_key(byte));
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, last: char) {
        if ignore || !intermediates.is_empty() {
            return;
        }
        let mut numbers = params.iter().filter_map(|group| group.first().copied());
        let first = numbers.next().unwrap_or(0);
        let modifier = numbers.next().unwrap_or(1);
        self.emit(match last {
            '~' => match first {
                1 | 7 => Some(Key::Home),
                4 | 8 => Some(Key::End),
                3 => Some(Key::Delete),
                _ => None,
            },
            _ => cursor_key(last, modifier),
        });
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], ignore: bool, byte: u8) {
        if ignore || !intermediates.is_empty() {
            return;
        }
        *self.single_shift = byte == b'O';
        self.emit(match byte {
            b'b' | b'B' => Some(Key::WordLeft),
            b'f' | b'F' => Some(Key::WordRight),
            b'd' | b'D' => Some(Key::CutWordRight),
            _ => None,
        });
    }
}

/// The key of a cursor sequence's last character. Modifiers other than 1 (none) and 2
/// (shift) have Alt or Ctrl in them, and move by words.
fn cursor_key(last: char, modifier: u16) -> Option<Key> {
    let by_word = modifier > 2;
    Some(match last {
        'A' => Key::Up,
        'B' => Key::Down,
        'C' if by_word => Key::WordRight,
        'C' => Key::Right,
        'D' if by_word => Key::WordLeft,
        'D' => Key::Left,
        'H' => Key::Home,
        'F' => Key::End,
        'c' => Key::WordRight,
        'd' => Key::WordLeft,
        _ => return None,
    })
}

fn control_key(byte: u8) -> Option<Key> {
    Some(match byte {
        0x01 => Key::Home,
        0x02 => Key::Left,
        0x04 => Key::DeleteOrEnd,
        0x05 => Key::End,
        0x06 => Key::Right,
        0x07 => Key::Abort,
        0x08 => Key::Backspace,
        b'\t' => Key::Tab,
        b'\n' => Key::Enter,
        0x0b => Key::CutToEnd,
        0x0c => Key::ClearScreen,
        0x0e => Key::Down,
        0x10 => Key::Up,
        0x12 => Key::Search,
        0x14 => Key::Swap,
        0x15 => Key::CutToStart,
        0x17 => Key::CutBlankWordLeft,
        0x19 => Key::Paste,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = Decoder::new();
        let mut keys = Vec::new();
        for &byte in bytes {
            decoder.decode(byte, |key| keys.push(key));
        }
        keys
    }

    #[test]
    fn characters_and_controls() {
        assert_eq!(keys("aé€𝄞".as_bytes()), ['a', 'é', '€', '𝄞'].map(Key::Char));
        assert_eq!(
            keys(b"\x01\x05\x7f\x08"),
            [Key::Home, Key::End, Key::Backspace, Key::Backspace]
        );
        assert_eq!(keys(b"\r"), [Key::Enter]);
        assert_eq!(keys(b"\n"), [Key::Enter]);
        assert_eq!(keys(b"\r\n\n"), [Key::Enter, Key::Enter]);
    }

    #[test]
    fn cursor_keys_of_many_terminals() {
        for home in ["\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~", "\x1b[1;2H"] {
            assert_eq!(keys(home.as_bytes()), [Key::Home], "{home:?}");
        }
        for end in ["\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~"] {
            assert_eq!(keys(end.as_bytes()), [Key::End], "{end:?}");
        }
        for right in ["\x1b[1;5C", "\x1b[1;3C", "\x1bf", "\x1bOc"] {
            assert_eq!(keys(right.as_bytes()), [Key::WordRight], "{right:?}");
        }
        assert_eq!(keys(b"\x1b[A\x1bOB\x1b[C\x1b[D"), [Key::Up, Key::Down, Key::Right, Key::Left]);
        assert_eq!(
            keys(b"\x1b[3~\x1bd\x1b\x7f"),
            [Key::Delete, Key::CutWordRight, Key::CutWordLeft]
        );
    }

    #[test]
    fn unknown_sequences_leave_nothing() {
        for sequence in
            ["\x1b[200~", "\x1b[201~", "\x1b[15~", "\x1b[?1;2c", "\x1b[<0;1;1M", "\x1bOP"]
        {
            let mut bytes = sequence.as_bytes().to_vec();
            bytes.push(b'x');
            assert_eq!(keys(&bytes), [Key::Char('x')], "{sequence:?}");
        }
    }

    #[test]
    fn an_unfinished_string_does_not_swallow_enter() {
        assert_eq!(keys(b"\x1b]lost\x03a"), [Key::Interrupt, Key::Char('a')]);
        assert_eq!(keys(b"\x1bPlost\ra"), [Key::Enter, Key::Char('a')]);
    }

    #[test]
    fn broken_utf8_is_one_replacement_character() {
        assert_eq!(keys(b"\xe2\x82a"), [Key::Char('\u{fffd}'), Key::Char('a')]);
        assert_eq!(keys(b"\xff\x1b[D"), [Key::Char('\u{fffd}'), Key::Left]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for key in keys(&bytes) {
                if let Key::Char(character) = key {
                    prop_assert!(!character.is_control());
                }
            }
            // And Enter works after them.
            let bytes = [&bytes[..], b"a\r"].concat();
            prop_assert_eq!(keys(&bytes).pop(), Some(Key::Enter));
        }

        #[test]
        fn text_comes_through(text in "\\PC*") {
            let expected: Vec<Key> = text.chars().map(Key::Char).collect();
            prop_assert_eq!(keys(text.as_bytes()), expected);
        }
    }
}
