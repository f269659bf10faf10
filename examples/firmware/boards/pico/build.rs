//! Tells the linker what is where.

fn main() {
    println!("cargo:rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    // By embassy-rp: the second stage of the boot loader goes where the ROM looks for it.
    println!("cargo:rustc-link-arg-bins=-Tlink-rp.x");
    // Otherwise a linker may put the headers of the file into flash.
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rerun-if-changed=memory.x");
}
