//! A line into commands and a command into words: [`split_commands`],
//! [`split_words`].

use alloc::string::String;
use alloc::vec::Vec;

use crate::scanner::{ParseError, Piece, Scanner};

/// Splits a line at each `;` outside quotes. White space around a command is
/// taken off and empty commands are dropped; quotes stay in for
/// [`split_words`].
///
/// # Errors
/// A quote that is not closed, or a backslash at the very end.
pub fn split_commands(line: &str) -> Result<Vec<&str>, ParseError> {
    let mut commands = Vec::new();
    let mut start = 0;
    for piece in Scanner::new(line) {
        if let (offset, Piece::Bare(';')) = piece? {
            commands.extend(line.get(start..offset));
            start = offset + 1;
        }
    }
    commands.extend(line.get(start..));
    Ok(commands.into_iter().map(trim_command).filter(|command| !command.is_empty()).collect())
}

/// Without the white space around it, except a space that a backslash at the
/// end escapes.
fn trim_command(command: &str) -> &str {
    let trimmed = command.trim();
    let backslashes = trimmed.bytes().rev().take_while(|byte| *byte == b'\\').count();
    if backslashes % 2 == 0 { trimmed } else { command.trim_start() }
}

/// Splits a command at white space outside quotes and takes the quoting off.
/// An empty pair of quotes is an empty word.
///
/// # Errors
/// A quote that is not closed, or a backslash at the very end.
pub fn split_words(command: &str) -> Result<Vec<String>, ParseError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    for piece in Scanner::new(command) {
        match piece?.1 {
            Piece::Bare(c) if c.is_whitespace() => words.extend(word.take()),
            Piece::Bare(c) | Piece::Literal(c) => word.get_or_insert_default().push(c),
            Piece::Open => {
                word.get_or_insert_default();
            }
            Piece::Close => {}
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(command: &str) -> Vec<String> {
        split_words(command).unwrap()
    }

    #[test]
    fn commands_end_at_semicolons_outside_quotes() {
        assert_eq!(split_commands("ls /; ; exit 0;").unwrap(), ["ls /", "exit 0"]);
        assert_eq!(
            split_commands(r#"echo "a;b" 'c;d' e\;f ; g"#).unwrap(),
            [r#"echo "a;b" 'c;d' e\;f"#, "g"]
        );
        assert_eq!(split_commands(r"echo \ ; ls \\ ").unwrap(), [r"echo \ ", r"ls \\"]);
        assert!(split_commands(" ;; ").unwrap().is_empty());
    }

    #[test]
    fn words_lose_their_quotes() {
        assert_eq!(words("  exec  /bin/primes\t15000 "), ["exec", "/bin/primes", "15000"]);
        assert_eq!(words(r#"a"b c"'d e'\ f"#), ["ab cd e f"]);
        assert_eq!(words(r#"'' "" x"#), ["", "", "x"]);
        assert_eq!(words(r#""\"\\\'\n" '\"'"#), [r#""\'\n"#, r#"\""#]);
        assert_eq!(words("é 'ü ß'"), ["é", "ü ß"]);
        assert!(words(" ").is_empty());
    }

    #[test]
    fn unfinished_quoting_is_an_error_that_says_where() {
        let open = ParseError::UnterminatedQuote { quote: '\'', offset: 5 };
        assert_eq!(split_words("echo 'a"), Err(open));
        assert_eq!(split_commands("echo 'a; b"), Err(open));
        assert_eq!(open.to_string(), "quote ' at column 6 is not closed");
        let open = ParseError::UnterminatedQuote { quote: '"', offset: 0 };
        assert_eq!(split_words(r#""a\""#), Err(open));
        let slash = ParseError::TrailingBackslash { offset: 3 };
        assert_eq!(split_words(r"ls \"), Err(slash));
        assert_eq!(split_commands(r"ls \"), Err(slash));
        assert!(slash.to_string().contains("column 4"));
    }

    /// Any text as one shell word, the simplest way.
    fn quote(word: &str) -> String {
        format!("'{}'", word.replace('\'', r"'\''"))
    }

    proptest! {
        #[test]
        fn quoted_words_come_back(list in prop::collection::vec(any::<String>(), 0..6)) {
            let line = list.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(words(&line), list);
        }

        #[test]
        fn commands_split_into_the_words_that_were_joined(
            list in prop::collection::vec(prop::collection::vec(any::<String>(), 1..4), 0..4)
        ) {
            let line = list
                .iter()
                .map(|c| c.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" "))
                .collect::<Vec<_>>()
                .join(";");
            let back: Vec<_> = split_commands(&line).unwrap().into_iter().map(words).collect();
            prop_assert_eq!(back, list);
        }

        #[test]
        fn each_command_of_a_good_line_is_good(line in "[ab ;'\"\\\\é]{0,24}") {
            if let Ok(commands) = split_commands(&line) {
                for command in commands {
                    prop_assert!(!command.is_empty());
                    prop_assert!(split_words(command).is_ok(), "{:?}", command);
                }
            } else {
                prop_assert!(split_words(&line).is_err());
            }
        }
    }
}
