//! A user at the kernel shell: typing, keys, Tab, ^C, and every command once.

use std::time::Duration;

use crate::machine::{Config, Machine, PROMPT, SHORT};
use crate::place::Mode::{Debug, Release};
use crate::runner::{Job, Outcome, Results, timed};

const UP: &str = "\x1b[A";
const DOWN: &str = "\x1b[B";
const RIGHT: &str = "\x1b[C";
const LEFT: &str = "\x1b[D";
const HOME: &str = "\x1b[H";
const END: &str = "\x1b[F";
const DELETE: &str = "\x1b[3~";
const BACKSPACE: &str = "\x7f";
const INTERRUPT: &str = "\x03";

type Step = (&'static str, fn(&mut Machine) -> Outcome);

const STEPS: [Step; 15] = [
    ("cursor keys, Home and End edit the line", cursor_keys),
    ("Backspace and Delete", deleting),
    ("control keys cut and paste", cutting),
    ("a line longer than the screen", long_line),
    ("history", history),
    ("searching the history", search),
    ("Tab completes commands", tab_commands),
    ("Tab completes paths", tab_paths),
    ("Tab completes arguments", tab_arguments),
    ("^C gives up a line", interrupt_line),
    ("^C ends sleep and the rest of the line", interrupt_sleep),
    ("^C ends programs", interrupt_program),
    ("commands are joined by semicolons", semicolons),
    ("help and mistakes", help),
    ("what is typed while a command runs is the next line", type_ahead),
];

/// A command, and what it prints; all of it in this order.
const COMMANDS: &[(&str, &[&str])] = &[
    ("help", &["help [COMMAND]", "page-table ADDRESS", "crash KIND", "help COMMAND"]),
    ("help exec", &["exec [N] PATH [ARGUMENT]… [&]: run a program", "^D ends it"]),
    (
        "test base::irq::lines::tests::a_line_is",
        &[
            "test base::irq::lines::tests::a_line_is_taken_once ... ok",
            "kernel tests: 1 passed, 0 failed",
        ],
    ),
    ("devices -v", &["pci0000:00", "bus pci", "vendor = 0x8086"]),
    ("list-pci -v", &["ADDRESS", "host bridge", "SATA controller (AHCI)", "BAR 5"]),
    ("list-virtio", &["no VirtIO devices\n"]),
    ("block list", &["no block devices"]),
    ("block list x", &["block: list takes no arguments"]),
    ("block check vda", &["block: check is not one of list, id, read, write, overwrite, flush, "]),
    ("port list", &["no ports\n"]),
    ("test no::such::test", &["test: no test has no::such::test in its name"]),
    (
        "backtrace",
        &[
            "shell::commands::tasks::backtrace",
            "at kernel/main/src/shell/commands/tasks.rs:",
            "stack_start",
        ],
    ),
    ("backtrace idle/0", &["task 0, idle/0:", "0xffffffff80"]),
    ("backtrace all", &["CPU 0, in task '", ":\n  0xffffffff80"]),
    ("backtrace 4711", &["backtrace: no task 4711; see `tasks`"]),
    (
        "boot-info",
        &[
            "kernel        Basalt ",
            "GRUB",
            "initramfs",
            "symbols       0x",
            "protections   no-execute",
            "MEMORY MAP",
            "usable",
            ".text",
        ],
    ),
    (
        "mem",
        &[
            "RAM in the memory map",
            "managed",
            "free",
            "used",
            "kernel stacks",
            "heap",
            "HEAP SIZE",
            "image text r-x",
        ],
    ),
    ("tasks", &["TASK", "MAY USE", "idle/0", "shell", "running", "nice 0"]),
    ("ls", &["bin/", "broken/", "dev/", "etc/", "proc/", "sys/", "tmp/"]),
    ("ls -l /etc", &["-rw-r--r--   1    0    0 ", "-", ":", " hostname\n"]),
    ("ls /bin /etc", &["/bin:", "hello", "primes", "/etc:", "motd"]),
    ("ls /no/such", &["ls: /no/such: No such file or directory"]),
    ("cat /etc/hostname", &["basalt"]),
    ("cat /etc", &["cat: /etc: Is a directory"]),
    ("cat /no/such", &["cat: /no/such: No such file or directory"]),
    (
        "exec hello",
        &["argv[0] = /bin/hello", "exec: /bin/hello (process ", ") exited with status 0"],
    ),
    ("exec 0 hello", &["exec: 0 is not a number from 1 to 1000"]),
    ("exec", &["exec: which program?", "usage: exec [N] PATH"]),
    ("exec fork leave", &["exec: /bin/fork (process ", ") exited with status 0"]),
    ("ps", &["PID", "PARENT", "RESIDENT", " /bin/fork\n"]),
    ("maps 4000000", &["maps: no process 4000000; see `ps`"]),
    ("maps", &["maps: which process?", "usage: maps PID"]),
    ("cat /proc/meminfo", &["MemTotal:  ", "\nPageTables:  ", " kB\n"]),
    ("ls /proc", &[" filesystems\n", " meminfo\n", " self -> "]),
    (
        "mount",
        &["rootfs on / type rootfs (rw,relatime)\n", "proc on /proc type proc (rw,relatime)\n"],
    ),
    ("ls /sys", &[""]),
    ("mount sysfs", &[""]),
    ("mount", &["sysfs on /sys type sysfs (rw,relatime)\n"]),
    ("ls /sys /sys/devices/system/cpu", &[" bus/\n", " kernel/\n", " cpu0/\n", " online\n"]),
    ("cat /sys/kernel/address_bits", &["64\n"]),
    ("mount sysfs /tmp", &[""]),
    ("mount proc /tmp/kernel", &[""]),
    ("ls /tmp/kernel /tmp/kernel/..", &[" meminfo\n", " devices/\n"]),
    ("umount /tmp", &["umount: /tmp: Device or resource busy"]),
    ("umount /tmp/kernel /tmp", &[""]),
    ("umount /tmp", &["umount: /tmp: nothing is mounted there"]),
    ("umount /", &["umount: /: Device or resource busy"]),
    ("umount", &["umount: which directory?", "usage: umount PATH…"]),
    (
        "mount nothing",
        &[
            "mount: nothing: no such device, nor a kind of file system (proc, sysfs, tmpfs, ext2, devtmpfs)",
        ],
    ),
    ("mount proc /etc/motd", &["mount: /etc/motd: Not a directory"]),
    ("mount proc /no/such", &["mount: /no/such: No such file or directory"]),
    ("write-to-file /sys/module/fs/parameters/log_level debug", &[""]),
    ("log", &["info\n", "fs: debug\n"]),
    (
        "write-to-file /sys/module/fs/parameters/log_level loud",
        &["write-to-file: /sys/module/fs/parameters/log_level: Invalid argument"],
    ),
    ("log default fs", &[""]),
    ("cat /sys/module/fs/parameters/log_level", &["default\n"]),
    ("write-to-file /etc/motd read me", &[""]),
    ("cat /etc/motd", &["read me\n"]),
    ("write-to-file /sys/kernel/new x", &["write-to-file: /sys/kernel/new: Permission denied"]),
    ("mkdir /tmp/d", &[""]),
    ("mkdir /tmp/d", &["mkdir: /tmp/d: File exists"]),
    ("mkdir -p /tmp/d/e/f /tmp/d", &[""]),
    ("touch /tmp/d/one", &[""]),
    ("touch /tmp/no/one", &["touch: /tmp/no/one: No such file or directory"]),
    ("write-to-file /tmp/d/two some words", &[""]),
    ("cp /tmp/d/two /tmp/d/three", &[""]),
    ("cp /tmp/d/two /tmp/d/two", &["cp: /tmp/d/two and /tmp/d/two are the same file"]),
    ("cp /tmp/d /tmp/copy", &["cp: /tmp/d is a directory: cp -r copies it"]),
    ("cp -r /tmp/d /tmp/copy", &[""]),
    ("mv /tmp/copy/three /tmp/copy/e", &[""]),
    ("cat /tmp/copy/e/three", &["some words\n"]),
    ("cat /tmp/copy/three", &["cat: /tmp/copy/three: No such file or directory"]),
    ("mv /tmp/copy /proc", &["mv: /tmp/copy and /proc/copy are in two file systems: copy it"]),
    ("mv /tmp/copy /tmp/copy/e", &["mv: /tmp/copy to /tmp/copy/e/copy: Invalid argument"]),
    ("ln -s two /tmp/d/link", &[""]),
    ("ln /tmp/d/two /tmp/d/hard", &[""]),
    ("ln /tmp/d /tmp/d2", &["ln: /tmp/d: Operation not permitted"]),
    ("ls -l /tmp/d", &["d", " e/\n", "   2 ", " hard\n", " link -> two\n", " one\n", " two\n"]),
    ("rmdir /tmp/d", &["rmdir: /tmp/d: Directory not empty"]),
    ("rmdir /tmp/d/e/f /tmp/d/e", &[""]),
    ("rm /tmp/d", &["rm: /tmp/d: Is a directory"]),
    ("rm -r /tmp/copy /tmp/d/hard", &[""]),
    ("rm /tmp/d/hard", &["rm: /tmp/d/hard: No such file or directory"]),
    ("rm -f /tmp/d/hard", &[""]),
    ("stat /tmp/d/link", &["/tmp/d/link: symbolic link", "size       3 bytes"]),
    ("stat /tmp/d/two", &["regular file", "11 bytes", "1 links", "(0644)", "owner", "changed"]),
    ("hexdump /tmp/d/link", &["00000000  73 6f 6d 65 20 77 6f 72  64 73 0a ", "|some words.|"]),
    ("df", &["mounted on\n", "rootfs ", " MiB  /\n"]),
    ("df /proc", &["proc ", "0 B  /proc\n"]),
    ("sync", &[""]),
    ("sync now", &["sync: takes no arguments"]),
    ("umount /sys", &[""]),
    ("exec spin &", &["exec: /bin/spin runs in the background as process "]),
    ("ps", &[" runs ", " /bin/spin\n"]),
    ("exec nothing-there &", &["exec: /bin/nothing-there: No such file or directory"]),
    ("kill -KILL all", &[""]),
    ("kill 4000000", &["kill: no process 4000000; see `ps`"]),
    ("kill -NONE 1", &["kill: no such signal: -NONE", "usage: kill [-SIGNAL] PID"]),
    ("sleep 0.1", &[""]),
    ("sleep long", &["sleep: long is not a number of seconds", "usage: sleep SECONDS"]),
    (
        "timer",
        &[
            "up for ",
            "clock             TSC",
            "timer             local APIC",
            "a sleep of 10 ms took 1",
        ],
    ),
    (
        "irqs",
        &[
            "VECTOR",
            "CPU 0",
            "ALL\n",
            "serial",
            "timer",
            "CPU requests",
            "spurious:\n",
            "local APIC",
            "first 8259A",
            "unclaimed",
            "non-maskable: ",
            "bytes of console input lost: 0",
        ],
    ),
    (
        "print-acpi",
        &[
            "TABLE ",
            "APIC ",
            "HPET ",
            "DSDT ",
            "CPU     0: APIC id 0",
            "MADT    local APICs at 0xfee00000",
            "I/O APIC 0 at 0xfec00000, GSIs from 0",
            "ISA line 0 is GSI 2, edge, active high",
            "LINT1 of all CPUs raises NMIs",
            "HPET    number 0 at 0xfed00000, 64 bits",
            "MCFG    segment 0, buses 0 to 255, at 0x",
            "FADT    SCI 9",
            "PM1a control: port 0x604",
            "reset: 0xf to port 0xcf9",
        ],
    ),
    ("print-acpi MADT", &["print-acpi: takes no arguments"]),
    ("poweroff now", &["poweroff: takes no arguments"]),
    ("reboot quickly", &["reboot: quickly is no way to reset"]),
    ("locks", &["CLASS ", " WAITED ", " LONGEST WAIT"]),
    ("locks held", &[""]),
    ("locks cost", &["SpinLock: ", "IrqSpinLock: ", " ns to take and free"]),
    ("locks limit 200; locks limit", &["200 ms"]),
    ("locks all", &["locks: takes nothing, held, cost or limit, not all"]),
    ("locks limit soon", &["locks: the limit is a number of milliseconds", "usage: locks "]),
    ("page-table 0", &["PML4 [  0]  0x0000000000000000  not present", "0x0 is not mapped"]),
    ("page-table context::stack_start", &["PML4 [511]", "present", "global"]),
    ("log", &["info"]),
    ("log debug; echo a; log info", &["shell: echo a"]),
    ("log loud", &["log: no level loud; good ones: off, error"]),
    ("crash", &["null", "read through a null pointer", "overflow", "deadlock"]),
    ("clear", &[""]),
    ("echo 'a  b' c\\;d", &["a  b c;d"]),
];

/// All jobs.
pub(super) fn jobs() -> Vec<Job> {
    let sessions = [("debug", Debug, false, 4, "512M"), ("release UEFI", Release, true, 1, "64M")];
    sessions
        .into_iter()
        .map(|(what, mode, uefi, smp, mem)| {
            let names: Vec<String> = STEPS
                .iter()
                .map(|(step, _)| format!("shell {what}: {step}"))
                .chain(COMMANDS.iter().map(|(command, _)| format!("shell {what}: `{command}`")))
                .chain([format!("shell {what}: every command is tested")])
                .collect();
            let tests = names.clone();
            let config = Config { uefi, smp, mem, ..Config::new(mode, "") };
            Job::many(names, move |results| session(&config, &tests, results))
        })
        .collect()
}

/// One boot for all; after a failure the next begins with a machine of its own.
fn session(config: &Config, names: &[String], results: &Results<'_>) {
    let steps = STEPS.iter().map(|&(_, step)| Test::Step(step));
    let commands = COMMANDS.iter().map(|&(command, texts)| Test::Command(command, texts));
    let tests = steps.chain(commands).chain([Test::Every]);
    let mut running = None;
    for (name, test) in names.iter().zip(tests).filter(|(name, _)| results.wants(name)) {
        let start = std::time::Instant::now();
        let mut machine = match running.take() {
            Some(machine) => Ok(machine),
            None => Machine::start(config).and_then(|mut machine| {
                machine.expect_prompt()?;
                Ok(machine)
            }),
        };
        let outcome =
            machine.as_mut().map_err(|error| error.clone()).and_then(|machine| match test {
                Test::Step(step) => step(machine),
                Test::Command(command, texts) => one_command(machine, command, texts),
                Test::Every => every_command(machine),
            });
        running = machine.ok().filter(|_| outcome.is_ok());
        results.add(name, timed(start, outcome));
    }
}

enum Test {
    Step(fn(&mut Machine) -> Outcome),
    Command(&'static str, &'static [&'static str]),
    Every,
}

fn one_command(machine: &mut Machine, command: &str, texts: &[&str]) -> Outcome {
    let output = machine.command(command)?;
    let mut rest = output.as_str();
    for text in texts {
        let Some((_, after)) = rest.split_once(text) else {
            return Err(format!("no `{text}` at its place in\n{output}"));
        };
        rest = after;
    }
    Ok(())
}

/// What `help` lists is what [`COMMANDS`] tries; `exit` ends all the other tests.
fn every_command(machine: &mut Machine) -> Outcome {
    let output = machine.command("help")?;
    // A summary below a long usage stands further in.
    let listed = output.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let listed: Vec<&str> = listed.filter_map(|line| line.split_whitespace().next()).collect();
    let tried = |name: &&str| {
        **name == *"exit"
            || COMMANDS.iter().any(|(command, _)| command.split(' ').next() == Some(name))
    };
    match listed.iter().find(|name| !tried(name)) {
        Some(name) => Err(format!("no test tries `{name}`")),
        None if listed.len() < 15 => Err(format!("help lists only {listed:?}")),
        None => Ok(()),
    }
}

/// Types `keys` and Enter, and waits for a line that is exactly `line`.
fn gives(machine: &mut Machine, keys: &str, line: &str) -> Outcome {
    machine.type_line(keys)?;
    machine.expect(&format!("\n{line}\n"), SHORT)?;
    machine.expect(PROMPT, SHORT).map(|_| ())
}

fn cursor_keys(machine: &mut Machine) -> Outcome {
    let inside = format!("echo abf{LEFT}cd{RIGHT}{LEFT}e");
    gives(machine, &inside, "abcdef")?;
    gives(machine, &format!("ho abc{HOME}ec{END}def"), "abcdef")?;
    // A word at a time.
    gives(machine, &format!("echo one three{LEFT}\x1b[1;5Dtwo "), "one two three")
}

fn deleting(machine: &mut Machine) -> Outcome {
    gives(machine, &format!("echo abX{BACKSPACE}cY\x08d"), "abcd")?;
    gives(machine, &format!("echo aXbc{LEFT}{LEFT}{LEFT}{DELETE}"), "abc")?;
    gives(machine, &format!("echo ü€{BACKSPACE}ö"), "üö")
}

fn cutting(machine: &mut Machine) -> Outcome {
    gives(machine, "nonsense\x15echo all before", "all before")?;
    gives(machine, "echo one wrong\x17right", "one right")?;
    gives(machine, &format!("echo abc{LEFT}{LEFT}\x0b{END} \x19"), "a bc")
}

fn long_line(machine: &mut Machine) -> Outcome {
    let word = "0123456789".repeat(20);
    gives(machine, &format!("cho {word}{HOME}e"), &word)
}

fn history(machine: &mut Machine) -> Outcome {
    gives(machine, "echo first", "first")?;
    gives(machine, "echo second", "second")?;
    gives(machine, UP, "second")?;
    gives(machine, &format!("{UP}{UP}"), "first")?;
    gives(machine, &format!("echo new{UP}{UP}{DOWN}{DOWN}er"), "newer")
}

fn search(machine: &mut Machine) -> Outcome {
    gives(machine, "echo a needle", "a needle")?;
    gives(machine, "echo straw", "straw")?;
    gives(machine, "\x12need", "a needle")
}

fn tab_commands(machine: &mut Machine) -> Outcome {
    gives(machine, "ec\tcompleted", "completed")?;
    // Several candidates: the second Tab lists them.
    machine.type_text("c\t\t")?;
    machine.expect("cat", SHORT)?;
    let list = machine.expect(PROMPT, SHORT)?;
    if !list.contains("clear") || !list.contains("crash") {
        return Err(format!("Tab lists\n{list}"));
    }
    gives(machine, "\x15echo on", "on")
}

fn tab_paths(machine: &mut Machine) -> Outcome {
    machine.type_line("cat /etc/hostn\t")?;
    machine.expect("\nbasalt", SHORT)?;
    machine.expect(PROMPT, SHORT)?;
    // A directory gets a slash, and one goes on behind it.
    machine.type_line("exec /bi\thell\tx")?;
    machine.expect("argv[1] = x\n", SHORT)?;
    machine.expect(PROMPT, SHORT).map(|_| ())
}

fn tab_arguments(machine: &mut Machine) -> Outcome {
    machine.type_line("help page-\t")?;
    machine.expect("page-table ADDRESS: print", SHORT)?;
    machine.expect(PROMPT, SHORT)?;
    machine.type_line("echo a; tas\t")?;
    machine.expect("CPU TIME", SHORT)?;
    machine.expect(PROMPT, SHORT).map(|_| ())
}

fn interrupt_line(machine: &mut Machine) -> Outcome {
    machine.type_text(&format!("crash panic{INTERRUPT}"))?;
    machine.expect("^C\n", SHORT)?;
    machine.expect(PROMPT, SHORT)?;
    gives(machine, "echo still here", "still here")
}

fn interrupt_sleep(machine: &mut Machine) -> Outcome {
    machine.begin("sleep 1000", "")?;
    std::thread::sleep(Duration::from_millis(100));
    machine.type_text(INTERRUPT)?;
    let output = machine.expect(PROMPT, SHORT)?;
    if output.contains("end-") {
        return Err(format!("the rest of the line has run\n{output}"));
    }
    Ok(())
}

fn interrupt_program(machine: &mut Machine) -> Outcome {
    machine.begin("exec 2 /bin/spin", "")?;
    machine.expect("spinning", SHORT)?;
    machine.expect("spinning", SHORT)?;
    machine.type_text(INTERRUPT)?;
    for _ in 0..2 {
        machine.expect("exec: /bin/spin (process ", SHORT)?;
        machine.expect(") killed by SIGINT\n", SHORT)?;
    }
    machine.expect(PROMPT, SHORT).map(|_| ())
}

fn semicolons(machine: &mut Machine) -> Outcome {
    let output = machine.command("echo one;echo two ;; echo 'three;four'")?;
    if output != "one\ntwo\nthree;four\n" {
        return Err(format!("prints\n{output}"));
    }
    Ok(())
}

fn help(machine: &mut Machine) -> Outcome {
    for (command, said) in [
        ("hlep", "hlep: no such command; did you mean help?"),
        ("xyzzy", "xyzzy: no such command; help lists all"),
        ("help exce", "no command exce; did you mean exec?"),
        ("mem now", "mem: takes nothing, check or cost, not now\nusage: mem [check|cost]\n"),
    ] {
        one_command(machine, command, &[said])?;
    }
    // An open quote spoils the whole line, the markers too.
    machine.type_line("echo 'open")?;
    machine.expect("quote", SHORT)?;
    machine.expect(PROMPT, SHORT).map(|_| ())
}

fn type_ahead(machine: &mut Machine) -> Outcome {
    machine.begin("sleep 0.3", "echo typed\\-ahead\r")?;
    machine.expect("typed-ahead\n", SHORT)?;
    machine.expect(PROMPT, SHORT).map(|_| ())
}
