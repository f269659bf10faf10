//! For chips whose kernels take two blocks, eight rows, at a time.
//!
//! Weights of half a byte need no mask there. With a byte `low + 16 * high` and two inputs x and y,
//! `low * x + high * y` is `byte * x + high * (y - 16 * x)` modulo 2^32: two products of factors that
//! serve all eight rows.
#![allow(unsafe_code)]

use super::Quad;
use crate::layout::ROWS_PER_QUAD;

/// Adds the products of two blocks of weights and the inputs to the sums of both.
///
/// # Safety
/// The inputs must be aligned to words, and both blocks have a quad for each of them, at least one.
/// The first block must end where the second starts.
pub(super) type Pair<Inputs> = unsafe extern "C" fn(
    first: *const Quad,
    inputs: *const Inputs,
    second: *const Quad,
    sums: &mut [[i32; ROWS_PER_QUAD]; 2],
);

/// What the portable kernel computes, which is asked for what `pair` can't do.
#[inline]
pub(super) fn dot<Inputs>(
    weights: &[Quad],
    inputs: &[Inputs],
    sums: &mut [[i32; ROWS_PER_QUAD]],
    pair: Pair<Inputs>,
    portable: fn(&[Quad], &[Inputs], &mut [[i32; ROWS_PER_QUAD]]),
) {
    if inputs.is_empty() || !inputs.as_ptr().cast::<u32>().is_aligned() {
        return portable(weights, inputs, sums);
    }
    let mut weights = weights;
    let (pairs, single) = sums.as_chunks_mut();
    for sums in pairs {
        let (now, rest) = weights
            .split_at_checked(2 * inputs.len())
            .unwrap_or_default();
        weights = rest;
        let mut blocks = now.chunks_exact(inputs.len());
        if let (Some(first), Some(second)) = (blocks.next(), blocks.next()) {
            // SAFETY: the inputs are not empty and aligned to words, and each block has their length;
            // one block follows the other.
            unsafe { pair(first.as_ptr(), inputs.as_ptr(), second.as_ptr(), sums) };
        }
    }
    portable(weights, inputs, single);
}
