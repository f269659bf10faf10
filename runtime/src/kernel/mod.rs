//! The inner loops: weights times inputs, several rows at a time. The backend is picked here.
//!
//! In integers sums are exact modulo 2^32, so that backends may take them in any order. In single
//! precision every backend computes each row's sum from the first column to the last, with a rounded
//! multiplication and a rounded addition per column; how many rows it takes at once doesn't change a
//! bit of the result.
//!
//! Unsafe code stands in these backends only. Each has a safe `dot`, which computes what the portable
//! one does, for slices of any length and alignment.

#[cfg(kernel = "armv6m")]
mod armv6m;
#[cfg(kernel = "armv7em")]
mod armv7em;
#[cfg(kernel = "armv7m")]
mod armv7m;
#[cfg(feature = "f32")]
pub(crate) mod float;
#[cfg(any(kernel = "armv6m", kernel = "armv7m"))]
mod pairs;
mod portable;

// The build script sets `kernel`.
#[cfg(kernel = "armv6m")]
pub(crate) use armv6m::dot;
#[cfg(kernel = "armv7em")]
pub(crate) use armv7em::dot;
#[cfg(kernel = "armv7m")]
pub(crate) use armv7m::dot;
#[cfg(kernel = "portable")]
pub(crate) use portable::dot;

use crate::layout::{COLUMNS, ROWS_PER_QUAD};

/// Four weights, plus 128, of each of four rows, in the order of the file.
pub(crate) type Quad = [u8; COLUMNS * ROWS_PER_QUAD];
