//! How functions are named: as a reader of a backtrace wants them.
//!
//! The full name of a generic function can fill a screen. Its own path stays whole; of
//! types that it is made for, the last part of the path, and what they are made of only
//! as deep as it stays short: `<base::sync::spin::Lock<Option<_>, IrqOff>>::report`.

/// A name longer than this is cut, by what is deepest in it.
const LONG: usize = 80;
/// How deep type arguments are told at most.
const DEEPEST: usize = 2;

/// The short form of a mangled name.
pub(crate) fn readable(mangled: &str) -> String {
    shorten(&format!("{:#}", rustc_demangle::demangle(mangled)))
}

/// The short form of a demangled name.
fn shorten(name: &str) -> String {
    let mut short = cut(name, DEEPEST);
    for depth in (0..DEEPEST).rev() {
        if short.len() > LONG {
            short = cut(name, depth);
        }
    }
    short
}

/// What an opening `<` begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Angle {
    /// Type arguments, as in `Lock<u8>`.
    Arguments,
    /// A type in place of a path, as in `<u8 as Debug>::fmt`.
    Type,
    /// The same behind the `as`.
    Trait,
}

/// Leaves out type arguments that are nested more than `depth` deep, and all but the last
/// part of the paths in them and of the names of traits.
fn cut(name: &str, depth: usize) -> String {
    let mut short = String::new();
    let mut open: Vec<Angle> = Vec::new();
    let mut left = name;
    while let Some(next) = left.chars().next() {
        let arguments = open
            .iter()
            .filter(|angle| **angle == Angle::Arguments)
            .count();
        let told = arguments <= depth;
        let path = arguments > 0 || open.last() == Some(&Angle::Trait);
        let (mut token, mut rest) = left.split_at(next.len_utf8());
        if is_word(next) {
            let end = left.find(|next| !is_word(next)).unwrap_or(left.len());
            (token, rest) = left.split_at(end);
            if path
                && let Some(last) = rest.strip_prefix("::")
                && last.starts_with(is_word)
            {
                left = last;
                continue;
            }
        } else if let Some(behind) = left.strip_prefix("->") {
            (token, rest) = ("->", behind);
        } else if let Some(behind) = left.strip_prefix(" as ")
            && let Some(angle @ Angle::Type) = open.last_mut()
        {
            *angle = Angle::Trait;
            (token, rest) = (" as ", behind);
        } else if next == '<' {
            let before = name[..name.len() - left.len()].chars().next_back();
            let named = before.is_some_and(|before| is_word(before) || before == ':');
            open.push(if named { Angle::Arguments } else { Angle::Type });
            if named && arguments == depth {
                short.push_str("<_");
            }
            if named {
                token = if arguments < depth { "<" } else { "" };
            }
        } else if next == '>' {
            let ends = open.pop();
            if ends == Some(Angle::Arguments) && arguments == depth + 1 {
                short.push('>');
            }
        }
        if told {
            short.push_str(token);
        }
        left = rest;
    }
    short
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_stay_and_types_get_short() {
        for (name, short) in [
            ("start", "start"),
            ("kernel::tasks::run", "kernel::tasks::run"),
            (
                "<base::sync::spin::Lock<core::option::Option<base::irq::Line>, base::sync::IrqOff>>::lock",
                "<base::sync::spin::Lock<Option<Line>, IrqOff>>::lock",
            ),
            (
                "<&alloc::vec::Vec<u8> as core::fmt::Debug>::fmt",
                "<&alloc::vec::Vec<u8> as Debug>::fmt",
            ),
            (
                "core::ptr::drop_in_place::<alloc::vec::Vec<memory::Frame>>",
                "core::ptr::drop_in_place::<Vec<Frame>>",
            ),
            (
                "a::b::<fn(c::D<e::F<g::H<i::J>>>) -> k::L>::{closure#0}",
                "a::b::<fn(D<F<_>>) -> L>::{closure#0}",
            ),
            ("a::b::<c::d::{closure#1}>", "a::b::<d::{closure#1}>"),
            (
                "a::b::<<c::D<e::F> as g::H<i::J>>::K>",
                "a::b::<<D<F> as H<J>>::K>",
            ),
            (
                "<a::B<c::D> as e::F<g::H>>::i::<32>",
                "<a::B<D> as F<H>>::i::<32>",
            ),
            (
                "<core::iter::adapters::filter::Filter<core::slice::iter::Iter<memory::Region>, \
              memory::init::{closure#0}> as core::iter::traits::iterator::Iterator>::next",
                "<core::iter::adapters::filter::Filter<_> as Iterator>::next",
            ),
        ] {
            assert_eq!(shorten(name), short, "{name}");
        }
    }

    #[test]
    fn mangled_names_are_demangled() {
        let name = "_RNvMs1_NtNtCsefz4tS4JdJz_4base4sync4spinINtB5_4LockINtNtCs1q8nEmO3SVg_4core\
            6option6OptionNtNtB9_3irq12RegistrationENtNtB7_10discipline6IrqOffE6report";
        assert_eq!(
            readable(name),
            "<base::sync::spin::Lock<Option<Registration>, IrqOff>>::report"
        );
        assert_eq!(readable("trap_common"), "trap_common");
    }

    proptest! {
        #[test]
        fn any_name_can_be_cut(name in "[a-c:<> &(),é{}#-]{0,40}", depth in 0..3_usize) {
            cut(&name, depth);
        }

        #[test]
        fn a_name_without_types_stays(name in "([a-z_]{1,9}::){0,4}[a-z_]{1,9}") {
            prop_assert_eq!(shorten(&name), name);
        }
    }
}
