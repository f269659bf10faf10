//! Picks the kernel of the target: stable compilers don't tell the code which core it is for.

use std::env;

/// Armv8-M cores that have the DSP instructions unless a flag takes them away.
const WITH_DSP: [&str; 4] = ["cortex-m33", "cortex-m35p", "cortex-m55", "cortex-m85"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!(
        "cargo:rustc-check-cfg=cfg(kernel, values(\"portable\", \"armv6m\", \"armv7m\", \"armv7em\", \"riscv\", \"neon\"))"
    );
    let target = env::var("TARGET").unwrap_or_default();
    let kernel = match target.split('-').next().unwrap_or_default() {
        "thumbv6m" | "thumbv8m.base" => "armv6m",
        "thumbv7m" => "armv7m",
        "thumbv7em" => "armv7em",
        "thumbv8m.main" if has_dsp() => "armv7em",
        "thumbv8m.main" => "armv7m",
        _ if has_neon() => "neon",
        // The kernel has multiplications and compressed instructions, and takes all registers. Whoever
        // optimizes for size gets the portable code, which is a kilobyte smaller.
        riscv if riscv.starts_with("riscv32im") && riscv.ends_with('c') && !is_small() => "riscv",
        _ => "portable",
    };
    println!("cargo:rustc-cfg=kernel=\"{kernel}\"");
    // Whoever names a core, or denies it the instructions, knows; others are told by `model!`.
    println!("cargo:rustc-check-cfg=cfg(kernel_hint)");
    if target.starts_with("thumbv8m.main") && kernel == "armv7m" && !flags().contains("-dsp") {
        println!("cargo:rustc-cfg=kernel_hint");
    }
}

/// Whether the flags ask for a core with DSP instructions, which Armv8-M leaves to its makers.
fn has_dsp() -> bool {
    let flags = flags();
    let named = WITH_DSP
        .iter()
        .any(|core| flags.contains(&format!("target-cpu={core}")));
    (named || flags.contains("+dsp")) && !flags.contains("-dsp")
}

/// Whether every processor of the target has NEON of 64 bits; what orders bytes otherwise has no kernel.
fn has_neon() -> bool {
    let of_target = |name| env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    of_target("ARCH") == "aarch64"
        && of_target("ENDIAN") == "little"
        && of_target("FEATURE")
            .split(',')
            .any(|feature| feature == "neon")
}

/// Whether this package is optimized for size.
fn is_small() -> bool {
    matches!(env::var("OPT_LEVEL").as_deref(), Ok("s" | "z"))
}

fn flags() -> String {
    env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default()
}
