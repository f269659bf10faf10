//! Matrix products of plain slices.
//!
//! The right matrix is packed into panels first (Goto and van de Geijn, "Anatomy of high-performance
//! matrix multiplication", 2008), which a recurrent network does once for all steps of a batch. A tile of
//! 16 columns and 6 rows of the product, or 16 rows with AVX-512, is summed in registers while a panel streams
//! by from the nearest cache.
//!
//! An element's sum is taken in the same order however rows are dealt out to threads.

mod tile;

use tile::{Kernel, Left, MOST_ROWS, WIDTH};

/// Rows of a panel that are used at once: they take half of a cache of 32 KiB.
const DEPTH: usize = 256;
/// Rows of the left matrix that meet all panels before the next ones: as many as measured best. With
/// `DEPTH` columns they take 48 KiB, which stay in the second cache.
const ROWS: usize = 48;

/// Rows that are a multiple of so many elements apart share a few sets of the first cache, and drive each other out
/// of it: a tile takes twice as long.
const SAME_SETS: usize = 1024;

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
            let start = self.values.len();
            let panels = columns.div_ceil(WIDTH);
            self.values
                .resize(start + panels * rows.len(), [0.0; WIDTH]);
            let packed = &mut self.values[start..];
            match right {
                Operand::Plain(elements) => {
                    // Row by row: those of a column are far apart in memory.
                    for (k, row) in rows.clone().enumerate() {
                        let row = elements[row * columns..][..columns].chunks(WIDTH);
                        for (panel, elements) in row.enumerate() {
                            widened(elements, &mut packed[panel * rows.len() + k]);
                        }
                    }
                }
                Operand::Transposed(elements) => {
                    for (panel, packed) in packed.chunks_exact_mut(rows.len()).enumerate() {
                        let first = panel * WIDTH;
                        for column in 0..WIDTH.min(columns - first) {
                            let from = (first + column) * inner;
                            let elements = &elements[from + rows.start..from + rows.end];
                            for (packed, element) in packed.iter_mut().zip(elements) {
                                packed[column] = *element;
                            }
                        }
                    }
                }
            }
        }
    }

    /// Rows of the matrix.
    pub fn inner(&self) -> usize {
        self.inner
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

/// Copies elements into a row that is zero where there are none.
#[inline(always)]
fn widened(elements: &[f32], row: &mut [f32; WIDTH]) {
    match elements.try_into() {
        Ok(whole) => *row = whole,
        Err(_) => row[..elements.len()].copy_from_slice(elements),
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
    let far_apart = right.inner.is_multiple_of(SAME_SETS);
    for block in right.blocks() {
        for (index, out) in out.chunks_mut(ROWS * right.columns).enumerate() {
            let first = first + index * ROWS;
            let groups = Groups::of(out.len() / right.columns, kernel.height());
            match left {
                Operand::Transposed(elements) => {
                    let columns = elements[block.first * rows..].chunks_exact(rows);
                    pack_left(&mut packed, columns.take(block.depth), first, groups);
                }
                Operand::Plain(elements) if far_apart => {
                    packed.clear();
                    for row in elements[first * right.inner..]
                        .chunks_exact(right.inner)
                        .take(groups.rows)
                    {
                        packed.extend_from_slice(&row[block.first..][..block.depth]);
                    }
                }
                Operand::Plain(_) => {}
            }
            add_block(kernel, out, groups, &block, |group| match left {
                Operand::Plain(_) if far_apart => Left {
                    elements: &packed[group.first * block.depth..],
                    row: block.depth,
                    column: 1,
                },
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

/// Packs rows of a matrix that is given by its columns: group by group, as tiles read them.
fn pack_left<'c>(
    packed: &mut Vec<f32>,
    columns: impl ExactSizeIterator<Item = &'c [f32]>,
    first: usize,
    groups: Groups,
) {
    let depth = columns.len();
    packed.resize(groups.rows * depth, 0.0);
    // Column by column: neighbours in a column are neighbours in memory, those in a row may be far apart.
    for (k, column) in columns.enumerate() {
        let column = &column[first..first + groups.rows];
        for group in groups {
            let from = &column[group.first..group.first + group.count];
            let to = &mut packed[group.first * depth + k * group.count..][..group.count];
            // Most groups are full: of a known size, a copy is no call.
            if !(copy_array::<6>(from, to) || copy_array::<MOST_ROWS>(from, to)) {
                to.copy_from_slice(from);
            }
        }
    }
}

/// Copies elements if there are exactly so many.
#[inline(always)]
fn copy_array<const N: usize>(from: &[f32], to: &mut [f32]) -> bool {
    match (<&[f32; N]>::try_from(from), <&mut [f32; N]>::try_from(to)) {
        (Ok(from), Ok(to)) => {
            *to = *from;
            true
        }
        _ => false,
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
            let from = group.first * block.columns + column;
            if width == WIDTH {
                kernel.add(
                    group.count,
                    left(group),
                    values,
                    &mut out[from..],
                    block.columns,
                );
                continue;
            }
            let mut tile = [0.0; MOST_ROWS * WIDTH];
            kernel.add(group.count, left(group), values, &mut tile, WIDTH);
            for (row, sums) in tile.chunks_exact(WIDTH).take(group.count).enumerate() {
                let out = &mut out[from + row * block.columns..][..width];
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out += sum;
                }
            }
        }
    }
}

/// Rows in groups that are as high as tiles, or a little less: of 6 at most, 16 are 6, 5 and 5, since the fewer there
/// are in a group, the less the processor has to do at once.
#[derive(Clone, Copy)]
struct Groups {
    first: usize,
    rows: usize,
    /// Rows of the smaller groups.
    height: usize,
    /// Groups to come that have one more.
    higher: usize,
}

/// Rows of a tile.
#[derive(Clone, Copy)]
struct Group {
    first: usize,
    count: usize,
}

impl Groups {
    fn of(rows: usize, height: usize) -> Self {
        let count = rows.div_ceil(height).max(1);
        Self {
            first: 0,
            rows,
            height: rows / count,
            higher: rows % count,
        }
    }
}

impl Iterator for Groups {
    type Item = Group;

    #[inline(always)]
    fn next(&mut self) -> Option<Group> {
        let count = self.height + usize::from(self.higher > 0);
        let group = Group {
            first: self.first,
            count,
        };
        self.higher = self.higher.saturating_sub(1);
        self.first += count;
        (self.first <= self.rows && count > 0).then_some(group)
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
