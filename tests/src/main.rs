//! Host tool: boots the kernel in QEMU and checks it from outside.
fn main() {}
