//! How functions are named: as a reader of a backtrace wants them.
//!
//! The full name of a generic function can fill a screen. A function that the linker knows
//! keeps its own path; of types that it is made for, the last part of the path is told,
//! and what they are made of only as deep as it stays short, as in
//! `<base::sync::spin::Lock<Option<_>, IrqOff>>::report`. Of an inlined function no more is
//! told than an author would say, `Lock<_>::report`: its file says the rest.

/// A name longer than this is cut, by what is deepest in it.
const LONG: usize = 80;
/// How deep type arguments are told at most.
const DEEPEST: usize = 2;

/// The name of a function that the linker knows.
pub(crate) fn of_function(mangled: &str) -> String {
    long(&demangle(mangled))
}

/// The name of an inlined function.
pub(crate) fn of_inlined(mangled: &str) -> String {
    short(&demangle(mangled))
}

/// Without the hash.
fn demangle(mangled: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(mangled))
}

fn long(name: &str) -> String {
    let mut long = cut(name, DEEPEST, false);
    for depth in (0..DEEPEST).rev() {
        if long.len() > LONG {
            long = cut(name, depth, false);
        }
    }
    long
}

fn short(name: &str) -> String {
    cut(name, 0, true)
}

/// What an opening `<` begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Angle {
    /// Type arguments, as in `Lock<u8>`.
    Arguments,
    /// A type in place of a path, as in `<u8 as Debug>::fmt`; where it is in the output.
    Type(usize),
    /// The same behind the `as`.
    Trait,
}

/// Leaves out type arguments that are nested more than `depth` deep, and all but the last
/// part of the paths in them and of the names of traits. If it is to be `short`, also all
/// but the last part of the type that a function is of, or the last two of other paths,
/// and the arguments of the function.
fn cut(name: &str, depth: usize, short: bool) -> String {
    let mut to = String::new();
    let mut open: Vec<Angle> = Vec::new();
    let mut left = name;
    while let Some(next) = left.chars().next() {
        let arguments = open.iter().filter(|angle| **angle == Angle::Arguments).count();
        let told = arguments <= depth;
        let (mut token, mut rest) = left.split_at(next.len_utf8());
        if is_word(next) {
            let end = left.find(|next| !is_word(next)).unwrap_or(left.len());
            (token, rest) = left.split_at(end);
            let part_of_type = match open.last() {
                Some(Angle::Type(_)) => short || arguments > 0,
                Some(Angle::Trait | Angle::Arguments) => true,
                None => false,
            };
            let more = parts_behind(rest);
            if part_of_type && more > 0 || short && to.is_empty() && more > 1 {
                left = rest.strip_prefix("::").unwrap_or(rest);
                continue;
            }
        } else if let Some(behind) = left.strip_prefix("->") {
            (token, rest) = ("->", behind);
        } else if let Some(behind) = left.strip_prefix(" as ")
            && let Some(angle @ Angle::Type(_)) = open.last_mut()
        {
            *angle = Angle::Trait;
            (token, rest) = (" as ", behind);
        } else if next == '<' {
            let before = name[..name.len() - left.len()].chars().next_back();
            if before.is_some_and(|before| is_word(before) || before == ':') {
                open.push(Angle::Arguments);
                token = if arguments < depth { "<" } else { "" };
                if arguments == depth {
                    to.push_str("<_");
                }
            } else {
                open.push(Angle::Type(to.len()));
            }
        } else if next == '>' {
            match open.pop() {
                Some(Angle::Arguments) if arguments == depth + 1 => {
                    to.push('>');
                    // What a function is called with is not worth being told.
                    if short && to.ends_with("::<_>") {
                        to.truncate(to.len() - "::<_>".len());
                    }
                }
                Some(Angle::Type(start)) if short && told && is_path(&to[start..]) => {
                    to.remove(start);
                    token = "";
                }
                _ => {}
            }
        }
        if told {
            to.push_str(token);
        }
        left = rest;
    }
    to
}

/// How many parts of a path of words follow, each behind a `::`.
fn parts_behind(mut path: &str) -> usize {
    let mut parts = 0;
    while let Some(part) = path.strip_prefix("::").filter(|part| part.starts_with(is_word)) {
        path = part.trim_start_matches(is_word);
        parts += 1;
    }
    parts
}

/// Whether a `<` and what follows is a path in brackets that it does not need.
fn is_path(bracket: &str) -> bool {
    let path = bracket.strip_prefix('<').unwrap_or(bracket);
    path.starts_with(is_word) && !path.starts_with("dyn ") && !path.starts_with("fn(")
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn functions_keep_their_path() {
        for (name, expected) in [
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
            ("a::b::<<c::D<e::F> as g::H<i::J>>::K>", "a::b::<<D<F> as H<J>>::K>"),
            ("<a::B<c::D> as e::F<g::H>>::i::<32>", "<a::B<D> as F<H>>::i::<32>"),
            (
                "<core::iter::adapters::filter::Filter<core::slice::iter::Iter<memory::Region>, \
                 memory::init::{closure#0}> as core::iter::traits::iterator::Iterator>::next",
                "<core::iter::adapters::filter::Filter<_> as Iterator>::next",
            ),
        ] {
            assert_eq!(long(name), expected, "{name}");
        }
    }

    #[test]
    fn inlined_functions_are_told_in_short() {
        for (name, expected) in [
            ("start", "start"),
            ("tasks::run", "tasks::run"),
            ("kernel::tasks::queue::run", "queue::run"),
            ("<base::sync::spin::Lock<u8, base::sync::IrqOff>>::lock", "Lock<_>::lock"),
            ("<alloc::vec::Vec<u8>>::extend::<a::B<c::D>>", "Vec<_>::extend"),
            ("<u32>::checked_sub", "u32::checked_sub"),
            ("<[u8]>::first::<3>", "<[u8]>::first"),
            ("<dyn core::any::Any>::is::<u8>", "<dyn Any>::is"),
            (
                "<core::slice::iter::Iter<u8> as core::iter::traits::iterator::Iterator>::fold::<u8>",
                "<Iter<_> as Iterator>::fold",
            ),
            (
                "core::iter::adapters::map::map_fold::<u8>::{closure#0}",
                "map::map_fold::{closure#0}",
            ),
            ("<a::B<u8>>::c::{closure#0}", "B<_>::c::{closure#0}"),
            ("<fn(a::B) -> c::D as e::F>::g", "<fn(B) -> D as F>::g"),
        ] {
            assert_eq!(short(name), expected, "{name}");
        }
    }

    #[test]
    fn mangled_names_are_demangled() {
        let name = "_RNvMs1_NtNtCsefz4tS4JdJz_4base4sync4spinINtB5_4LockINtNtCs1q8nEmO3SVg_4core\
            6option6OptionNtNtB9_3irq12RegistrationENtNtB7_10discipline6IrqOffE6report";
        let long = "<base::sync::spin::Lock<Option<Registration>, IrqOff>>::report";
        assert_eq!(of_function(name), long);
        assert_eq!(of_inlined(name), "Lock<_>::report");
        assert_eq!(of_function("trap_common"), "trap_common");
    }

    proptest! {
        #[test]
        fn any_name_can_be_cut(
            name in "[a-c:<> &(),é{}#-]{0,40}",
            depth in 0..3_usize,
            short: bool,
        ) {
            cut(&name, depth, short);
        }

        #[test]
        fn a_name_without_types_stays(name in "([a-z_]{1,9}::){0,4}[a-z_]{1,9}") {
            prop_assert_eq!(long(&name), name);
        }
    }
}
