//! All commands of the shell. A new one gets an entry here and a function in a file of its
//! family under `commands/`.

use super::command::{Arguments, Command};
use super::commands::{
    acpi, block, boot_info, change_files, crash, devices, exec, files, help, irqs, locks, log,
    memory, mounts, page_table, pci, port, power, tasks, test, timer, tools, virtio,
};

/// The commands, as `help` lists them.
pub(super) static COMMANDS: &[Command] = &[
    Command {
        name: "help",
        usage: "[COMMAND]",
        summary: "list the commands, or tell about one",
        help: "Words are separated by blanks and commands by `;`. Quotes and backslashes take \
               the special meaning from what they enclose. Tab completes, ^R searches the \
               history, ^C ends what runs.",
        arguments: Arguments::First(help::names),
        run: help::help,
    },
    Command {
        name: "test",
        usage: "[NAME]",
        summary: "run the kernel tests, or those whose name contains NAME",
        help: "Each test runs in a task of its own: one that panics or faults is reported with \
               its place, and the others still run. Fails if one failed.",
        arguments: Arguments::First(test::names),
        run: test::test,
    },
    Command {
        name: "exit",
        usage: "[STATUS]",
        summary: "end QEMU with an exit status from 0 to 255",
        help: "Without STATUS: 0 if the command before succeeded, else 1. On a PC, which has no \
               way out, halts.",
        arguments: Arguments::None,
        run: tools::exit,
    },
    Command {
        name: "poweroff",
        usage: "",
        summary: "switch the machine off",
        help: "Through ACPI (S5). `make run` then ends with 0 if the command before succeeded, \
               else 1. Where it does not work, says why and halts.",
        arguments: Arguments::None,
        run: power::poweroff,
    },
    Command {
        name: "reboot",
        usage: "[WAY]",
        summary: "reset the machine, in one way or in all",
        help: "The ways, in the order in which they are tried: acpi (the register that the FADT \
               names), keyboard (the keyboard controller), pci (port 0xcf9), triple-fault. \
               `make run` ends at a reset, with 0 if the command before succeeded, else 1.",
        arguments: Arguments::First(power::ways),
        run: power::reboot,
    },
    Command {
        name: "backtrace",
        usage: "[TASK|all]",
        summary: "print the backtrace of the shell, of a task, or of all CPUs",
        help: "TASK is a number that `tasks` shows, or a name. The CPU of one that runs is asked by \
               NMI, as `all` asks all other CPUs, whatever they do.",
        arguments: Arguments::First(tasks::names),
        run: tasks::backtrace,
    },
    Command {
        name: "boot-info",
        usage: "",
        summary: "print what the boot loader said, and what the CPU has",
        help: "Addresses are physical unless they begin with 0xffff.",
        arguments: Arguments::None,
        run: boot_info::boot_info,
    },
    Command {
        name: "print-acpi",
        usage: "",
        summary: "print the ACPI tables, and what was understood of them",
        help: "Understood are MADT (APIC), HPET, MCFG and FADT (FACP).",
        arguments: Arguments::None,
        run: acpi::print_acpi,
    },
    Command {
        name: "mem",
        usage: "[check|cost]",
        summary: "print how much memory is used, and for what",
        help: "With `check`: look at every frame, and say whether all are accounted for. With \
               `cost`: how long it takes to allocate and free.",
        arguments: Arguments::First(memory::words),
        run: memory::mem,
    },
    Command {
        name: "tasks",
        usage: "[cost]",
        summary: "list all tasks",
        help: "The time is what a task has had on a CPU until its last switch; MAY USE are the CPUs \
               that it may run on. With `cost`: how \
               long it takes to wake another task, let it run and be woken by it.",
        arguments: Arguments::First(tasks::words),
        run: tasks::tasks,
    },
    Command {
        name: "ls",
        usage: "[-l] [PATH]…",
        summary: "list directories",
        help: "Without PATH the root. Mode, bytes and name; the target of a symbolic link. With \
               -l also links, owner, group, and the time of the last change in UTC.",
        arguments: Arguments::Each(files::complete),
        run: files::ls,
    },
    Command {
        name: "cat",
        usage: "PATH…",
        summary: "print files",
        help: "Bytes that are no text are shown as <hex>.",
        arguments: Arguments::Each(files::complete),
        run: files::cat,
    },
    Command {
        name: "write-to-file",
        usage: "PATH [WORD]…",
        summary: "write a line to a file",
        help: "The words and nothing else are in it afterwards; it is made if it is not there. \
               Also for files of /sys and /proc that can be set.",
        arguments: Arguments::Each(files::complete),
        run: files::write_to_file,
    },
    Command {
        name: "cp",
        usage: "[-r] FROM… TO",
        summary: "copy files",
        help: "With -r directories too, and all that is in them.",
        arguments: Arguments::Each(files::complete),
        run: change_files::cp,
    },
    Command {
        name: "mv",
        usage: "FROM… TO",
        summary: "move files",
        help: "Within a file system. What TO leads to is replaced, unless it is a directory: then FROM goes into it.",
        arguments: Arguments::Each(files::complete),
        run: change_files::mv,
    },
    Command {
        name: "rm",
        usage: "[-rf] PATH…",
        summary: "remove files",
        help: "With -r directories too, and all that is in them; with -f what is not there is no mistake.",
        arguments: Arguments::Each(files::complete),
        run: change_files::rm,
    },
    Command {
        name: "mkdir",
        usage: "[-p] PATH…",
        summary: "make directories",
        help: "With -p those on the way, too, and what is there is no mistake.",
        arguments: Arguments::Each(files::complete),
        run: change_files::mkdir,
    },
    Command {
        name: "rmdir",
        usage: "PATH…",
        summary: "remove empty directories",
        help: "",
        arguments: Arguments::Each(files::complete),
        run: change_files::rmdir,
    },
    Command {
        name: "ln",
        usage: "[-s] FILE NAME",
        summary: "give a file one more name",
        help: "With -s a symbolic link, that leads to whatever FILE is when it is followed.",
        arguments: Arguments::Each(files::complete),
        run: change_files::ln,
    },
    Command {
        name: "touch",
        usage: "PATH…",
        summary: "make empty files, or set times",
        help: "What is there was read and changed just now, as its times say.",
        arguments: Arguments::Each(files::complete),
        run: change_files::touch,
    },
    Command {
        name: "stat",
        usage: "PATH…",
        summary: "tell what is known of files",
        help: "Links are not followed.",
        arguments: Arguments::Each(files::complete),
        run: change_files::stat,
    },
    Command {
        name: "df",
        usage: "[PATH]…",
        summary: "tell how much room there is",
        help: "In all file systems that have a size, or in those of PATH.",
        arguments: Arguments::Each(files::complete),
        run: change_files::df,
    },
    Command {
        name: "hexdump",
        usage: "PATH",
        summary: "show the bytes of a file",
        help: "",
        arguments: Arguments::Each(files::complete),
        run: change_files::hexdump,
    },
    Command {
        name: "sync",
        usage: "",
        summary: "store all that is not stored",
        help: "Returns when it is where a power cut cannot reach it.",
        arguments: Arguments::None,
        run: change_files::sync,
    },
    Command {
        name: "mount",
        usage: "[[-r | -o OPTIONS] DEVICE|KIND [PATH [OPTIONS]]] | -o remount,OPTIONS PATH",
        summary: "list what is mounted, mount a file system, or change how it is mounted",
        help: "A disk or a part of one is mounted by its name, vda1, with -r for reading alone; \
               tmpfs with options as size=16m. Without PATH sysfs is mounted on /sys and proc on \
               /proc. What is mounted hides what is there. -o takes ro, rw, nosuid, nodev, noexec, \
               noatime, nodiratime, relatime, strictatime, and options of the file system.",
        arguments: Arguments::First(mounts::kinds),
        run: mounts::mount,
    },
    Command {
        name: "umount",
        usage: "PATH…",
        summary: "take away what is mounted on a directory",
        help: "Refused while a program has something of it open or as its working directory, and \
               while something is mounted inside.",
        arguments: Arguments::Each(files::complete),
        run: mounts::umount,
    },
    Command {
        name: "exec",
        usage: "[N] PATH [ARGUMENT]… [&]",
        summary: "run a program, or N of it at once",
        help: "A PATH without a slash is looked for in /bin. Each process has its own memory; \
               their input is what is typed, ^D ends it. ^C sends SIGINT, the third time \
               SIGKILL, to them and their descendants. Succeeds if all exit with status 0; \
               what descendants they leave go on in the background, without input: see `ps` \
               and `kill`. With a & as the last word they start there.",
        arguments: Arguments::Each(files::complete),
        run: exec::exec,
    },
    Command {
        name: "ps",
        usage: "",
        summary: "list the processes",
        help: "With + behind the state: of the job in front, which ^C reaches. PARENT is 0 for \
               those that the kernel started or took over; one that has ended is kept until its \
               parent has asked how.",
        arguments: Arguments::None,
        run: exec::ps,
    },
    Command {
        name: "maps",
        usage: "PID",
        summary: "print what lies where in the memory of a process",
        help: "Addresses, access (p private, s shared), offset in the file, device, inode and \
               name, as in /proc/PID/maps.",
        arguments: Arguments::First(exec::pids),
        run: exec::maps,
    },
    Command {
        name: "kill",
        usage: "[-SIGNAL] PID…|all",
        summary: "send processes a signal, SIGTERM unless another is named",
        help: "SIGNAL is a number or a name, with or without SIG.",
        arguments: Arguments::First(exec::pids),
        run: exec::kill,
    },
    Command {
        name: "sleep",
        usage: "SECONDS",
        summary: "wait; SECONDS may have a fraction",
        help: "^C ends it.",
        arguments: Arguments::None,
        run: timer::sleep,
    },
    Command {
        name: "timer",
        usage: "",
        summary: "print what the clock and the timer are, and measure a sleep",
        help: "Each way to measure the TSC's rate gives bounds; ppm say how far their middle is \
               from the rate that is used.",
        arguments: Arguments::None,
        run: timer::timer,
    },
    Command {
        name: "devices",
        usage: "[-v]",
        summary: "print the tree of devices, with their buses and drivers",
        help: "Of a device that has no driver though one wanted it: why. With -v what each device \
               tells in text, as sysfs has it.",
        arguments: Arguments::First(devices::options),
        run: devices::devices,
    },
    Command {
        name: "block",
        usage: "list|id|read|write|overwrite|flush|rescan|cost|timeout [DEV …]",
        summary: "list, read and write disks and partitions",
        help: "block list. block id DEV: what is known of it. block read DEV SECTOR [N]: a hex \
               dump of N sectors of 512 bytes, one if not given. block write DEV SECTOR VALUE: \
               fills the sector with the byte VALUE, for good, whatever the disk holds; refused \
               for one that is in use. block overwrite DEV [TASKS]: DESTROYS ALL CONTENTS of DEV: \
               overwrites it with a pattern and reads that back, by several tasks at once (1 to \
               32, 4 if not given); refused for a disk with partitions, and for what is in use. \
               block flush DEV: makes durable what was written. block rescan DEV: reads the table \
               of partitions again. block cost DEV: how long reads take. block timeout DEV [MS]: \
               after how many milliseconds a request takes too long.",
        arguments: Arguments::Each(block::complete),
        run: block::block,
    },
    Command {
        name: "list-pci",
        usage: "[-v]",
        summary: "list the PCI functions, with their classes and drivers",
        help: "With -v what each has: its ranges of addresses (BAR), what it may do, its \
               capabilities and interrupts, and what a bridge lets through.",
        arguments: Arguments::First(pci::options),
        run: pci::list_pci,
    },
    Command {
        name: "list-virtio",
        usage: "",
        summary: "list the VirtIO devices, with their features and queues",
        help: "Features are named as the specification names them. Spared are notifications \
               that the device did not want. Interrupts of a queue include those of others on \
               the same vector or line.",
        arguments: Arguments::None,
        run: virtio::list_virtio,
    },
    Command {
        name: "port",
        usage: "[list | read PORT [SECONDS] | write PORT TEXT…]",
        summary: "list the lines to the host (VirtIO console), or read or write a line",
        help: "PORT is a name that the list shows, also that of a console (hvc0) or the host's. Read \
               waits for the end of a line, 10 seconds if not told otherwise.",
        arguments: Arguments::First(port::words),
        run: port::port,
    },
    Command {
        name: "irqs",
        usage: "",
        summary: "list the interrupts, who has them and how many there were",
        help: "VECTOR is the CPU's number for it, LINE the 8259A's or the I/O APIC's. With more \
               than 8 CPUs their counts are added up.",
        arguments: Arguments::None,
        run: irqs::irqs,
    },
    Command {
        name: "locks",
        usage: "[held | cost | limit [MS]]",
        summary: "print how often and how long locks were waited for",
        help: "Of each class: how often it was taken and waited for, all waits and the longest \
               one, and the longest hold. `held` lists what CPUs and tasks hold now, `cost` \
               measures a lock that nobody waits for, `limit` sets or prints how long a \
               spin lock may be held before that is logged, once for each class. Holds are known in debug \
               builds only.",
        arguments: Arguments::First(locks::names),
        run: locks::locks,
    },
    Command {
        name: "page-table",
        usage: "ADDRESS",
        summary: "print the page-table entries on the way to an address",
        help: "ADDRESS is a hexadecimal number (0x may be left out), or the name of a kernel \
               function or the last parts of one, as backtraces show them.",
        arguments: Arguments::First(page_table::names),
        run: page_table::page_table,
    },
    Command {
        name: "log",
        usage: "[LEVEL [MODULE]]",
        summary: "set the level of the log, or print it",
        help: "Levels: off, error, warn, info, debug, trace. A MODULE, one of the names in \
               /sys/module, gets a level of its own; `default` takes it away.",
        arguments: Arguments::First(log::names),
        run: log::log,
    },
    Command {
        name: "crash",
        usage: "KIND",
        summary: "crash the kernel, to see the report",
        help: "`crash` alone lists the kinds.",
        arguments: Arguments::First(crash::names),
        run: crash::crash,
    },
    Command {
        name: "clear",
        usage: "",
        summary: "clear the screen",
        help: "As ^L does.",
        arguments: Arguments::None,
        run: tools::clear,
    },
    Command {
        name: "echo",
        usage: "[WORD]…",
        summary: "print the words",
        help: "",
        arguments: Arguments::None,
        run: tools::echo,
    },
];

/// The command of a name.
pub(super) fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// All names.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|command| command.name)
}

/// The command that was probably meant by `typed`.
pub(super) fn similar(typed: &str) -> Option<&'static str> {
    let distance = |name: &&str| edit_distance(typed, name);
    let nearest = names().min_by_key(distance)?;
    let slip = (distance(&nearest) <= 1).then_some(nearest);
    let longer = || names().find(|name| typed.len() > 1 && name.starts_with(typed));
    let near = || (distance(&nearest) <= 1 + nearest.len() / 4).then_some(nearest);
    slip.or_else(longer).or_else(near)
}

/// Insertions, deletions, replacements and swaps of neighbours that make one word the
/// other (optimal string alignment).
fn edit_distance(one: &str, other: &str) -> usize {
    const LONGEST: usize = 16;
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() > LONGEST || other.len() > LONGEST {
        return usize::MAX;
    }
    let mut table = [[0; LONGEST + 1]; LONGEST + 1];
    for i in 0..=one.len() {
        for j in 0..=other.len() {
            table[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let differs = usize::from(one[i - 1] != other[j - 1]);
                let mut least = (table[i - 1][j] + 1)
                    .min(table[i][j - 1] + 1)
                    .min(table[i - 1][j - 1] + differs);
                if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                    least = least.min(table[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    table[one.len()][other.len()]
}

#[base::kernel_test]
fn a_mistyped_command_is_recognised() {
    assert_eq!(similar("hlep"), Some("help"));
    assert_eq!(similar("taks"), Some("tasks"));
    assert_eq!(similar("bootinfo"), Some("boot-info"));
    assert_eq!(similar("back"), Some("backtrace"));
    assert_eq!(similar("completely-different-from-all"), None);
    assert_eq!(similar("x"), None);
    assert_eq!(edit_distance("", "abc"), 3);
    assert_eq!(edit_distance("abc", "acb"), 1);
}

#[base::kernel_test]
fn commands_have_names_of_their_own_and_help() {
    for (index, command) in COMMANDS.iter().enumerate() {
        assert!(COMMANDS[..index].iter().all(|other| other.name != command.name));
        assert!(!command.summary.is_empty() && command.name.len() <= 13);
    }
}
