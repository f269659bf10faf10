//! For chips whose kernels take two blocks, eight rows, at a time.
//!
//! Weights of half a byte need no mask on Arm. With a byte `low + 16 * high` and two inputs x and y,
//! `low * x + high * y` is `byte * x + high * (y - 16 * x)` modulo 2^32: two products of factors that
//! serve all eight rows.
#![allow(unsafe_code)]

#[cfg(kernel = "armv6m")]
use super::arm::pair;
#[cfg(any(kernel = "armv6m", kernel = "armv7m"))]
use super::arm::pair_nibbles;
#[cfg(kernel = "riscv")]
use super::riscv::pair;
#[cfg(any(kernel = "armv6m", kernel = "riscv"))]
use crate::arch::Inputs;
#[cfg(any(kernel = "armv6m", kernel = "armv7m"))]
use crate::arch::NibbleInputs;
use crate::arch::Quad;
use crate::format::layout::ROWS_PER_QUAD;

/// Adds the products of two blocks of weights and the inputs to the sums of both.
///
/// # Safety
/// Both blocks must have a quad for each of the inputs, at least one; the first ends at `end`.
pub(super) type Pair = unsafe extern "C" fn(
    first: *const Quad,
    inputs: *const u32,
    second: *const Quad,
    sums: &mut [[i32; ROWS_PER_QUAD]; 2],
    end: *const Quad,
);

/// What [`portable::dot`](crate::arch::portable::dot) computes.
#[cfg(any(kernel = "armv6m", kernel = "riscv"))]
pub(crate) fn dot(weights: &[Quad], inputs: &[Inputs], sums: &mut [[i32; ROWS_PER_QUAD]]) {
    // SAFETY: these are the inputs of all quads, as the kernel takes them.
    unsafe { each_pair(weights, inputs.as_ptr().cast(), inputs.len(), sums, pair) };
}

/// What [`portable::dot_nibbles`](crate::arch::portable::dot_nibbles) computes.
#[cfg(any(kernel = "armv6m", kernel = "armv7m"))]
pub(crate) fn dot_nibbles(
    weights: &[Quad],
    inputs: &[NibbleInputs],
    sums: &mut [[i32; ROWS_PER_QUAD]],
) {
    let quads = inputs.len();
    // SAFETY: these are the inputs of all quads, as the kernel takes them.
    unsafe { each_pair(weights, inputs.as_ptr().cast(), quads, sums, pair_nibbles) };
}

/// Calls a kernel for each pair of blocks.
///
/// # Safety
/// There must be inputs for as many quads as `quads` says, of the kind that `pair` takes.
// One function for both kinds of weights, to be small.
#[inline(never)]
unsafe fn each_pair(
    weights: &[Quad],
    inputs: *const u32,
    quads: usize,
    sums: &mut [[i32; ROWS_PER_QUAD]],
    pair: Pair,
) {
    let mut weights = weights;
    let mut next = || weights.split_off(..quads).unwrap_or_default();
    for sums in sums.chunks_mut(2) {
        let first = next();
        let end = first.as_ptr_range().end;
        if let Ok(sums) = <&mut [_; 2]>::try_from(&mut *sums) {
            let second = next();
            if !second.is_empty() {
                // SAFETY: both blocks have as many quads as there are inputs for, and not none.
                unsafe { pair(first.as_ptr(), inputs, second.as_ptr(), sums, end) };
            }
        } else if let ([sums], false) = (sums, first.is_empty()) {
            // A last block without another is computed twice.
            let mut both = [*sums; 2];
            // SAFETY: as above.
            unsafe { pair(first.as_ptr(), inputs, first.as_ptr(), &mut both, end) };
            [*sums, _] = both;
        }
    }
}
