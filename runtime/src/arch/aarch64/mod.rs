//! NEON, on every arm64 core that has floats: with its dot products where the processor has them, as
//! most since 2018 do.

mod blocks;
pub(super) mod cells;
mod detect;
pub(super) mod dotprod;
pub(super) mod plain;

use super::{Inputs, NibbleInputs, Quad, Scales, Shifts, StartValues, portable};
use crate::Backend;
use crate::format::layout::ROWS_PER_QUAD;

#[cfg(feature = "write")]
pub(crate) use detect::select;
pub(crate) use detect::{available, selected};

/// As [`portable::dot`].
pub(crate) fn dot(weights: &[Quad], inputs: &[Inputs], sums: &mut [[i32; ROWS_PER_QUAD]]) {
    match selected() {
        // SAFETY: the processor has these instructions.
        Backend::NeonDotprod => unsafe { dotprod::dot(weights, inputs, sums) },
        // SAFETY: every processor of the target has NEON.
        Backend::Neon => unsafe { plain::dot(weights, inputs, sums) },
        _ => portable::dot(weights, inputs, sums),
    }
}

/// As [`portable::dot_nibbles`].
pub(crate) fn dot_nibbles(
    weights: &[Quad],
    inputs: &[NibbleInputs],
    sums: &mut [[i32; ROWS_PER_QUAD]],
) {
    match selected() {
        // SAFETY: the processor has these instructions.
        Backend::NeonDotprod => unsafe { dotprod::dot_nibbles(weights, inputs, sums) },
        // SAFETY: every processor of the target has NEON.
        Backend::Neon => unsafe { plain::dot_nibbles(weights, inputs, sums) },
        _ => portable::dot_nibbles(weights, inputs, sums),
    }
}

/// As [`portable::values`].
pub(crate) fn values(
    shifts: Shifts,
    scales: &[Scales],
    start: &[StartValues],
    sums: &mut [[i32; ROWS_PER_QUAD]],
) {
    match selected() {
        Backend::Portable => portable::values(shifts, scales, start, sums),
        // SAFETY: every processor of the target has NEON.
        _ => unsafe { cells::values(shifts, scales, start, sums) },
    }
}

/// As [`portable::cells`].
pub(crate) fn cells(sums: &[[i32; ROWS_PER_QUAD]], c: &mut [i32], h: &mut [i8]) {
    match selected() {
        Backend::Portable => portable::cells(sums, c, h),
        // SAFETY: every processor of the target has NEON.
        _ => unsafe { cells::cells(sums, c, h) },
    }
}
