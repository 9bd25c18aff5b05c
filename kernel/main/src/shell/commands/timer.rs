//! `timer` and `sleep`.

use alloc::string::String;

use arch::irqchip::lapic;
use base::{println, time};

use crate::shell::command::{Context, Failure, Outcome, none, usage};
use crate::shell::format::Seconds;

/// Longest sleep, in seconds: a year.
const LONGEST: u64 = 365 * 24 * 3600;

/// Prints clock and timer, and measures a sleep.
pub(in crate::shell) fn timer(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    none(arguments)?;
    let features = arch::cpu::features();
    let invariant = if features.invariant_tsc { "invariant" } else { "not said to be invariant" };
    println!("up for            {:.6}", Seconds(time::now_ns()));
    match time::source() {
        Some(source) => println!("clock             TSC, {invariant}, {source}"),
        None => println!("clock             none"),
    }
    println!("TSC rate          {} Hz", time::tsc_rate());
    println!("timer             local APIC, {} Hz", task::timer::rate());
    let interrupts = |cpu| base::irq::count_of(lapic::TIMER_VECTOR, cpu);
    println!("timer interrupts  {}", base::smp::online().iter().map(interrupts).sum::<u64>());
    let start = time::now_ns();
    task::sleep(10_000_000);
    let slept = time::now_ns().saturating_sub(start);
    println!("a sleep of 10 ms took {} us", slept / 1000);
    Ok(())
}

/// Waits.
pub(in crate::shell) fn sleep(context: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let [text] = arguments else { return Err(usage("takes a number of seconds")) };
    let wrong = || usage(alloc::format!("{text} is not a number of seconds up to {LONGEST}"));
    let ns = nanoseconds(text).ok_or_else(wrong)?;
    if context.interrupt.wait(time::now_ns().saturating_add(ns)) {
        return Err(Failure::Interrupted);
    }
    Ok(())
}

/// Nanoseconds in a decimal number of seconds; more than nine decimals are cut.
fn nanoseconds(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut ns = 0;
    let digits = fraction.bytes().map(|byte| u64::from(byte - b'0'));
    for digit in digits.chain(core::iter::repeat(0)).take(9) {
        ns = ns * 10 + digit;
    }
    (whole <= LONGEST).then_some(whole * 1_000_000_000 + ns)
}

#[base::kernel_test]
fn seconds_are_read() {
    for (text, ns) in [
        ("0", Some(0)),
        ("1.5", Some(1_500_000_000)),
        (".25", Some(250_000_000)),
        ("3.", Some(3_000_000_000)),
        ("0.0000000019", Some(1)),
        ("99999999999999999999", None),
        ("31536001", None),
        (".", None),
        ("", None),
        ("-1", None),
        ("1e3", None),
        ("+1", None),
    ] {
        assert_eq!(nanoseconds(text), ns, "{text}");
    }
}
