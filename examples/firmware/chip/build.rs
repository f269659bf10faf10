//! Tells the linker what memory the chip has.

use std::env;
use std::fs;
use std::path::Path;

/// A machine that qemu plays.
struct Machine {
    /// How the targets begin that run on it.
    target: &'static str,
    /// Nothing if the program is loaded into RAM.
    flash: &'static str,
    ram: &'static str,
}

/// BBC micro:bit
const MICROBIT: Machine = Machine {
    target: "thumbv6m",
    flash: "FLASH : ORIGIN = 0x00000000, LENGTH = 256K",
    ram: "RAM : ORIGIN = 0x20000000, LENGTH = 16K",
};

/// The first that fits is meant.
const LARGE: [Machine; 3] = [
    // Arm MPS2 AN505
    Machine {
        target: "thumbv8m",
        flash: "FLASH : ORIGIN = 0x10000000, LENGTH = 4M",
        ram: "RAM : ORIGIN = 0x38000000, LENGTH = 4M",
    },
    // Arm MPS2 AN385 and AN386
    Machine {
        target: "thumb",
        flash: "FLASH : ORIGIN = 0x00000000, LENGTH = 4M",
        ram: "RAM : ORIGIN = 0x20000000, LENGTH = 4M",
    },
    // virt, which starts at the beginning of its RAM
    Machine {
        target: "riscv32",
        flash: "",
        ram: "RAM : ORIGIN = 0x80000000, LENGTH = 16M",
    },
];

/// Where riscv-rt puts what, when there is nothing but RAM.
const ALIASES: &str = r#"
REGION_ALIAS("REGION_TEXT", RAM);
REGION_ALIAS("REGION_RODATA", RAM);
REGION_ALIAS("REGION_DATA", RAM);
REGION_ALIAS("REGION_BSS", RAM);
REGION_ALIAS("REGION_HEAP", RAM);
REGION_ALIAS("REGION_STACK", RAM);
"#;

fn main() {
    let target = env::var("TARGET").expect("cargo sets it");
    let large = env::var_os("CARGO_FEATURE_LARGE").is_some();
    let small = (!large).then_some(MICROBIT);
    let mut machines = small.into_iter().chain(LARGE);
    let fits = |machine: &Machine| target.starts_with(machine.target);
    if let Some(Machine { flash, ram, .. }) = machines.find(fits) {
        let aliases = if flash.is_empty() { ALIASES } else { "" };
        let memory = format!("MEMORY {{\n{flash}\n{ram}\n}}\n{aliases}");
        let out = env::var("OUT_DIR").expect("cargo sets it");
        fs::write(Path::new(&out).join("memory.x"), memory).expect("memory.x is written");
        println!("cargo:rustc-link-search={out}");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
