//! What is left out while training, so that a network doesn't rely on it.
//!
//! Three kinds: whole characters (Gal and Ghahramani, 2016), recurrent weights (DropConnect, Merity
//! et al., 2018), and the outputs of layers (Zaremba et al., 2014). The first two change the
//! parameters that a whole batch sees, the third every step.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro128PlusPlus;

use super::share::Share;
use crate::config::NetworkConfig;
use crate::network::Shape;
use crate::rng::Random;

/// The dropout of one batch: shares of the configuration, and the randomness to draw from.
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
            characters: Threshold::new(config.character_dropout),
            recurrent: Threshold::new(config.recurrent_dropout),
            outputs: Threshold::new(config.dropout),
            seed: random.seed(),
        }
    }

    /// What the parameters are multiplied with; `None` if nothing of them is dropped.
    pub(crate) fn parameter_mask(&self, shape: Shape) -> Option<Vec<f32>> {
        if self.characters.never() && self.recurrent.never() {
            return None;
        }
        let mut bits = Bits::new(self.seed);
        let mut mask = Vec::new();
        for parameter in shape.parameters() {
            let count = parameter.dims.iter().product();
            if parameter.is_embedding() {
                for _ in 0..shape.vocab_size {
                    let value = self.characters.draw(&mut bits);
                    mask.extend(std::iter::repeat_n(value, shape.embedding_size));
                }
            } else if parameter.is_recurrent() {
                mask.extend((0..count).map(|_| self.recurrent.draw(&mut bits)));
            } else {
                mask.extend(std::iter::repeat_n(1.0, count));
            }
        }
        Some(mask)
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
    pub(super) fn lane(self, layer: usize, lane: usize) -> impl Iterator<Item = f32> {
        // The seed is scrambled bit by bit, so that neighbours differ in everything.
        let mut bits = Bits::new(self.seed ^ ((layer as u64 + 1) << 32 | lane as u64));
        std::iter::repeat_with(move || self.share.draw(&mut bits))
    }

    /// Factors of all rows of a share.
    pub(super) fn draw(self, share: &Share, layer: usize, width: usize, mask: &mut [f32]) {
        for (place, (&lane, &length)) in share.lanes.iter().zip(&share.lengths).enumerate() {
            let mut factors = self.lane(layer, lane);
            for step in 0..length {
                let from = (share.first_row[step] + place) * width;
                for (value, factor) in mask[from..from + width].iter_mut().zip(&mut factors) {
                    *value = factor;
                }
            }
        }
    }
}

/// A probability in 65,536ths, and what the survivors are multiplied with.
#[derive(Clone, Copy, Debug)]
struct Threshold {
    dropped: u16,
    scale: f32,
}

impl Threshold {
    fn new(share: f64) -> Self {
        let dropped = (share * 65_536.0).round().min(65_535.0);
        Self {
            dropped: dropped as u16,
            scale: (1.0 / (1.0 - dropped / 65_536.0)) as f32,
        }
    }

    fn never(self) -> bool {
        self.dropped == 0
    }

    fn draw(self, bits: &mut Bits) -> f32 {
        if bits.next() < self.dropped {
            0.0
        } else {
            self.scale
        }
    }
}

/// Sixteen random bits at a time.
struct Bits {
    random: Xoshiro128PlusPlus,
    left: Option<u16>,
}

impl Bits {
    fn new(seed: u64) -> Self {
        Self {
            random: Xoshiro128PlusPlus::seed_from_u64(seed),
            left: None,
        }
    }

    fn next(&mut self) -> u16 {
        self.left.take().unwrap_or_else(|| {
            let bits = self.random.next_u32();
            self.left = Some((bits >> 16) as u16);
            bits as u16
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Mode};
    use crate::rng::Streams;

    fn dropout(characters: f64, recurrent: f64, outputs: f64) -> Dropout {
        let mut config = Config::defaults(Mode::Lines).network;
        config.character_dropout = characters;
        config.recurrent_dropout = recurrent;
        config.dropout = outputs;
        Dropout::draw(&config, &mut Streams::new(1).dropout)
    }

    #[test]
    fn the_share_is_dropped_and_the_mean_stays() {
        let outputs = dropout(0.0, 0.0, 0.3).outputs().unwrap();
        let values: Vec<f32> = outputs.lane(0, 0).take(100_000).collect();
        let dropped = values.iter().filter(|value| **value == 0.0).count() as f32 / 1e5;
        assert!((dropped - 0.3).abs() < 0.01, "{dropped}");
        let mean = values.iter().sum::<f32>() / 1e5;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        assert_ne!(
            values[..99],
            outputs.lane(0, 1).take(99).collect::<Vec<_>>()
        );
        assert_ne!(
            values[..99],
            outputs.lane(1, 0).take(99).collect::<Vec<_>>()
        );
    }

    #[test]
    fn characters_are_dropped_whole_and_only_recurrent_weights_singly() {
        let shape = Shape {
            vocab_size: 40,
            embedding_size: 3,
            hidden_size: 5,
            num_layers: 1,
        };
        let mask = dropout(0.5, 0.5, 0.0).parameter_mask(shape).unwrap();
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
        assert!(dropout.parameter_mask(shape).is_none() && dropout.outputs().is_none());
    }
}
