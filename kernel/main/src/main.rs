//! Floor 12: the Basalt kernel: boot story and kernel shell.
fn main() {}
