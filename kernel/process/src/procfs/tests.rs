//! Kernel tests of `/proc`, mounted by the boot.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use abi::fcntl::{O_DIRECTORY, O_RDONLY, O_WRONLY};
use abi::{Errno, Result, Signal};
use alloc::format;
use fs::{Destination, Source};

use crate::exec;

/// The whole text of a file.
pub(super) fn read(path: &str) -> Result<String> {
    let file = fs::open(&fs::Credentials::ROOT, &fs::root()?, path.as_bytes(), O_RDONLY, 0)?;
    let mut text = Vec::new();
    let mut part = [0; 100];
    loop {
        match file.read(&mut Destination::Kernel(&mut part))? {
            0 => return String::from_utf8(text).map_err(|_| Errno::EILSEQ),
            count => text.extend_from_slice(part.get(..count).unwrap_or_default()),
        }
    }
}

fn names(path: &str) -> Vec<String> {
    let file = fs::open(
        &fs::Credentials::ROOT,
        &fs::root().expect("a root"),
        path.as_bytes(),
        O_RDONLY | O_DIRECTORY,
        0,
    );
    let mut names = Vec::new();
    let mut visit = |entry: fs::DirEntry<'_>| {
        names.push(String::from_utf8_lossy(entry.name).into_owned());
        ControlFlow::Continue(())
    };
    file.expect("a directory").entries(&mut visit).expect("entries");
    names
}

#[base::kernel_test]
fn proc_has_a_directory_for_each_process() {
    let arguments: [&[u8]; 3] = [b"/bin/spin", b"one", b"two words"];
    let process = exec::start(b"/bin/spin", &arguments, &[]).expect("a program");
    let pid = process.pid();
    assert!(names("/proc").contains(&format!("{pid}")));
    let list = names(&format!("/proc/{pid}"));
    assert_eq!(list.len(), 2 + 17, "{list:?}");
    let of = |name: &str| read(&format!("/proc/{pid}/{name}")).expect("a text");
    assert_eq!(of("cmdline"), "/bin/spin\0one\0two words\0");
    assert_eq!(of("comm"), "spin\n");
    assert!(of("maps").contains(" /bin/spin\n"), "{}", of("maps"));
    assert!(
        of("status").starts_with("Name:\tspin\nUmask:\t0022\nState:\tR (running)\n"),
        "{}",
        of("status")
    );
    let root = fs::root().expect("a root");
    let text = |name: &str| {
        let path = format!("/proc/{pid}/{name}");
        fs::lookup(&fs::Credentials::ROOT, &root, path.as_bytes(), fs::LastLink::Follow)
            .and_then(|file| file.text())
    };
    assert_eq!(text("exe"), Ok(b"/bin/spin".to_vec()));
    assert_eq!(text("cwd"), Ok(b"/".to_vec()));
    assert_eq!(text("cwd/bin/../etc"), Ok(b"/etc".to_vec()));
    assert_eq!(names(&format!("/proc/{pid}/fd")), [".", "..", "0", "1", "2"]);

    let open = |name: &str| {
        fs::open(
            &fs::Credentials::ROOT,
            &root,
            format!("/proc/{pid}/{name}").as_bytes(),
            O_RDONLY,
            0,
        )
        .expect("a file")
    };
    let (status, directory) = (open("status"), open(""));
    process.send(Signal::SIGKILL);
    process.wait();
    // Those that are open say that it has gone, and the names are gone, too.
    let mut part = [0; 10];
    assert_eq!(status.read(&mut Destination::Kernel(&mut part)), Err(Errno::ESRCH));
    assert_eq!(directory.entries(&mut |_| ControlFlow::Continue(())), Err(Errno::ENOENT));
    assert_eq!(read(&format!("/proc/{pid}/status")), Err(Errno::ENOENT));
    assert!(!names("/proc").contains(&format!("{pid}")));
}

#[base::kernel_test]
fn proc_has_no_other_names() {
    let info = read("/proc/meminfo").expect("a text");
    assert!(info.starts_with("MemTotal:       "), "{info}");
    assert_eq!(info.lines().filter(|line| line.ends_with(" kB")).count(), 18);
    for name in ["self", "0", "00", "+1", "-1", "x", "4000000", "4294967297", "1/../x", "\u{e4}"] {
        // A kernel task is no process, so it has no `self`.
        assert_eq!(read(&format!("/proc/{name}")), Err(Errno::ENOENT), "{name}");
    }
    assert_eq!(read("/proc"), Err(Errno::EISDIR));
    assert!(read("/proc/filesystems").expect("a text").contains("nodev\tproc\n"));
    // The mounts are those of who asks, and a kernel task has none.
    assert_eq!(read("/proc/mounts"), Err(Errno::ENOENT));
    let file = fs::open(
        &fs::Credentials::ROOT,
        &fs::root().expect("a root"),
        b"/proc/meminfo",
        O_WRONLY,
        0,
    )
    .expect("as root");
    assert_eq!(file.write(&mut Source::Kernel(b"x")), Err(Errno::EIO));
}
