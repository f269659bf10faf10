//! The network in `f32`: which bytes are which weights, and one step through all layers.

#[cfg(feature = "batch")]
mod batch;

use bytemuck::must_cast_slice_mut;

use crate::arch::float::{BLOCKS_AT_ONCE, Column, accumulate, accumulate_blocks, load};
use crate::arithmetic::cell;
use crate::error::Error;
use crate::format::Header;
use crate::format::layout::{ROWS, Sections, UNITS};
use crate::network::Checked;
use crate::vocab::Token;

/// The weights of a model in single precision, borrowed from the file.
///
/// The lengths of the sections are checked by [`new`](Self::new); the loops below rely on nothing
/// else and end early rather than panic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FloatNetwork<'a> {
    hidden_size: usize,
    vocab_size: usize,
    layer_blocks: usize,
    table: &'a [Column],
    layers: &'a [Column],
    head_bias: &'a [Column],
    head: &'a [Column],
}

impl<'a> FloatNetwork<'a> {
    /// Takes the weights' bytes apart, which [`check`](Self::check) looks at; `None` if they don't have the
    /// length that the header's sizes need.
    pub(crate) const fn new(header: &Header<'_>, weights: &'a [u8]) -> Option<Self> {
        let Some(sections) = Sections::of(header) else {
            return None;
        };
        let (columns, []) = weights.as_chunks() else {
            return None;
        };
        if sections.bytes() != weights.len() {
            return None;
        }
        let Some((table, columns)) = columns.split_at_checked(sections.table) else {
            return None;
        };
        let Some((layers, head)) = columns.split_at_checked(sections.layers) else {
            return None;
        };
        let Some((head_bias, head)) = head.split_at_checked(sections.head_blocks) else {
            return None;
        };
        Some(Self {
            hidden_size: header.hidden_size as usize,
            vocab_size: header.vocab_size as usize,
            layer_blocks: sections.layer_blocks,
            table,
            layers,
            head_bias,
            head,
        })
    }

    /// Checks about so many bytes of weights; whether that were the last.
    ///
    /// # Errors
    /// [`Error::NonFiniteWeight`] if a weight is infinite or not a number, [`Error::InvalidWeight`] if a row
    /// that is padding isn't zero.
    pub(crate) const fn check(&self, checked: &mut Checked, bytes: usize) -> Result<bool, Error> {
        let mut count = bytes / size_of::<Column>() + 1;
        while checked.parts < 4 {
            let section = match checked.parts {
                0 => self.table,
                1 => self.layers,
                2 => self.head_bias,
                _ => self.head,
            };
            let Some((_, mut left)) = section.split_at_checked(checked.blocks) else {
                return Err(Error::InvalidSizes);
            };
            while let [column, rest @ ..] = left {
                if count == 0 {
                    return Ok(false);
                }
                if !is_finite(column) {
                    return Err(Error::NonFiniteWeight);
                }
                let rows = self.rows(checked.parts, checked.blocks);
                if !has_rows(column, rows) {
                    return Err(Error::InvalidWeight);
                }
                left = rest;
                checked.blocks += 1;
                count -= 1;
            }
            checked.parts += 1;
            checked.blocks = 0;
        }
        Ok(true)
    }

    /// Rows of a column that aren't padding: units of each gate, or tokens of the head.
    const fn rows(&self, part: usize, column: usize) -> Rows {
        let (blocks, hidden) = (self.layer_blocks, self.hidden_size);
        let deeper = blocks * (1 + 2 * hidden);
        let block = match part {
            0 => divide(column, blocks).1,
            1 if column < blocks * hidden => divide(column, hidden).0,
            1 => match divide(column - blocks * hidden, deeper).1 {
                bias if bias < blocks => bias,
                weight => divide(weight - blocks, 2 * hidden).0,
            },
            2 => column,
            _ => divide(column, hidden).0,
        };
        if part < 2 {
            Rows {
                of: UNITS,
                used: hidden - UNITS * block,
            }
        } else {
            Rows {
                of: ROWS,
                used: self.vocab_size - ROWS * block,
            }
        }
    }

    /// Feeds one token: changes the state, and leaves the logits at the workspace's end.
    ///
    /// The state is c, then h, of each layer; the workspace the next h, then the logits.
    #[inline(always)]
    pub(crate) fn step(&self, token: Token, state: &mut [u32], workspace: &mut [u32]) {
        let workspace = must_cast_slice_mut::<u32, f32>(workspace);
        let (h_next, logits) = workspace
            .split_at_mut_checked(self.hidden_size)
            .unwrap_or_default();
        let mut start = self.input_row(token);
        let mut columns = self.layers;
        let mut x: &[f32] = &[];
        for layer_state in must_cast_slice_mut(state).chunks_mut((2 * self.hidden_size).max(1)) {
            let (c, h) = layer_state
                .split_at_mut_checked(self.hidden_size)
                .unwrap_or_default();
            if !x.is_empty() {
                (start, columns) = columns
                    .split_at_checked(self.layer_blocks)
                    .unwrap_or_default();
            }
            let len = self.layer_blocks * (x.len() + h.len());
            let (weights, rest) = columns.split_at_checked(len).unwrap_or_default();
            step_layer(start, weights, [x, h], c, h_next);
            for (h, next) in h.iter_mut().zip(&*h_next) {
                *h = *next;
            }
            columns = rest;
            x = h;
        }
        self.step_head(x, logits);
    }

    /// What a token adds to the first layer's gates, bias included.
    fn input_row(&self, token: Token) -> &'a [Column] {
        let row = self
            .table
            .get(token.index() * self.layer_blocks..)
            .unwrap_or_default();
        row.get(..self.layer_blocks).unwrap_or_default()
    }

    /// `logits = bias + W h`, every sum taken from left to right.
    #[inline(always)]
    fn step_head(&self, h: &[f32], logits: &mut [f32]) {
        let mut weights = self.head;
        for (bias, logits) in self.head_bias.iter().zip(logits.chunks_mut(ROWS)) {
            let (block, rest) = weights.split_at_checked(h.len()).unwrap_or_default();
            let sums = accumulate(load(bias), block, h);
            for (logit, sum) in logits.iter_mut().zip(sums) {
                *logit = sum;
            }
            weights = rest;
        }
    }

    /// c of a unit; h of the layer follows c of it.
    pub(crate) fn c(&self, state: &[u32], layer: usize, unit: usize) -> f32 {
        let at = layer * 2 * self.hidden_size + unit;
        state.get(at).map_or(0.0, |&word| f32::from_bits(word))
    }

    /// h of a unit.
    pub(crate) fn h(&self, state: &[u32], layer: usize, unit: usize) -> f32 {
        self.c(state, layer, self.hidden_size + unit)
    }

    /// Replaces h and c of a unit.
    pub(crate) fn set(&self, state: &mut [u32], layer: usize, unit: usize, h: f32, c: f32) {
        let at = layer * 2 * self.hidden_size + unit;
        for (at, value) in [(at, c), (at + self.hidden_size, h)] {
            if let Some(word) = state.get_mut(at) {
                *word = value.to_bits();
            }
        }
    }
}

/// Rows of a column: of so many that stand together, the first ones are used.
#[derive(Clone, Copy)]
struct Rows {
    of: usize,
    used: usize,
}

/// Quotient and remainder. No size is zero; the compiler can't know.
const fn divide(value: usize, by: usize) -> (usize, usize) {
    match value.checked_div(by) {
        Some(quotient) => (quotient, value - quotient * by),
        None => (0, 0),
    }
}

/// Whether a column has no other rows: their weights are zero.
const fn has_rows(column: &Column, rows: Rows) -> bool {
    if rows.used >= rows.of {
        return true;
    }
    let mut weights = column.as_chunks::<4>().0;
    let mut bits = 0;
    while let [weight, rest @ ..] = weights {
        if (ROWS - weights.len()) & (rows.of - 1) >= rows.used {
            bits |= u32::from_le_bytes(*weight);
        }
        weights = rest;
    }
    bits == 0
}

/// Whether all weights of a column are numbers.
const fn is_finite(column: &Column) -> bool {
    const EXPONENT: u32 = 0x7f80_0000;
    let mut weights = column.as_chunks().0;
    while let [weight, rest @ ..] = weights {
        if u32::from_le_bytes(*weight) & EXPONENT == EXPONENT {
            return false;
        }
        weights = rest;
    }
    true
}

/// One step of a layer: `[i, f, g, o] = start + W [x, h]`, every sum taken from left to right.
///
/// `start` has one column a block, the bias or a row of the input table; `weights` one column per
/// input, block after block. `c`, `h` and `h_next` have one value per hidden unit. `x` is empty in the
/// first layer, whose input is in `start`.
#[inline(always)]
fn step_layer(
    start: &[Column],
    mut weights: &[Column],
    [x, h]: [&[f32]; 2],
    c: &mut [f32],
    h_next: &mut [f32],
) {
    let columns = x.len() + h.len();
    let mut units = c.chunks_mut(UNITS).zip(h_next.chunks_mut(UNITS));
    let (groups, last) = start.as_chunks::<BLOCKS_AT_ONCE>();
    for start in groups {
        let (group, rest) = weights
            .split_at_checked(BLOCKS_AT_ONCE * columns)
            .unwrap_or_default();
        weights = rest;
        step_blocks(start, group, [x, h], &mut units);
    }
    for start in last {
        let (block, rest) = weights.split_at_checked(columns).unwrap_or_default();
        weights = rest;
        step_blocks(&[*start], block, [x, h], &mut units);
    }
}

/// The same for some blocks, whose weights stand block after block; `units` gives c and next h of
/// each.
#[inline(always)]
fn step_blocks<'u, const N: usize>(
    start: &[Column; N],
    weights: &[Column],
    [x, h]: [&[f32]; 2],
    units: &mut impl Iterator<Item = (&'u mut [f32], &'u mut [f32])>,
) {
    let mut sums = [[0.0; ROWS]; N];
    for (sums, start) in sums.iter_mut().zip(start) {
        *sums = load(start);
    }
    let mut of_x = [&[][..]; N];
    let mut of_h = [&[][..]; N];
    let blocks = weights.chunks_exact((x.len() + h.len()).max(1));
    for ((of_x, of_h), block) in of_x.iter_mut().zip(&mut of_h).zip(blocks) {
        (*of_x, *of_h) = block.split_at_checked(x.len()).unwrap_or_default();
    }
    accumulate_blocks(&mut sums, of_x, x);
    accumulate_blocks(&mut sums, of_h, h);
    for (sums, (c, h_next)) in sums.iter().zip(units) {
        // Whole blocks, padded ones too: loops of a known length vectorise.
        let mut cells = [0.0; UNITS];
        let mut next = [0.0; UNITS];
        for (cell, c) in cells.iter_mut().zip(&*c) {
            *cell = *c;
        }
        if let [i, f, g, o] = *sums.as_chunks::<UNITS>().0 {
            for (((((c, h), i), f), g), o) in
                cells.iter_mut().zip(&mut next).zip(i).zip(f).zip(g).zip(o)
            {
                (*c, *h) = cell::float([i, f, g, o], *c);
            }
        }
        for ((c, h), (cell, next)) in c.iter_mut().zip(h_next).zip(cells.iter().zip(&next)) {
            (*c, *h) = (*cell, *next);
        }
    }
}
