//! On a chip the linker is told where everything goes.

fn main() {
    let os = std::env::var("CARGO_CFG_TARGET_OS").expect("cargo sets it");
    if os == "none" {
        println!("cargo:rustc-link-arg-bins=-Tlink.x");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
