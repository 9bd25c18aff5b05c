//! The tests by kind, in the order in which they begin: what takes long first, so that no
//! worker has nothing to do at the end.

mod boots;
mod cpus;
mod crashes;
mod dev;
mod disks;
mod ext2;
mod figures;
mod files;
mod gdb;
mod host;
mod kernel;
mod makes;
mod oom;
mod pci;
mod platform;
mod processes;
mod programs;
mod refusals;
mod shell;
mod statuses;
mod virtio;

use crate::runner::Job;

/// All jobs.
///
/// # Errors
/// If a list of tests in the source tree cannot be read.
pub(crate) fn all() -> Result<Vec<Job>, String> {
    let mut jobs = host::jobs()?;
    jobs.extend(programs::jobs()?);
    jobs.extend(makes::jobs());
    jobs.extend(boots::jobs());
    jobs.extend(cpus::jobs());
    jobs.extend(oom::jobs());
    jobs.extend(processes::jobs());
    jobs.extend(kernel::jobs());
    jobs.extend(dev::jobs());
    jobs.extend(ext2::jobs());
    jobs.extend(files::jobs());
    jobs.extend(shell::jobs());
    jobs.extend(platform::jobs());
    jobs.extend(pci::jobs());
    jobs.extend(disks::jobs());
    jobs.extend(gdb::jobs());
    jobs.extend(refusals::jobs());
    jobs.extend(statuses::jobs());
    jobs.extend(crashes::jobs());
    jobs.extend(virtio::jobs());
    jobs.extend(figures::jobs());
    Ok(jobs)
}
