//! For chips whose kernels take one block, four rows, at a time.
#![allow(unsafe_code)]

use bytemuck::must_cast_ref;

use crate::arch::Quad;
use crate::format::layout::{COLUMNS, ROWS_PER_QUAD};

/// Adds the products of weights and the inputs before `end` to the sums of a block.
///
/// # Safety
/// The inputs must be those of at least one quad, with as many weights, which are aligned to words.
pub(super) type Block = unsafe extern "C" fn(
    weights: *const Quad,
    inputs: *const u32,
    sums: &mut [i32; ROWS_PER_QUAD],
    end: *const u32,
);

/// Calls a kernel for each block.
///
/// # Safety
/// The kernel must take so many words of inputs for a quad.
// One function for all kinds of weights, to be small.
#[inline(never)]
pub(super) unsafe fn each_block(
    weights: &[Quad],
    inputs: &[u32],
    words: usize,
    sums: &mut [[i32; ROWS_PER_QUAD]],
    block: Block,
) {
    let is_aligned = weights.as_ptr().cast::<u32>().is_aligned();
    let quads = inputs.len() / words;
    let mut weights = weights;
    for sums in sums {
        let weights = weights.split_off(..quads).unwrap_or_default();
        if is_aligned && !weights.is_empty() {
            let range = inputs.as_ptr_range();
            // SAFETY: the weights are aligned, as many as there are inputs for, and not none.
            unsafe { block(weights.as_ptr(), range.start, sums, range.end) };
            continue;
        }
        for (quad, inputs) in weights.iter().zip(inputs.chunks_exact(words)) {
            // Word by word: a copy of 16 bytes would be made with memcpy.
            let [a, b, c, d]: &[[u8; COLUMNS]; ROWS_PER_QUAD] = must_cast_ref(quad);
            let quad = [a, b, c, d].map(|&row| u32::from_le_bytes(row));
            let range = inputs.as_ptr_range();
            // SAFETY: it is one quad, in words now, and its inputs.
            unsafe { block(quad.as_ptr().cast(), range.start, sums, range.end) };
        }
    }
}
