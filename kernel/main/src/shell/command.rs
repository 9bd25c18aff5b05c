//! What a command of the shell is: an entry of the table, a function that gets a
//! [`Context`] and its arguments, and an [`Outcome`].

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use drivers::console_input::InterruptWatch;
use line_editor::Candidate;
use memory::boot_data::BootData;

/// A command, as the table lists it.
pub(super) struct Command {
    /// What is typed.
    pub(super) name: &'static str,
    /// Its arguments, in the usual notation.
    pub(super) usage: &'static str,
    /// What it does, in one line.
    pub(super) summary: &'static str,
    /// What else there is to say; may be empty.
    pub(super) help: &'static str,
    /// How Tab completes its arguments.
    pub(super) arguments: Arguments,
    /// The function.
    pub(super) run: fn(&mut Context<'_>, &[String]) -> Outcome,
}

/// How the arguments of a command are completed.
pub(super) enum Arguments {
    /// Not at all.
    None,
    /// The first one, from a list.
    First(fn() -> Vec<String>),
    /// All of them, by a function of what is typed of the word: for paths.
    Each(fn(&str) -> Vec<Candidate>),
}

/// What a command gets beside its arguments.
pub(super) struct Context<'a> {
    /// What the boot loader said.
    pub(super) boot: &'static BootData,
    /// Tells of ^C while the command runs.
    pub(super) interrupt: &'a mut InterruptWatch,
    /// Whether the command before succeeded.
    pub(super) last_succeeded: bool,
}

/// How a command ended.
pub(super) type Outcome = Result<(), Failure>;

/// Why a command failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Its arguments are wrong; the usage is shown too.
    Usage(String),
    /// Something else, in words.
    Message(String),
    /// Something that it has told itself.
    Reported,
    /// ^C. The rest of the line is given up.
    Interrupted,
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Message(message)
    }
}

/// A usage failure with a message.
pub(super) fn usage(message: impl Into<String>) -> Failure {
    Failure::Usage(message.into())
}

/// The only argument, if there is one.
///
/// # Errors
/// A usage failure if there are more.
pub(super) fn at_most_one(arguments: &[String]) -> Result<Option<&str>, Failure> {
    match arguments {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err(usage("too many arguments")),
    }
}

/// # Errors
/// A usage failure if there are arguments.
pub(super) fn none(arguments: &[String]) -> Outcome {
    if arguments.is_empty() { Ok(()) } else { Err(usage("takes no arguments")) }
}

/// How a command is called.
pub(super) struct Usage<'a>(pub(super) &'a Command);

impl fmt::Display for Usage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)?;
        if self.0.usage.is_empty() { Ok(()) } else { write!(f, " {}", self.0.usage) }
    }
}
