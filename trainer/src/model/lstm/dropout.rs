//! Dropout masks: of outputs, recurrent weights and embedding rows.
//!
//! Three kinds: whole characters (Gal and Ghahramani, 2016), recurrent weights (DropConnect, Merity
//! et al., 2018), and the outputs of layers (Zaremba et al., 2014). The first two change the
//! parameters that a whole batch sees, the third every step.

use multiversion::multiversion;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro128PlusPlus;

use super::shard::Shard;
use crate::config::NetworkConfig;
use crate::model::shape::Shape;
use crate::util::rng::Random;

/// The dropout of one batch: rates, and the seed of the masks.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    characters: Threshold,
    recurrent: Threshold,
    outputs: Threshold,
    seed: u64,
}

impl Dropout {
    /// The next batch's dropout.
    pub fn draw(config: &NetworkConfig, random: &mut Random) -> Self {
        Self {
            characters: Threshold::new(config.embedding_dropout),
            recurrent: Threshold::new(config.weight_dropout),
            outputs: Threshold::new(config.dropout),
            seed: random.seed(),
        }
    }

    /// Whether parameters are dropped.
    pub(crate) fn has_parameters(&self) -> bool {
        !(self.characters.never() && self.recurrent.never())
    }

    /// Multiplies parameters, or their gradients, with what is left of each.
    pub(crate) fn mask_parameters(&self, shape: Shape, parameters: &mut [f32]) {
        let mut rest = parameters;
        for (index, parameter) in shape.parameters().into_iter().enumerate() {
            let count = parameter.dims.iter().product();
            let (own, others) = rest.split_at_mut(count);
            let factors = |threshold| Factors::new(self.seed, [index, usize::MAX], threshold);
            if parameter.is_embedding() {
                let mut whole = vec![1.0; shape.vocab_size];
                factors(self.characters).multiply(0, &mut whole);
                for (row, factor) in own.chunks_exact_mut(shape.embedding_size).zip(whole) {
                    row.iter_mut().for_each(|value| *value *= factor);
                }
            } else if parameter.is_recurrent() {
                factors(self.recurrent).multiply(0, own);
            }
            rest = others;
        }
    }

    /// The dropout of the layers' outputs; `None` if there is none.
    pub(crate) fn outputs(&self) -> Option<OutputDropout> {
        (!self.outputs.never()).then_some(OutputDropout {
            share: self.outputs,
            seed: self.seed,
        })
    }
}

/// Dropout of the layers' outputs. What is dropped depends on layer, lane, step and unit only, not
/// on how the batch is shared out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutputDropout {
    share: Threshold,
    seed: u64,
}

impl OutputDropout {
    /// Factors of a lane's outputs, unit by unit and step by step.
    pub(super) fn lane(self, layer: usize, lane: usize) -> Factors {
        Factors::new(self.seed, [layer, lane], self.share)
    }

    /// Multiplies the outputs of all rows of a shard, or their gradients, with what is left of each.
    pub(super) fn mask(self, shard: &Shard, layer: usize, width: usize, outputs: &mut [f32]) {
        for (place, (&lane, &length)) in shard.lanes.iter().zip(&shard.lengths).enumerate() {
            let factors = self.lane(layer, lane);
            for step in 0..length {
                let from = (shard.first_row[step] + place) * width;
                factors.multiply(step * width, &mut outputs[from..from + width]);
            }
        }
    }
}

/// A probability in 65,536ths, and what the survivors are multiplied with.
#[derive(Clone, Copy, Debug)]
struct Threshold {
    dropped: u32,
    scale: f32,
}

impl Threshold {
    fn new(share: f64) -> Self {
        let dropped = (share * 65_536.0).round().min(65_535.0);
        Self {
            dropped: dropped as u32,
            scale: (1.0 / (1.0 - dropped / 65_536.0)) as f32,
        }
    }

    fn never(self) -> bool {
        self.dropped == 0
    }
}

/// Random factors, 0 or what makes up for that. Each depends on a key and its place only, so that any of them
/// can be drawn again, and many at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Factors {
    key: [u32; 2],
    threshold: Threshold,
}

impl Factors {
    fn new(seed: u64, place: [usize; 2], threshold: Threshold) -> Self {
        // The key is scrambled bit by bit, so that neighbours differ in everything.
        let place = (place[0] as u64) << 32 ^ place[1] as u64;
        let key = Xoshiro128PlusPlus::seed_from_u64(seed ^ place).next_u64();
        Self {
            key: [key as u32, (key >> 32) as u32],
            threshold,
        }
    }

    /// The factor at a place.
    #[inline(always)]
    pub(super) fn at(self, place: u32) -> f32 {
        // Two rounds of a mixer of 32 bits (Ellis, "Prospecting for hash functions", 2018 and later), each with
        // a half of the key.
        let mut bits = place ^ self.key[0];
        bits = (bits ^ bits >> 16).wrapping_mul(0x21f0_aaad);
        bits = (bits ^ bits >> 15).wrapping_mul(0xd35a_2d97);
        bits = (bits ^ bits >> 15).wrapping_add(self.key[1]);
        bits = (bits ^ bits >> 16).wrapping_mul(0x21f0_aaad);
        bits = (bits ^ bits >> 15).wrapping_mul(0xd35a_2d97);
        if bits >> 16 < self.threshold.dropped {
            0.0
        } else {
            self.threshold.scale
        }
    }

    /// Multiplies values with the factors from a place on.
    fn multiply(self, first: usize, values: &mut [f32]) {
        multiply(self, first as u32, values);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2", "aarch64+neon"))]
fn multiply(factors: Factors, first: u32, values: &mut [f32]) {
    for (place, value) in (0u32..).zip(values) {
        *value *= factors.at(first.wrapping_add(place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Mode};
    use crate::util::rng::Streams;

    fn dropout(characters: f64, recurrent: f64, outputs: f64) -> Dropout {
        let mut config = Config::defaults(Mode::Lines).network;
        config.embedding_dropout = characters;
        config.weight_dropout = recurrent;
        config.dropout = outputs;
        Dropout::draw(&config, &mut Streams::new(1).dropout)
    }

    #[test]
    fn the_share_is_dropped_and_the_mean_stays() {
        let outputs = dropout(0.0, 0.0, 0.3).outputs().unwrap();
        let lane = |layer, lane| -> Vec<f32> {
            let factors = outputs.lane(layer, lane);
            (0..100_000).map(|place| factors.at(place)).collect()
        };
        let values = lane(0, 0);
        let dropped = values.iter().filter(|value| **value == 0.0).count() as f32 / 1e5;
        assert!((dropped - 0.3).abs() < 0.01, "{dropped}");
        let mean = values.iter().sum::<f32>() / 1e5;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        // As often as by chance both of two neighbours are dropped, in a lane, and of two lanes or layers.
        let both = |left: &[f32], right: &[f32]| {
            let pairs = left.iter().zip(right);
            pairs.filter(|(l, r)| **l == 0.0 && **r == 0.0).count() as f32 / left.len() as f32
        };
        for (left, right) in [
            (&values[1..], &values[..99_999]),
            (&values[..], &lane(0, 1)),
            (&values[..], &lane(1, 0)),
        ] {
            assert!((both(left, right) - 0.09).abs() < 0.005);
        }
    }

    #[test]
    fn many_factors_are_those_of_each_place() {
        let factors = dropout(0.0, 0.0, 0.3).outputs().unwrap().lane(1, 2);
        let mut values: Vec<f32> = (0..100).map(|at| at as f32).collect();
        factors.multiply(1000, &mut values);
        for (at, value) in (0u32..).zip(values) {
            assert_eq!(value, at as f32 * factors.at(1000 + at));
        }
    }

    #[test]
    fn characters_are_dropped_whole_and_only_recurrent_weights_singly() {
        let shape = Shape {
            vocab_size: 40,
            embedding_size: 3,
            hidden_size: 5,
            num_layers: 1,
        };
        let mut mask = vec![1.0; shape.parameter_count()];
        dropout(0.5, 0.5, 0.0).mask_parameters(shape, &mut mask);
        let (embedding, rest) = mask.split_at(120);
        assert!(
            embedding
                .chunks(3)
                .all(|row| row[0] == row[1] && row[1] == row[2])
        );
        assert!(embedding.contains(&0.0) && embedding.contains(&2.0));
        let (weight_ih, rest) = rest.split_at(60);
        let (weight_hh, rest) = rest.split_at(100);
        assert!(weight_hh.contains(&0.0) && weight_hh.contains(&2.0));
        assert!(weight_ih.iter().chain(rest).all(|&factor| factor == 1.0));
        assert_eq!(weight_ih.len() + rest.len(), shape.parameter_count() - 220);
    }

    #[test]
    fn nothing_is_drawn_where_nothing_is_dropped() {
        let dropout = dropout(0.0, 0.0, 0.0);
        let shape = Shape {
            vocab_size: 4,
            embedding_size: 3,
            hidden_size: 5,
            num_layers: 1,
        };
        assert!(!dropout.has_parameters() && dropout.outputs().is_none());
        let mut mask = vec![1.0; shape.parameter_count()];
        dropout.mask_parameters(shape, &mut mask);
        assert!(mask.iter().all(|&factor| factor == 1.0));
    }
}
