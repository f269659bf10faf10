//! Tiles of a product, summed in registers: the one place that knows the processor.

/// Columns of a tile: two registers of AVX2, or one of AVX-512.
pub(super) const WIDTH: usize = 16;
/// Rows of a tile, at most, whatever the instructions.
pub(super) const MOST_ROWS: usize = 16;

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
    /// AVX-512, with the same bits.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// Calls a function that is compiled for each of these numbers of rows.
#[cfg(target_arch = "x86_64")]
macro_rules! with_rows {
    ($rows:ident, $kernel:ident $arguments:tt, $($count:literal)+) => {
        match $rows {
            $($count => $kernel::<$count> $arguments,)+
            _ => {}
        }
    };
}

impl Kernel {
    /// The fastest that this processor has.
    pub(super) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f") {
            return Self::Avx512;
        } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return Self::Fma;
        }
        Self::Portable
    }

    /// Rows of a tile, at most.
    pub(super) fn height(self) -> usize {
        match self {
            // With 12 sums, two registers of the right matrix and one of the left, 15 of the 16 registers
            // of AVX2 are in use.
            #[cfg(target_arch = "x86_64")]
            Self::Fma => 6,
            // As many as a share of a batch has lanes; there are 32 registers.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => MOST_ROWS,
            Self::Portable => 6,
        }
    }

    /// Adds the products of so many rows with a panel to a tile of `out`, whose rows are `stride` apart.
    ///
    /// # Panics
    /// If there are no such rows as long as the panel, more than a tile has, or if the tile leaves `out`.
    #[inline(always)]
    pub(super) fn add(
        self,
        rows: usize,
        left: Left<'_>,
        panel: &[[f32; WIDTH]],
        out: &mut [f32],
        stride: usize,
    ) {
        assert!((1..=self.height()).contains(&rows) && !panel.is_empty());
        let last = (rows - 1) * left.row + (panel.len() - 1) * left.column;
        assert!(last < left.elements.len(), "the left matrix ends before");
        assert!(
            (rows - 1) * stride + WIDTH <= out.len(),
            "the product ends before"
        );
        match self {
            Self::Portable => portable(rows, left, panel, out, stride),
            // SAFETY: the processor has the features, or `best` hadn't chosen this; the last element
            // of the last row is there, and so is the last row of the tile.
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code)]
            Self::Fma => unsafe { with_rows!(rows, fma(left, panel, out, stride), 1 2 3 4 5 6) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code)]
            Self::Avx512 => unsafe {
                with_rows!(
                    rows,
                    avx512(left, panel, out, stride),
                    1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
                );
            },
        }
    }
}

fn portable(rows: usize, left: Left<'_>, panel: &[[f32; WIDTH]], out: &mut [f32], stride: usize) {
    for (row, out) in out.chunks_mut(stride).take(rows).enumerate() {
        let mut sums = [0.0; WIDTH];
        for (k, right) in panel.iter().enumerate() {
            let left = left.elements[row * left.row + k * left.column];
            for column in 0..WIDTH {
                sums[column] += left * right[column];
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out += sum;
        }
    }
}

/// # Safety
/// `left` must have the element in the last of the rows and as many columns as the panel has rows, and `out`
/// all of the tile.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[allow(unsafe_code)]
unsafe fn fma<const ROWS: usize>(
    left: Left<'_>,
    panel: &[[f32; WIDTH]],
    out: &mut [f32],
    stride: usize,
) {
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
    for (row, sums) in sums.into_iter().enumerate() {
        // SAFETY: the halves of 16 floats, not beyond the last row of the tile, which `out` has.
        unsafe {
            let out = out.as_mut_ptr().add(row * stride);
            for (half, sum) in sums.into_iter().enumerate() {
                let out = out.add(8 * half);
                _mm256_storeu_ps(out, _mm256_add_ps(_mm256_loadu_ps(out), sum));
            }
        }
    }
}

/// # Safety
/// As [`fma`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
#[allow(unsafe_code)]
unsafe fn avx512<const ROWS: usize>(
    left: Left<'_>,
    panel: &[[f32; WIDTH]],
    out: &mut [f32],
    stride: usize,
) {
    use std::arch::x86_64::*;

    let mut sums = [_mm512_setzero_ps(); ROWS];
    for (k, right) in panel.iter().enumerate() {
        // SAFETY: 16 floats.
        let right = unsafe { _mm512_loadu_ps(right.as_ptr()) };
        for (row, sum) in sums.iter_mut().enumerate() {
            let at = row * left.row + k * left.column;
            // SAFETY: not beyond the last column of the last row, which `left` has.
            let left = _mm512_set1_ps(unsafe { *left.elements.get_unchecked(at) });
            *sum = _mm512_fmadd_ps(left, right, *sum);
        }
    }
    for (row, sum) in sums.into_iter().enumerate() {
        // SAFETY: 16 floats, not beyond the last row of the tile, which `out` has.
        unsafe {
            let out = out.as_mut_ptr().add(row * stride);
            _mm512_storeu_ps(out, _mm512_add_ps(_mm512_loadu_ps(out), sum));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that this processor has.
    fn kernels() -> Vec<Kernel> {
        let mut kernels = vec![Kernel::Portable];
        #[cfg(target_arch = "x86_64")]
        if Kernel::best() != Kernel::Portable {
            kernels.push(Kernel::Fma);
        }
        kernels.push(Kernel::best());
        kernels
    }

    #[test]
    fn kernels_agree() {
        // Small whole numbers, whose sums are exact in any order.
        let panel: Vec<[f32; WIDTH]> = (0..37)
            .map(|k| std::array::from_fn(|column| ((k * 5 + column * 3) % 13) as f32))
            .collect();
        let elements: Vec<f32> = (0..16 * 50).map(|at| (at * 7 % 11) as f32).collect();
        for kernel in kernels() {
            for (row, column) in [(37, 1), (50, 1), (1, 16), (1, 18)] {
                let elements = &elements;
                let left = Left {
                    elements,
                    row,
                    column,
                };
                for rows in 1..=kernel.height() {
                    for stride in [WIDTH, 37] {
                        // Nothing but the tile may change, not even in the last row.
                        let before: Vec<f32> = (0..16 * 37).map(|at| at as f32).collect();
                        let mut after = before.clone();
                        kernel.add(rows, left, &panel, &mut after, stride);
                        for (at, (after, before)) in after.iter().zip(&before).enumerate() {
                            let (down, right) = (at / stride, at % stride);
                            let mut expected = *before;
                            if down < rows && right < WIDTH {
                                for (k, panel) in panel.iter().enumerate() {
                                    expected += elements[down * row + k * column] * panel[right];
                                }
                            }
                            assert_eq!(*after, expected, "{kernel:?}: {rows} rows, {stride}, {at}");
                        }
                    }
                }
            }
        }
    }
}
