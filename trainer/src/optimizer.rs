//! Updating weights: AdamW and RMSprop with clipped gradients, and a state that can be saved.
//!
//! An update is one pass over all weights on the processor. The weights of another device are fetched and
//! put back.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use candle_core::{CpuStorage, DType, Device, InplaceOp1, Layout, Tensor, Var};
use multiversion::multiversion;
use rayon::prelude::*;

use crate::config::{OptimizerConfig, OptimizerKind};
use crate::network::{Network, Shape};

/// Names of the running averages in a checkpoint.
const MEAN: &str = "optimizer.mean";
const SQUARE: &str = "optimizer.square";
/// Keeps a division by a vanishing gradient finite.
const EPSILON: f32 = 1e-8;
/// Weights that a thread updates at once. Fixed, so that the norm is summed in the same order whatever
/// the number of threads.
const PIECE: usize = 1 << 14;

/// Updates a network's weights from their gradients.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    shape: Shape,
    /// All weights in one vector.
    parameters: Var,
    averages: Averages,
    /// Updates made.
    steps: usize,
}

/// What is remembered of all gradients so far.
#[derive(Debug)]
struct Averages {
    /// Running average of the gradient.
    mean: Vec<f32>,
    /// Running average of the gradient's square.
    square: Vec<f32>,
}

impl Optimizer {
    /// An optimizer that has seen no gradient yet.
    ///
    /// # Errors
    /// If the device has no memory left.
    pub fn new(config: OptimizerConfig, network: &Network) -> Result<Self> {
        let count = network.shape().parameter_count();
        Ok(Self {
            config,
            shape: network.shape(),
            parameters: network.parameters().clone(),
            averages: Averages {
                mean: vec![0.0; count],
                square: vec![0.0; count],
            },
            steps: 0,
        })
    }

    /// Updates all weights from their gradient and returns its norm before clipping.
    ///
    /// # Errors
    /// If the gradient has another length, or the device no memory left.
    pub fn step(&mut self, gradient: &[f32], learning_rate: f64) -> Result<f64> {
        ensure!(
            gradient.len() == self.averages.mean.len(),
            "the gradient has another length"
        );
        let norm = norm(gradient);
        self.steps += 1;
        let rule = Rule::new(&self.config, self.steps, norm, learning_rate);
        let update = Update {
            rule,
            shape: self.shape,
            gradient,
            averages: Mutex::new(&mut self.averages),
        };
        if self.parameters.device().is_cpu() {
            self.parameters.inplace_op1(&update)?;
        } else {
            let weights = self.parameters.to_device(&Device::Cpu)?;
            weights.inplace_op1(&update)?;
            self.parameters
                .set(&weights.to_device(self.parameters.device())?)?;
        }
        Ok(norm)
    }

    /// The running averages, by name, and the number of updates.
    ///
    /// # Errors
    /// If there is no memory left.
    pub fn state(&self) -> Result<(HashMap<String, Tensor>, usize)> {
        let Averages { mean, square } = &self.averages;
        let mut tensors = HashMap::new();
        for (name, average) in [(MEAN, mean), (SQUARE, square)] {
            let tensor = Tensor::from_slice(average, average.len(), &Device::Cpu)?;
            tensors.insert(name.to_owned(), tensor);
        }
        Ok((tensors, self.steps))
    }

    /// Takes up a saved state.
    ///
    /// # Errors
    /// If a tensor is missing or has another length; nothing has changed then.
    pub fn restore(&mut self, tensors: &HashMap<String, Tensor>, steps: usize) -> Result<()> {
        let find = |name: &str| {
            let tensor = tensors
                .get(name)
                .with_context(|| format!("{name} is missing"))?;
            ensure!(
                tensor.dims() == self.parameters.dims(),
                "{name} has another length"
            );
            Ok(tensor.to_dtype(DType::F32)?.to_vec1()?)
        };
        self.averages = Averages {
            mean: find(MEAN)?,
            square: find(SQUARE)?,
        };
        self.steps = steps;
        Ok(())
    }
}

/// An update of all weights, as an operation on their tensor.
struct Update<'a> {
    rule: Rule,
    shape: Shape,
    gradient: &'a [f32],
    /// Changed too, though an operation only lends itself.
    averages: Mutex<&'a mut Averages>,
}

impl InplaceOp1 for Update<'_> {
    fn name(&self) -> &'static str {
        "charlet-update"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (Some((from, to)), CpuStorage::F32(weights)) = (layout.contiguous_offsets(), storage)
        else {
            candle_core::bail!("the optimizer needs contiguous floats");
        };
        let mut averages = self.averages.lock().unwrap_or_else(PoisonError::into_inner);
        let Averages { mean, square } = &mut **averages;
        let mut rest = (&mut weights[from..to], &mut mean[..], &mut square[..]);
        let mut gradient = self.gradient;
        let mut pieces = Vec::new();
        for parameter in self.shape.parameters() {
            let count = parameter.dims.iter().product();
            let (weights, mean, square) = rest;
            let (weights, mean, square) = (
                weights.split_at_mut(count),
                mean.split_at_mut(count),
                square.split_at_mut(count),
            );
            let (own, others) = gradient.split_at(count);
            let rule = if parameter.is_matrix() {
                self.rule
            } else {
                self.rule.without_decay()
            };
            let averages = mean.0.chunks_mut(PIECE).zip(square.0.chunks_mut(PIECE));
            let values = weights.0.chunks_mut(PIECE).zip(own.chunks(PIECE));
            pieces.extend(values.zip(averages).map(|piece| (rule, piece)));
            rest = (weights.1, mean.1, square.1);
            gradient = others;
        }
        pieces
            .into_par_iter()
            .for_each(|(rule, ((weights, gradient), (mean, square)))| {
                rule.apply(weights, gradient, mean, square);
            });
        Ok(())
    }
}

/// The numbers of one update.
#[derive(Clone, Copy, Debug)]
struct Rule {
    kind: OptimizerKind,
    /// What gradients are multiplied with, so that their norm isn't too large.
    clip: f32,
    beta1: f32,
    beta2: f32,
    /// 1 without the betas, which single precision would make of them with a larger error.
    rest1: f32,
    rest2: f32,
    /// What averages are multiplied with, since they started from zero.
    unbias1: f32,
    unbias2: f32,
    decay: f32,
    learning_rate: f32,
}

impl Rule {
    fn new(config: &OptimizerConfig, steps: usize, norm: f64, learning_rate: f64) -> Self {
        let clip = if norm > config.clip_norm {
            config.clip_norm / norm
        } else {
            1.0
        };
        let unbias = |beta: f64| (1.0 / (1.0 - beta.powf(steps as f64))) as f32;
        Self {
            kind: config.kind,
            clip: clip as f32,
            beta1: config.beta1 as f32,
            beta2: config.beta2 as f32,
            rest1: (1.0 - config.beta1) as f32,
            rest2: (1.0 - config.beta2) as f32,
            unbias1: unbias(config.beta1),
            unbias2: unbias(config.beta2),
            decay: config.weight_decay as f32,
            learning_rate: learning_rate as f32,
        }
    }

    fn without_decay(self) -> Self {
        Self { decay: 0.0, ..self }
    }

    fn apply(self, weights: &mut [f32], gradient: &[f32], mean: &mut [f32], square: &mut [f32]) {
        match self.kind {
            OptimizerKind::AdamW => adam_w(self, weights, gradient, mean, square),
            OptimizerKind::RmsProp => rms_prop(self, weights, gradient, square),
        }
    }
}

/// Kingma and Ba, 2015, with the decay decoupled (Loshchilov and Hutter, 2019).
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2", "aarch64+neon"))]
fn adam_w(rule: Rule, weights: &mut [f32], gradient: &[f32], mean: &mut [f32], square: &mut [f32]) {
    let values = weights.iter_mut().zip(gradient);
    for ((weight, gradient), (mean, square)) in values.zip(mean.iter_mut().zip(square)) {
        let gradient = gradient * rule.clip;
        *mean = *mean * rule.beta1 + gradient * rule.rest1;
        *square = *square * rule.beta2 + gradient * gradient * rule.rest2;
        let direction = *mean * rule.unbias1 / ((*square * rule.unbias2).sqrt() + EPSILON);
        *weight -= (direction + *weight * rule.decay) * rule.learning_rate;
    }
}

/// Tieleman and Hinton, 2012.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2", "aarch64+neon"))]
fn rms_prop(rule: Rule, weights: &mut [f32], gradient: &[f32], square: &mut [f32]) {
    for ((weight, gradient), square) in weights.iter_mut().zip(gradient).zip(square) {
        let gradient = gradient * rule.clip;
        *square = *square * rule.beta2 + gradient * gradient * rule.rest2;
        let direction = gradient / (square.sqrt() + EPSILON);
        *weight -= (direction + *weight * rule.decay) * rule.learning_rate;
    }
}

/// The square root of the sum of squares.
fn norm(values: &[f32]) -> f64 {
    let pieces: Vec<f64> = values.par_chunks(PIECE).map(sum_of_squares).collect();
    pieces.iter().sum::<f64>().sqrt()
}

/// In as many sums as registers hold, since their order matters and wouldn't be changed.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2", "aarch64+neon"))]
fn sum_of_squares(values: &[f32]) -> f64 {
    let mut sums = [0.0f64; 16];
    for values in values.chunks(sums.len()) {
        for (sum, &value) in sums.iter_mut().zip(values) {
            *sum += f64::from(value) * f64::from(value);
        }
    }
    sums.iter().sum()
}

/// The learning rate of a step: a linear rise, then half a cosine down to its final share.
pub fn learning_rate(config: &OptimizerConfig, step: usize, total_steps: usize) -> f64 {
    let (step, total) = (step as f64, total_steps as f64);
    let warmup = (config.warmup * total).ceil();
    if step < warmup {
        return config.learning_rate * (step + 1.0) / warmup;
    }
    let progress = (step - warmup) / (total - warmup).max(1.0);
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
    config.learning_rate * (config.final_rate + (1.0 - config.final_rate) * cosine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Mode};
    use crate::network::Shape;
    use crate::rng::Streams;
    use candle_core::Device;

    /// One token, one hidden unit: eight matrix weights, then biases.
    const SHAPE: Shape = Shape {
        vocab_size: 1,
        embedding_size: 1,
        hidden_size: 1,
        num_layers: 1,
    };

    fn config(kind: OptimizerKind) -> OptimizerConfig {
        OptimizerConfig {
            kind,
            ..Config::defaults(Mode::Lines).optimizer
        }
    }

    fn network() -> Network {
        Network::new(SHAPE, &mut Streams::new(1).weights, &Device::Cpu).unwrap()
    }

    fn values(network: &Network) -> Vec<f32> {
        network.parameters().to_vec1().unwrap()
    }

    fn slopes(factor: f32) -> Vec<f32> {
        (0..SHAPE.parameter_count())
            .map(|at| factor * (at as f32 - 6.5))
            .collect()
    }

    /// Updates written out by hand, in double precision.
    fn expected(config: &OptimizerConfig, weights: &[f32], slopes: &[Vec<f32>]) -> Vec<f64> {
        let decays: Vec<bool> = SHAPE
            .parameters()
            .iter()
            .flat_map(|parameter| vec![parameter.is_matrix(); parameter.dims.iter().product()])
            .collect();
        let one = |at: usize| {
            let mut weight = f64::from(weights[at]);
            let (mut mean, mut square) = (0.0, 0.0);
            for (step, slope) in slopes.iter().enumerate() {
                let norm = slope
                    .iter()
                    .map(|s| f64::from(*s).powi(2))
                    .sum::<f64>()
                    .sqrt();
                let g = f64::from(slope[at]) * (config.clip_norm / norm).min(1.0);
                mean = config.beta1 * mean + (1.0 - config.beta1) * g;
                square = config.beta2 * square + (1.0 - config.beta2) * g * g;
                let exponent = step as i32 + 1;
                let direction = match config.kind {
                    OptimizerKind::AdamW => {
                        let mean = mean / (1.0 - config.beta1.powi(exponent));
                        mean / ((square / (1.0 - config.beta2.powi(exponent))).sqrt() + 1e-8)
                    }
                    OptimizerKind::RmsProp => g / (square.sqrt() + 1e-8),
                };
                let decay = if decays[at] {
                    config.weight_decay * weight
                } else {
                    0.0
                };
                weight -= 0.1 * (direction + decay);
            }
            weight
        };
        (0..weights.len()).map(one).collect()
    }

    #[test]
    fn updates_follow_the_formulas() {
        for kind in [OptimizerKind::AdamW, OptimizerKind::RmsProp] {
            let (config, network) = (config(kind), network());
            let mut optimizer = Optimizer::new(config.clone(), &network).unwrap();
            // The first is longer than the clipping norm, the second shorter.
            let all = [slopes(3.0), slopes(-0.01)];
            let expected = expected(&config, &values(&network), &all);
            for slopes in &all {
                let norm = optimizer.step(slopes, 0.1).unwrap();
                let exact = slopes.iter().map(|s| s * s).sum::<f32>().sqrt();
                assert!((norm - f64::from(exact)).abs() < 1e-4 * norm);
            }
            for (value, expected) in values(&network).iter().zip(expected) {
                assert!(
                    (f64::from(*value) - expected).abs() < 1e-5,
                    "{kind:?}: {value} {expected}"
                );
            }
        }
    }

    #[test]
    fn a_restored_optimizer_goes_on_the_same() {
        let (first, second) = (network(), network());
        let config = config(OptimizerKind::AdamW);
        let mut optimizer = Optimizer::new(config.clone(), &first).unwrap();
        let mut other = Optimizer::new(config, &second).unwrap();
        optimizer.step(&slopes(1.0), 0.1).unwrap();
        let (tensors, steps) = optimizer.state().unwrap();
        other.restore(&tensors, steps).unwrap();
        second.parameters().set(first.parameters()).unwrap();
        optimizer.step(&slopes(2.0), 0.1).unwrap();
        other.step(&slopes(2.0), 0.1).unwrap();
        assert_eq!(values(&first), values(&second));
        assert!(other.restore(&HashMap::new(), 1).is_err());
    }

    #[test]
    fn the_rate_rises_then_falls_to_its_share() {
        let config = OptimizerConfig {
            warmup: 0.1,
            final_rate: 0.01,
            ..config(OptimizerKind::AdamW)
        };
        let rate = |step| learning_rate(&config, step, 100) / config.learning_rate;
        assert!((rate(0) - 0.1).abs() < 1e-12 && (rate(9) - 1.0).abs() < 1e-12);
        assert!((rate(10) - 1.0).abs() < 1e-12);
        assert!((rate(55) - 0.505).abs() < 1e-12, "{}", rate(55));
        assert!(rate(99) < 0.012);
    }
}
