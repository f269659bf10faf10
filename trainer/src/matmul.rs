//! Matrix products of plain slices.
//!
//! The right matrix is packed into panels first (Goto and van de Geijn, "Anatomy of high-performance
//! matrix multiplication", 2008), which a recurrent network does once for all steps of a batch. A tile of
//! 6 rows and 16 columns of the product is summed in registers while a panel streams by from the nearest
//! cache.
//!
//! An element's sum is taken in the same order however rows are dealt out to threads.

mod tile;

use tile::{HEIGHT, Kernel, Left, WIDTH};

/// Rows of a panel that are used at once: they take half of a cache of 32 KiB.
const DEPTH: usize = 256;
/// Rows of the left matrix that meet all panels before the next ones: as many as measured best. With
/// `DEPTH` columns they take 48 KiB, which stay in the second cache.
const ROWS: usize = 48;
/// A matrix in row order, as it is or transposed.
#[derive(Clone, Copy, Debug)]
pub enum Operand<'a> {
    /// As it is stored.
    Plain(&'a [f32]),
    /// The transpose of what is stored.
    Transposed(&'a [f32]),
}

/// A right matrix `[inner, columns]`, packed.
#[derive(Clone, Debug, Default)]
pub struct Panels {
    inner: usize,
    columns: usize,
    /// First by blocks of `DEPTH` rows, then by panels, then by rows. Missing columns are 0.
    values: Vec<[f32; WIDTH]>,
}

impl Panels {
    /// Packs a matrix of so many rows and columns, into the memory of the one before.
    ///
    /// # Panics
    /// If the slice's length doesn't fit the sizes.
    pub fn pack(&mut self, right: Operand<'_>, inner: usize, columns: usize) {
        let (Operand::Plain(elements) | Operand::Transposed(elements)) = right;
        assert_eq!(
            elements.len(),
            inner * columns,
            "the matrix has another size"
        );
        (self.inner, self.columns) = (inner, columns);
        self.values.clear();
        for block in (0..inner).step_by(DEPTH) {
            let rows = block..(block + DEPTH).min(inner);
            for first in (0..columns).step_by(WIDTH) {
                let width = WIDTH.min(columns - first);
                match right {
                    Operand::Plain(elements) => self.values.extend(rows.clone().map(|row| {
                        let from = row * columns + first;
                        widened(&elements[from..from + width])
                    })),
                    Operand::Transposed(elements) => {
                        let start = self.values.len();
                        self.values.resize(start + rows.len(), [0.0; WIDTH]);
                        for column in 0..width {
                            let from = (first + column) * inner;
                            let elements = &elements[from + rows.start..from + rows.end];
                            for (packed, element) in self.values[start..].iter_mut().zip(elements) {
                                packed[column] = *element;
                            }
                        }
                    }
                }
            }
        }
    }

    /// Blocks of rows: each with all its panels, one after the other.
    fn blocks(&self) -> impl Iterator<Item = Block<'_>> {
        let panels = self.columns.div_ceil(WIDTH);
        (0..self.inner).step_by(DEPTH).map(move |first| {
            let depth = DEPTH.min(self.inner - first);
            let values = &self.values[first * panels..(first + depth) * panels];
            Block {
                first,
                depth,
                columns: self.columns,
                values,
            }
        })
    }
}

/// The elements, and zeros.
#[inline(always)]
fn widened(elements: &[f32]) -> [f32; WIDTH] {
    match elements.try_into() {
        Ok(whole) => whole,
        Err(_) => {
            let mut row = [0.0; WIDTH];
            row[..elements.len()].copy_from_slice(elements);
            row
        }
    }
}

/// Some rows of a packed matrix.
struct Block<'p> {
    first: usize,
    depth: usize,
    columns: usize,
    values: &'p [[f32; WIDTH]],
}

/// `out += left x right`, where the product has `rows` rows.
///
/// # Panics
/// If a slice's length doesn't fit the sizes.
pub fn add_matmul(out: &mut [f32], rows: usize, left: Operand<'_>, right: &Panels) {
    assert_eq!(
        out.len(),
        rows * right.columns,
        "the product has another size"
    );
    add_rows_of_matmul(out, 0, rows, left, right);
}

/// Adds the product's rows from `first` on to `out`, as many as it has.
///
/// # Panics
/// If a slice's length doesn't fit the sizes.
pub fn add_rows_of_matmul(
    out: &mut [f32],
    first: usize,
    rows: usize,
    left: Operand<'_>,
    right: &Panels,
) {
    let (Operand::Plain(elements) | Operand::Transposed(elements)) = left;
    assert_eq!(
        elements.len(),
        rows * right.inner,
        "the left matrix has another size"
    );
    if out.is_empty() {
        return;
    }
    assert!(
        first + out.len() / right.columns <= rows,
        "the product has another size"
    );
    let kernel = Kernel::best();
    let mut packed = Vec::new();
    for block in right.blocks() {
        for (index, out) in out.chunks_mut(ROWS * right.columns).enumerate() {
            let first = first + index * ROWS;
            let groups = Groups::of(out.len() / right.columns);
            if let Operand::Transposed(elements) = left {
                packed.clear();
                for group in groups {
                    for k in block.first..block.first + block.depth {
                        let from = k * rows + first + group.first;
                        let elements = &elements[from..from + group.count];
                        // Most groups are full: of a known size, a copy is no call.
                        match <&[f32; HEIGHT]>::try_from(elements) {
                            Ok(elements) => packed.extend_from_slice(elements),
                            Err(_) => packed.extend_from_slice(elements),
                        }
                    }
                }
            }
            add_block(kernel, out, groups, &block, |group| match left {
                Operand::Plain(elements) => Left {
                    elements: &elements[(first + group.first) * right.inner + block.first..],
                    row: right.inner,
                    column: 1,
                },
                Operand::Transposed(_) => Left {
                    elements: &packed[group.first * block.depth..],
                    row: 1,
                    column: group.count,
                },
            });
        }
    }
}

/// `out += left x block`, with a function that gives the rows of a group.
fn add_block<'l>(
    kernel: Kernel,
    out: &mut [f32],
    groups: Groups,
    block: &Block<'_>,
    left: impl Fn(Group) -> Left<'l>,
) {
    for (panel, values) in block.values.chunks_exact(block.depth).enumerate() {
        let column = panel * WIDTH;
        let width = WIDTH.min(block.columns - column);
        for group in groups {
            let sums = kernel.sums(group.count, left(group), values);
            for (row, sums) in sums.iter().take(group.count).enumerate() {
                let from = (group.first + row) * block.columns + column;
                let out = &mut out[from..from + width];
                match <&mut [f32; WIDTH]>::try_from(&mut *out) {
                    Ok(out) => add(out, sums),
                    Err(_) => add(out, &sums[..width]),
                }
            }
        }
    }
}

#[inline(always)]
fn add(out: &mut [f32], sums: &[f32]) {
    for (out, sum) in out.iter_mut().zip(sums) {
        *out += sum;
    }
}

/// Rows in groups that are as high as tiles, or a little less: 16 are 6, 5 and 5, since the fewer there
/// are in a group, the less the processor has to do at once.
#[derive(Clone, Copy)]
struct Groups {
    first: usize,
    rows: usize,
    left: usize,
}

/// Rows of a tile.
#[derive(Clone, Copy)]
struct Group {
    first: usize,
    count: usize,
}

impl Groups {
    fn of(rows: usize) -> Self {
        Self {
            first: 0,
            rows,
            left: rows.div_ceil(HEIGHT),
        }
    }
}

impl Iterator for Groups {
    type Item = Group;

    fn next(&mut self) -> Option<Group> {
        let count = (self.rows - self.first).div_ceil(self.left.max(1));
        let group = Group {
            first: self.first,
            count,
        };
        self.first += count;
        self.left = self.left.saturating_sub(1);
        (count > 0).then_some(group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_equal_the_definition_for_all_layouts() {
        // Beyond a panel, a tile, a block of rows and a depth, and just a single one.
        for (rows, inner, columns) in [(101, 300, 37), (1, 1, 1), (6, 7, 16), (16, 512, 3)] {
            let left: Vec<f32> = (0..rows * inner).map(|n| (n * 13 % 17) as f32).collect();
            let right: Vec<f32> = (0..inner * columns).map(|n| (n * 7 % 11) as f32).collect();
            let transpose = |m: &[f32], rows: usize, columns: usize| -> Vec<f32> {
                (0..rows * columns)
                    .map(|at| m[at % rows * columns + at / rows])
                    .collect()
            };
            let (left_t, right_t) = (
                transpose(&left, rows, inner),
                transpose(&right, inner, columns),
            );
            let element = |at: usize| -> f32 {
                (0..inner)
                    .map(|k| left[at / columns * inner + k] * right[k * columns + at % columns])
                    .sum()
            };
            let expected: Vec<f32> = (0..rows * columns).map(|at| element(at) + 2.0).collect();
            let mut panels = Panels::default();
            for r in [Operand::Plain(&right), Operand::Transposed(&right_t)] {
                panels.pack(r, inner, columns);
                for l in [Operand::Plain(&left), Operand::Transposed(&left_t)] {
                    let mut out = vec![2.0; rows * columns];
                    add_matmul(&mut out, rows, l, &panels);
                    assert_eq!(out, expected);
                    let (first, last) = (rows / 2, rows.min(rows / 2 + 3));
                    let mut part = vec![2.0; (last - first) * columns];
                    add_rows_of_matmul(&mut part, first, rows, l, &panels);
                    assert_eq!(part, expected[first * columns..last * columns]);
                }
            }
        }
    }
}
