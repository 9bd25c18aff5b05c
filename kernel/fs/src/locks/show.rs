//! `/proc/locks` (proc_locks(5)): a line for each lock, and behind it one for each who waits
//! for that owner to free it.

use abi::Result;
use record_locks::{Bytes, Mode, Owner};

use super::table::{self, Family};
use crate::pseudo::Text;

/// Writes the lines.
///
/// # Errors
/// As [`Text::result`].
pub(crate) fn show(to: &mut Text) -> Result<()> {
    let table = table::lock();
    let mut number = 0;
    for (key, file) in table.files() {
        for family in [Family::Files, Family::Records] {
            for record in file.of(family).iter() {
                number += 1;
                to.write(format_args!("{number}: "))?;
                line(to, family, record.owner, record.mode, record.bytes, file.number)?;
                for waiting in &table.waiting {
                    let wish = waiting.wish;
                    let Some(mode) = wish.mode else { continue };
                    let is_blocked = waiting.key == key
                        && wish.family == family
                        && waiting.blocker == Some(record.owner.number)
                        && wish.bytes.overlaps(record.bytes)
                        && mode.excludes(record.mode);
                    if is_blocked {
                        to.write(format_args!("{number}: -> "))?;
                        line(to, family, wish.owner, mode, wish.bytes, file.number)?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn line(
    to: &mut Text,
    family: Family,
    owner: Owner,
    mode: Mode,
    bytes: Bytes,
    ([major, minor], inode): ([u32; 2], u64),
) -> Result<()> {
    let family = match (family, owner.pid) {
        (Family::Files, _) => "FLOCK ",
        (Family::Records, Some(_)) => "POSIX ",
        (Family::Records, None) => "OFDLCK",
    };
    let mode = if mode == Mode::Exclusive { "WRITE" } else { "READ" };
    let pid = owner.pid.map_or(-1, i64::from);
    let file = format_args!("{major:02x}:{minor:02x}:{inode}");
    to.write(format_args!("{family} ADVISORY  {mode} {pid} {file} {} ", bytes.first()))?;
    match bytes.goes_on() {
        true => to.write(format_args!("EOF\n")),
        false => to.write(format_args!("{}\n", bytes.last())),
    }
}
