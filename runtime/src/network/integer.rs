//! The network in integers only: which bytes are which weights, and one step through all layers.
//!
//! `ARITHMETIC.md` defines every format and rounding.

#[cfg(feature = "batch")]
mod batch;

use bytemuck::{must_cast_slice, must_cast_slice_mut};

use crate::arch::{
    Quad, Scales, Shifts, StartValues, cells, dot, dot_nibbles, prepare, values, widen,
};
use crate::arithmetic::fixed::{C_BITS, H_BITS};
use crate::error::Error;
use crate::format::layout::{IntegerSections, QUAD_BYTES, ROWS_PER_QUAD, WeightBits};
use crate::network::Checked;
use crate::vocab::Token;

/// Units whose sums are taken at once, so that a kernel can use an input for several rows, and that
/// large processors have several units' cells in flight.
const UNITS_AT_ONCE: usize = if cfg!(any(target_arch = "x86_64", kernel = "neon")) {
    64
} else {
    4
};

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
    /// The inputs that are not in the state: a token's embedding.
    embedding: &'a [StartValues],
    /// What each row starts with.
    start: &'a [StartValues],
    weight_bits: WeightBits,
    /// Inputs, padded.
    columns: usize,
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

    /// Checks the shifts and scales: products and sums must fit 32 bits.
    const fn check_scales(&self) -> Result<(), Error> {
        if self.shifts.first > MAX_SHIFTS.first || self.shifts.second > MAX_SHIFTS.second {
            return Err(Error::InvalidScale);
        }
        let mut multipliers = self.scales.as_flattened().as_chunks().0;
        while let [of_sum_and_start, rest @ ..] = multipliers {
            if u32::from_le_bytes(*of_sum_and_start) & 0x8000_8000 != 0 {
                return Err(Error::InvalidScale);
            }
            multipliers = rest;
        }
        Ok(())
    }

    /// Checks that no state can make a sum of a block overflow: every row's weights, times the largest
    /// h, must fit 16 bits after the first shift.
    const fn check_block(&self, block: &[Quad]) -> Result<(), Error> {
        let mut sums = [0; ROWS_PER_QUAD];
        let mut quads = block;
        let mut invalid = 0;
        while let [quad, rest @ ..] = quads {
            let mut rows = quad.as_chunks().0;
            let mut left: &mut [u32] = &mut sums;
            while let ([row, rows_left @ ..], [sum, sums_left @ ..]) = (rows, left) {
                let weights = u32::from_le_bytes(*row);
                *sum += match self.weight_bits {
                    WeightBits::Eight => {
                        invalid |= weights;
                        magnitudes_of_bytes(weights)
                    }
                    WeightBits::Four => magnitudes_of_nibbles(weights),
                };
                rows = rows_left;
                left = sums_left;
            }
            quads = rest;
        }
        if invalid & 0x8080_8080 != 0 {
            return Err(Error::InvalidWeight);
        }
        let mut sums: &[u32] = &sums;
        while let [sum, rest @ ..] = sums {
            // At most 64 * 2 * 65536 * 2^7, and the half at most 2^29: no overflow.
            let largest = (*sum << H_BITS) + self.shifts.half().cast_unsigned();
            if largest >> self.shifts.first > 0x7fff {
                return Err(Error::InvalidWeight);
            }
            sums = rest;
        }
        Ok(())
    }
}

/// The sum of the magnitudes of four weights of seven bits, stored plus 64. What has eight bits is
/// refused anyway.
#[inline(always)]
const fn magnitudes_of_bytes(stored: u32) -> u32 {
    // Two's complement of seven bits, then its magnitude: inverted and one more where it is negative.
    let weights = stored ^ 0x4040_4040;
    let negative = (weights >> 6) & 0x0101_0101;
    let magnitudes = (weights ^ (negative * 0x7f)).wrapping_add(negative);
    // Four of 64 would not fit a byte.
    let pairs = (magnitudes & 0x00ff_00ff) + (magnitudes >> 8 & 0x00ff_00ff);
    (pairs & 0xffff) + (pairs >> 16)
}

/// The sum of the magnitudes of eight weights of half a byte, stored plus 8.
#[inline(always)]
const fn magnitudes_of_nibbles(stored: u32) -> u32 {
    let weights = stored ^ 0x8888_8888;
    let negative = (weights >> 3) & 0x1111_1111;
    // A magnitude of 8 still fits its four bits.
    let magnitudes = (weights ^ (negative * 0xf)).wrapping_add(negative);
    let pairs = (magnitudes & 0x0f0f_0f0f) + (magnitudes >> 4 & 0x0f0f_0f0f);
    // At most 16 a byte, 64 together.
    pairs.wrapping_mul(0x0101_0101) >> 24
}

/// The inputs of rows as kernels take them, with 16 bits each.
struct Widened<'w> {
    /// Two inputs each, the first in the lower half.
    words: &'w [u32],
    /// The sum of all inputs.
    total: i32,
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
    /// What each token starts the first layer's rows with, or its embedding.
    input: &'a [StartValues],
    /// All other sections, part after part.
    parts: &'a [Quad],
}

impl<'a> IntegerNetwork<'a> {
    /// Takes the weights' bytes apart, which [`check`](Self::check) looks at; `None` if they don't have the
    /// length that the sections need.
    pub(crate) const fn new(sections: IntegerSections, weights: &'a [u8]) -> Option<Self> {
        // All sections have whole quads.
        let (quads, []) = weights.as_chunks::<QUAD_BYTES>() else {
            return None;
        };
        let Some((shifts, quads)) = quads.split_at_checked(sections.shifts()) else {
            return None;
        };
        let Some((input, parts)) = quads.split_at_checked(sections.input()) else {
            return None;
        };
        let network = Self {
            sections,
            shifts: shifts.as_flattened().as_chunks().0,
            input: input.as_flattened().as_chunks().0,
            parts,
        };
        // As long as all parts together: adding their lengths up would be more code.
        let mut left = parts;
        let mut part = 0;
        while part <= sections.num_layers {
            if network.rows(part, Token(0), &mut left).is_none() {
                return None;
            }
            part += 1;
        }
        if left.is_empty() { Some(network) } else { None }
    }

    /// Checks about so many bytes of weights; whether that were the last.
    ///
    /// # Errors
    /// [`Error::InvalidScale`] and [`Error::InvalidWeight`] if a sum could overflow.
    pub(crate) const fn check(&self, checked: &mut Checked, bytes: usize) -> Result<bool, Error> {
        let mut budget = bytes / QUAD_BYTES + 1;
        let mut left = self.parts;
        let mut part = 0;
        while part <= self.sections.num_layers {
            let Some(rows) = self.rows(part, Token(0), &mut left) else {
                return Err(Error::InvalidSizes);
            };
            if part == checked.parts {
                if checked.blocks == 0
                    && let Err(error) = rows.check_scales()
                {
                    return Err(error);
                }
                let Some((_, mut weights)) =
                    rows.weights.split_at_checked(checked.blocks * rows.quads)
                else {
                    return Err(Error::InvalidSizes);
                };
                // No block is empty: there is at least one unit.
                while !weights.is_empty()
                    && let Some((block, rest)) = weights.split_at_checked(rows.quads)
                {
                    if budget == 0 {
                        return Ok(false);
                    }
                    if let Err(error) = rows.check_block(block) {
                        return Err(error);
                    }
                    weights = rest;
                    checked.blocks += 1;
                    budget = budget.saturating_sub(rows.quads);
                }
                checked.parts += 1;
                checked.blocks = 0;
            }
            part += 1;
        }
        Ok(true)
    }

    /// Takes a part's rows off the front of the parts that are left. The first layer's start with the
    /// token's row of the table, or have its embedding.
    const fn rows(&self, part: usize, token: Token, left: &mut &'a [Quad]) -> Option<Rows<'a>> {
        let sections = &self.sections;
        let (blocks, bits, columns) = (
            sections.blocks(part),
            sections.bits(part),
            sections.columns(part),
        );
        let quads = bits.quads(columns);
        let Some((scales, rest)) = left.split_at_checked(blocks) else {
            return None;
        };
        let Some((start, rest)) = rest.split_at_checked(sections.start(part)) else {
            return None;
        };
        let Some((weights, rest)) = rest.split_at_checked(blocks * quads) else {
            return None;
        };
        *left = rest;
        let mut start: &[StartValues] = start.as_flattened().as_chunks().0;
        let mut embedding: &[StartValues] = &[];
        if part == 0 {
            let len = sections.input_row();
            let Some((_, row)) = self.input.split_at_checked(token.index() * len) else {
                return None;
            };
            let Some((row, _)) = row.split_at_checked(len) else {
                return None;
            };
            if start.is_empty() {
                start = row;
            } else {
                embedding = row;
            }
        }
        let Some((start, _)) = start.split_at_checked(blocks) else {
            return None;
        };
        let Some((_, [[first, second], ..])) = self.shifts.split_at_checked(part) else {
            return None;
        };
        Some(Rows {
            shifts: Shifts {
                first: *first as u32,
                second: *second as u32,
            },
            scales,
            embedding,
            start,
            weight_bits: bits,
            columns,
            quads,
            weights,
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
        let workspace_len = workspace.len();
        let (memory, logits) = workspace
            .split_at_mut_checked(workspace_len.saturating_sub(self.sections.vocab_size))
            .unwrap_or_default();
        let mut left = self.parts;
        for part in 0..=num_layers {
            let Some(rows) = self.rows(part, token, &mut left) else {
                return;
            };
            let inputs = self.inputs(part, &rows, h, memory);
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

    /// Widens the inputs of a part: a token's embedding, and h.
    #[inline(always)]
    fn inputs<'w>(
        &self,
        part: usize,
        rows: &Rows<'_>,
        h: &[i8],
        memory: &'w mut [u32],
    ) -> Widened<'w> {
        let embedding = must_cast_slice(rows.embedding.as_flattened());
        // x, the h of the layer below, stands just before this layer's own.
        let below = part.saturating_sub(1) * self.sections.padded_hidden;
        let words = memory.get_mut(..rows.columns / 2).unwrap_or_default();
        let (of_embedding, of_h) = words
            .split_at_mut_checked(embedding.len() / 2)
            .unwrap_or_default();
        let total =
            widen(embedding, of_embedding) + widen(h.get(below..).unwrap_or_default(), of_h);
        if let WeightBits::Eight = rows.weight_bits {
            prepare(words.as_chunks_mut().0);
        }
        Widened { words, total }
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
