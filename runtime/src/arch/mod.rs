//! The inner loops: weights times inputs, several rows at a time, with the instructions of each chip.
//!
//! In integers sums are exact, so that backends may take them in any order: inputs come as 16 bits,
//! of which they use 8, and weights have 7 bits or 4. In single
//! precision every backend computes each row's sum from the first column to the last, with a rounded
//! multiplication and a rounded addition per column; how many rows it takes at once doesn't change a
//! bit of the result.
//!
//! Unsafe code stands in these backends only. Each has a safe `dot` and `dot_nibbles`, which compute
//! what the portable ones do, for slices of any length and alignment.
#![allow(
    unsafe_code,
    reason = "backends for instructions that not every chip has"
)]

#[cfg(kernel = "neon")]
mod aarch64;
#[cfg(any(kernel = "armv6m", kernel = "armv7m", kernel = "armv7em"))]
mod arm;
mod backend;
mod dispatch;
#[cfg(feature = "f32")]
pub(crate) mod float;
#[cfg(any(kernel = "armv7m", kernel = "riscv", test))]
mod packed;
#[cfg(any(kernel = "armv6m", kernel = "armv7m", kernel = "riscv"))]
mod pairs;
mod portable;
#[cfg(kernel = "riscv")]
mod riscv;
#[cfg(test)]
mod tests;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use backend::Backend;
#[cfg(feature = "batch")]
pub(crate) use dispatch::total;
pub(crate) use dispatch::{Operation, cells, dot, dot_nibbles, prepare, run, values, widen};

use crate::format::layout::{COLUMNS, NIBBLE_COLUMNS, QUAD_BYTES, ROWS_PER_QUAD, SCALE_BYTES};

/// Four weights, plus 64, of each of four rows, in the order of the file; or eight weights of half a
/// byte, plus 8.
pub(crate) type Quad = [u8; QUAD_BYTES];
/// Four inputs, as kernels take them: 16 bits each, the first in the lower half of a word.
pub(crate) type Inputs = [u32; COLUMNS / 2];

/// The two inputs of a word.
fn halves(word: u32) -> [i16; 2] {
    [word as u16, (word >> 16) as u16].map(u16::cast_signed)
}

/// The eight inputs of a quad of weights of half a byte.
pub(crate) type NibbleInputs = [u32; NIBBLE_COLUMNS / 2];
/// For each row of a block two multipliers of 15 bits, little-endian: of its sum, of its start value.
pub(crate) type Scales = [u8; SCALE_BYTES];
/// What the rows of a block start with, in 8 bits.
pub(crate) type StartValues = [u8; ROWS_PER_QUAD];

/// How sums of products become gate sums or logits; see [`values`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shifts {
    pub(crate) first: u32,
    pub(crate) second: u32,
}

impl Shifts {
    /// What a sum starts with so that the first shift rounds.
    pub(crate) const fn half(self) -> i32 {
        (1 << self.first) >> 1
    }
}
