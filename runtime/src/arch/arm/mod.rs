//! Assembly for Cortex-M: one module per set of instructions, of which a build has one.

#[cfg(any(kernel = "armv7m", kernel = "armv7em"))]
mod blocks;
#[cfg(kernel = "armv6m")]
mod v6m;
#[cfg(kernel = "armv7em")]
mod v7em;
#[cfg(kernel = "armv7m")]
mod v7m;

#[cfg(kernel = "armv6m")]
pub(super) use super::pairs::dot;
#[cfg(any(kernel = "armv6m", kernel = "armv7m"))]
pub(super) use super::pairs::dot_nibbles;
#[cfg(kernel = "armv6m")]
pub(super) use v6m::{pair, pair_nibbles};
#[cfg(kernel = "armv7em")]
pub(super) use v7em::{dot, dot_nibbles, values};
#[cfg(kernel = "armv7m")]
pub(super) use v7m::{dot, pair_nibbles};
