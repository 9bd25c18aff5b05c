//! Host tool: puts the kernel's symbol and line table into its ELF.
fn main() {}
