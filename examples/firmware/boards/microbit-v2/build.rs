//! Tells the linker what is where.

fn main() {
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    // Otherwise a linker may put the headers of the file into flash.
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rerun-if-changed=build.rs");
}
