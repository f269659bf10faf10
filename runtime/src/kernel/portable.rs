//! The safe reference that every other backend must equal, and good code for most compilers.

use super::{Column, load};
use crate::layout::ROWS;

/// `sums[row] += weights[column][row] * inputs[column]`, column by column.
#[inline(always)]
pub(crate) fn accumulate(sums: &mut [f32; ROWS], weights: &[Column], inputs: &[f32]) {
    for (column, input) in weights.iter().zip(inputs) {
        for (sum, weight) in sums.iter_mut().zip(load(column)) {
            *sum += weight * input;
        }
    }
}
