//! WebAssembly's SIMD, in browsers and elsewhere, where the build enables `simd128`.

use core::arch::wasm32::{
    i32x4_add, i32x4_dot_i16x8, i32x4_shuffle, i32x4_splat, u16x8_shr, u16x8_splat, v128, v128_and,
    v128_load, v128_load32_splat, v128_load64_zero, v128_store,
};

use super::{Inputs, NibbleInputs, Quad};
use crate::format::layout::ROWS_PER_QUAD;

/// As [`portable::dot`](super::portable::dot), 16 weights with each instruction.
pub(crate) fn dot(weights: &[Quad], inputs: &[Inputs], sums: &mut [[i32; ROWS_PER_QUAD]]) {
    each_blocks(weights, inputs, sums, dot_blocks);
}

/// As [`portable::dot_nibbles`](super::portable::dot_nibbles), 32 weights with each load.
pub(crate) fn dot_nibbles(
    weights: &[Quad],
    inputs: &[NibbleInputs],
    sums: &mut [[i32; ROWS_PER_QUAD]],
) {
    each_blocks(weights, inputs, sums, dot_nibble_blocks);
}

/// Adds what `dot` makes of several blocks to their sums.
#[inline(always)]
fn each_blocks<I>(
    weights: &[Quad],
    inputs: &[I],
    sums: &mut [[i32; ROWS_PER_QUAD]],
    dot: impl Fn([&[Quad]; BLOCKS_AT_ONCE], &[I]) -> [v128; BLOCKS_AT_ONCE],
) {
    let mut blocks = weights.chunks_exact(inputs.len().max(1));
    for sums in sums.chunks_mut(BLOCKS_AT_ONCE) {
        let Some(first) = blocks.next() else { return };
        // Where there are fewer, the first is computed again and the result left alone.
        let mut next = || blocks.next().unwrap_or(first);
        let totals = dot([first, next(), next(), next()], inputs);
        for (sum, total) in sums.iter_mut().zip(totals) {
            // SAFETY: the pointer is that of 16 bytes, and any alignment will do.
            unsafe {
                let address = sum.as_mut_ptr().cast();
                v128_store(address, i32x4_add(v128_load(address), total));
            }
        }
    }
}

/// Blocks that share what is made of an input.
const BLOCKS_AT_ONCE: usize = 4;

/// The sums of each block's four rows.
///
/// Of each pair of weights one instruction multiplies with a pair of inputs, and adds: the bytes of
/// columns 0 and 1 are 16-bit numbers once the others are masked, those of 2 and 3 once shifted.
#[inline]
fn dot_blocks(
    [a, b, c, d]: [&[Quad]; BLOCKS_AT_ONCE],
    inputs: &[Inputs],
) -> [v128; BLOCKS_AT_ONCE] {
    let mut totals = [i32x4_splat(0); BLOCKS_AT_ONCE];
    let low_bytes = u16x8_splat(0xff);
    for ((((a, b), c), d), input) in a.iter().zip(b).zip(c).zip(d).zip(inputs) {
        // SAFETY: the pointer is that of 8 bytes, and any alignment will do.
        let input = unsafe { v128_load64_zero(input.as_ptr().cast()) };
        let inputs_01 = i32x4_shuffle::<0, 0, 0, 0>(input, input);
        let inputs_23 = i32x4_shuffle::<1, 1, 1, 1>(input, input);
        for (total, quad) in totals.iter_mut().zip([a, b, c, d]) {
            // SAFETY: the pointer is that of 16 bytes, and any alignment will do.
            let weights = unsafe { v128_load(quad.as_ptr().cast()) };
            let columns_01 = i32x4_dot_i16x8(v128_and(weights, low_bytes), inputs_01);
            let columns_23 = i32x4_dot_i16x8(u16x8_shr(weights, 8), inputs_23);
            *total = i32x4_add(*total, i32x4_add(columns_01, columns_23));
        }
    }
    totals
}

/// As [`dot_blocks`], with weights of half a byte: each shift brings another pair of a row's eight to
/// where the mask leaves it.
#[inline]
fn dot_nibble_blocks(
    [a, b, c, d]: [&[Quad]; BLOCKS_AT_ONCE],
    inputs: &[NibbleInputs],
) -> [v128; BLOCKS_AT_ONCE] {
    let mut totals = [i32x4_splat(0); BLOCKS_AT_ONCE];
    let low_nibbles = u16x8_splat(0xf);
    for ((((a, b), c), d), input) in a.iter().zip(b).zip(c).zip(d).zip(inputs) {
        let pairs = input.as_ptr().cast::<u32>();
        // SAFETY: the inputs are four pairs, and any alignment will do.
        let inputs = unsafe { [0, 1, 2, 3].map(|pair| v128_load32_splat(pairs.add(pair))) };
        for (total, quad) in totals.iter_mut().zip([a, b, c, d]) {
            // SAFETY: the pointer is that of 16 bytes, and any alignment will do.
            let weights = unsafe { v128_load(quad.as_ptr().cast()) };
            // Columns 0 and 1, 2 and 3, 4 and 5, 6 and 7.
            for (shift, inputs) in [0, 8, 4, 12].into_iter().zip(inputs) {
                let columns = v128_and(u16x8_shr(weights, shift), low_nibbles);
                *total = i32x4_add(*total, i32x4_dot_i16x8(columns, inputs));
            }
        }
    }
    totals
}
