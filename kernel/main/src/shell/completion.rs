//! What Tab offers: commands for the first word, for the others what the table says.

use alloc::string::String;
use alloc::vec::Vec;

use line_editor::{Candidate, Completions};

use super::command::Arguments;
use super::table;

/// Candidates for the word that ends `before`.
pub(super) fn complete(before: &str) -> Completions {
    let start = word_start(before);
    let nothing = Completions { start, candidates: Vec::new() };
    let Some(command) = before.get(..start).and_then(|text| text.rsplit(is_end).next()) else {
        return nothing;
    };
    // A quote that is open is more than Tab can finish.
    let (Ok(words), Ok(typed)) = (
        boot_args::split_words(command),
        boot_args::split_words(before.get(start..).unwrap_or("")),
    ) else {
        return nothing;
    };
    let typed = typed.first().map_or("", String::as_str);
    let mut candidates = match words.first() {
        None => among(table::names(), typed),
        Some(name) => match table::find(name).map(|command| &command.arguments) {
            Some(Arguments::First(list)) if words.len() == 1 => among(list(), typed),
            Some(Arguments::Each(find)) => find(typed),
            _ => Vec::new(),
        },
    };
    for candidate in &mut candidates {
        candidate.text = quoted(&candidate.text);
    }
    Completions { start, candidates }
}

fn is_end(character: char) -> bool {
    character == ';'
}

/// Where the last word begins: behind the last blank or `;` that no backslash stands
/// before.
fn word_start(before: &str) -> usize {
    let mut start = 0;
    let mut escaped = false;
    for (at, character) in before.char_indices() {
        if !escaped && (character.is_whitespace() || is_end(character)) {
            start = at + character.len_utf8();
        }
        escaped = !escaped && character == '\\';
    }
    start
}

/// The names that begin with `typed`.
fn among(names: impl IntoIterator<Item = impl Into<String>>, typed: &str) -> Vec<Candidate> {
    names
        .into_iter()
        .map(Into::into)
        .filter(|name| name.starts_with(typed))
        .map(|text| Candidate { text, suffix: " " })
        .collect()
}

/// The word as it is to be typed.
fn quoted(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    for character in word.chars() {
        if character.is_whitespace() || matches!(character, ';' | '\\' | '\'' | '"') {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

#[base::kernel_test]
fn tab_offers_commands_and_their_arguments() {
    let texts = |before| -> Vec<String> {
        complete(before).candidates.into_iter().map(|candidate| candidate.text).collect()
    };
    assert_eq!(texts("tes"), ["test"]);
    assert_eq!(texts("echo a;tes"), ["test"]);
    assert_eq!(texts("log d"), ["debug"]);
    assert_eq!(texts("log debug d"), [""; 0]);
    assert_eq!(texts("nonsense d"), [""; 0]);
    assert_eq!(texts("log 'd"), [""; 0]);
    assert_eq!(complete("echo a; help cl").start, 13);
    assert_eq!(word_start(r"cat a\ b"), 4);
    assert_eq!(quoted("a b;c"), r"a\ b\;c");
}
