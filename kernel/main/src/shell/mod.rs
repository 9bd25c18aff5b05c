//! The kernel shell: reads lines from the console and runs the commands of `table.rs`.
//!
//! | file | what |
//! |---|---|
//! | `input.rs` | a line from the console, edited; the edited line under log lines |
//! | `completion.rs` | what Tab offers |
//! | `command.rs` | what a command is, what it gets and what it returns |
//! | `table.rs` | all commands: **a new one goes here** |
//! | `commands/` | the commands, one file for each family |
//! | `format.rs` | sizes and tables in words |

mod command;
mod commands;
mod completion;
mod format;
mod input;
mod table;

use alloc::boxed::Box;

use base::{print, println};
use boot_args::ParseError;
use drivers::console_input::InterruptWatch;
use memory::boot_data::BootData;

use command::{Context, Failure, Outcome};
pub(crate) use format::{Count, Size};
use input::Terminal;

const RED: &str = "\x1b[1;31m";
const GREEN: &str = "\x1b[1;32m";
const PLAIN: &str = "\x1b[0m";

/// Exit status of a run whose command line cannot be split into commands, as other shells
/// have it.
const SYNTAX_STATUS: u8 = 2;

/// What the shell keeps from command to command.
struct Shell {
    boot: &'static BootData,
    last_succeeded: bool,
}

/// Runs `commands`, then whatever is typed. Does not return.
pub(crate) fn run(data: Box<BootData>, commands: &str) {
    let mut shell = Shell { boot: Box::leak(data), last_succeeded: true };
    if commands.is_empty() {
        println!("{}: type {GREEN}help{PLAIN} for a list of commands.", crate::banner::VERSION);
    } else if shell.run_line(commands).is_err() {
        // Nothing of it has run, its `exit` neither: whoever started QEMU would wait for
        // ever. A PC stays, and its user can type.
        println!("{RED}that was the kernel's command line: {commands}{PLAIN}");
        base::exit::leave_qemu(SYNTAX_STATUS);
    }
    let mut terminal = Terminal::new();
    loop {
        let style = if shell.last_succeeded { GREEN } else { RED };
        let line = terminal.read_line(style);
        // What is wrong in the line is told, and shows in the next prompt's colour.
        let _ = shell.run_line(&line);
    }
}

impl Shell {
    /// Runs the commands of a line, one after the other; ^C gives up the rest.
    ///
    /// # Errors
    /// The line cannot be split into commands. None has run, and the error is printed.
    fn run_line(&mut self, line: &str) -> Result<(), ParseError> {
        let commands = boot_args::split_commands(line).inspect_err(|error| {
            self.last_succeeded = false;
            println!("{RED}{error}{PLAIN}");
        })?;
        // For the whole line, so that no ^C falls between two commands.
        let mut interrupt = InterruptWatch::start();
        for command in commands {
            if interrupt.take() {
                break;
            }
            log::debug!("shell: {command}");
            let outcome = self.run_command(command, &mut interrupt);
            self.last_succeeded = outcome.is_ok();
            if let Err(Failure::Interrupted) = outcome {
                println!("^C");
                break;
            }
        }
        Ok(())
    }

    /// Runs one command and reports why it failed, unless it has itself.
    fn run_command(&mut self, text: &str, interrupt: &mut InterruptWatch) -> Outcome {
        let words = match boot_args::split_words(text) {
            Ok(words) => words,
            Err(error) => {
                println!("{RED}{error}{PLAIN}");
                return Err(Failure::Reported);
            }
        };
        let Some((name, arguments)) = words.split_first() else { return Ok(()) };
        let Some(command) = table::find(name) else {
            print!("{RED}{name}: no such command{PLAIN}");
            match table::similar(name) {
                Some(similar) => println!("; did you mean {GREEN}{similar}{PLAIN}?"),
                None => println!("; {GREEN}help{PLAIN} lists all"),
            }
            return Err(Failure::Reported);
        };
        let boot = self.boot;
        let mut context = Context { boot, interrupt, last_succeeded: self.last_succeeded };
        let outcome = (command.run)(&mut context, arguments);
        match &outcome {
            Err(Failure::Usage(message)) => {
                println!("{RED}{name}: {message}{PLAIN}");
                println!("usage: {}", command::Usage(command));
            }
            Err(Failure::Message(message)) => println!("{RED}{name}: {message}{PLAIN}"),
            Ok(()) | Err(Failure::Reported | Failure::Interrupted) => {}
        }
        outcome
    }
}
