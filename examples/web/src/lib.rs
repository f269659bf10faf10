//! The runtime as a WebAssembly module, which prints what every target must compute.
//!
//! `check.mjs` runs it under node.
#![cfg_attr(target_arch = "wasm32", no_std)]

use core::fmt;

use check::{Memory, compare};
use exchange::exchange;
use messages::Messenger;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    /// Prints text that stands in the module's memory.
    fn print(text: *const u8, len: usize);
}

/// What `print` prints to.
struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: it only reads these bytes.
        unsafe { print(text.as_ptr(), text.len()) };
        Ok(())
    }
}

/// Prints hashes, names and messages; false if something is wrong with a model.
#[unsafe(no_mangle)]
pub extern "C" fn check() -> bool {
    compare(&mut Memory::new(), &mut Console).is_ok()
        && exchange(&mut Messenger::new(), &mut Console, |work| work()).is_ok()
}

#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
