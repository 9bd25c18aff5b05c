//! `crash`: what a report looks like.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::hint::black_box;

use base::cpu_set::CpuSet;
use base::irq::{self, Handled, Vector};
use base::sync::SpinLock;
use base::{crash as exceptions, println, time};

use crate::shell::command::{Context, Failure, Outcome, usage};

/// A way to crash: its name, what it does, and the function.
type Kind = (&'static str, &'static str, fn());

const KINDS: [Kind; 26] = [
    ("null", "read through a null pointer", exceptions::null),
    ("write-text", "write to the kernel's code", exceptions::write_text),
    ("exec-data", "call into the kernel's data", exceptions::execute_data),
    ("gp", "read from an address that is not canonical", exceptions::general_protection),
    ("divide", "divide by zero", exceptions::divide),
    ("invalid-opcode", "execute ud2", exceptions::invalid_opcode),
    ("breakpoint", "execute int3", exceptions::breakpoint),
    ("overflow", "recurse until the kernel stack is full", overflow),
    (
        "big-frame",
        "call a function whose frame is larger than the stack",
        exceptions::overflow_at_once,
    ),
    ("panic", "panic", || panic!("asked for by the command `crash`")),
    ("double-panic", "panic while the report of a panic is printed", double_panic),
    ("triple-panic", "panic also while the report of the second panic is printed", triple_panic),
    ("interrupt", "panic in an interrupt handler", interrupt),
    ("console", "panic while the console is being written to", console),
    ("index", "index past the end of a slice", index),
    ("lock-twice", "take a spin lock twice", lock_twice),
    ("deadlock", "wait for a spin lock that another CPU never frees", deadlock),
    ("hang", "loop with interrupts off; another CPU, if there is one, reports it", hang),
    ("sleep-atomic", "sleep while holding a spin lock", sleep_atomic),
    (
        "inversion",
        "take two spin locks in both orders (debug builds)",
        base::sync::planted::inversion,
    ),
    ("irq-unsafe", "take a lock in an interrupt and with interrupts on (debug builds)", irq_unsafe),
    ("double-free", "free a frame twice", double_free),
    ("use-after-free", "write to a frame that is free (debug builds)", use_after_free),
    (
        "heap-double-free",
        "free a heap object twice (debug builds)",
        memory::crash::heap_double_free,
    ),
    (
        "heap-use-after-free",
        "write to a heap object that is free (debug builds)",
        memory::crash::heap_use_after_free,
    ),
    ("out-of-memory", "allocate more than there is, without a way to fail", out_of_memory),
];

/// The kinds, for Tab.
pub(in crate::shell) fn names() -> Vec<String> {
    KINDS.iter().map(|&(name, ..)| name.into()).collect()
}

/// Crashes.
pub(in crate::shell) fn crash(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let [wanted] = arguments else {
        for (name, what, _) in KINDS {
            println!("  {name:20} {what}");
        }
        return if arguments.is_empty() { Ok(()) } else { Err(usage("takes one kind")) };
    };
    let Some((.., crash)) = KINDS.iter().find(|(name, ..)| name == wanted) else {
        let kinds: Vec<&str> = KINDS.iter().map(|&(name, ..)| name).collect();
        return Err(usage(alloc::format!("no kind {wanted}; there are: {}", kinds.join(", "))));
    };
    crash();
    Err(Failure::Message(alloc::format!("{wanted} did not crash the kernel")))
}

fn overflow() {
    black_box(descend(black_box(0)));
}

/// Calls itself; the compiler must not make a loop of it.
#[inline(never)]
fn descend(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    if depth == u64::MAX {
        return 0;
    }
    descend(depth + 1).wrapping_add(frame[0])
}

/// Something that cannot be printed.
struct Unprintable;

impl fmt::Display for Unprintable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("asked for by the command `crash`, inside a report");
    }
}

fn double_panic() {
    panic!("the report of this panic ends in another one: {Unprintable}");
}

/// Something of which not even the panic about it can be printed.
struct Bottomless;

impl fmt::Display for Bottomless {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("asked for by the command `crash`: {Bottomless}");
    }
}

fn triple_panic() {
    panic!("the report of this panic ends in others: {Bottomless}");
}

fn interrupt() {
    let action = irq::action(|| {
        handler();
        Handled::Yes
    });
    let vector = action.and_then(|action| Vector::claim(exceptions::VECTOR, "crash", action));
    exceptions::interrupt();
    drop(vector);
}

fn handler() {
    panic!("asked for by the command `crash`, in an interrupt handler");
}

fn console() {
    println!("the console's lock is held: {Unprintable}");
}

fn index() {
    let numbers = black_box([1, 2, 3]);
    println!("{}", numbers[black_box(7)]);
}

fn lock_twice() {
    let lock = SpinLock::new("crash lock-twice", ());
    let _first = lock.lock();
    let _second = lock.lock();
}

/// First the watchdog reports both CPUs, then the one that waits panics.
fn deadlock() {
    static LOCK: SpinLock<()> = SpinLock::new("crash deadlock", ());
    let Some(shell) = task::current() else { return };
    let here = shell.cpu();
    let Some(there) = base::smp::online().without(CpuSet::one(here)).first() else {
        return println!("there is no other CPU");
    };
    let holder = task::spawn("deadlock", move || {
        while task::current().is_some_and(|task| task.cpu() != there) {
            task::sleep(1_000_000);
        }
        let _guard = LOCK.lock();
        loop {
            core::hint::spin_loop();
        }
    });
    match holder {
        Ok(holder) if holder.set_affinity(CpuSet::one(there)) => {}
        Ok(_) => return println!("CPU {there} is not online any more"),
        Err(error) => return println!("{error}"),
    }
    if !shell.set_affinity(CpuSet::one(here)) {
        return println!("CPU {here} is not online any more");
    }
    let end = time::now_ns() + 10_000_000_000;
    while !LOCK.is_locked() && time::now_ns() < end {
        task::sleep(1_000_000);
    }
    let _guard = LOCK.lock();
}

fn hang() {
    let _off = base::sync::discipline::irq_off();
    loop {
        core::hint::spin_loop();
    }
}

fn sleep_atomic() {
    let lock = SpinLock::new("crash sleep-atomic", ());
    let _guard = lock.lock();
    task::sleep(1_000_000);
}

fn irq_unsafe() {
    if let Err(error) = base::sync::planted::irq_unsafe() {
        println!("{error}");
    }
}

fn double_free() {
    if let Err(error) = memory::crash::double_free() {
        println!("{error}");
    }
}

fn use_after_free() {
    if let Err(error) = memory::crash::use_after_free() {
        println!("{error}");
    }
}

fn out_of_memory() {
    black_box(Vec::<u8>::with_capacity(black_box(1 << 50)));
}
