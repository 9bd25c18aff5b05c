//! A user program: counts primes, in ordinary Rust std.
fn main() {}
