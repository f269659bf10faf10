//! The network in integers only: which bytes are which weights, and one step through all layers.
//!
//! `ARITHMETIC.md` defines every format and rounding.

use bytemuck::{must_cast_slice, must_cast_slice_mut};

use crate::fixed::{C_BITS, H_BITS};
use crate::format::Header;
use crate::kernel::{Quad, Scales, Shifts, StartValues, cells, dot, dot_nibbles, values};
use crate::layout::{COLUMNS, IntegerSections, ROWS_PER_QUAD, SECTION_ALIGN, WeightBits};
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
    /// Block after block, each with a quad for four inputs, or eight.
    weights: &'a [Quad],
}

impl Rows<'_> {
    /// Computes the values of all blocks, at most [`UNITS_AT_ONCE`] at a time.
    // Where it is inlined it is there twice, which large processors have room for.
    #[cfg_attr(target_arch = "x86_64", inline(always))]
    #[cfg_attr(not(target_arch = "x86_64"), inline(never))]
    fn compute(&self, inputs: Widened<'_>, mut out: Out<'_>) {
        // The weights are stored with a bias.
        let bias = i32::from(self.weight_bits.bias()).wrapping_mul(inputs.total);
        let initial = self.shifts.half().wrapping_sub(bias);
        let inputs = inputs.words;
        let quads = self.weight_bits.quads(2 * inputs.len());
        let mut weights = self.weights;
        let mut start = self.start;
        for scales in self.scales.chunks(UNITS_AT_ONCE) {
            let mut sums = [[initial; ROWS_PER_QUAD]; UNITS_AT_ONCE];
            let (sums, _) = sums.split_at_mut_checked(scales.len()).unwrap_or_default();
            let now = split_off(&mut weights, sums.len() * quads);
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
                    logits.copy_from_slice(sums.as_flattened().get(..len).unwrap_or_default());
                }
            }
        }
    }

    /// Checks that no state can make a sum overflow: every row's weights, times the largest h, must
    /// fit 16 bits after the first shift.
    fn check(&self, columns: usize) -> Result<(), Error> {
        if self.shifts.first > MAX_SHIFTS.first || self.shifts.second > MAX_SHIFTS.second {
            return Err(Error::Multiplier);
        }
        let multipliers = self.scales.as_flattened().as_chunks().0;
        if multipliers
            .iter()
            .any(|&bytes| u16::from_le_bytes(bytes) > 0x7fff)
        {
            return Err(Error::Multiplier);
        }
        let quads = self.weight_bits.quads(columns);
        for block in self.weights.chunks(quads.max(1)) {
            let mut sums = [0u32; ROWS_PER_QUAD];
            for quad in block {
                if self.weight_bits == WeightBits::Eight && quad.iter().any(|&byte| byte > 0x7f) {
                    return Err(Error::Multiplier);
                }
                for (sum, row) in sums.iter_mut().zip(quad.as_chunks::<COLUMNS>().0) {
                    *sum += row.iter().map(|&byte| self.magnitude(byte)).sum::<u32>();
                }
            }
            for sum in sums {
                // At most 64 * 2 * 65536 * 2^7.
                let largest = (u64::from(sum) << H_BITS) + self.shifts.half() as u64;
                if largest >> self.shifts.first > 0x7fff {
                    return Err(Error::Multiplier);
                }
            }
        }
        Ok(())
    }

    /// The magnitude of the weight in a byte, or the sum of both.
    fn magnitude(&self, byte: u8) -> u32 {
        let bias = self.weight_bits.bias();
        match self.weight_bits {
            WeightBits::Eight => byte.abs_diff(bias).into(),
            WeightBits::Four => {
                u32::from((byte & 0xf).abs_diff(bias)) + u32::from((byte >> 4).abs_diff(bias))
            }
        }
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
    /// The shifts of each layer and of the head.
    shifts: &'a [[u8; 2]],
    /// What each token starts the first layer's rows with.
    table: &'a [StartValues],
    layers: &'a [u8],
    head: &'a [u8],
}

impl<'a> IntegerNetwork<'a> {
    /// Takes the weights' bytes apart.
    ///
    /// # Errors
    /// [`Error::Sizes`] if they don't have the length that the header's sizes need, and
    /// [`Error::Multiplier`] if a sum could overflow.
    pub(crate) fn new(header: &Header<'_>, weights: &'a [u8]) -> Result<Self, Error> {
        let sections = IntegerSections::of(header).ok_or(Error::Sizes)?;
        if sections.bytes() != Some(weights.len()) {
            return Err(Error::Sizes);
        }
        let (shifts, weights) = weights
            .split_at_checked(sections.shifts)
            .ok_or(Error::Sizes)?;
        let (table, weights) = weights
            .split_at_checked(sections.table)
            .ok_or(Error::Sizes)?;
        let (layers, head) = weights
            .split_at_checked(sections.layers)
            .ok_or(Error::Sizes)?;
        let (shifts, table) = (shifts.as_chunks().0, table.as_chunks().0);
        let network = Self {
            sections,
            shifts,
            table,
            layers,
            head,
        };
        let mut rest = layers;
        for layer in 0..sections.num_layers {
            let (rows, left) = network.layer(layer, Token(0), rest);
            rows.check(sections.columns(layer))?;
            rest = left;
        }
        network.head().check(sections.padded_hidden)?;
        Ok(network)
    }

    fn shifts(&self, at: usize) -> Shifts {
        let [first, second] = self.shifts.get(at).copied().unwrap_or_default();
        Shifts {
            first: first.into(),
            second: second.into(),
        }
    }

    /// The rows of a layer, which start with the token's row in the first, and what follows them.
    fn layer(&self, layer: usize, token: Token, bytes: &'a [u8]) -> (Rows<'a>, &'a [u8]) {
        let units = self.sections.hidden_size;
        let (scales, bytes) = split_blocks(bytes, units);
        let (start, bytes) = if layer == 0 {
            let row = self.table.get(token.index() * units..).unwrap_or_default();
            (row.get(..units).unwrap_or_default(), bytes)
        } else {
            split_blocks(bytes, units)
        };
        let (weights, rest) = split_blocks(bytes, units * self.sections.quads(layer));
        let rows = Rows {
            shifts: self.shifts(layer),
            scales,
            start,
            weight_bits: self.sections.weight_bits,
            weights,
        };
        (rows, rest)
    }

    fn head(&self) -> Rows<'a> {
        let (scales, bytes) = split_blocks(self.head, self.sections.head_blocks);
        let (start, bytes) = split_blocks(bytes, self.sections.head_blocks);
        Rows {
            shifts: self.shifts(self.sections.num_layers),
            scales,
            start,
            weight_bits: WeightBits::Eight,
            weights: bytes.as_chunks().0,
        }
    }

    /// Feeds one token: changes the state, and leaves the logits at the workspace's end.
    ///
    /// The state is h of all layers, padded to whole quads, then c of all layers; the workspace the
    /// inputs of a layer, then the logits.
    #[inline(always)]
    pub(crate) fn step(&self, token: Token, state: &mut [u32], workspace: &mut [u32]) {
        let IntegerSections {
            hidden_size,
            padded_hidden,
            num_layers,
            ..
        } = self.sections;
        let (h, c) = self.split_state(state);
        let (inputs, logits) = workspace
            .split_at_mut_checked(self.sections.most_columns() / 2)
            .unwrap_or_default();
        let c = must_cast_slice_mut::<u32, i32>(c);
        let mut rest = self.layers;
        for (layer, c) in c
            .chunks_mut(hidden_size.max(1))
            .enumerate()
            .take(num_layers)
        {
            let (rows, left) = self.layer(layer, token, rest);
            rest = left;
            // x, the h of the layer below, stands just before this layer's own.
            let own = layer * padded_hidden;
            let below = layer.saturating_sub(1) * padded_hidden;
            let inputs = Widened::new(h.get(below..own + padded_hidden), inputs);
            let h = h.get_mut(own..own + hidden_size).unwrap_or_default();
            rows.compute(inputs, Out::Cells { c, h });
        }
        let last = num_layers.saturating_sub(1) * padded_hidden;
        let inputs = Widened::new(h.get(last..), inputs);
        let logits = must_cast_slice_mut(logits);
        self.head().compute(inputs, Out::Logits(logits));
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

/// What some blocks have, so many bytes each, and what follows the section.
fn split_blocks<const BYTES: usize>(bytes: &[u8], blocks: usize) -> (&[[u8; BYTES]], &[u8]) {
    let len = (BYTES * blocks).next_multiple_of(SECTION_ALIGN);
    let (section, rest) = bytes.split_at_checked(len).unwrap_or_default();
    let (section, _) = section.as_chunks();
    (section.get(..blocks).unwrap_or_default(), rest)
}
