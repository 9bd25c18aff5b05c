//! A line from the console.
//!
//! The editor's state belongs to the shell's task. What the screen shows of it is copied
//! to [`SHOWN`], from where whoever logs can draw it again, on any CPU and without
//! sleeping. The copy and the screen change together, under the console's lock.

use alloc::string::String;
use core::fmt::{self, Write};

use base::console::{self, Overlay};
use base::sync::IrqSpinLock;
use drivers::console_input;
use line_editor::{Columns, Editor, Prompt, Reaction, View};
use task::WaitOptions;

use super::completion::complete;

/// Longest line, in bytes.
const LINE_BYTES: usize = 1000;
/// Clears the screen, the cursor at its top.
pub(super) const CLEAR: &str = "\x1b[H\x1b[2J";
/// Lines in the history.
const HISTORY: usize = 100;
/// What stands before the line.
const PROMPT: &str = "basalt> ";

/// What the screen shows of the line being edited. Taken under the console's lock only.
static SHOWN: IrqSpinLock<View> = IrqSpinLock::new("edited line", View::empty());

// The console cannot fail, so the results of drawing say nothing.

fn hide(out: &mut dyn Write) {
    let _ = View::hide(out);
}

fn show(out: &mut dyn Write) {
    let _ = SHOWN.lock().draw(out);
}

/// Makes the line on the screen `view`, then writes `then`; editing goes on or not.
fn update(editing: bool, view: &View, then: &str) {
    console::edit(editing, |out| {
        let mut shown = SHOWN.lock();
        let _ = view.draw_over(&shown, out);
        let _ = out.write_str(then);
        shown.clone_from(view);
    });
}

/// Writes `text`, then the whole of `view`.
fn draw_after(text: fmt::Arguments<'_>, view: &View) {
    console::edit(true, |out| {
        let mut shown = SHOWN.lock();
        let _ = out.write_fmt(text);
        let _ = view.draw(out);
        shown.clone_from(view);
    });
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

    /// Reads a line, with a prompt in the given style. A line given up with ^C comes back
    /// empty.
    pub(super) fn read_line(&mut self, style: &'static str) -> String {
        self.editor.start(Prompt { style, text: PROMPT });
        draw_after(format_args!(""), &self.editor.view());
        // What has happened since the screen was drawn.
        let mut changed = false;
        let mut bell = "";
        loop {
            if changed && !console_input::is_ready() {
                update(true, &self.editor.view(), bell);
                (changed, bell) = (false, "");
            }
            let Ok(byte) = console_input::read_byte(WaitOptions::default()) else { continue };
            let reaction = self.editor.feed(byte, &mut complete);
            changed |= reaction != Reaction::None;
            match reaction {
                Reaction::None | Reaction::Redraw => {}
                Reaction::Bell | Reaction::EndOfInput => bell = "\x07",
                Reaction::ClearScreen => draw_after(format_args!("{CLEAR}"), &self.editor.view()),
                Reaction::List(candidates) => {
                    let list = Columns { candidates: &candidates, width: self.editor.columns() };
                    draw_after(format_args!("\n{list}"), &self.editor.view());
                }
                Reaction::Line(line) => {
                    update(false, &self.editor.view(), "\n");
                    return line;
                }
                Reaction::Interrupted => {
                    update(false, &self.editor.view(), "^C\n");
                    return String::new();
                }
            }
        }
    }
}
