//! Single precision, in code that compilers vectorise, and in AVX2 and NEON for several blocks at once.

#[cfg(kernel = "neon")]
use super::aarch64;
#[cfg(target_arch = "x86_64")]
use super::{Backend, x86};
use crate::format::layout::ROWS;

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

/// Blocks whose sums are taken at once: additions in a row wait for each other, and what large
/// processors could do meanwhile are those of other blocks. Small ones have no registers for that.
pub(crate) const BLOCKS_AT_ONCE: usize = if cfg!(any(target_arch = "x86_64", kernel = "neon")) {
    4
} else {
    1
};

/// [`accumulate`] for several blocks.
#[inline(always)]
pub(crate) fn accumulate_blocks<const N: usize>(
    sums: &mut [[f32; ROWS]; N],
    blocks: [&[Column]; N],
    inputs: &[f32],
) {
    #[cfg(target_arch = "x86_64")]
    if x86::selected() != Backend::Portable {
        // SAFETY: the processor has AVX2, as each backend but the portable one needs it.
        return unsafe { avx2::accumulate(sums, blocks, inputs) };
    }
    #[cfg(kernel = "neon")]
    if aarch64::selected() != crate::Backend::Portable {
        // SAFETY: every processor of the target has NEON.
        return unsafe { neon::accumulate(sums, blocks, inputs) };
    }
    for (sums, block) in sums.iter_mut().zip(blocks) {
        *sums = accumulate(*sums, block, inputs);
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use core::arch::x86_64::{
        _mm256_add_ps, _mm256_loadu_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps,
    };

    use bytemuck::must_cast;

    use super::{Column, ROWS};

    /// As [`accumulate`](super::accumulate) for each block.
    #[target_feature(enable = "avx2")]
    pub(super) fn accumulate<const N: usize>(
        sums: &mut [[f32; ROWS]; N],
        blocks: [&[Column]; N],
        inputs: &[f32],
    ) {
        let mut totals = [[_mm256_setzero_ps(); 2]; N];
        for (totals, sums) in totals.iter_mut().zip(&*sums) {
            *totals = must_cast(*sums);
        }
        let mut shortest = inputs.len();
        for block in blocks {
            shortest = shortest.min(block.len());
        }
        for (at, input) in inputs.iter().take(shortest).enumerate() {
            let input = _mm256_set1_ps(*input);
            for ([first, second], block) in totals.iter_mut().zip(blocks) {
                // SAFETY: no block is shorter, and a column is 16 floats at any alignment.
                let [low, high] = unsafe {
                    let column = block.as_ptr().add(at).cast::<f32>();
                    [_mm256_loadu_ps(column), _mm256_loadu_ps(column.add(8))]
                };
                *first = _mm256_add_ps(*first, _mm256_mul_ps(low, input));
                *second = _mm256_add_ps(*second, _mm256_mul_ps(high, input));
            }
        }
        for (sums, totals) in sums.iter_mut().zip(totals) {
            *sums = must_cast(totals);
        }
    }
}

#[cfg(kernel = "neon")]
mod neon {
    use core::arch::aarch64::{float32x4_t, vaddq_f32, vdupq_n_f32, vmulq_f32};

    use bytemuck::must_cast;

    use super::{Column, ROWS};

    /// As [`accumulate`](super::accumulate) for each block.
    #[target_feature(enable = "neon")]
    pub(super) fn accumulate<const N: usize>(
        sums: &mut [[f32; ROWS]; N],
        blocks: [&[Column]; N],
        inputs: &[f32],
    ) {
        let mut totals = [[vdupq_n_f32(0.0); 4]; N];
        for (totals, sums) in totals.iter_mut().zip(&*sums) {
            *totals = must_cast(*sums);
        }
        let mut shortest = inputs.len();
        for block in blocks {
            shortest = shortest.min(block.len());
        }
        for (at, input) in inputs.iter().take(shortest).enumerate() {
            let input = vdupq_n_f32(*input);
            for (totals, block) in totals.iter_mut().zip(blocks) {
                // SAFETY: no block is shorter.
                let column = unsafe { *block.as_ptr().add(at) };
                let column: [float32x4_t; 4] = must_cast(column);
                for (total, weights) in totals.iter_mut().zip(column) {
                    *total = vaddq_f32(*total, vmulq_f32(weights, input));
                }
            }
        }
        for (sums, totals) in sums.iter_mut().zip(totals) {
            *sums = must_cast(totals);
        }
    }
}
