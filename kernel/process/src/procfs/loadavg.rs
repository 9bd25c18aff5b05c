//! `/proc/loadavg`: the load over 1, 5 and 15 minutes, how many tasks run of how many there are,
//! and the number that was given to a process last.

use abi::Result;
use fs::pseudo::Text;
use task::LOAD_SHIFT;

use crate::tree::last_number;

pub(super) fn show(to: &mut Text) -> Result<()> {
    let one = 1 << LOAD_SHIFT;
    for load in task::load_averages() {
        // Two decimals, to the nearest.
        let load = load + one / 200;
        to.write(format_args!("{}.{:02} ", load / one, load % one * 100 / one))?;
    }
    let (running, all) = (task::running(), task::task_count());
    to.write(format_args!("{running}/{all} {}\n", last_number()))
}
