//! The safe reference that every other backend must equal.

use super::{Inputs, NibbleInputs, Quad, Scales, Shifts, StartValues, halves};
use crate::arithmetic::cell;
use crate::format::layout::ROWS_PER_QUAD;

/// Widens an even number of inputs, and gives their sum.
// Part of x86-64's backends, which have instructions for it.
#[cfg_attr(target_arch = "x86_64", inline(always))]
#[cfg_attr(not(target_arch = "x86_64"), inline(never))]
pub(crate) fn widen(inputs: &[i8], words: &mut [u32]) -> i32 {
    let mut total = 0;
    for (word, &[low, high]) in words.iter_mut().zip(inputs.as_chunks().0) {
        total += i32::from(low) + i32::from(high);
        *word = (i32::from(low) & 0xffff | i32::from(high) << 16).cast_unsigned();
    }
    total
}

/// The sum of inputs that were widened.
#[cfg(feature = "batch")]
pub(crate) fn total(words: &[u32]) -> i32 {
    let mut total = 0;
    for &word in words {
        let [low, high] = super::halves(word);
        total += i32::from(low) + i32::from(high);
    }
    total
}

/// For each block of four rows, `sums[row] += weights[row][column] * inputs[column]`, modulo 2^32.
///
/// `weights` has as many quads for each block as there are quads of inputs.
#[inline(never)]
pub(crate) fn dot(weights: &[Quad], inputs: &[Inputs], sums: &mut [[i32; ROWS_PER_QUAD]]) {
    let blocks = weights.chunks(inputs.len().max(1));
    for (sums, block) in sums.iter_mut().zip(blocks) {
        for (quad, inputs) in block.iter().zip(inputs) {
            let [[x0, x1], [x2, x3]] = inputs.map(halves);
            for (sum, row) in sums.iter_mut().zip(quad.as_chunks().0) {
                // The order of `COLUMN_ORDER`.
                let &[w0, w2, w1, w3] = row;
                let pairs = [(w0, x0), (w1, x1), (w2, x2), (w3, x3)];
                for (weight, input) in pairs {
                    *sum = sum.wrapping_add(i32::from(weight) * i32::from(input));
                }
            }
        }
    }
}

/// As [`dot`], with weights of half a byte: the lower ones for the first four inputs, the upper ones
/// for the others.
#[inline(never)]
pub(crate) fn dot_nibbles(
    weights: &[Quad],
    inputs: &[NibbleInputs],
    sums: &mut [[i32; ROWS_PER_QUAD]],
) {
    let blocks = weights.chunks(inputs.len().max(1));
    for (sums, block) in sums.iter_mut().zip(blocks) {
        for (quad, inputs) in block.iter().zip(inputs) {
            let [[x0, x1], [x2, x3], [x4, x5], [x6, x7]] = inputs.map(halves);
            for (sum, row) in sums.iter_mut().zip(quad.as_chunks().0) {
                // The order of `COLUMN_ORDER`.
                let &[w04, w26, w15, w37] = row;
                let pairs = [(w04, x0, x4), (w15, x1, x5), (w26, x2, x6), (w37, x3, x7)];
                for (weights, low, high) in pairs {
                    let low = i32::from(weights & 0xf) * i32::from(low);
                    let high = i32::from(weights >> 4) * i32::from(high);
                    *sum = sum.wrapping_add(low).wrapping_add(high);
                }
            }
        }
    }
}

/// Turns sums into the values of their rows: scales them and adds what the rows start with.
#[inline]
pub(crate) fn values(
    shifts: Shifts,
    scales: &[Scales],
    start: &[StartValues],
    sums: &mut [[i32; ROWS_PER_QUAD]],
) {
    let half = (1 << shifts.second) >> 1;
    let rows = scales.as_flattened().as_chunks().0.iter();
    let rows = rows.zip(start.as_flattened());
    for (sum, (&[s0, s1, t0, t1], &start)) in sums.as_flattened_mut().iter_mut().zip(rows) {
        let [of_sum, of_start] =
            [[s0, s1], [t0, t1]].map(|bytes| i32::from(u16::from_le_bytes(bytes)));
        let start = i32::from(start.cast_signed()) << 8;
        let scaled = (*sum >> shifts.first).wrapping_mul(of_sum);
        *sum = scaled
            .wrapping_add(start.wrapping_mul(of_start))
            .wrapping_add(half)
            >> shifts.second;
    }
}

/// c and h of units after a step, from the sums of their gates.
pub(crate) fn cells(sums: &[[i32; ROWS_PER_QUAD]], c: &mut [i32], h: &mut [i8]) {
    for ((&sums, c), h) in sums.iter().zip(c).zip(h) {
        (*c, *h) = cell::fixed(sums, *c);
    }
}
