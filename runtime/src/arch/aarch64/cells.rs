//! Values and cells in NEON, of eight rows and of eight units at a time.

use core::arch::aarch64::{
    int16x8_t, int32x4_t, uint16x8_t, vaddq_s16, vaddq_s32, vandq_u16, vdupq_n_s16, vdupq_n_s32,
    vdupq_n_u16, veorq_s16, vget_low_s16, vmlal_high_s16, vmlal_s16, vmovl_s8, vmull_high_s16,
    vmull_s16, vmulq_u16, vqabsq_s16, vqaddq_s16, vqdmulhq_s16, vqdmulhq_s32, vqmovn_high_s32,
    vqmovn_s32, vqrshrn_n_s16, vqshrn_high_n_s32, vqshrn_n_s32, vreinterpretq_s16_u16,
    vreinterpretq_u16_s16, vrsraq_n_u16, vshll_high_n_s16, vshll_n_s16, vshlq_n_s16, vshlq_s32,
    vshrq_n_s16, vshrq_n_u16, vsraq_n_s32, vsubq_s16, vsubq_u16, vuzp1q_s16, vuzp1q_u16,
    vuzp2q_s16, vuzp2q_u16,
};

use bytemuck::must_cast;

use crate::arch::{Scales, Shifts, StartValues, portable};
use crate::arithmetic::fixed::{C_BITS, GATE_BITS, H_BITS, ONE, SIGMOID, STEP_BITS, SUM_BITS};
use crate::format::layout::ROWS_PER_QUAD;

/// As [`portable::values`].
#[target_feature(enable = "neon")]
pub(crate) fn values(
    shifts: Shifts,
    scales: &[Scales],
    start: &[StartValues],
    sums: &mut [[i32; ROWS_PER_QUAD]],
) {
    // Negative shifts go to the right.
    let [first, second] = [shifts.first, shifts.second].map(|by| vdupq_n_s32(-(by as i32)));
    let half = vdupq_n_s32((1 << shifts.second) >> 1);
    let (scales, last_scales) = scales.as_chunks::<2>();
    let (start, last_start) = start.as_chunks::<2>();
    let (sums, last_sums) = sums.as_chunks_mut::<2>();
    for ((sums, scales), start) in sums.iter_mut().zip(scales).zip(start) {
        // All have 16 bits: the shifted sums, and start values times 256.
        let [low, high] = sums.map(|sums| must_cast(vshlq_s32(must_cast(sums), first)));
        let shifted = vuzp1q_s16(low, high);
        let start = vshlq_n_s16::<8>(vmovl_s8(must_cast(*start)));
        let [low, high] = scales.map(must_cast);
        let (of_sum, of_start) = (vuzp1q_s16(low, high), vuzp2q_s16(low, high));
        let scaled = [
            vmlal_s16(half, vget_low_s16(shifted), vget_low_s16(of_sum)),
            vmlal_high_s16(half, shifted, of_sum),
        ];
        let [low, high] = scaled;
        let scaled = [
            vmlal_s16(low, vget_low_s16(start), vget_low_s16(of_start)),
            vmlal_high_s16(high, start, of_start),
        ];
        *sums = scaled.map(|scaled| must_cast(vshlq_s32(scaled, second)));
    }
    portable::values(shifts, last_scales, last_start, last_sums);
}

/// Units whose cells are computed at once.
const UNITS: usize = 8;

/// As [`portable::cells`].
#[target_feature(enable = "neon")]
pub(crate) fn cells(sums: &[[i32; ROWS_PER_QUAD]], c: &mut [i32], h: &mut [i8]) {
    let (sums, last_sums) = sums.as_chunks::<UNITS>();
    let (c, last_c) = c.as_chunks_mut::<UNITS>();
    let (h, last_h) = h.as_chunks_mut::<UNITS>();
    for ((sums, c), h) in sums.iter().zip(c).zip(h) {
        (*c, *h) = eight_cells(sums, *c);
    }
    portable::cells(last_sums, last_c, last_h);
}

/// As [`cell::fixed`](crate::arithmetic::cell::fixed).
///
/// Where it limits sums to 16 bits, instructions do that while they narrow them.
#[target_feature(enable = "neon")]
#[inline]
fn eight_cells(sums: &[[i32; 4]; UNITS], c: [i32; UNITS]) -> ([i32; UNITS], [i8; UNITS]) {
    const ADDED_SHIFT: i32 = (2 * GATE_BITS - C_BITS) as i32;
    const SUM_SHIFT: i32 = (C_BITS - SUM_BITS) as i32;
    // Of the product of o and tanh the instruction for 16 bits leaves 15 out.
    const H_SHIFT: i32 = (2 * GATE_BITS - H_BITS - 15) as i32;
    let [i, f, g, o] = transpose(sums);
    let [i, f, o] = [i, f, o].map(|sums| sigmoid(sums));
    let g = tanh(g);
    // (c * f) >> 16 as (2 * c * (f << 15)) >> 32.
    let [c_low, c_high] = must_cast::<_, [int32x4_t; 2]>(c);
    let kept = [
        vqdmulhq_s32(c_low, vshll_n_s16::<15>(vget_low_s16(f))),
        vqdmulhq_s32(c_high, vshll_high_n_s16::<15>(f)),
    ];
    let [kept_low, kept_high] = kept.map(|kept| vaddq_s32(kept, kept));
    let added_low = vmull_s16(vget_low_s16(i), vget_low_s16(g));
    let c_low = vsraq_n_s32::<ADDED_SHIFT>(kept_low, added_low);
    let c_high = vsraq_n_s32::<ADDED_SHIFT>(kept_high, vmull_high_s16(i, g));
    let squashed = tanh(vqshrn_high_n_s32::<SUM_SHIFT>(
        vqshrn_n_s32::<SUM_SHIFT>(c_low),
        c_high,
    ));
    let h = vqrshrn_n_s16::<H_SHIFT>(vqdmulhq_s16(o, squashed));
    (must_cast([c_low, c_high]), must_cast(h))
}

/// As [`fixed::sigmoid`](crate::arithmetic::fixed::sigmoid).
#[target_feature(enable = "neon")]
#[inline]
fn sigmoid(sums: int16x8_t) -> int16x8_t {
    vaddq_s16(sigmoid_less_half(sums), vdupq_n_s16((ONE / 2) as i16))
}

/// As [`fixed::tanh`](crate::arithmetic::fixed::tanh).
#[target_feature(enable = "neon")]
#[inline]
fn tanh(sums: int16x8_t) -> int16x8_t {
    let half = sigmoid_less_half(vqaddq_s16(sums, sums));
    vaddq_s16(half, half)
}

/// sigmoid - 1/2, which is odd; the limits of 16 bits are those of its table.
#[target_feature(enable = "neon")]
#[inline]
fn sigmoid_less_half(sums: int16x8_t) -> int16x8_t {
    const STEP: i32 = STEP_BITS as i32;
    const { assert!(SIGMOID.len() >= (0x7fff >> STEP) + 2) };
    let magnitude = vreinterpretq_u16_s16(vqabsq_s16(sums));
    let at: [u16; UNITS] = must_cast(vshrq_n_u16::<STEP>(magnitude));
    let [first, second]: [uint16x8_t; 2] = must_cast(at.map(|at| {
        let entry = SIGMOID.as_ptr().wrapping_add(at.into());
        // SAFETY: magnitudes have 15 bits, so that this entry and the next stand in the table: its
        // length is asserted above.
        unsafe { entry.cast::<u32>().read_unaligned() }
    }));
    let (low, high) = (vuzp1q_u16(first, second), vuzp2q_u16(first, second));
    let fraction = vandq_u16(magnitude, vdupq_n_u16((1 << STEP) - 1));
    // The table rises by at most 512 from one entry to the next: the product has 16 bits.
    let product = vmulq_u16(vsubq_u16(high, low), fraction);
    let value = vreinterpretq_s16_u16(vrsraq_n_u16::<STEP>(low, product));
    let sign = vshrq_n_s16::<15>(sums);
    vsubq_s16(veorq_s16(value, sign), sign)
}

/// The four gates of each unit as four gates of eight units, limited to 16 bits.
#[target_feature(enable = "neon")]
#[inline]
fn transpose(sums: &[[i32; 4]; UNITS]) -> [int16x8_t; 4] {
    let narrow = |first, second| {
        vqmovn_high_s32(
            vqmovn_s32(must_cast::<[i32; 4], _>(first)),
            must_cast::<[i32; 4], _>(second),
        )
    };
    let &[a, b, c, d, e, f, g, h] = sums;
    let [ab, cd, ef, gh] = [narrow(a, b), narrow(c, d), narrow(e, f), narrow(g, h)];
    // Gates i and g of four units, and f and o.
    let (ig_low, fo_low) = (vuzp1q_s16(ab, cd), vuzp2q_s16(ab, cd));
    let (ig_high, fo_high) = (vuzp1q_s16(ef, gh), vuzp2q_s16(ef, gh));
    [
        vuzp1q_s16(ig_low, ig_high),
        vuzp1q_s16(fo_low, fo_high),
        vuzp2q_s16(ig_low, ig_high),
        vuzp2q_s16(fo_low, fo_high),
    ]
}
