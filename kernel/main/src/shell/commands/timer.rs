//! `timer` and `sleep`.

use alloc::string::String;
use core::fmt;

use arch::irqchip::lapic;
use arch::timer::calibrate::Bounds;
use base::time::choice::{self, Report};
use base::{println, time};

use crate::shell::command::{Context, Failure, Outcome, none, usage};
use crate::shell::format::Seconds;

/// Longest sleep, in seconds: a year.
const LONGEST: u64 = 365 * 24 * 3600;

/// Prints clock and timer, and measures a sleep.
pub(in crate::shell) fn timer(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    none(arguments)?;
    println!("up for            {:.6}", Seconds(time::now_ns()));
    match choice::report() {
        Some(report) => print_clock(&report),
        None => println!("clock             none"),
    }
    println!("timer             local APIC, {} Hz", task::timer::rate());
    let interrupts = |cpu| base::irq::count_of(lapic::TIMER_VECTOR, cpu);
    println!("timer interrupts  {}", base::smp::online().iter().map(interrupts).sum::<u64>());
    let start = time::now_ns();
    task::sleep(10_000_000);
    let slept = time::now_ns().saturating_sub(start);
    println!("a sleep of 10 ms took {} us", slept / 1000);
    Ok(())
}

/// What the clock is, what else there is, and how far they are from each other.
fn print_clock(report: &Report) {
    let kind = match (report.invariant, report.is_guest) {
        (true, _) => "invariant",
        (false, true) => "kept by the hypervisor",
        (false, false) => "not said to be invariant",
    };
    println!("clock             {}", report.source);
    match time::source() {
        Some(source) => println!("TSC               {} Hz, {source}; {kind}", time::tsc_rate()),
        None => println!("TSC               of unknown rate; {kind}"),
    }
    match choice::hpet() {
        Some(hpet) => {
            let bits = if hpet.is_64_bits() { 64 } else { 32 };
            println!("HPET              {} Hz, {bits} bits", hpet.rate());
        }
        None => println!("HPET              none"),
    }
    for (name, bounds) in
        [("CPUID", report.cpuid), ("the HPET", report.hpet), ("the 8254", report.pit)]
    {
        match bounds {
            Some(Bounds { low, high }) => {
                println!("TSC by {name:10} {low} to {high} Hz, {}", Deviation(low, high));
            }
            None => println!("TSC by {name:10} not known"),
        }
    }
    match report.deviation_ppm {
        Some(ppm) => println!("the nearest two   {ppm} ppm from each other at boot"),
        None => println!("the nearest two   are not there: only one source tells the rate"),
    }
    if let Some(hpet) = choice::hpet() {
        let Bounds { low, high } = hpet.tsc_bounds(hpet.rate() / 50);
        println!("TSC now           {low} to {high} Hz by the HPET, {}", Deviation(low, high));
    }
}

/// How far the TSC's rate as it is used is from the middle of two bounds.
struct Deviation(u64, u64);

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let middle = i128::from(self.0 / 2 + self.1 / 2).max(1);
        let ppm = (middle - i128::from(time::tsc_rate())) * 1_000_000 / middle;
        write!(f, "{ppm:+} ppm")
    }
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
