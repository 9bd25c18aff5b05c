//! `/proc/mounts` and `/proc/PID/mounts`: what is mounted where, as fstab(5) writes it. All
//! processes see the same.

use abi::Result;

use crate::pseudo::Text;
use crate::vfs::mounts;

/// Writes a line for each mount: what, where, kind, options, and two fields for programs that
/// back up and check file systems.
///
/// # Errors
/// As [`Text::result`].
pub fn show(to: &mut Text) -> Result<()> {
    for mount in mounts()? {
        push_escaped(to, mount.source())?;
        to.push(b" ")?;
        push_escaped(to, &mount.text()?)?;
        let kind = mount.superblock().kind();
        to.write(format_args!(" {kind} {} 0 0\n", mount.flags()))?;
    }
    Ok(())
}

/// Blanks, newlines and backslashes in octal: the fields stand between blanks.
pub(super) fn push_escaped(to: &mut Text, field: &[u8]) -> Result<()> {
    for part in field.chunk_by(|one, other| !is_special(*one) && !is_special(*other)) {
        match part {
            [byte] if is_special(*byte) => to.write(format_args!("\\{byte:03o}"))?,
            part => to.push(part)?,
        }
    }
    Ok(())
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\\' | b'#')
}

#[base::kernel_test]
fn blanks_in_fields_are_written_in_octal() {
    let mut text = Text::within(100);
    push_escaped(&mut text, b"a b\t\n\\c##").expect("room");
    assert_eq!(text.into_bytes(), br"a\040b\011\012\134c\043\043");
}
