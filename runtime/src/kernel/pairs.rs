//! For chips whose kernel takes two blocks, eight rows, at a time.
#![allow(unsafe_code)]

use super::{Quad, portable};
use crate::layout::{COLUMNS, ROWS_PER_QUAD};

/// Adds the products of two blocks of weights and the inputs before `end` to the sums of both.
///
/// # Safety
/// The inputs must be at least one quad and aligned to words, and both blocks have as many quads.
pub(super) type Pair = unsafe extern "C" fn(
    first: *const Quad,
    inputs: *const [i16; COLUMNS],
    second: *const Quad,
    sums: &mut [[i32; ROWS_PER_QUAD]; 2],
    end: *const [i16; COLUMNS],
);

/// What [`portable::dot`] computes.
#[inline]
pub(super) fn dot(
    weights: &[Quad],
    inputs: &[[i16; COLUMNS]],
    sums: &mut [[i32; ROWS_PER_QUAD]],
    pair: Pair,
) {
    if inputs.is_empty() || !inputs.as_ptr().cast::<u32>().is_aligned() {
        return portable::dot(weights, inputs, sums);
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
            let end = inputs.as_ptr_range().end;
            // SAFETY: the inputs are not empty and aligned to words, and each block has their length.
            unsafe { pair(first.as_ptr(), inputs.as_ptr(), second.as_ptr(), sums, end) };
        }
    }
    portable::dot(weights, inputs, single);
}
