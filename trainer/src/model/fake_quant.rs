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
    let scale = EmbeddingScale::of(weights.embedding);
    let is_embedded = rounding.input == Input::Embedding;
    if is_embedded {
        for value in weights.embedding {
            *value = scale.rounded(*value) * scale.unit();
        }
    }
    for (index, layer) in weights.layers.into_iter().enumerate() {
        let input_size = shape.input_size(index);
        let inputs = layer.weight_ih.chunks_exact_mut(input_size);
        for (x, h) in inputs.zip(layer.weight_hh.chunks_exact_mut(shape.hidden_size)) {
            match index {
                0 if is_embedded => {
                    x.iter_mut().for_each(|value| *value = scale.weight(*value));
                    round_row(bits, [&mut *x, h]);
                    x.iter_mut().for_each(|value| *value = scale.value(*value));
                }
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

/// How an embedding becomes inputs of 8 bits, of which the largest is 127: what it loses in size, the
/// input weights gain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EmbeddingScale {
    /// What an input of 1 is worth.
    unit: f32,
}

impl EmbeddingScale {
    /// Inputs stand for 128ths, as h does.
    const INPUTS_OF_ONE: f32 = 128.0;
    const MAX_INPUT: f32 = 127.0;

    pub(crate) fn of(embedding: &[f32]) -> Self {
        let magnitudes = embedding.iter().map(|value| value.abs());
        let largest = magnitudes.fold(0.0f32, f32::max);
        Self {
            unit: largest / Self::MAX_INPUT,
        }
    }

    pub(crate) fn unit(self) -> f32 {
        self.unit
    }

    /// A value of the embedding as an input.
    pub(crate) fn rounded(self, value: f32) -> f32 {
        if self.unit > 0.0 {
            let max = Self::MAX_INPUT;
            (value / self.unit).round().clamp(-max, max)
        } else {
            0.0
        }
    }

    /// The weight of an input, from that of a value of the embedding.
    pub(crate) fn weight(self, value: f32) -> f32 {
        value * (self.unit * Self::INPUTS_OF_ONE)
    }

    /// The value of the embedding, from a weight.
    fn value(self, weight: f32) -> f32 {
        if self.unit > 0.0 {
            weight / (self.unit * Self::INPUTS_OF_ONE)
        } else {
            0.0
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
