//! Assembly for Cortex-M: one module per set of instructions, of which a build has one.

#[cfg(any(kernel = "armv6m", kernel = "armv7m"))]
mod pairs;
#[cfg(kernel = "armv6m")]
mod v6m;
#[cfg(kernel = "armv7em")]
mod v7em;
#[cfg(kernel = "armv7m")]
mod v7m;

#[cfg(any(kernel = "armv6m", kernel = "armv7m"))]
pub(super) use pairs::{dot, dot_nibbles};
#[cfg(kernel = "armv7em")]
pub(super) use v7em::{dot, dot_nibbles, values};
