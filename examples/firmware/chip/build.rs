//! Tells the linker what memory the chip has.

use std::env;
use std::fs;
use std::path::Path;

fn main() {
    let target = env::var("TARGET").expect("cargo sets it");
    let large = env::var_os("CARGO_FEATURE_LARGE").is_some();
    if let Some(memory) = memory(&target, large) {
        let out = env::var("OUT_DIR").expect("cargo sets it");
        fs::write(Path::new(&out).join("memory.x"), memory).expect("memory.x is written");
        println!("cargo:rustc-link-search={out}");
    }
    println!("cargo:rerun-if-changed=build.rs");
}

/// The memory of the machine that qemu plays for a target.
fn memory(target: &str, large: bool) -> Option<&'static str> {
    if target.starts_with("thumbv6m") && !large {
        // BBC micro:bit
        Some(
            "MEMORY {
                FLASH : ORIGIN = 0x00000000, LENGTH = 256K
                RAM : ORIGIN = 0x20000000, LENGTH = 16K
            }",
        )
    } else if target.starts_with("thumbv8m") {
        // Arm MPS2 AN505
        Some(
            "MEMORY {
                FLASH : ORIGIN = 0x10000000, LENGTH = 4M
                RAM : ORIGIN = 0x38000000, LENGTH = 4M
            }",
        )
    } else if target.starts_with("thumb") {
        // Arm MPS2 AN385 and AN386
        Some(
            "MEMORY {
                FLASH : ORIGIN = 0x00000000, LENGTH = 4M
                RAM : ORIGIN = 0x20000000, LENGTH = 4M
            }",
        )
    } else if target.starts_with("riscv32") {
        // virt, which starts at the beginning of its RAM
        Some(
            "MEMORY { RAM : ORIGIN = 0x80000000, LENGTH = 16M }
            REGION_ALIAS(\"REGION_TEXT\", RAM);
            REGION_ALIAS(\"REGION_RODATA\", RAM);
            REGION_ALIAS(\"REGION_DATA\", RAM);
            REGION_ALIAS(\"REGION_BSS\", RAM);
            REGION_ALIAS(\"REGION_HEAP\", RAM);
            REGION_ALIAS(\"REGION_STACK\", RAM);",
        )
    } else {
        None
    }
}
