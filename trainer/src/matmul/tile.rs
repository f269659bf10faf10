//! Tiles of a product, summed in registers: the one place that knows the processor.

/// Columns of a tile: two registers of AVX2.
pub(super) const WIDTH: usize = 16;
/// Rows of a tile, at most: with 12 sums, two registers of the right matrix and one of the left, 15 of the
/// 16 registers of AVX2 are in use.
pub(super) const HEIGHT: usize = 6;

/// The sums of a tile, row by row.
pub(super) type Sums = [[f32; WIDTH]; HEIGHT];

/// Rows of the left matrix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left<'l> {
    pub(super) elements: &'l [f32],
    /// From an element to that in the next row.
    pub(super) row: usize,
    /// From an element to that in the next column.
    pub(super) column: usize,
}

/// Instructions that tiles are summed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    /// What every processor has.
    Portable,
    /// AVX2 and fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Fma,
}

impl Kernel {
    /// The fastest that this processor has.
    pub(super) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return Self::Fma;
        }
        Self::Portable
    }

    /// The products of so many rows with a panel; later rows of the sums mean nothing.
    ///
    /// # Panics
    /// If there are no such rows as long as the panel, or more than a tile has.
    pub(super) fn sums(self, rows: usize, left: Left<'_>, panel: &[[f32; WIDTH]]) -> Sums {
        assert!((1..=HEIGHT).contains(&rows) && !panel.is_empty());
        let last = (rows - 1) * left.row + (panel.len() - 1) * left.column;
        assert!(last < left.elements.len(), "the left matrix ends before");
        match self {
            Self::Portable => portable(rows, left, panel),
            // SAFETY: the processor has the features, or `best` hadn't chosen this; the last element
            // of the last row is there.
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code)]
            Self::Fma => unsafe {
                match rows {
                    1 => fma::<1>(left, panel),
                    2 => fma::<2>(left, panel),
                    3 => fma::<3>(left, panel),
                    4 => fma::<4>(left, panel),
                    5 => fma::<5>(left, panel),
                    _ => fma::<HEIGHT>(left, panel),
                }
            },
        }
    }
}

fn portable(rows: usize, left: Left<'_>, panel: &[[f32; WIDTH]]) -> Sums {
    let mut sums = [[0.0; WIDTH]; HEIGHT];
    for (row, sums) in sums.iter_mut().take(rows).enumerate() {
        let mut total = [0.0; WIDTH];
        for (k, right) in panel.iter().enumerate() {
            let left = left.elements[row * left.row + k * left.column];
            for column in 0..WIDTH {
                total[column] += left * right[column];
            }
        }
        *sums = total;
    }
    sums
}

/// # Safety
/// `left` must have the element in the last of the rows and as many columns as the panel has rows.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[allow(unsafe_code)]
unsafe fn fma<const ROWS: usize>(left: Left<'_>, panel: &[[f32; WIDTH]]) -> Sums {
    use std::arch::x86_64::*;

    let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
    for (k, right) in panel.iter().enumerate() {
        // SAFETY: the halves of 16 floats.
        let right = unsafe {
            let right = right.as_ptr();
            [_mm256_loadu_ps(right), _mm256_loadu_ps(right.add(8))]
        };
        for (row, sums) in sums.iter_mut().enumerate() {
            let at = row * left.row + k * left.column;
            // SAFETY: not beyond the last column of the last row, which `left` has.
            let left = _mm256_set1_ps(unsafe { *left.elements.get_unchecked(at) });
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum = _mm256_fmadd_ps(left, right, *sum);
            }
        }
    }
    let mut stored = [[0.0; WIDTH]; HEIGHT];
    for (stored, sums) in stored.iter_mut().zip(sums) {
        // SAFETY: the halves of 16 floats.
        unsafe {
            let stored = stored.as_mut_ptr();
            _mm256_storeu_ps(stored, sums[0]);
            _mm256_storeu_ps(stored.add(8), sums[1]);
        }
    }
    stored
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_agree() {
        // Small whole numbers, whose sums are exact in any order.
        let panel: Vec<[f32; WIDTH]> = (0..37)
            .map(|k| std::array::from_fn(|column| ((k * 5 + column * 3) % 13) as f32))
            .collect();
        let elements: Vec<f32> = (0..6 * 50).map(|at| (at * 7 % 11) as f32).collect();
        for (row, column) in [(37, 1), (50, 1), (1, 6), (1, 8)] {
            let elements = &elements;
            let left = Left {
                elements,
                row,
                column,
            };
            for rows in 1..=HEIGHT {
                let expected = Kernel::Portable.sums(rows, left, &panel);
                let actual = Kernel::best().sums(rows, left, &panel);
                assert_eq!(actual[..rows], expected[..rows]);
            }
        }
    }
}
