//! How source files are named: short, and alike on every machine.

use std::path::{Component, Path, PathBuf};

/// The root of the workspace that this tool was built in, and so the kernel.
pub(crate) fn workspace_root() -> PathBuf {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR"));
    tool.ancestors().nth(2).unwrap_or(tool).to_owned()
}

/// The name of a source file: relative to the workspace if it is in there, else the part
/// from its crate's directory on, as in `core/src/fmt/mod.rs`.
pub(crate) fn shorten(path: &str, root: &Path) -> String {
    let path = normalize(Path::new(path));
    if let Ok(inside) = path.strip_prefix(root) {
        return inside.to_string_lossy().into_owned();
    }
    if path.is_relative() {
        return path.to_string_lossy().into_owned();
    }
    let parts: Vec<_> = path.components().map(Component::as_os_str).collect();
    let directory = &parts[..parts.len().saturating_sub(1)];
    let source = directory.iter().rposition(|part| *part == "src");
    // Cargo unpacks a crate to registry/src/INDEX/CRATE.
    let registry = directory.windows(2).position(|parts| parts == ["registry", "src"]);
    let first = match (registry, source) {
        (Some(registry), _) if registry + 3 < directory.len() => registry + 3,
        // The crate's directory, which is not the root directory.
        (_, Some(source)) if source > 1 => source - 1,
        _ => directory.len(),
    };
    parts[first..].iter().collect::<PathBuf>().to_string_lossy().into_owned()
}

/// Without `.` and `..`, as far as the path alone tells.
fn normalize(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if normal.file_name().is_some() => {
                normal.pop();
            }
            component => normal.push(component),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_files_by_crate_or_workspace() {
        let root = Path::new("/home/someone/basalt");
        for (path, name) in [
            ("/home/someone/basalt/kernel/base/src/panic.rs", "kernel/base/src/panic.rs"),
            ("/home/someone/basalt/./kernel/x/../base/src/panic.rs", "kernel/base/src/panic.rs"),
            ("kernel/base/src/panic.rs", "kernel/base/src/panic.rs"),
            ("/usr/lib/rustlib/src/rust/library/core/src/fmt/mod.rs", "core/src/fmt/mod.rs"),
            ("/rustc/0123456789abcdef/library/alloc/src/vec/mod.rs", "alloc/src/vec/mod.rs"),
            (
                "/rustc/01/library/core/src/../../stdarch/crates/core_arch/src/x86/sse2.rs",
                "core_arch/src/x86/sse2.rs",
            ),
            (
                "/home/someone/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/spin-0.10.0/src/once.rs",
                "spin-0.10.0/src/once.rs",
            ),
            (
                "/home/someone/.cargo/registry/src/index.crates.io-19/odd-1.0.0/build/odd.rs",
                "odd-1.0.0/build/odd.rs",
            ),
            ("/home/someone/else.rs", "else.rs"),
            ("/src/else.rs", "else.rs"),
            ("/", "/"),
            ("", ""),
        ] {
            assert_eq!(shorten(path, root), name, "{path}");
        }
    }
}
