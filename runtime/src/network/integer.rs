//! The network in integers only: which bytes are which weights, and one step through all layers.
//!
//! `ARITHMETIC.md` defines every format and rounding.

use bytemuck::{must_cast_slice, must_cast_slice_mut};

use crate::fixed::{C_BITS, H_BITS};
use crate::format::Header;
use crate::kernel::{Quad, Scales, Shifts, StartValues, cells, dot, dot_nibbles, values};
use crate::layout::{COLUMNS, IntegerSections, ROWS_PER_QUAD, WeightBits};
use crate::{Error, Token};

/// Units whose sums are taken at once, so that a kernel can use an input for several rows, and that
/// large processors have several units' cells in flight.
const UNITS_AT_ONCE: usize = if cfg!(target_arch = "x86_64") { 64 } else { 4 };

/// The largest shifts for which nothing overflows.
const MAX_SHIFTS: Shifts = Shifts {
    first: 30,
    second: 24,
};

/// The rows of a layer, or of the head, four to a block.
#[derive(Clone, Copy, Debug)]
struct Rows<'a> {
    shifts: Shifts,
    /// Multipliers of sums and of start values.
    scales: &'a [Scales],
    /// What each row starts with.
    start: &'a [StartValues],
    weight_bits: WeightBits,
    /// Quads of a block, one for four inputs, or eight.
    quads: usize,
    /// Block after block.
    weights: &'a [Quad],
}

impl Rows<'_> {
    /// Computes the values of all blocks, at most [`UNITS_AT_ONCE`] at a time.
    // Large processors have instructions for it, which the caller may be compiled for.
    #[cfg_attr(target_arch = "x86_64", inline(always))]
    #[cfg_attr(not(target_arch = "x86_64"), inline(never))]
    fn compute(&self, inputs: Widened<'_>, mut out: Out<'_>) {
        // The weights are stored with a bias.
        let bias = i32::from(self.weight_bits.bias()).wrapping_mul(inputs.total);
        let initial = self.shifts.half().wrapping_sub(bias);
        let inputs = inputs.words;
        let mut weights = self.weights;
        let mut start = self.start;
        for scales in self.scales.chunks(UNITS_AT_ONCE) {
            let mut sums = [[initial; ROWS_PER_QUAD]; UNITS_AT_ONCE];
            let (sums, _) = sums.split_at_mut_checked(scales.len()).unwrap_or_default();
            let now = split_off(&mut weights, sums.len() * self.quads);
            match self.weight_bits {
                WeightBits::Eight => dot(now, inputs.as_chunks().0, sums),
                WeightBits::Four => {
                    dot_nibbles(now, inputs.as_chunks().0, sums);
                }
            }
            let start = split_off(&mut start, sums.len());
            values(self.shifts, scales, start, sums);
            match &mut out {
                Out::Cells { c, h } => {
                    let c = c.split_off_mut(..sums.len()).unwrap_or_default();
                    let h = h.split_off_mut(..sums.len()).unwrap_or_default();
                    cells(sums, c, h);
                }
                Out::Logits(logits) => {
                    let len = logits.len().min(ROWS_PER_QUAD * sums.len());
                    let logits = logits.split_off_mut(..len).unwrap_or_default();
                    for (logit, sum) in logits.iter_mut().zip(sums.as_flattened_mut()) {
                        // Not copied: that would be done with memcpy, 350 bytes in a firmware that
                        // doesn't have it yet.
                        core::mem::swap(logit, sum);
                    }
                }
            }
        }
    }

    /// Checks that no state can make a sum overflow: every row's weights, times the largest h, must
    /// fit 16 bits after the first shift.
    fn check(&self) -> Result<(), Error> {
        if self.shifts.first > MAX_SHIFTS.first || self.shifts.second > MAX_SHIFTS.second {
            return Err(Error::Multiplier);
        }
        let multipliers = self.scales.as_flattened().as_chunks().0;
        if multipliers.iter().any(|&[_, high]| high > 0x7f) {
            return Err(Error::Multiplier);
        }
        let bias = self.weight_bits.bias();
        for block in self.weights.chunks(self.quads.max(1)) {
            let mut sums = [0u32; ROWS_PER_QUAD];
            for quad in block {
                for (sum, row) in sums.iter_mut().zip(quad.as_chunks::<COLUMNS>().0) {
                    for &byte in row {
                        // The weights in the byte; a bias stands for none.
                        let weights = match self.weight_bits {
                            WeightBits::Eight if byte > 0x7f => return Err(Error::Multiplier),
                            WeightBits::Eight => [byte, bias],
                            WeightBits::Four => [byte & 0xf, byte >> 4],
                        };
                        let [a, b] = weights.map(|weight| u32::from(weight.abs_diff(bias)));
                        *sum += a + b;
                    }
                }
            }
            for sum in sums {
                // At most 64 * 2 * 65536 * 2^7, and the half at most 2^29: no overflow.
                let largest = (sum << H_BITS) + self.shifts.half().cast_unsigned();
                if largest >> self.shifts.first > 0x7fff {
                    return Err(Error::Multiplier);
                }
            }
        }
        Ok(())
    }
}

/// The inputs of rows as kernels take them, with 16 bits each.
struct Widened<'w> {
    /// Two inputs each, the first in the lower half.
    words: &'w [u32],
    /// The sum of all inputs.
    total: i32,
}

impl<'w> Widened<'w> {
    /// Widens h, an even number of units.
    // Large processors have instructions for it, which the caller may be compiled for.
    #[cfg_attr(target_arch = "x86_64", inline(always))]
    #[cfg_attr(not(target_arch = "x86_64"), inline(never))]
    fn new(h: Option<&[i8]>, words: &'w mut [u32]) -> Self {
        let (h, _) = h.unwrap_or_default().as_chunks::<2>();
        let mut total = 0;
        for (word, &[low, high]) in words.iter_mut().zip(h) {
            total += i32::from(low) + i32::from(high);
            *word = (i32::from(low) & 0xffff | i32::from(high) << 16).cast_unsigned();
        }
        let words = words.get(..h.len()).unwrap_or_default();
        Self { words, total }
    }
}

/// What the values of rows become.
enum Out<'s> {
    /// A step of each unit's cell.
    Cells { c: &'s mut [i32], h: &'s mut [i8] },
    /// Logits, as many as there is room for.
    Logits(&'s mut [i32]),
}

/// Takes elements off a slice's front; nothing if it has fewer.
fn split_off<'w, T>(from: &mut &'w [T], count: usize) -> &'w [T] {
    from.split_off(..count).unwrap_or_default()
}

/// The weights of an integer model, borrowed from the file.
///
/// The lengths of the sections are checked by [`new`](Self::new); the loops below rely on nothing
/// else and end early rather than panic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IntegerNetwork<'a> {
    sections: IntegerSections,
    /// The shifts of each part: of the layers, then of the head.
    shifts: &'a [[u8; 2]],
    /// What each token starts the first layer's rows with.
    table: &'a [StartValues],
    /// All other sections, part after part.
    parts: &'a [Quad],
}

impl<'a> IntegerNetwork<'a> {
    /// Takes the weights' bytes apart.
    ///
    /// # Errors
    /// [`Error::Sizes`] if they don't have the length that the header's sizes need, and
    /// [`Error::Multiplier`] if a sum could overflow.
    pub(crate) fn new(header: &Header<'_>, weights: &'a [u8]) -> Result<Self, Error> {
        let sections = IntegerSections::of(header).ok_or(Error::Sizes)?;
        // All sections have whole quads.
        let (mut quads, []) = weights.as_chunks() else {
            return Err(Error::Sizes);
        };
        let shifts: &[Quad] = quads.split_off(..sections.shifts()).ok_or(Error::Sizes)?;
        let table: &[Quad] = quads.split_off(..sections.table()).ok_or(Error::Sizes)?;
        let network = Self {
            sections,
            shifts: shifts.as_flattened().as_chunks().0,
            table: table.as_flattened().as_chunks().0,
            parts: quads,
        };
        // A wrong length counts before what the sections then seem to hold.
        let mut checked = Ok(());
        for part in 0..=sections.num_layers {
            let rows = network.rows(part, Token(0), &mut quads);
            let rows = rows.ok_or(Error::Sizes)?;
            checked = checked.and_then(|()| rows.check());
        }
        if !quads.is_empty() {
            return Err(Error::Sizes);
        }
        checked.map(|()| network)
    }

    /// Takes a part's rows off the front of the parts that are left. The first layer's start with the
    /// token's row of the table.
    fn rows(&self, part: usize, token: Token, left: &mut &'a [Quad]) -> Option<Rows<'a>> {
        let sections = &self.sections;
        let (blocks, quads) = (sections.blocks(part), sections.quads(part));
        let scales = left.split_off(..blocks)?;
        let start = left.split_off(..sections.start(part))?;
        let start = if part == 0 {
            self.table.get(token.index() * blocks..)?
        } else {
            start.as_flattened().as_chunks().0
        };
        let &[first, second] = self.shifts.get(part)?;
        Some(Rows {
            shifts: Shifts {
                first: first.into(),
                second: second.into(),
            },
            scales,
            start: start.get(..blocks)?,
            weight_bits: sections.bits(part),
            quads,
            weights: left.split_off(..blocks * quads)?,
        })
    }

    /// Feeds one token: changes the state, and leaves the logits at the workspace's end.
    ///
    /// The state is h of all layers, padded to whole quads, then c of all layers; the workspace the
    /// inputs of a part, then the logits.
    #[inline(always)]
    pub(crate) fn step(&self, token: Token, state: &mut [u32], workspace: &mut [u32]) {
        let IntegerSections {
            hidden_size,
            padded_hidden,
            num_layers,
            ..
        } = self.sections;
        let (h, c) = self.split_state(state);
        let mut c = must_cast_slice_mut::<u32, i32>(c);
        let (memory, logits) = workspace
            .split_at_mut_checked(self.sections.most_columns() / 2)
            .unwrap_or_default();
        let mut left = self.parts;
        for part in 0..=num_layers {
            let Some(rows) = self.rows(part, token, &mut left) else {
                return;
            };
            // x, the h of the layer below, stands just before this layer's own.
            let below = part.saturating_sub(1) * padded_hidden;
            let inputs = h.get(below..below + self.sections.columns(part));
            let inputs = Widened::new(inputs, &mut *memory);
            let out = if part == num_layers {
                Out::Logits(must_cast_slice_mut(&mut *logits))
            } else {
                let own = part * padded_hidden;
                Out::Cells {
                    c: c.split_off_mut(..hidden_size).unwrap_or_default(),
                    h: h.get_mut(own..own + hidden_size).unwrap_or_default(),
                }
            };
            rows.compute(inputs, out);
        }
    }

    /// h, and the words of c.
    fn split_state<'s>(&self, state: &'s mut [u32]) -> (&'s mut [i8], &'s mut [u32]) {
        let h_words = self.sections.num_layers * self.sections.padded_hidden / 4;
        let (h, c) = state.split_at_mut_checked(h_words).unwrap_or_default();
        (must_cast_slice_mut(h), c)
    }

    /// h of a unit.
    pub(crate) fn h(&self, state: &[u32], layer: usize, unit: usize) -> f32 {
        let h = must_cast_slice::<u32, i8>(state);
        let h = h
            .get(layer * self.sections.padded_hidden + unit)
            .copied()
            .unwrap_or(0);
        f32::from(h) / (1 << H_BITS) as f32
    }

    /// c of a unit.
    pub(crate) fn c(&self, state: &[u32], layer: usize, unit: usize) -> f32 {
        let IntegerSections {
            hidden_size,
            padded_hidden,
            num_layers,
            ..
        } = self.sections;
        let at = num_layers * padded_hidden / 4 + layer * hidden_size + unit;
        let c = state.get(at).map_or(0, |&word| word.cast_signed());
        c as f32 / (1 << C_BITS) as f32
    }

    /// Replaces h and c of a unit, rounded and limited to what the formats hold.
    pub(crate) fn set(&self, state: &mut [u32], layer: usize, unit: usize, h: f32, c: f32) {
        let IntegerSections {
            hidden_size,
            padded_hidden,
            ..
        } = self.sections;
        let (hs, cs) = self.split_state(state);
        if let Some(place) = hs.get_mut(layer * padded_hidden + unit) {
            // What has no 8 bits becomes the nearest that has.
            *place = libm::rintf(h * (1 << H_BITS) as f32) as i8;
        }
        if let Some(place) = cs.get_mut(layer * hidden_size + unit) {
            *place = (libm::rintf(c * (1 << C_BITS) as f32) as i32).cast_unsigned();
        }
    }
}
