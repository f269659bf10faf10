//! Fake quantization: rounds weights as integer models do, and keeps them in `f32`.

use charlet::format::{Input, WeightBits};

use super::parameters::Weights;
use super::shape::Shape;

/// The largest magnitudes that are tried as the largest weight of 4 bits, in parts of the row's.
const CUTS: [f32; 8] = [1.0, 0.93, 0.86, 0.79, 0.72, 0.65, 0.58, 0.51];

/// What an integer model rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounding {
    /// Weights of the layers.
    pub layers: WeightBits,
    /// Weights of the head.
    pub head: WeightBits,
    /// Whether the embedding and the first layer's input weights are rounded too, or folded before.
    pub input: Input,
}

/// All parameters with their weights rounded as `export::quantize` rounds them, still as real numbers.
///
/// What is added to the sums, table and biases, is left as it is: its 8 bits cost nothing that could
/// be measured.
pub(crate) fn rounded(shape: Shape, rounding: Rounding, flat: &[f32]) -> Vec<f32> {
    let bits = rounding.layers;
    let mut rounded = flat.to_vec();
    let weights = Weights::split_mut(shape, &mut rounded);
    let scale = EmbeddingScale::of(weights.embedding, shape.embedding_size);
    let is_embedded = rounding.input == Input::Embedding;
    if is_embedded {
        for row in weights.embedding.chunks_exact_mut(shape.embedding_size) {
            scale.round(row);
        }
    }
    for (index, layer) in weights.layers.into_iter().enumerate() {
        let input_size = shape.input_size(index);
        let inputs = layer.weight_ih.chunks_exact_mut(input_size);
        for (x, h) in inputs.zip(layer.weight_hh.chunks_exact_mut(shape.hidden_size)) {
            match index {
                0 if is_embedded => scale.round_weights(bits, x, h),
                // The first layer's input weights are folded into its table.
                0 => round_row(bits, [&mut [], h]),
                _ => round_row(bits, [x, h]),
            }
        }
    }
    for row in weights.head_weight.chunks_exact_mut(shape.hidden_size) {
        round_row(rounding.head, [row, &mut []]);
    }
    rounded
}

/// Rounds the weights of a row, which stand in two places.
fn round_row(bits: WeightBits, parts: [&mut [f32]; 2]) {
    let scale = scale_of(bits, || parts.iter().flat_map(|part| part.iter().copied()));
    for value in parts.into_iter().flatten() {
        *value = rounded_weight(bits, *value, scale) * scale;
    }
}

/// What a weight of 1 is worth in a row of these values.
pub(crate) fn scale_of<I: Iterator<Item = f32>>(bits: WeightBits, values: impl Fn() -> I) -> f32 {
    let largest = values().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let uncut = largest / max_weight(bits);
    match bits {
        WeightBits::Eight => uncut,
        WeightBits::Four => {
            let error = |scale: f32| -> f32 {
                let error = |value| value - rounded_weight(bits, value, scale) * scale;
                values().map(|value| error(value) * error(value)).sum()
            };
            let scales = CUTS.map(|cut| cut * uncut);
            let errors = scales.map(|scale| (error(scale), scale));
            let best = errors.into_iter().min_by(|(a, _), (b, _)| a.total_cmp(b));
            best.map_or(uncut, |(_, scale)| scale)
        }
    }
}

/// How an embedding becomes inputs of 8 bits: in each of its columns the largest becomes 127. What a
/// column gains in size, its input weights lose, so that they ask for no larger scale than they must
/// from the row that they share with the weights of h.
#[derive(Clone, Debug)]
pub(crate) struct EmbeddingScale {
    /// What an input of 1 is worth in each column.
    units: Vec<f32>,
}

impl EmbeddingScale {
    /// Inputs stand for 128ths, as h does.
    const INPUTS_OF_ONE: f32 = 128.0;
    const MAX_INPUT: f32 = 127.0;

    /// The scale of an embedding, row by row, with rows of `size` values.
    pub(crate) fn of(embedding: &[f32], size: usize) -> Self {
        let mut units = vec![0.0f32; size];
        for row in embedding.chunks_exact(size) {
            for (unit, value) in units.iter_mut().zip(row) {
                *unit = unit.max(value.abs() / Self::MAX_INPUT);
            }
        }
        Self { units }
    }

    /// A row of the embedding as inputs.
    pub(crate) fn inputs(&self, row: &[f32]) -> impl Iterator<Item = f32> {
        row.iter().zip(&self.units).map(Self::input)
    }

    fn input((value, &unit): (&f32, &f32)) -> f32 {
        if unit > 0.0 {
            let max = Self::MAX_INPUT;
            (value / unit).round().clamp(-max, max)
        } else {
            0.0
        }
    }

    /// The weights of the inputs, from those of a row of the embedding.
    pub(crate) fn weights(&self, row: &[f32]) -> impl Iterator<Item = f32> {
        let gains = self.units.iter().map(|unit| unit * Self::INPUTS_OF_ONE);
        row.iter().zip(gains).map(|(value, gain)| value * gain)
    }

    /// Rounds a row of the embedding.
    fn round(&self, row: &mut [f32]) {
        for (value, unit) in row.iter_mut().zip(&self.units) {
            *value = Self::input((value, unit)) * unit;
        }
    }

    /// Rounds a row of input weights, with those of h that have the same scale.
    fn round_weights(&self, bits: WeightBits, x: &mut [f32], h: &mut [f32]) {
        let gains = || self.units.iter().map(|unit| unit * Self::INPUTS_OF_ONE);
        for (value, gain) in x.iter_mut().zip(gains()) {
            *value *= gain;
        }
        round_row(bits, [&mut *x, h]);
        for (value, gain) in x.iter_mut().zip(gains()) {
            // Of a column that is 0 throughout any weight is right.
            *value = if gain > 0.0 { *value / gain } else { 0.0 };
        }
    }
}

/// The largest magnitude of a weight.
fn max_weight(bits: WeightBits) -> f32 {
    f32::from(bits.bias()) - 1.0
}

/// A weight in units of its row's scale.
pub(crate) fn rounded_weight(bits: WeightBits, value: f32, scale: f32) -> f32 {
    let max = max_weight(bits);
    if scale > 0.0 {
        (value / scale).round().clamp(-max, max)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an embedding's column is larger, its weights are smaller: the integers are the same.
    #[test]
    fn the_size_of_a_column_of_the_embedding_makes_no_difference() {
        let embedding = [0.5, -0.25, 0.75, 0.125, -1.0, 0.5];
        let weights = [0.5, 0.25];
        let scale = EmbeddingScale::of(&embedding, 2);
        // The first column is eight times as large.
        let mixed = [4.0, -0.25, 6.0, 0.125, -8.0, 0.5];
        let mixed_scale = EmbeddingScale::of(&mixed, 2);
        for (row, other) in embedding.chunks(2).zip(mixed.chunks(2)) {
            assert!(scale.inputs(row).eq(mixed_scale.inputs(other)));
        }
        let expected: Vec<f32> = scale.weights(&weights).collect();
        let actual: Vec<f32> = mixed_scale
            .weights(&[weights[0] / 8.0, weights[1]])
            .collect();
        assert_eq!(actual, expected);
        // The largest of each column has all its bits.
        let inputs: Vec<f32> = embedding
            .chunks(2)
            .flat_map(|row| scale.inputs(row))
            .collect();
        assert_eq!(inputs, [64.0, -64.0, 95.0, 32.0, -127.0, 127.0]);
    }
}
