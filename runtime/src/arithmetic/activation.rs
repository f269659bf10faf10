//! exp, sigmoid and tanh in portable arithmetic: the same bits on every chip.
//!
//! Only addition, subtraction, multiplication, division and comparison of `f32` are used, which
//! IEEE 754 rounds in one way only, in hardware as in software. There is no fused multiply-add, no
//! branch on the argument and no call of a library, so that loops over these functions vectorise.
//!
//! All three share the reduction `x = n ln 2 + r` with `|r| <= ln 2 / 2` (Cody and Waite, "Software
//! Manual for the Elementary Functions", 1980) and a minimax polynomial for `exp(r) - 1`, fitted
//! with the Remez exchange; its own error is below 2^-26 of the result.
//!
//! Error bounds, in units in the last place, checked against double precision for all floats up to
//! 87: `exp` 1.1, `sigmoid` 2.6, `tanh` 3.0. No value of the latter two is off by more than 2.4e-7.

/// Adding and subtracting this rounds a float of magnitude below 2^22 to the nearest integer, and
/// leaves that integer in the low bits of the sum.
const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23
/// ln 2 in two parts; the first has few enough digits that `n * LN_2_HIGH` is exact.
const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// Below this, -126 ln 2, exp is 0: its result would no longer be normal.
const EXP_MIN: f32 = -87.336_54;
/// Above this exp is infinite; the format's last finite result would be at 88.7.
const EXP_MAX: f32 = 88.0;

/// `exp(x) = scale * (1 + fraction)`.
struct Exp {
    scale: f32,
    fraction: f32,
}

/// Splits exp(x) for x in [`EXP_MIN`, `EXP_MAX`].
#[inline(always)]
fn split_exp(x: f32) -> Exp {
    let shifted = x * core::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let q = 0.001_394_757_4;
    let q = q * r + 0.008_367_234;
    let q = q * r + 0.041_666_266;
    let q = q * r + 0.166_665_38;
    let q = q * r + 0.5;
    // 2^n: n moves from the low bits of the shifted sum into the exponent.
    let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    Exp {
        scale,
        fraction: r + (r * r) * q,
    }
}

/// `value` limited to `[low, high]`; not a number stays so.
#[inline(always)]
fn clamp(value: f32, low: f32, high: f32) -> f32 {
    let value = if value < low { low } else { value };
    if value > high { high } else { value }
}

/// e to the power of `x`; 0 below -87.33 and infinite above 88.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let parts = split_exp(clamp(x, EXP_MIN, EXP_MAX));
    let result = parts.scale + parts.scale * parts.fraction;
    let result = if x < EXP_MIN { 0.0 } else { result };
    if x > EXP_MAX { f32::INFINITY } else { result }
}

/// The logistic function `1 / (1 + exp(-x))`; below -87 it stays at 1.6e-38, its last normal value.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    let parts = split_exp(clamp(-x, -87.0, 87.0));
    1.0 / (1.0 + (parts.scale + parts.scale * parts.fraction))
}

/// The hyperbolic tangent.
///
/// With `e = exp(2|x|)`, `tanh|x| = (e - 1) / (e + 1)`. For small x the scale is 1, so that `e - 1`
/// is the polynomial itself and nothing cancels.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    // Beyond 9.02 the result rounds to 1.
    let parts = split_exp(clamp(2.0 * x.abs(), 0.0, 20.0));
    let grown = parts.scale * parts.fraction;
    let magnitude = (grown + (parts.scale - 1.0)) / (grown + (parts.scale + 1.0));
    magnitude.copysign(x)
}
