//! The machines that qemu plays: what each does in its own way, print, exit and count. On a desktop it
//! prints and exits as well.
#![cfg_attr(target_os = "none", no_std)]

#[cfg_attr(not(target_os = "none"), path = "host.rs")]
#[cfg_attr(all(target_os = "none", target_arch = "arm"), path = "cortex_m.rs")]
#[cfg_attr(all(target_os = "none", target_arch = "riscv32"), path = "riscv.rs")]
mod machine;
#[cfg(target_os = "none")]
mod stack;

pub use machine::*;
#[cfg(target_os = "none")]
pub use stack::peak_stack;

/// Says why, and ends the emulation.
#[cfg(target_os = "none")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    fail(format_args!("{info}"))
}

/// Ends the program, and says why if it has failed.
pub fn finish(result: Result<(), impl core::fmt::Debug>) -> ! {
    match result {
        Ok(()) => exit(true),
        Err(failure) => fail(format_args!("failed: {failure:?}")),
    }
}

/// Says what went wrong, and ends the program.
pub fn fail(message: core::fmt::Arguments<'_>) -> ! {
    use core::fmt::Write;
    if let Ok(mut out) = out() {
        // There is nowhere left to say that nothing can be said.
        let _ = writeln!(out, "{message}");
    }
    exit(false)
}
