//! From trained weights to integers, as `runtime/ARITHMETIC.md` defines them.
//!
//! Every row has a scale of its own: with weights of 7 bits its largest becomes 63; with 4 bits the
//! largest may be cut off where that makes the sum of all errors smaller. All else follows from that:
//! what a sum of products is worth, how far it can grow, and so the shifts and multipliers that turn
//! it into a gate's sum without overflow.

use charlet::format::layout::{
    COLUMN_ORDER, COLUMNS, IntegerSections, ROWS_PER_QUAD, SECTION_ALIGN, WeightBits,
};

use super::model_file::PlainWeights;
use crate::model::fake_quant::{EmbeddingScale, rounded_weight, scale_of};

/// Fraction bits of h, of gate sums and logits, as in the runtime.
pub(super) const H_BITS: i32 = 7;
pub(super) const SUM_BITS: i32 = 11;
/// Multipliers, and sums after the first shift, have as many bits beside their sign.
const MULTIPLIER_MAX: f64 = 32_767.0;
const SHIFTED_MAX: i64 = 32_767;
/// The largest second shift with which no sum overflows.
const SECOND_SHIFT_MAX: u32 = 24;
/// The largest start value, in its 8 bits, and by how many bits it is shifted left.
const START_MAX: f64 = 127.0;
pub(super) const START_SHIFT: i32 = 8;
/// Gates are open or closed long before: a start value beyond that costs digits and brings nothing.
const START_LIMIT: f64 = 32.0;

/// The weights' part of an integer model file.
pub(crate) fn quantize(weights: &PlainWeights, sections: &IntegerSections) -> Vec<u8> {
    let vocab_size = weights.shape.vocab_size;
    let layers: Vec<QuantizedMatrix> = (0..weights.shape.num_layers)
        .map(|layer| QuantizedMatrix::of_layer(weights, layer, sections))
        .collect();
    let head = QuantizedMatrix::of_head(weights, sections);

    let mut bytes = Vec::with_capacity(sections.bytes().unwrap_or(0));
    for matrix in layers.iter().chain([&head]) {
        bytes.extend([matrix.first_shift, matrix.second_shift]);
    }
    pad(&mut bytes);
    let scale = EmbeddingScale::of(weights.embedding.values(), weights.shape.embedding_size);
    for token in 0..vocab_size {
        if sections.padded_embedding > 0 {
            let row = weights.embedding.row(token);
            let padding = sections.padded_embedding - row.len();
            bytes.extend(scale.inputs(row).map(|input| input as i8 as u8));
            bytes.extend(std::iter::repeat_n(0, padding));
        } else {
            layers[0].put_start(token, &mut bytes);
        }
    }
    pad(&mut bytes);
    for (part, matrix) in layers.iter().chain([&head]).enumerate() {
        matrix.put_scales(&mut bytes);
        if sections.start(part) > 0 {
            matrix.put_start(0, &mut bytes);
            pad(&mut bytes);
        }
        matrix.put_weights(&mut bytes);
    }
    bytes
}

/// Fills a section up.
fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(SECTION_ALIGN), 0);
}

/// The trained row of a row in the file, where the four gates of a unit stand together.
pub(super) fn source_row(row: usize, hidden_size: usize) -> usize {
    row % ROWS_PER_QUAD * hidden_size + row / ROWS_PER_QUAD
}

/// A row of weights in integers.
struct Row {
    /// One for each padded input.
    weights: Vec<i8>,
    /// What a weight of 1 is worth.
    scale: f64,
    /// What is added to the row's sum: for each token in the first layer, the bias in others.
    start: Vec<f64>,
    /// What a sum after the first shift is multiplied with.
    multiplier: u16,
    /// What a start value is multiplied with.
    start_multiplier: u16,
}

impl Row {
    fn new(bits: WeightBits, values: &[f32], start: impl Iterator<Item = f32>) -> Self {
        let scale = scale_of(bits, || values.iter().copied());
        let weights = values
            .iter()
            .map(|&value| rounded_weight(bits, value, scale) as i8)
            .collect();
        let start = start.map(|value| f64::from(value).clamp(-START_LIMIT, START_LIMIT));
        Self {
            weights,
            scale: scale.into(),
            start: start.collect(),
            multiplier: 0,
            start_multiplier: 0,
        }
    }

    /// The most that a sum of products can be: every input is at most 1.
    fn largest_sum(&self) -> i64 {
        let weights: i64 = self
            .weights
            .iter()
            .map(|&weight| i64::from(weight).abs())
            .sum();
        weights << H_BITS
    }

    /// What a sum of 1 after the first shift is worth in the format of gate sums.
    fn worth(&self, first_shift: u32) -> f64 {
        self.scale * f64::from(first_shift as i32 + SUM_BITS - H_BITS).exp2()
    }

    /// What a start value of 1 is worth, if the largest in magnitude has all its bits.
    fn start_worth(&self) -> f64 {
        let magnitudes = self.start.iter().map(|value| value.abs());
        magnitudes.fold(0.0, f64::max) / START_MAX * f64::from(SUM_BITS - START_SHIFT).exp2()
    }

    /// A start value in its 8 bits.
    fn start(&self, at: usize, second_shift: u8) -> i8 {
        let worth = f64::from(self.start_multiplier) / f64::from(second_shift).exp2();
        let value = self.start.get(at).copied().unwrap_or(0.0);
        if worth > 0.0 {
            let value = value * f64::from(SUM_BITS - START_SHIFT).exp2() / worth;
            value.round().clamp(-START_MAX, START_MAX) as i8
        } else {
            0
        }
    }
}

/// The rows of a layer or of the head, in the order of the file, with their shifts.
struct QuantizedMatrix {
    bits: WeightBits,
    rows: Vec<Row>,
    first_shift: u8,
    second_shift: u8,
}

impl QuantizedMatrix {
    /// A layer's rows for [x, h], each part padded.
    fn of_layer(weights: &PlainWeights, layer: usize, sections: &IntegerSections) -> Self {
        let [weight_ih, weight_hh, bias] = &weights.layers[layer];
        let bits = sections.weight_bits;
        let is_table = layer == 0 && sections.padded_embedding == 0;
        let scale = EmbeddingScale::of(weights.embedding.values(), weights.shape.embedding_size);
        let rows = (0..4 * weights.shape.hidden_size).map(|row| {
            let source = source_row(row, weights.shape.hidden_size);
            let mut values = Vec::new();
            if layer > 0 {
                values.extend(weight_ih.row(source));
                values.resize(sections.padded_hidden, 0.0);
            } else if !is_table {
                values.extend(scale.weights(weight_ih.row(source)));
                values.resize(sections.padded_embedding, 0.0);
            }
            values.extend(weight_hh.row(source));
            values.resize(sections.columns(layer), 0.0);
            if is_table {
                let tokens = 0..weights.shape.vocab_size;
                let table = tokens.map(|token| weights.input(token, source));
                Row::new(bits, &values, table)
            } else {
                Row::new(bits, &values, [bias.at(source, 0)].into_iter())
            }
        });
        Self::new(bits, rows.collect())
    }

    /// The head's rows, filled up to whole blocks.
    fn of_head(weights: &PlainWeights, sections: &IntegerSections) -> Self {
        let vocab_size = weights.shape.vocab_size;
        let rows = (0..ROWS_PER_QUAD * sections.head_blocks).map(|token| {
            let mut values = Vec::new();
            let mut bias = 0.0;
            if token < vocab_size {
                values.extend(weights.head.row(token));
                bias = weights.head_bias.at(token, 0);
            }
            values.resize(sections.padded_hidden, 0.0);
            Row::new(sections.head_bits, &values, [bias].into_iter())
        });
        Self::new(sections.head_bits, rows.collect())
    }

    fn new(bits: WeightBits, mut rows: Vec<Row>) -> Self {
        let largest = rows.iter().map(Row::largest_sum).max().unwrap_or(0);
        // The fewest bits lost so that every sum, rounded, fits 16 bits.
        let first_shift = (0u32..31)
            .find(|&shift| (largest + ((1 << shift) >> 1)) >> shift <= SHIFTED_MAX)
            .unwrap_or(30);
        // The most digits that leave every multiplier 15 bits.
        let worths = rows
            .iter()
            .flat_map(|row| [row.worth(first_shift), row.start_worth()]);
        let largest = worths.fold(0.0f64, f64::max);
        let second_shift = (0..=SECOND_SHIFT_MAX)
            .rev()
            .find(|&shift| largest * f64::from(shift).exp2() <= MULTIPLIER_MAX)
            .unwrap_or(0);
        let unit = f64::from(second_shift).exp2();
        for row in &mut rows {
            let multiplier = (row.worth(first_shift) * unit).round();
            row.multiplier = multiplier.min(MULTIPLIER_MAX) as u16;
            // Rounded up, so that the largest start value still fits.
            row.start_multiplier = (row.start_worth() * unit).ceil() as u16;
        }
        Self {
            bits,
            rows,
            first_shift: first_shift as u8,
            second_shift: second_shift as u8,
        }
    }

    fn put_scales(&self, bytes: &mut Vec<u8>) {
        for row in &self.rows {
            bytes.extend(row.multiplier.to_le_bytes());
            bytes.extend(row.start_multiplier.to_le_bytes());
        }
    }

    /// What the rows start with: a token's values, or the only ones.
    fn put_start(&self, at: usize, bytes: &mut Vec<u8>) {
        for row in &self.rows {
            bytes.extend(row.start(at, self.second_shift).to_le_bytes());
        }
    }

    /// The columns of a quad of four rows at a time, with the bias of stored weights.
    fn put_weights(&self, bytes: &mut Vec<u8>) {
        let bias = self.bits.bias();
        for block in self.rows.chunks(ROWS_PER_QUAD) {
            for from in (0..block[0].weights.len()).step_by(self.bits.columns()) {
                for row in block {
                    let stored = |column: usize| {
                        row.weights[from + column].wrapping_add(bias.cast_signed()) as u8
                    };
                    bytes.extend(COLUMN_ORDER.map(|column| match self.bits {
                        WeightBits::Eight => stored(column),
                        WeightBits::Four => stored(column) | stored(COLUMNS + column) << 4,
                    }));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use charlet::format::{Input, Precision};

    use super::*;
    use crate::config::Mode;
    use crate::data::alphabet::Alphabet;
    use crate::export::form::Form;
    use crate::export::model_file::header;
    use crate::model::fake_quant::{Rounding, rounded};
    use crate::model::network::Network;
    use crate::model::parameters::Weights;
    use crate::model::shape::Shape;
    use crate::util::rng::Streams;

    /// What training uses is what the file has: every weight, to the last bit of its number.
    #[test]
    fn training_rounds_as_the_export_does() {
        let shape = Shape {
            vocab_size: 5,
            embedding_size: 3,
            hidden_size: 6,
            num_layers: 2,
        };
        let mut streams = Streams::new(1);
        let network = Network::new(shape, &mut streams.weights, &candle_core::Device::Cpu).unwrap();
        let flat: Vec<f32> = network.parameters().to_vec1().unwrap();
        let plain = PlainWeights::of(&network).unwrap();
        let scale = EmbeddingScale::of(plain.embedding.values(), 3);
        for (precision, layers, head) in [
            (Precision::I8, WeightBits::Eight, WeightBits::Eight),
            (Precision::I4, WeightBits::Four, WeightBits::Four),
        ] {
            let form = Form {
                precision,
                input: Input::Embedding,
                head_bits: head,
            };
            let input = Input::Embedding;
            let rounding = Rounding {
                layers,
                head,
                input,
            };
            let trained = rounded(shape, rounding, &flat);
            let trained = Weights::split(shape, &trained);
            let alphabet = Alphabet::of(["abcd"], Mode::Lines).unwrap();
            let sections = IntegerSections::of(&header(shape, &alphabet, form).unwrap()).unwrap();
            for layer in 0..2 {
                let matrix = QuantizedMatrix::of_layer(&plain, layer, &sections);
                for (at, row) in matrix.rows.iter().enumerate() {
                    let source = source_row(at, 6);
                    let worth = |column: usize| row.weights[column] as f32 * row.scale as f32;
                    let x = shape.input_size(layer);
                    let weights = trained.layers[layer].weight_ih.chunks_exact(x).nth(source);
                    let weights: Vec<f32> = match layer {
                        0 => scale.weights(weights.unwrap()).collect(),
                        _ => weights.unwrap().to_vec(),
                    };
                    for (column, weight) in weights.into_iter().enumerate() {
                        let expected = worth(column);
                        // There and back again may cost a bit.
                        assert!((weight - expected).abs() <= 1e-6 * expected.abs());
                    }
                    let from = sections.columns(layer) - sections.padded_hidden;
                    for column in 0..6 {
                        let weight = trained.layers[layer].weight_hh[source * 6 + column];
                        assert_eq!(weight, worth(from + column));
                    }
                }
            }
            let matrix = QuantizedMatrix::of_head(&plain, &sections);
            for (token, row) in matrix.rows.iter().take(5).enumerate() {
                for column in 0..6 {
                    let weight = trained.head_weight[token * 6 + column];
                    assert_eq!(weight, row.weights[column] as f32 * row.scale as f32);
                }
            }
            for token in 0..5 {
                let rounded = &trained.embedding[3 * token..][..3];
                assert!(
                    scale
                        .inputs(plain.embedding.row(token))
                        .eq(scale.inputs(rounded))
                );
            }
        }
    }
}
