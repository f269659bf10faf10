//! NEON without dot products: as on a Raspberry Pi 4.

use core::arch::aarch64::{
    int8x16_t, int16x8_t, int32x4_t, uint8x16_t, vandq_u8, vdupq_laneq_s32, vdupq_n_u8,
    vget_low_s8, vmlal_high_s8, vmlal_s8, vpadalq_s16, vpaddq_s32, vreinterpretq_s8_s32,
    vreinterpretq_s8_u8, vreinterpretq_s32_s8, vshrq_n_u8,
};

use bytemuck::must_cast;

use super::blocks::{add_blocks, each_quad, lower_bytes};
use crate::arch::{Inputs, NibbleInputs, Quad};
use crate::format::layout::ROWS_PER_QUAD;

/// Blocks at once, each with two sums.
const BLOCKS: usize = 4;
/// The largest stored weight of a byte.
const MAX_BYTE: usize = 0x7f;
/// The largest magnitude of an input.
const LARGEST_INPUT: usize = 0x80;

/// As [`portable::dot`](crate::arch::portable::dot).
#[target_feature(enable = "neon")]
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
#[target_feature(enable = "neon")]
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

/// The sums of the rows of some blocks, of weights of a byte: two products have room in 16 bits.
#[target_feature(enable = "neon")]
#[inline]
fn byte_sums<const N: usize>(blocks: &[Quad], inputs: &[Inputs]) -> [int32x4_t; N] {
    const { assert!(2 * MAX_BYTE * LARGEST_INPUT < 1 << 15) };
    let mut totals = [Total::ZERO; N];
    each_quad(
        &mut totals,
        blocks,
        inputs,
        |totals, [a, b, c, d], inputs| {
            let [of_a, of_b, of_c, of_d] = spread(must_cast(*inputs));
            for ((((total, a), b), c), d) in totals.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                total.add(Products::ZERO.plus(a, of_a).plus(b, of_b));
                total.add(Products::ZERO.plus(c, of_c).plus(d, of_d));
            }
        },
        |totals, weights, inputs| {
            let [inputs, ..] = spread(must_cast([inputs, [0; 2], [0; 2], [0; 2]]));
            for (total, weights) in totals.iter_mut().zip(weights) {
                total.add(Products::ZERO.plus(weights, inputs));
            }
        },
    );
    totals.map(|total| total.rows())
}

/// The same of weights of half a byte, the lower ones and the upper ones apart: 16 products have room,
/// of which a turn's four quads have 8.
#[target_feature(enable = "neon")]
#[inline]
fn nibble_sums<const N: usize>(blocks: &[Quad], inputs: &[NibbleInputs]) -> [int32x4_t; N] {
    const { assert!(16 * 0xf * LARGEST_INPUT < 1 << 15) };
    let mut totals = [Total::ZERO; N];
    each_quad(
        &mut totals,
        blocks,
        inputs,
        |totals, [a, b, c, d], inputs| {
            let [of_ab, of_cd] = must_cast(*inputs);
            let [lower_a, upper_a, lower_b, upper_b] = spread(of_ab);
            let [lower_c, upper_c, lower_d, upper_d] = spread(of_cd);
            let mut products = [Products::ZERO; N];
            add_nibble_products(&mut products, a, lower_a, upper_a);
            add_nibble_products(&mut products, b, lower_b, upper_b);
            add_nibble_products(&mut products, c, lower_c, upper_c);
            add_nibble_products(&mut products, d, lower_d, upper_d);
            for (total, products) in totals.iter_mut().zip(products) {
                total.add(products);
            }
        },
        |totals, weights, inputs| {
            let [of_lower, of_upper, ..] = spread(must_cast([inputs, [0; 4]]));
            let mut products = [Products::ZERO; N];
            add_nibble_products(&mut products, weights, of_lower, of_upper);
            for (total, products) in totals.iter_mut().zip(products) {
                total.add(products);
            }
        },
    );
    totals.map(|total| total.rows())
}

/// Adds a quad of each block: the lower weights times four inputs, the upper ones times four others.
#[target_feature(enable = "neon")]
#[inline]
fn add_nibble_products<const N: usize>(
    products: &mut [Products; N],
    weights: [uint8x16_t; N],
    of_lower: int8x16_t,
    of_upper: int8x16_t,
) {
    for (products, weights) in products.iter_mut().zip(weights) {
        let lower = vandq_u8(weights, vdupq_n_u8(0xf));
        let upper = vshrq_n_u8::<4>(weights);
        *products = products.plus(lower, of_lower).plus(upper, of_upper);
    }
}

/// The lower bytes of 16 inputs, each four of them once for each row.
#[target_feature(enable = "neon")]
#[inline]
fn spread(inputs: [int8x16_t; 2]) -> [int8x16_t; 4] {
    let inputs = vreinterpretq_s32_s8(lower_bytes(inputs));
    [
        vdupq_laneq_s32::<0>(inputs),
        vdupq_laneq_s32::<1>(inputs),
        vdupq_laneq_s32::<2>(inputs),
        vdupq_laneq_s32::<3>(inputs),
    ]
    .map(|inputs| vreinterpretq_s8_s32(inputs))
}

/// Products of the weights of two rows, and of the two others, or the sums of some.
#[derive(Clone, Copy)]
struct Products([int16x8_t; 2]);

impl Products {
    const ZERO: Self = Self([must_cast([0i16; 8]); 2]);

    /// Adds those of a quad.
    #[target_feature(enable = "neon")]
    #[inline]
    fn plus(self, weights: uint8x16_t, inputs: int8x16_t) -> Self {
        let Self([first, second]) = self;
        let weights = vreinterpretq_s8_u8(weights);
        Self([
            vmlal_s8(first, vget_low_s8(weights), vget_low_s8(inputs)),
            vmlal_high_s8(second, weights, inputs),
        ])
    }
}

/// Of each row two sums; the first register has those of two rows.
#[derive(Clone, Copy)]
struct Total([int32x4_t; 2]);

impl Total {
    const ZERO: Self = Self([must_cast([0i32; 4]); 2]);

    #[target_feature(enable = "neon")]
    #[inline]
    fn add(&mut self, Products([first, second]): Products) {
        let Self([of_first, of_second]) = *self;
        *self = Self([vpadalq_s16(of_first, first), vpadalq_s16(of_second, second)]);
    }

    /// The sum of each row.
    #[target_feature(enable = "neon")]
    #[inline]
    fn rows(self) -> int32x4_t {
        let Self([first, second]) = self;
        vpaddq_s32(first, second)
    }
}
