//! The kernel command line as settings and commands: [`BootArgs`].

use alloc::string::String;
use alloc::vec::Vec;

use crate::scanner::{Piece, Scanner};

/// A parsed kernel command line: words `key=value` first, then kernel-shell
/// commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootArgs {
    settings: Vec<(String, String)>,
    commands: String,
}

impl BootArgs {
    /// Parses a line whose GRUB quoting is off already ([`unquote`](crate::unquote)).
    ///
    /// A setting is a word `key=value` whose key is one or more of `a-z`, `0-9`,
    /// `_`, `.` and `-`; its value follows the shell's quoting rules and may be
    /// empty. The first word that is not a setting begins the commands, and so
    /// does a bare `;`. Whatever is no setting is command text, so every line
    /// parses; a quote that is not closed is reported when the commands are split.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        let mut settings = Vec::new();
        let mut rest = line.trim_start();
        while let Some((key, value, after)) = parse_setting(rest) {
            settings.push((String::from(key), value));
            rest = after.trim_start();
            if let Some(commands) = rest.strip_prefix(';') {
                rest = commands.trim_start();
                break;
            }
        }
        Self { settings, commands: String::from(rest) }
    }

    /// The value of a setting; the last one if it was given more than once.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.settings().filter(|(name, _)| *name == key).map(|(_, value)| value).last()
    }

    /// All settings in the order given, repetitions too, as (key, value).
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The text of the commands, empty if there are none. For
    /// [`split_commands`](crate::split_commands).
    #[must_use]
    pub fn commands(&self) -> &str {
        &self.commands
    }
}

/// Whether `c` may stand in the key of a setting.
fn is_key_character(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '_' | '.' | '-')
}

/// The setting that `text` begins with: its key, its value, and the text behind.
/// `None` if the first word is no setting.
fn parse_setting(text: &str) -> Option<(&str, String, &str)> {
    let (key, rest) = text.split_once('=')?;
    if key.is_empty() || !key.chars().all(is_key_character) {
        return None;
    }
    let mut value = String::new();
    for piece in Scanner::new(rest) {
        match piece.ok()? {
            (offset, Piece::Bare(c)) if c.is_whitespace() || c == ';' => {
                return Some((key, value, rest.get(offset..)?));
            }
            (_, Piece::Bare(c) | Piece::Literal(c)) => value.push(c),
            (_, Piece::Open | Piece::Close) => {}
        }
    }
    Some((key, value, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settings(args: &BootArgs) -> Vec<(&str, &str)> {
        args.settings().collect()
    }

    #[test]
    fn settings_come_first() {
        let args = BootArgs::parse("  loglevel=debug root=/dev/vda exec /bin/env a=b; exit 0 ");
        assert_eq!(settings(&args), [("loglevel", "debug"), ("root", "/dev/vda")]);
        assert_eq!(args.commands(), "exec /bin/env a=b; exit 0 ");
        assert_eq!(args.get("root"), Some("/dev/vda"));
        assert_eq!(args.get("a"), None);
    }

    #[test]
    fn the_last_of_a_key_wins() {
        let args = BootArgs::parse("a=1 b=2 a=3");
        assert_eq!(args.get("a"), Some("3"));
        assert_eq!(settings(&args), [("a", "1"), ("b", "2"), ("a", "3")]);
        assert_eq!(args.commands(), "");
    }

    #[test]
    fn values_may_be_quoted_or_empty() {
        let args = BootArgs::parse(r#"a="x y;z" b='q"' c= d=p\ q e.f-g_9=1=2 ls"#);
        assert_eq!(
            settings(&args),
            [("a", "x y;z"), ("b", "q\""), ("c", ""), ("d", "p q"), ("e.f-g_9", "1=2")]
        );
        assert_eq!(args.commands(), "ls");
    }

    #[test]
    fn a_semicolon_ends_the_settings() {
        let args = BootArgs::parse("a=1; b=2 ls");
        assert_eq!(settings(&args), [("a", "1")]);
        assert_eq!(args.commands(), "b=2 ls");
        assert_eq!(BootArgs::parse("a=1 ; ls").commands(), "ls");
        assert_eq!(BootArgs::parse("; a=1").commands(), "; a=1");
    }

    #[test]
    fn what_is_no_setting_is_command_text() {
        for line in ["A=1", "=1", "é=1", "a", "a b=1", "'a'=1", "a='1", r"a=1\"] {
            let args = BootArgs::parse(line);
            assert_eq!(settings(&args), [], "{line}");
            assert_eq!(args.commands(), line);
        }
    }

    proptest! {
        #[test]
        fn any_line_parses(line in any::<String>()) {
            let args = BootArgs::parse(&line);
            prop_assert!(line.ends_with(args.commands()));
        }

        #[test]
        fn settings_come_back(
            list in prop::collection::vec(("[a-z0-9_.-]{1,6}", any::<String>()), 0..5),
            commands in "([A-Z][ -~]*)?",
        ) {
            let mut line = String::new();
            for (key, value) in &list {
                line += &format!("{key}='{}' ", value.replace('\'', r"'\''"));
            }
            line += &commands;
            let args = BootArgs::parse(&line);
            let expected: Vec<_> = list.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            prop_assert_eq!(settings(&args), expected);
            // A command such as `A=1` has no key of a setting: it stays a command.
            prop_assert_eq!(args.commands(), commands);
        }
    }
}
