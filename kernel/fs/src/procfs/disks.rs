//! `/proc/partitions` and `/proc/diskstats`: disks and partitions, with their sizes and what they
//! have done; and `/proc/swaps`, of which there are none.

use abi::Result;
use device::block::volumes;

use crate::pseudo::Text;

/// Numbers, KiB, name; those without a size are left out.
pub(super) fn partitions(to: &mut Text) -> Result<()> {
    to.push(b"major minor  #blocks  name\n\n")?;
    for volume in volumes().iter().filter(|volume| volume.sectors() > 0) {
        let (number, kib) = (volume.number(), volume.sectors() / 2);
        let name = volume.name();
        to.write(format_args!("{:4}  {:7} {kib:10} {name}\n", number.major, number.minor))?;
    }
    Ok(())
}

/// Numbers, name, and what `stat` of the device in `/sys` has.
pub(super) fn statistics(to: &mut Text) -> Result<()> {
    for volume in &volumes() {
        let (number, name) = (volume.number(), volume.name());
        let did = volume.statistics();
        to.write(format_args!("{:4} {:7} {name} {did}\n", number.major, number.minor))?;
    }
    Ok(())
}

/// The heading alone.
pub(super) fn swaps(to: &mut Text) -> Result<()> {
    to.push(b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")
}
