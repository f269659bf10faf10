//! The inner loop: weights times inputs, sixteen rows at a time. The backend is picked here.
//!
//! Every backend computes each row's sum in the same order, from the first column to the last, with
//! a rounded multiplication and a rounded addition per column. How many rows it takes at once
//! doesn't change a bit of the result.

mod portable;

pub(crate) use portable::accumulate;

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
