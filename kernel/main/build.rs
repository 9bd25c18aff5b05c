//! Links the kernel with its own script.

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../linker.ld");
    println!("cargo:rustc-link-arg-bins=-T{script}");
    println!("cargo:rerun-if-changed={script}");
}
