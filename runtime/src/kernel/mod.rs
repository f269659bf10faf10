//! The inner loops: weights times inputs, several rows at a time. The backend is picked here.
//!
//! In integers sums are exact modulo 2^32, so that backends may take them in any order. In single
//! precision every backend computes each row's sum from the first column to the last, with a rounded
//! multiplication and a rounded addition per column; how many rows it takes at once doesn't change a
//! bit of the result.

#[cfg(feature = "f32")]
pub(crate) mod float;
mod portable;

pub(crate) use portable::dot;

use crate::layout::{COLUMNS, ROWS_PER_QUAD};

/// Four weights, plus 128, of each of four rows, in the order of the file.
pub(crate) type Quad = [u8; COLUMNS * ROWS_PER_QUAD];
