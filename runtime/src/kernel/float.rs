//! Single precision, in code that compilers vectorise.

use crate::layout::ROWS;

/// One column of a block of rows as it stands in the file: little-endian `f32`, at any alignment.
pub(crate) type Column = [u8; 4 * ROWS];

/// The values of a column.
#[inline(always)]
pub(crate) fn load(column: &Column) -> [f32; ROWS] {
    let mut values = [0.0; ROWS];
    for (value, bytes) in values.iter_mut().zip(column.as_chunks().0) {
        *value = f32::from_le_bytes(*bytes);
    }
    values
}

/// `sums[row] + weights[column][row] * inputs[column]`, column by column.
#[inline(always)]
pub(crate) fn accumulate(mut sums: [f32; ROWS], weights: &[Column], inputs: &[f32]) -> [f32; ROWS] {
    for (column, input) in weights.iter().zip(inputs) {
        for (sum, weight) in sums.iter_mut().zip(load(column)) {
            *sum += weight * input;
        }
    }
    sums
}
