//! NEON's dot products: one instruction multiplies 16 weights with as many inputs and adds each row's
//! four products to its sum.

use core::arch::aarch64::{
    int8x16_t, int32x4_t, uint8x16_t, vandq_u8, vdupq_n_s32, vdupq_n_u8, vshrq_n_u8,
};
use core::arch::asm;

use bytemuck::must_cast;

use super::blocks::{add_blocks, each_quad, lower_bytes};
use crate::arch::{Inputs, NibbleInputs, Quad};
use crate::format::layout::ROWS_PER_QUAD;

/// Blocks at once: enough sums that none waits for the one before it, on processors that start four
/// of these instructions at a time.
const BLOCKS: usize = 8;

/// As [`portable::dot`](crate::arch::portable::dot).
#[target_feature(enable = "dotprod")]
pub(crate) fn dot(weights: &[Quad], inputs: &[Inputs], sums: &mut [[i32; ROWS_PER_QUAD]]) {
    add_blocks::<2, BLOCKS>(
        weights,
        inputs,
        sums,
        |blocks, inputs| byte_sums(blocks, inputs),
        |block, inputs| byte_sums(block, inputs),
    );
}

/// As [`portable::dot_nibbles`](crate::arch::portable::dot_nibbles).
#[target_feature(enable = "dotprod")]
pub(crate) fn dot_nibbles(
    weights: &[Quad],
    inputs: &[NibbleInputs],
    sums: &mut [[i32; ROWS_PER_QUAD]],
) {
    add_blocks::<4, BLOCKS>(
        weights,
        inputs,
        sums,
        |blocks, inputs| nibble_sums(blocks, inputs),
        |block, inputs| nibble_sums(block, inputs),
    );
}

/// The sums of the rows of some blocks, of weights of a byte: they have 7 bits, so that they are
/// positive as signed bytes.
#[target_feature(enable = "dotprod")]
#[inline]
fn byte_sums<const N: usize>(blocks: &[Quad], inputs: &[Inputs]) -> [int32x4_t; N] {
    let mut totals = [vdupq_n_s32(0); N];
    each_quad(
        &mut totals,
        blocks,
        inputs,
        |totals, [a, b, c, d], inputs| {
            let inputs = lower_bytes(must_cast(*inputs));
            add_products::<0, N>(totals, a, inputs);
            add_products::<1, N>(totals, b, inputs);
            add_products::<2, N>(totals, c, inputs);
            add_products::<3, N>(totals, d, inputs);
        },
        |totals, weights, inputs| {
            let inputs = lower_bytes(must_cast([inputs, [0; 2], [0; 2], [0; 2]]));
            add_products::<0, N>(totals, weights, inputs);
        },
    );
    totals
}

/// The same of weights of half a byte, the lower ones and the upper ones apart.
#[target_feature(enable = "dotprod")]
#[inline]
fn nibble_sums<const N: usize>(blocks: &[Quad], inputs: &[NibbleInputs]) -> [int32x4_t; N] {
    let mut totals = [vdupq_n_s32(0); N];
    each_quad(
        &mut totals,
        blocks,
        inputs,
        |totals, [a, b, c, d], inputs| {
            let [of_ab, of_cd] = must_cast(*inputs);
            let of_ab = lower_bytes(of_ab);
            add_nibble_products::<0, 1, N>(totals, a, of_ab);
            add_nibble_products::<2, 3, N>(totals, b, of_ab);
            let of_cd = lower_bytes(of_cd);
            add_nibble_products::<0, 1, N>(totals, c, of_cd);
            add_nibble_products::<2, 3, N>(totals, d, of_cd);
        },
        |totals, weights, inputs| {
            let inputs = lower_bytes(must_cast([inputs, [0; 4]]));
            add_nibble_products::<0, 1, N>(totals, weights, inputs);
        },
    );
    totals
}

/// Adds a quad of each block, the lower weights times the inputs of one lane and the upper ones times
/// those of another.
#[target_feature(enable = "dotprod")]
#[inline]
fn add_nibble_products<const LOWER: i32, const UPPER: i32, const N: usize>(
    totals: &mut [int32x4_t; N],
    weights: [uint8x16_t; N],
    inputs: int8x16_t,
) {
    let lower = weights.map(|weights| vandq_u8(weights, vdupq_n_u8(0xf)));
    add_products::<LOWER, N>(totals, lower, inputs);
    let upper = weights.map(|weights| vshrq_n_u8::<4>(weights));
    add_products::<UPPER, N>(totals, upper, inputs);
}

/// Adds a quad of each block, times the four inputs of a lane.
#[target_feature(enable = "dotprod")]
#[inline]
fn add_products<const LANE: i32, const N: usize>(
    totals: &mut [int32x4_t; N],
    weights: [uint8x16_t; N],
    inputs: int8x16_t,
) {
    for (total, weights) in totals.iter_mut().zip(weights) {
        // Its intrinsic isn't stable.
        // SAFETY: it needs `dotprod`, which this function enables, and touches these registers only.
        unsafe {
            asm!(
                "sdot {total:v}.4s, {weights:v}.16b, {inputs:v}.4b[{lane}]",
                total = inout(vreg) *total,
                weights = in(vreg) weights,
                inputs = in(vreg) inputs,
                lane = const LANE,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
    }
}
