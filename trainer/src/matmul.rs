//! Matrix products of plain slices: a safe face for the `gemm` crate.

use gemm::Parallelism;

/// A matrix in row order, as it is or transposed.
#[derive(Clone, Copy, Debug)]
pub enum Operand<'a> {
    /// As it is stored.
    Plain(&'a [f32]),
    /// The transpose of what is stored.
    Transposed(&'a [f32]),
}

/// The sizes of a product: `[rows, inner] x [inner, columns]`.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Rows of the left matrix and of the product.
    pub rows: usize,
    /// Columns of the left matrix, rows of the right one.
    pub inner: usize,
    /// Columns of the right matrix and of the product.
    pub columns: usize,
}

/// `out += left x right`.
///
/// # Panics
/// If a slice's length doesn't fit the sizes.
pub fn add_matmul(out: &mut [f32], size: Size, left: Operand<'_>, right: Operand<'_>) {
    assert_eq!(
        out.len(),
        size.rows * size.columns,
        "the product has another size"
    );
    add_rows_of_matmul(out, 0, size, left, right);
}

/// Adds the product's rows from `first` on to `out`, as many as it has.
///
/// An element's sum is taken in the same order however the rows are cut. The library's own threads
/// aren't used: they wait for each other actively.
///
/// # Panics
/// If a slice's length doesn't fit the sizes.
pub fn add_rows_of_matmul(
    out: &mut [f32],
    first: usize,
    size: Size,
    left: Operand<'_>,
    right: Operand<'_>,
) {
    let Size {
        rows,
        inner,
        columns,
    } = size;
    let (left, left_row, left_column) = left.strides(rows, inner);
    let (right, right_row, right_column) = right.strides(inner, columns);
    if out.is_empty() || inner == 0 {
        return;
    }
    let out_rows = out.len() / columns;
    assert!(first + out_rows <= rows, "the product has another size");
    // SAFETY: `strides` checked that both operands have as many elements as their sizes say, so
    // that every element addressed by these dense strides lies in its slice; of the left operand
    // these are the rows `first..first + out_rows`, which it has. The product has `out_rows` dense
    // rows. `out` is borrowed mutably and overlaps neither operand.
    #[allow(unsafe_code)]
    unsafe {
        gemm::gemm(
            out_rows,
            columns,
            inner,
            out.as_mut_ptr(),
            1,
            columns as isize,
            true,
            left.as_ptr().offset(first as isize * left_row),
            left_column,
            left_row,
            right.as_ptr(),
            right_column,
            right_row,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

impl<'a> Operand<'a> {
    /// The elements with the distances between rows and between columns.
    fn strides(self, rows: usize, columns: usize) -> (&'a [f32], isize, isize) {
        let (elements, row, column) = match self {
            Self::Plain(elements) => (elements, columns as isize, 1),
            Self::Transposed(elements) => (elements, 1, rows as isize),
        };
        assert_eq!(
            elements.len(),
            rows * columns,
            "an operand has another size"
        );
        (elements, row, column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_equal_the_definition_for_all_layouts() {
        let size = Size {
            rows: 101,
            inner: 7,
            columns: 3,
        };
        let left: Vec<f32> = (0..707).map(|n| (n * 13 % 17) as f32).collect();
        let right: Vec<f32> = (0..21).map(|n| (n * 7 % 11) as f32).collect();
        let transpose = |m: &[f32], rows: usize, columns: usize| -> Vec<f32> {
            (0..rows * columns)
                .map(|at| m[at % rows * columns + at / rows])
                .collect()
        };
        let (left_t, right_t) = (transpose(&left, 101, 7), transpose(&right, 7, 3));
        let element = |at: usize| -> f32 {
            (0..7)
                .map(|k| left[at / 3 * 7 + k] * right[k * 3 + at % 3])
                .sum()
        };
        let expected: Vec<f32> = (0..303).map(|at| element(at) + 2.0).collect();
        for l in [Operand::Plain(&left), Operand::Transposed(&left_t)] {
            for r in [Operand::Plain(&right), Operand::Transposed(&right_t)] {
                let mut out = vec![2.0; 303];
                add_matmul(&mut out, size, l, r);
                assert_eq!(out, expected);
                let mut part = vec![2.0; 9];
                add_rows_of_matmul(&mut part, 50, size, l, r);
                assert_eq!(part, expected[150..159]);
            }
        }
    }
}
