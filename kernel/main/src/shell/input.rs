//! A line from the console.
//!
//! The editor's state belongs to the shell's task. What the screen shows of it is copied
//! to [`SHOWN`], from where whoever logs can draw it again, on any CPU and without
//! sleeping; the copy is changed before the screen is, so that both agree in the end.

use alloc::string::String;
use core::fmt;

use base::console::{self, Overlay};
use base::print;
use base::sync::IrqSpinLock;
use drivers::console_input;
use line_editor::{Columns, Editor, Prompt, Reaction, View};
use task::WaitOptions;

use super::completion::complete;

/// Longest line, in bytes.
const LINE_BYTES: usize = 1000;
/// Lines in the history.
const HISTORY: usize = 100;
/// What stands before the line.
const PROMPT: &str = "basalt> ";

/// What the screen shows of the line being edited.
static SHOWN: IrqSpinLock<View> = IrqSpinLock::new("edited line", View::empty());

fn hide(out: &mut dyn fmt::Write) {
    // The console cannot fail.
    let _ = View::hide(out);
}

fn show(out: &mut dyn fmt::Write) {
    // Taken: the shell is about to draw, after changing it.
    if let Some(view) = SHOWN.try_lock() {
        let _ = view.draw(out);
    }
}

/// The console as the shell's terminal.
pub(super) struct Terminal {
    editor: Editor,
}

impl Terminal {
    /// Takes the console over.
    pub(super) fn new() -> Self {
        console::set_overlay(Overlay { hide, show });
        Self { editor: Editor::new(LINE_BYTES, HISTORY) }
    }

    /// What the screen should show now; remembered for whoever logs.
    fn view(&mut self) -> View {
        let view = self.editor.view();
        SHOWN.lock().clone_from(&view);
        view
    }

    /// Reads a line, with a prompt in the given style. A line given up with ^C comes back
    /// empty.
    pub(super) fn read_line(&mut self, style: &'static str) -> String {
        self.editor.start(Prompt { style, text: PROMPT });
        let view = self.view();
        console::begin_edit(format_args!("{view}"));
        // What changed since the screen was drawn.
        let mut changed = false;
        loop {
            if changed && !console_input::is_ready() {
                print!("{}", self.view());
                changed = false;
            }
            let Ok(byte) = console_input::read_byte(WaitOptions::default()) else { continue };
            match self.editor.feed(byte, &mut complete) {
                Reaction::None => {}
                Reaction::Redraw => changed = true,
                Reaction::Bell | Reaction::EndOfInput => {
                    print!("\x07");
                    changed = true;
                }
                Reaction::ClearScreen => print!("\x1b[H\x1b[2J{}", self.view()),
                Reaction::List(candidates) => {
                    let list = Columns { candidates: &candidates, width: self.editor.columns() };
                    let view = self.view();
                    print!("{view}\n{list}{view}");
                }
                Reaction::Line(line) => {
                    console::end_edit(format_args!("{}\n", self.view()));
                    return line;
                }
                Reaction::Interrupted => {
                    console::end_edit(format_args!("{}^C\n", self.view()));
                    return String::new();
                }
            }
        }
    }
}
