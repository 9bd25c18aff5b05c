//! [`Problem`]: a rule about locks that was broken, in words, with the stacks of both sides.

use core::fmt;
use core::panic::Location;

use arrayvec::ArrayVec;

use super::class::{ClassId, Seen};
use super::held::{At, Hold};
use super::order::{CHAIN, Usage, Wanted, edge};
use super::trace::Trace;

/// What was about to be taken.
#[derive(Clone, Copy, Debug)]
struct Want {
    class: ClassId,
    place: &'static Location<'static>,
    trace: Trace,
}

impl From<&Wanted> for Want {
    fn from(wanted: &Wanted) -> Self {
        Self { class: wanted.class, place: wanted.place, trace: wanted.here.trace() }
    }
}

/// A broken rule. See [`super::order`] for the rules.
#[derive(Debug)]
pub(super) struct Problem {
    rule: Rule,
    /// What was held; nothing where a class alone breaks the rule.
    held: Option<Hold>,
    wanted: Want,
}

#[derive(Debug)]
enum Rule {
    /// The way from the wanted class to the held one.
    Inversion(ArrayVec<ClassId, CHAIN>),
    SameClass,
    /// The class that handlers take, and the one that is taken with interrupts on.
    IrqOrder(ClassId, ClassId),
    /// How it is taken now, and the class that was taken the other way.
    IrqUsage(Usage, ClassId),
}

impl Problem {
    pub(super) fn inversion(held: Hold, wanted: &Wanted, way: ArrayVec<ClassId, CHAIN>) -> Self {
        Self { rule: Rule::Inversion(way), held: Some(held), wanted: wanted.into() }
    }

    pub(super) fn same_class(held: Hold, wanted: &Wanted) -> Self {
        Self { rule: Rule::SameClass, held: Some(held), wanted: wanted.into() }
    }

    pub(super) fn irq_order(in_handler: ClassId, on: ClassId, held: Hold, wanted: &Wanted) -> Self {
        Self { rule: Rule::IrqOrder(in_handler, on), held: Some(held), wanted: wanted.into() }
    }

    pub(super) fn irq_usage(wanted: &Wanted, usage: Usage, other: ClassId) -> Self {
        Self { rule: Rule::IrqUsage(usage, other), held: None, wanted: wanted.into() }
    }

    /// The first line or two: all that matters, since a test's report is cut.
    fn summary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Want { class, place, .. } = self.wanted;
        let wanted = class.name();
        match (&self.rule, &self.held) {
            (Rule::Inversion(_), Some(held)) => write!(
                f,
                "lock order inversion: '{wanted}' is wanted at {place} while '{0}' is held, but before \
                 '{0}' was wanted while '{wanted}' was held",
                held.class.name()
            ),
            (Rule::SameClass, Some(held)) => write!(
                f,
                "lock order: two locks of class '{wanted}' without an order: one is wanted at {place} \
                 (level {}), the other was taken at {}",
                held.level,
                At(held.place)
            ),
            (Rule::IrqOrder(in_handler, on), Some(held)) => write!(
                f,
                "irq-unsafe lock order: '{wanted}' is wanted at {place} while '{}' is held; but '{}' is \
                 taken in interrupt handlers, and '{}' with interrupts on",
                held.class.name(),
                in_handler.name(),
                on.name()
            ),
            (Rule::IrqUsage(usage, other), _) => {
                let (now, before) = match usage {
                    Usage::InInterrupt => ("in an interrupt handler", "with interrupts on"),
                    Usage::InterruptsOn => ("with interrupts on", "in an interrupt handler"),
                };
                write!(f, "irq-unsafe lock '{wanted}': taken {now} at {place}, ")?;
                if other == &class {
                    return write!(
                        f,
                        "and before {before} at {}",
                        At(usage_seen(*usage, class).place.load())
                    );
                }
                write!(
                    f,
                    "but '{}', which is {} it, was taken {before} at {}",
                    other.name(),
                    if *usage == Usage::InInterrupt { "taken under" } else { "held around" },
                    At(usage_seen(*usage, *other).place.load())
                )
            }
            (_, None) => write!(f, "lock '{wanted}' at {place} breaks a rule"),
        }
    }
}

/// Where the class was taken in the other way than `usage`.
fn usage_seen(usage: Usage, class: ClassId) -> &'static Seen {
    match usage {
        Usage::InInterrupt => Usage::InterruptsOn.seen(class),
        Usage::InterruptsOn => Usage::InInterrupt.seen(class),
    }
}

fn write_side(f: &mut fmt::Formatter<'_>, what: fmt::Arguments<'_>, trace: Trace) -> fmt::Result {
    write!(f, "    {what}, called by\n{trace}")
}

fn write_seen(f: &mut fmt::Formatter<'_>, what: &str, class: ClassId, seen: &Seen) -> fmt::Result {
    let place = At(seen.place.load());
    write_side(f, format_args!("'{}' was taken {what} at {place}", class.name()), seen.trace.load())
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.summary(f)?;
        writeln!(f, "\n  now:")?;
        if let Some(held) = self.held {
            write_side(f, format_args!("{held}"), held.trace)?;
        }
        let Want { class, place, trace } = self.wanted;
        write_side(f, format_args!("'{}' is wanted at {place}", class.name()), trace)?;
        match &self.rule {
            Rule::Inversion(way) => {
                for pair in way.windows(2) {
                    let Some(edge) = edge(pair[0], pair[1]) else {
                        continue;
                    };
                    let (held_at, wanted_at) = (At(edge.held_at.load()), At(edge.wanted_at.load()));
                    writeln!(f, "  before:")?;
                    write_side(
                        f,
                        format_args!("'{}' taken at {held_at}", pair[0].name()),
                        edge.held_trace.load(),
                    )?;
                    write_side(
                        f,
                        format_args!("'{}' wanted at {wanted_at}", pair[1].name()),
                        edge.wanted_trace.load(),
                    )?;
                }
            }
            Rule::SameClass => {}
            Rule::IrqOrder(in_handler, on) => {
                writeln!(f, "  before:")?;
                write_seen(
                    f,
                    "in an interrupt handler",
                    *in_handler,
                    Usage::InInterrupt.seen(*in_handler),
                )?;
                write_seen(f, "with interrupts on", *on, Usage::InterruptsOn.seen(*on))?;
            }
            Rule::IrqUsage(usage, other) => {
                writeln!(f, "  before:")?;
                write_seen(f, "the other way", *other, usage_seen(*usage, *other))?;
            }
        }
        Ok(())
    }
}
