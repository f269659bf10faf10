//! From a model file back to weights in single precision.

use charlet::format::layout::{
    COLUMN_ORDER, COLUMNS, IntegerSections, QUAD_BYTES, ROWS, ROWS_PER_QUAD, SCALE_BYTES,
    SECTION_ALIGN, Sections, WeightBits,
};

use super::exported::Exported;
use super::model_file::{Part, each_place};
use super::quantize::{H_BITS, START_SHIFT, SUM_BITS, source_row};

/// Takes the weights of a model in single precision as they are.
pub(super) fn floats(to: &mut Exported, sections: Sections, bytes: &[u8]) {
    let values = bytes.as_chunks().0;
    each_place(to.shape(), sections, |part, [of, input], [column, row]| {
        let matrix = match part {
            Part::WeightIh(layer) => &mut to.layers[layer][0],
            Part::WeightHh(layer) => &mut to.layers[layer][1],
            Part::Bias(layer) => &mut to.layers[layer][2],
            Part::Head => &mut to.head,
            Part::HeadBias => &mut to.head_bias,
        };
        matrix.set(of, input, f32::from_le_bytes(values[column * ROWS + row]));
    });
}

/// Takes the weights of an integer model for what they are worth, as `runtime/ARITHMETIC.md` defines it.
pub(super) fn integers(to: &mut Exported, sections: &IntegerSections, mut bytes: &[u8]) {
    let mut section = |len: usize| {
        let (section, rest) = bytes.split_at(len);
        bytes = rest;
        section
    };
    let shifts = section(SECTION_ALIGN * sections.shifts());
    let input = section(SECTION_ALIGN * sections.input());
    if let Some(embedding) = &mut to.embedding {
        for (token, row) in input.chunks(sections.padded_embedding).enumerate() {
            // What is left of the section is padding.
            if token == sections.vocab_size {
                break;
            }
            for (at, &value) in row[..embedding.columns].iter().enumerate() {
                embedding.set(
                    token,
                    at,
                    f32::from(value.cast_signed()) / exp2(H_BITS) as f32,
                );
            }
        }
    }
    for part in 0..=sections.num_layers {
        let rows = Rows {
            shifts: [shifts[2 * part], shifts[2 * part + 1]].map(i32::from),
            bits: sections.bits(part),
            quads: sections.quads(part),
            scales: section(SCALE_BYTES * sections.blocks(part)),
            start: section(SECTION_ALIGN * sections.start(part)),
            weights: section(QUAD_BYTES * sections.blocks(part) * sections.quads(part)),
        };
        if part == sections.num_layers {
            for token in 0..sections.vocab_size {
                to.head_bias.set(token, 0, rows.start(token, rows.start));
                for column in 0..sections.hidden_size {
                    to.head.set(token, column, rows.weight(token, column));
                }
            }
            break;
        }
        let [weight_ih, weight_hh, bias] = &mut to.layers[part];
        let from_table = part == 0 && to.embedding.is_none();
        for row in 0..4 * sections.hidden_size {
            let of = source_row(row, sections.hidden_size);
            if from_table {
                for token in 0..sections.vocab_size {
                    let table = &input[4 * token * sections.hidden_size..];
                    weight_ih.set(of, token, rows.start(row, table));
                }
            } else {
                bias.set(of, 0, rows.start(row, rows.start));
                for column in 0..weight_ih.columns {
                    weight_ih.set(of, column, rows.weight(row, column));
                }
            }
            let padded_input = sections.columns(part) - sections.padded_hidden;
            for column in 0..sections.hidden_size {
                weight_hh.set(of, column, rows.weight(row, padded_input + column));
            }
        }
    }
}

fn exp2(exponent: i32) -> f64 {
    f64::from(exponent).exp2()
}

/// The rows of a layer or of the head, in the order of the file.
struct Rows<'b> {
    shifts: [i32; 2],
    bits: WeightBits,
    quads: usize,
    scales: &'b [u8],
    start: &'b [u8],
    weights: &'b [u8],
}

impl Rows<'_> {
    /// The multipliers of a row's sum and of its start value.
    fn multiplier(&self, row: usize, which: usize) -> f64 {
        let at = 4 * row + 2 * which;
        u16::from_le_bytes([self.scales[at], self.scales[at + 1]]).into()
    }

    /// What a row has in a table of start values.
    fn start(&self, row: usize, table: &[u8]) -> f32 {
        let value = f64::from(table[row].cast_signed());
        let unit = exp2(START_SHIFT - self.shifts[1] - SUM_BITS);
        (value * self.multiplier(row, 1) * unit) as f32
    }

    fn weight(&self, row: usize, column: usize) -> f32 {
        let (quad, column) = (column / self.bits.columns(), column % self.bits.columns());
        let (block, row_in_quad) = (row / ROWS_PER_QUAD, row % ROWS_PER_QUAD);
        let place = COLUMN_ORDER.iter().position(|&at| at == column % COLUMNS);
        let at = (block * self.quads + quad) * QUAD_BYTES + row_in_quad * COLUMNS;
        let byte = self.weights[at + place.unwrap_or(0)];
        let stored = match self.bits {
            WeightBits::Eight => byte,
            WeightBits::Four if column < COLUMNS => byte & 0xf,
            WeightBits::Four => byte >> 4,
        };
        let weight = f64::from(stored) - f64::from(self.bits.bias());
        // A sum of products with h, shifted twice, is a gate's sum.
        let unit = exp2(H_BITS - self.shifts[0] - self.shifts[1] - SUM_BITS);
        (weight * self.multiplier(row, 0) * unit) as f32
    }
}

#[cfg(test)]
mod tests {
    use charlet::format::{Input, Precision};

    use super::*;
    use crate::config::Mode;
    use crate::data::alphabet::Alphabet;
    use crate::export::form::Form;
    use crate::export::model_file::{Matrix, PlainWeights, model_file};
    use crate::model::network::Network;
    use crate::model::shape::Shape;
    use crate::util::rng::Streams;

    /// Fails if a value is off by more than a part of the largest.
    fn check(what: &str, part: f32, actual: &Matrix, expected: impl Fn(usize, usize) -> f32) {
        let rows = actual.values().len() / actual.columns;
        let places = (0..rows).flat_map(|row| (0..actual.columns).map(move |column| (row, column)));
        let largest = places
            .clone()
            .map(|(row, column)| expected(row, column).abs())
            .fold(0.0, f32::max);
        for (row, column) in places {
            let (actual, expected) = (actual.at(row, column), expected(row, column));
            assert!(
                (actual - expected).abs() <= part * largest,
                "{what} {row}, {column}: {actual} instead of {expected}"
            );
        }
    }

    #[test]
    fn the_weights_of_a_file_are_those_that_were_written() {
        let shape = Shape {
            vocab_size: 5,
            embedding_size: 3,
            hidden_size: 6,
            num_layers: 2,
        };
        let mut streams = Streams::new(1);
        let network = Network::new(shape, &mut streams.weights, &candle_core::Device::Cpu).unwrap();
        let plain = PlainWeights::of(&network).unwrap();
        let alphabet = Alphabet::of(["abcd"], Mode::Lines).unwrap();
        // A weight is off by half of what a row's scale is worth, and 4 bits may cut off the largest. With an embedding
        // the largest of a row is an input's weight.
        for (precision, input, layers, head) in [
            (Precision::F32, Input::Table, 0.0, 0.0),
            (Precision::I8, Input::Table, 0.009, 0.009),
            (Precision::I8, Input::Embedding, 0.03, 0.009),
            (Precision::I4, Input::Table, 0.4, 0.009),
            (Precision::I4, Input::Embedding, 0.4, 0.4),
        ] {
            let is_small = head > 0.1;
            let form = Form {
                precision,
                input,
                head_bits: if is_small {
                    WeightBits::Four
                } else {
                    WeightBits::Eight
                },
            };
            let what = |name: &str| format!("{precision} {input:?} {name}");
            let file = model_file(&network, &alphabet, form).unwrap();
            let exported = Exported::of_model(&file).unwrap();
            assert_eq!(exported.shape(), shape);
            assert_eq!(exported.description.alphabet, alphabet);
            // Biases have 8 bits.
            let biases = if layers > 0.0 { 0.005 } else { 0.0 };
            for (layer, [weight_ih, weight_hh, bias]) in exported.layers.iter().enumerate() {
                let [plain_ih, plain_hh, plain_bias] = &plain.layers[layer];
                let is_table = layer == 0 && input == Input::Table;
                if is_table {
                    let expected = |row, token| plain.input(token, row);
                    check(&what("table"), biases, weight_ih, expected);
                    check(&what("no bias"), 0.0, bias, |_, _| 0.0);
                } else {
                    check(&what("bias"), biases, bias, |row, _| plain_bias.at(row, 0));
                }
                if layer > 0 {
                    let expected = |row, column| plain_ih.at(row, column);
                    check(&what("weight_ih"), layers, weight_ih, expected);
                }
                let expected = |row, column| plain_hh.at(row, column);
                check(&what("weight_hh"), layers, weight_hh, expected);
            }
            // The embedding's scale is the exporter's choice: what counts is what it adds to a gate.
            if let Some(embedding) = &exported.embedding {
                let product = |token, row, embedding: &Matrix, weights: &Matrix| -> f32 {
                    let of = |at| embedding.at(token, at) * weights.at(row, at);
                    (0..3).map(of).sum()
                };
                let mut products = Matrix::zeros(5, 24);
                for (token, row) in (0..5).flat_map(|token| (0..24).map(move |row| (token, row))) {
                    let value = product(token, row, embedding, &exported.layers[0][0]);
                    products.set(token, row, value);
                }
                // Both factors are rounded.
                let part = if precision == Precision::I8 {
                    0.06
                } else {
                    0.6
                };
                check(&what("input"), part, &products, |token, row| {
                    product(token, row, &plain.embedding, &plain.layers[0][0])
                });
            }
            let expected = |row, column| plain.head.at(row, column);
            check(&what("head"), head, &exported.head, expected);
            let expected = |row, _| plain.head_bias.at(row, 0);
            check(&what("head bias"), biases, &exported.head_bias, expected);
        }
    }
}
