//! The quoting that GRUB's loader puts around an argument: [`unquote`].
//!
//! `grub_create_loader_cmdline` (grub-core/lib/cmdline.c) writes each argument
//! of `multiboot2` with a backslash before `\`, `'` and `"`, and puts the
//! argument in double quotes if it contains a space.

use alloc::borrow::Cow;
use alloc::string::String;

/// Whether GRUB writes a backslash before `c`.
fn is_escaped_by_grub(c: char) -> bool {
    matches!(c, '\\' | '\'' | '"')
}

/// Takes off GRUB's quoting if the whole line (but for white space around it)
/// is one quoted argument, as it is after `multiboot2 /boot/kernel "$cmdline"`.
///
/// Any other line comes back as it is, also one that GRUB would not have
/// written (a bare quote inside, a backslash before another character): where
/// GRUB quoted some arguments of several, the shell's own rules
/// ([`split_words`](crate::split_words)) undo it word by word.
pub fn unquote(line: &str) -> Cow<'_, str> {
    match unquote_argument(line.trim()) {
        Some(plain) => Cow::Owned(plain),
        None => Cow::Borrowed(line),
    }
}

/// The text inside one argument that GRUB has quoted; `None` if `argument` is
/// not exactly such a one.
fn unquote_argument(argument: &str) -> Option<String> {
    let inner = argument.strip_prefix('"')?.strip_suffix('"')?;
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            plain.push(chars.next().filter(|c| is_escaped_by_grub(*c))?);
        } else if is_escaped_by_grub(c) {
            return None;
        } else {
            plain.push(c);
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What GRUB does to one argument.
    fn grub_quote(argument: &str) -> String {
        let mut quoted = String::new();
        for c in argument.chars() {
            if is_escaped_by_grub(c) {
                quoted.push('\\');
            }
            quoted.push(c);
        }
        if argument.contains(' ') { format!("\"{quoted}\"") } else { quoted }
    }

    #[test]
    fn a_whole_quoted_line_is_undone() {
        assert_eq!(unquote(r#""loglevel=info ls; exit 0""#), "loglevel=info ls; exit 0");
        assert_eq!(unquote(r#" "echo \"a b\" \'c\' \\" "#), r#"echo "a b" 'c' \"#);
        assert_eq!(unquote(r#""""#), "");
    }

    #[test]
    fn other_lines_stay_as_they_are() {
        for line in [
            "",
            "\"",
            "ls",
            "loglevel=info ls",
            r#""a b" "c d""#,
            r#""a b" c"#,
            r#"a "b c""#,
            r#""a b\""#,
            r#""it's""#,
            r#""a\n b""#,
            "  spaces stay ",
        ] {
            assert_eq!(unquote(line), line);
            assert!(matches!(unquote(line), Cow::Borrowed(_)));
        }
    }

    proptest! {
        #[test]
        fn undoes_what_grub_does(line in "[ -~é]*[ ][ -~é]*") {
            let quoted = grub_quote(&line);
            prop_assert_eq!(unquote(&quoted), line);
        }

        #[test]
        fn the_shell_undoes_it_word_by_word(words in prop::collection::vec("[ -~é]+", 0..5)) {
            // GRUB leaves an argument without a space bare; `;` would then end a command,
            // which splitting into words does not look at.
            let line = words.iter().map(|w| grub_quote(w)).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(crate::split_words(&line).unwrap(), words);
        }
    }
}
