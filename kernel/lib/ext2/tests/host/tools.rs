//! The programs of e2fsprogs, and files for them to work on.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that goes away with this.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let base =
            if Path::new("/dev/shm").is_dir() { "/dev/shm".into() } else { std::env::temp_dir() };
        let path = base.join(format!("ext2-{}-{count}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a program said, and its status.
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) output: String,
    pub(crate) bytes: Vec<u8>,
}

/// Runs a program, which may be in a directory of the system administrator.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Said {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .env("MKE2FS_CONFIG", "/dev/null")
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = [&output.stdout[..], &output.stderr].concat();
    Said {
        status: output.status.code().unwrap_or(-1),
        output: String::from_utf8_lossy(&text).into_owned(),
        bytes: output.stdout,
    }
}

/// Makes an image of `kibibytes` with `mke2fs OPTIONS`.
pub(crate) fn make_image(kibibytes: u32, options: &[&str]) -> Vec<u8> {
    let scratch = Scratch::new();
    let path = scratch.path("image");
    let mut arguments = vec!["-q", "-F", "-E", "hash_seed=00000000-0000-0000-0000-000000000001"];
    if !options.contains(&"-t") {
        arguments.extend(["-t", "ext2"]);
    }
    if !options.iter().any(|option| option.starts_with("-O")) && !options.contains(&"-r") {
        arguments
            .extend(["-O", "ext_attr,resize_inode,dir_index,filetype,sparse_super,large_file"]);
    }
    arguments.extend(options);
    let size = format!("{kibibytes}k");
    let path_text = path.to_str().unwrap();
    arguments.extend([path_text, &size]);
    let said = run("mke2fs", &arguments);
    assert_eq!(said.status, 0, "mke2fs {arguments:?}: {}", said.output);
    let mut image = std::fs::read(&path).unwrap();
    // mke2fs leaves out the end of the file if there is nothing in it.
    image.resize(kibibytes as usize * 1024, 0);
    image
}

/// Runs `e2fsck` on an image; returns what it said and the image after it.
pub(crate) fn e2fsck(image: &[u8], option: &str) -> (Said, Vec<u8>) {
    let scratch = Scratch::new();
    let path = scratch.path("image");
    std::fs::write(&path, image).unwrap();
    let said = run("e2fsck", &[option, path.to_str().unwrap()]);
    (said, std::fs::read(&path).unwrap())
}

/// Fails unless e2fsck finds nothing wrong with an image.
#[track_caller]
pub(crate) fn assert_clean(image: &[u8]) {
    let (said, _) = e2fsck(image, "-fn");
    assert_eq!(said.status, 0, "{}", said.output);
}

/// Runs one command of `debugfs` on an image; returns its bytes on the standard output.
pub(crate) fn debugfs(image: &[u8], command: &str) -> Vec<u8> {
    let scratch = Scratch::new();
    let path = scratch.path("image");
    std::fs::write(&path, image).unwrap();
    let said = run("debugfs", &["-R", command, path.to_str().unwrap()]);
    assert_eq!(said.status, 0, "{command}: {}", said.output);
    said.bytes
}
