//! ISOs other than those that tools/make-iso.sh makes: from a tree with copies of the script
//! and of grub.cfg that a test has changed.

use std::path::PathBuf;
use std::time::Duration;

use crate::command::{command, run};
use crate::machine::Config;
use crate::place::{image, initramfs, scratch, top};

const TIMEOUT: Duration = Duration::from_secs(60);

/// An ISO like that of `config`, with another grub.cfg, and made by another make-iso.sh:
/// `edit_menu` and `edit_script` get ours.
///
/// # Errors
/// What the script says; if an edit changes nothing that is no identity.
pub(crate) fn edited(
    config: &Config,
    name: &str,
    edit_menu: impl Fn(&str) -> String,
    edit_script: impl Fn(&str) -> String,
) -> Result<PathBuf, String> {
    let tree = scratch(name);
    let failed = |error: std::io::Error| format!("{}: {error}", tree.display());
    let copy = |path: &str, edit: &dyn Fn(&str) -> String| {
        let ours = std::fs::read_to_string(top().join(path)).map_err(failed)?;
        let path = tree.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(&tree)).map_err(failed)?;
        let edited = edit(&ours);
        std::fs::write(&path, &edited).map_err(failed)?;
        Ok::<bool, String>(edited != ours)
    };
    // make-iso.sh takes the grub.cfg of the tree that it stands in.
    let script_differs = copy("tools/make-iso.sh", &edit_script)?;
    let menu_differs = copy("grub/grub.cfg", &edit_menu)?;
    if !script_differs && !menu_differs {
        return Err("make-iso.sh and grub.cfg are not as this test expects them".into());
    }
    let iso = scratch(&format!("{name}.iso"));
    let mut make = command("bash");
    make.arg(tree.join("tools/make-iso.sh")).args([image(config.mode), initramfs(), iso.clone()]);
    run(make.arg(&config.cmdline), "", TIMEOUT)?.expect_status(0)?;
    Ok(iso)
}
