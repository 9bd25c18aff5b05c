//! Where things are.

use std::fs;
use std::path::{Path, PathBuf};

/// How the kernel was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// With assertions.
    Debug,
    /// Optimised.
    Release,
}

impl Mode {
    /// As `RUST_BUILD_MODE` and the directories name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

/// The top of the source tree.
pub(crate) fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/"))
}

/// A file or directory of this run's own.
pub(crate) fn scratch(name: &str) -> PathBuf {
    top().join("target/boot-tests").join(name)
}

/// The kernel's image, copied when the tests began: some of them build.
pub(crate) fn image(mode: Mode) -> PathBuf {
    scratch(&format!("basalt-{}", mode.name()))
}

/// Basalt's own initramfs, copied likewise.
pub(crate) fn initramfs() -> PathBuf {
    scratch("initramfs.cpio")
}

/// The user programs that are too large for the initramfs.
pub(crate) fn extra() -> PathBuf {
    top().join("target/userspace/extra")
}

/// Makes the scratch directory afresh, with the copies.
///
/// # Errors
/// What is missing, in words.
pub(crate) fn prepare() -> Result<(), String> {
    let directory = scratch("");
    if directory.exists() {
        fs::remove_dir_all(&directory).map_err(|error| format!("{directory:?}: {error}"))?;
    }
    fs::create_dir_all(&directory).map_err(|error| format!("{directory:?}: {error}"))?;
    let copy = |from: PathBuf, to: PathBuf| {
        fs::copy(&from, to)
            .map(|_| ())
            .map_err(|error| format!("{}: {error}; `make test` builds it", from.display()))
    };
    for mode in [Mode::Debug, Mode::Release] {
        copy(top().join("target/image").join(mode.name()).join("basalt"), image(mode))?;
    }
    copy(top().join("target/userspace/initramfs.cpio"), initramfs())
}
