//! The charlet runtime for C: `include/charlet.h` and one library.
//!
//! What C calls stands here; what it does is the runtime's. Every function that C calls trusts its pointers
//! as far as its documentation in the header says so: they point to what they name, or are NULL. That
//! is the reason of each `unsafe` that gives none of its own.
//!
//! A panic can't be reached; where one could, `extern "C"` would abort, so that none crosses the border.
#![cfg_attr(not(test), no_std)]
#![allow(
    non_camel_case_types,
    non_upper_case_globals,
    reason = "names are those of the header"
)]
#![warn(clippy::indexing_slicing)]

/// Brings what a panic does, which can't be reached.
#[cfg(not(any(target_os = "none", target_family = "wasm")))]
extern crate std;

mod coder;
mod error;
mod memory;
mod model;
mod sampler;
mod session;

/// No panic can be reached, in no function: an archive in which one could doesn't link, for want of this. A
/// WebAssembly module would import it.
#[cfg(any(target_os = "none", target_family = "wasm"))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn a_panic_can_be_reached() -> !;
    }
    // SAFETY: what calls it is never linked.
    unsafe { a_panic_can_be_reached() }
}
