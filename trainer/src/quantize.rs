//! From trained weights to integers, as `runtime/ARITHMETIC.md` defines them.
//!
//! Every row has a scale of its own: its largest weight becomes 127. All else follows from that: what
//! a sum of products is worth, how far it can grow, and so the shifts and multipliers that turn it
//! into a gate's sum without overflow.

use charlet::layout::{COLUMN_ORDER, COLUMNS, ROWS_PER_QUAD};

use crate::export::Weights;
use crate::lstm::WeightSlices;
use crate::network::Shape;

/// The largest magnitude of a weight.
const MAX_WEIGHT: f32 = 127.0;
/// Fraction bits of h, of gate sums and logits, as in the runtime.
const H_BITS: i32 = 12;
const SUM_BITS: i32 = 11;
/// Multipliers, and sums after the first shift, have as many bits beside their sign.
const MULTIPLIER_MAX: f64 = 32_767.0;
const SHIFTED_MAX: i64 = 32_767;

/// The weights' part of an integer model file.
pub(crate) fn quantize(weights: &Weights) -> Vec<u8> {
    let Shape {
        vocab_size,
        hidden_size,
        num_layers,
        ..
    } = weights.shape;
    let padded = hidden_size.next_multiple_of(COLUMNS);
    let layers: Vec<Matrix> = (0..num_layers)
        .map(|layer| Matrix::of_layer(weights, layer, padded))
        .collect();
    let head = Matrix::of_head(weights, padded);

    let mut bytes = Vec::new();
    for matrix in layers.iter().chain([&head]) {
        bytes.extend([matrix.first_shift, matrix.second_shift]);
    }
    bytes.resize(bytes.len().next_multiple_of(16), 0);
    for token in 0..vocab_size {
        for (row, quantized) in layers[0].rows.iter().enumerate() {
            let value = weights.input(token, source_row(row, hidden_size));
            bytes.extend(quantized.start(value).to_le_bytes());
        }
    }
    for (index, matrix) in layers.iter().enumerate() {
        matrix.put_multipliers(&mut bytes);
        if index > 0 {
            let bias = &weights.layers[index][2];
            for (row, quantized) in matrix.rows.iter().enumerate() {
                let value = bias.at(source_row(row, hidden_size), 0);
                bytes.extend(quantized.start(value).to_le_bytes());
            }
        }
        matrix.put_weights(&mut bytes);
    }
    head.put_multipliers(&mut bytes);
    for (token, quantized) in head.rows.iter().enumerate() {
        let value = if token < vocab_size {
            weights.head_bias.at(token, 0)
        } else {
            0.0
        };
        bytes.extend(quantized.start(value).to_le_bytes());
    }
    head.put_weights(&mut bytes);
    bytes
}

/// All parameters with their weights rounded as [`quantize`] rounds them, still as real numbers.
///
/// What is added to the sums, table and biases, has 16 bits on the chip and is left as it is.
pub(crate) fn rounded(shape: Shape, flat: &[f32]) -> Vec<f32> {
    let mut rounded = flat.to_vec();
    let weights = WeightSlices::split_mut(shape, &mut rounded);
    for (index, layer) in weights.layers.into_iter().enumerate() {
        let input_size = shape.input_size(index);
        let inputs = layer.weight_ih.chunks_exact_mut(input_size);
        for (x, h) in inputs.zip(layer.weight_hh.chunks_exact_mut(shape.hidden_size)) {
            // The first layer's input weights are folded into its table.
            let x = if index > 0 { x } else { &mut [] };
            let scale = scale_of(x.iter().chain(&*h));
            for value in x.iter_mut().chain(h) {
                *value = quantized(*value, scale) * scale;
            }
        }
    }
    for row in weights.head_weight.chunks_exact_mut(shape.hidden_size) {
        let scale = scale_of(row.iter());
        for value in row {
            *value = quantized(*value, scale) * scale;
        }
    }
    rounded
}

/// The trained row of a row in the file, where the four gates of a unit stand together.
fn source_row(row: usize, hidden_size: usize) -> usize {
    row % ROWS_PER_QUAD * hidden_size + row / ROWS_PER_QUAD
}

/// A row of weights in integers.
struct Row {
    /// One for each padded input.
    weights: Vec<i8>,
    /// What a weight of 1 is worth.
    scale: f64,
    /// What a sum after the first shift is multiplied with.
    multiplier: u16,
}

/// The scale of a row: its largest weight becomes [`MAX_WEIGHT`].
fn scale_of<'v>(values: impl Iterator<Item = &'v f32>) -> f32 {
    values.fold(0.0f32, |largest, value| largest.max(value.abs())) / MAX_WEIGHT
}

/// A weight in units of its row's scale.
fn quantized(value: f32, scale: f32) -> f32 {
    if scale > 0.0 {
        (value / scale).round().clamp(-MAX_WEIGHT, MAX_WEIGHT)
    } else {
        0.0
    }
}

impl Row {
    fn new(values: &[f32]) -> Self {
        let scale = scale_of(values.iter());
        let weights = values
            .iter()
            .map(|&value| quantized(value, scale) as i8)
            .collect();
        Self {
            weights,
            scale: scale.into(),
            multiplier: 0,
        }
    }

    /// The most that a sum of products can be: every h is at most 1.
    fn largest_sum(&self) -> i64 {
        let weights: i64 = self
            .weights
            .iter()
            .map(|&weight| i64::from(weight).abs())
            .sum();
        weights << H_BITS
    }

    /// What a row's sum starts with, in the format of sums. The second shift rounds down, by half a
    /// unit in the mean, which is made good here.
    fn start(&self, value: f32) -> i16 {
        let rounding = if self.multiplier > 0 { 0.5 } else { 0.0 };
        let value = f64::from(value) * f64::from(1 << SUM_BITS) + rounding;
        value.round().clamp(-MULTIPLIER_MAX, MULTIPLIER_MAX) as i16
    }
}

/// The rows of a layer or of the head, in the order of the file, with their shifts.
struct Matrix {
    rows: Vec<Row>,
    first_shift: u8,
    second_shift: u8,
}

impl Matrix {
    /// A layer's rows for [x, h], each part padded.
    fn of_layer(weights: &Weights, layer: usize, padded: usize) -> Self {
        let [weight_ih, weight_hh, _] = &weights.layers[layer];
        let rows = (0..4 * weights.shape.hidden_size).map(|row| {
            let source = source_row(row, weights.shape.hidden_size);
            let mut values = Vec::new();
            if layer > 0 {
                values.extend(weight_ih.row(source));
                values.resize(padded, 0.0);
            }
            values.extend(weight_hh.row(source));
            values.resize(values.len().next_multiple_of(COLUMNS), 0.0);
            Row::new(&values)
        });
        Self::new(rows.collect())
    }

    /// The head's rows, filled up to whole blocks.
    fn of_head(weights: &Weights, padded: usize) -> Self {
        let vocab_size = weights.shape.vocab_size;
        let rows = (0..vocab_size.next_multiple_of(ROWS_PER_QUAD)).map(|token| {
            let mut values = if token < vocab_size {
                weights.head.row(token).to_vec()
            } else {
                Vec::new()
            };
            values.resize(padded, 0.0);
            Row::new(&values)
        });
        Self::new(rows.collect())
    }

    fn new(mut rows: Vec<Row>) -> Self {
        let largest = rows.iter().map(Row::largest_sum).max().unwrap_or(0);
        // The fewest bits lost so that every sum, rounded, fits 16 bits.
        let first_shift = (0u32..31)
            .find(|&shift| (largest + ((1 << shift) >> 1)) >> shift <= SHIFTED_MAX)
            .unwrap_or(30);
        // What a sum after the first shift is worth in the format of gate sums.
        let worth =
            |row: &Row| row.scale * f64::from(first_shift as i32 + SUM_BITS - H_BITS).exp2();
        let largest = rows.iter().map(worth).fold(0.0f64, f64::max);
        // The most digits that leave every multiplier 15 bits.
        let second_shift = (0u32..31)
            .rev()
            .find(|&shift| largest * f64::from(shift).exp2() <= MULTIPLIER_MAX)
            .unwrap_or(0);
        for row in &mut rows {
            let multiplier = worth(row) * f64::from(second_shift).exp2();
            row.multiplier = multiplier.round().min(MULTIPLIER_MAX) as u16;
        }
        Self {
            rows,
            first_shift: first_shift as u8,
            second_shift: second_shift as u8,
        }
    }

    fn put_multipliers(&self, bytes: &mut Vec<u8>) {
        for row in &self.rows {
            bytes.extend(row.multiplier.to_le_bytes());
        }
    }

    /// Four columns of four rows at a time, plus 128.
    fn put_weights(&self, bytes: &mut Vec<u8>) {
        for block in self.rows.chunks(ROWS_PER_QUAD) {
            for from in (0..block[0].weights.len()).step_by(COLUMNS) {
                for row in block {
                    let biased =
                        |&column: &usize| row.weights[from + column].wrapping_add(-128) as u8;
                    bytes.extend(COLUMN_ORDER.iter().map(biased));
                }
            }
        }
    }
}
