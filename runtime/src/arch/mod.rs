//! The inner loops: weights times inputs, several rows at a time. The backend is picked here.
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
#[cfg(test)]
mod tests;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

use crate::Token;
use crate::layout::{COLUMNS, NIBBLE_COLUMNS, QUAD_BYTES, ROWS_PER_QUAD, SCALE_BYTES};
use crate::network::Network;

/// Four weights, plus 64, of each of four rows, in the order of the file; or eight weights of half a
/// byte, plus 8.
pub(crate) type Quad = [u8; QUAD_BYTES];
/// Four inputs, as kernels take them: 16 bits each, the first in the lower half of a word.
pub(crate) type Inputs = [u32; COLUMNS / 2];
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
    pub(crate) fn half(self) -> i32 {
        (1 << self.first) >> 1
    }
}

/// For each block of four rows, `sums[row] += weights[row][column] * inputs[column]`, modulo 2^32.
///
/// `weights` has as many quads for each block as there are quads of inputs. The build script sets
/// `kernel` for Arm.
#[inline]
#[allow(unreachable_code, reason = "some builds know their backend")]
pub(crate) fn dot(weights: &[Quad], inputs: &[Inputs], sums: &mut [[i32; ROWS_PER_QUAD]]) {
    #[cfg(any(kernel = "armv6m", kernel = "armv7m"))]
    return pairs::dot(weights, inputs, sums);
    #[cfg(kernel = "armv7em")]
    return armv7em::dot(weights, inputs, sums);
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    return wasm::dot(weights, inputs, sums);
    #[cfg(target_arch = "x86_64")]
    if x86::selected() {
        // SAFETY: the processor has AVX2.
        return unsafe { x86::dot(weights, inputs, sums) };
    }
    portable::dot(weights, inputs, sums);
}

/// As [`dot`], with weights of half a byte: the lower ones for the first four inputs, the upper ones
/// for the others.
#[inline]
#[allow(unreachable_code, reason = "some builds know their backend")]
pub(crate) fn dot_nibbles(
    weights: &[Quad],
    inputs: &[NibbleInputs],
    sums: &mut [[i32; ROWS_PER_QUAD]],
) {
    #[cfg(any(kernel = "armv6m", kernel = "armv7m"))]
    return pairs::dot_nibbles(weights, inputs, sums);
    #[cfg(kernel = "armv7em")]
    return armv7em::dot_nibbles(weights, inputs, sums);
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    return wasm::dot_nibbles(weights, inputs, sums);
    #[cfg(target_arch = "x86_64")]
    if x86::selected() {
        // SAFETY: the processor has AVX2.
        return unsafe { x86::dot_nibbles(weights, inputs, sums) };
    }
    portable::dot_nibbles(weights, inputs, sums);
}

/// Feeds a network one token, in code compiled for the best instructions that the chip has.
pub(crate) fn step(network: &Network<'_>, token: Token, state: &mut [u32], workspace: &mut [u32]) {
    #[cfg(target_arch = "x86_64")]
    if x86::selected() {
        // SAFETY: the processor has AVX2.
        return unsafe { x86::step(network, token, state, workspace) };
    }
    network.step_inline(token, state, workspace);
}

/// Turns sums into the values of their rows: scales them and adds what the rows start with.
#[inline]
#[allow(unreachable_code, reason = "some builds know their backend")]
pub(crate) fn values(
    shifts: Shifts,
    scales: &[Scales],
    start: &[StartValues],
    sums: &mut [[i32; ROWS_PER_QUAD]],
) {
    #[cfg(kernel = "armv7em")]
    return armv7em::values(shifts, scales, start, sums);
    #[cfg(target_arch = "x86_64")]
    if x86::selected() {
        // SAFETY: the processor has AVX2.
        return unsafe { x86::values(shifts, scales, start, sums) };
    }
    portable::values(shifts, scales, start, sums);
}

/// c and h of units after a step, from the sums of their gates.
#[inline]
pub(crate) fn cells(sums: &[[i32; ROWS_PER_QUAD]], c: &mut [i32], h: &mut [i8]) {
    #[cfg(target_arch = "x86_64")]
    if x86::selected() {
        // SAFETY: the processor has AVX2.
        return unsafe { x86::cells(sums, c, h) };
    }
    portable::cells(sums, c, h);
}
