//! Updating weights: AdamW and RMSprop with clipped gradients, and a state that can be saved.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use crate::config::{OptimizerConfig, OptimizerKind};
use crate::network::Network;

/// Names of the running averages in a checkpoint.
const MEAN: &str = "optimizer.mean";
const SQUARE: &str = "optimizer.square";
/// Keeps a division by a vanishing gradient finite.
const EPSILON: f64 = 1e-8;

/// Updates a network's weights from their gradients.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    /// All weights in one vector.
    parameters: Var,
    /// 1 for weights that decay, 0 for others.
    decays: Tensor,
    /// Running average of the gradient.
    mean: Tensor,
    /// Running average of the gradient's square.
    square: Tensor,
    /// Updates made.
    steps: usize,
}

impl Optimizer {
    /// An optimizer that has seen no gradient yet.
    ///
    /// # Errors
    /// If the device has no memory left.
    pub fn new(config: OptimizerConfig, network: &Network) -> Result<Self> {
        let parameters = network.parameters().clone();
        let decays = network
            .shape()
            .parameters()
            .into_iter()
            .flat_map(|parameter| {
                let decays = if parameter.is_matrix() { 1.0f32 } else { 0.0 };
                std::iter::repeat_n(decays, parameter.dims.iter().product())
            });
        let decays = Tensor::from_iter(decays, parameters.device())?;
        let mean = parameters.zeros_like()?;
        Ok(Self {
            config,
            parameters,
            decays,
            square: mean.clone(),
            mean,
            steps: 0,
        })
    }

    /// Updates all weights and returns the norm of their gradients before clipping.
    ///
    /// # Errors
    /// If there is no gradient, or the device has no memory left.
    pub fn step(&mut self, gradients: &GradStore, learning_rate: f64) -> Result<f64> {
        let gradient = gradients
            .get(&self.parameters)
            .context("the weights have no gradient")?;
        // Detached, so that the averages don't keep the graph of every step alive.
        let gradient = gradient.detach();
        let norm = f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?).sqrt();
        let scale = if norm > self.config.clip_norm {
            self.config.clip_norm / norm
        } else {
            1.0
        };
        let gradient = (gradient * scale)?;
        self.steps += 1;
        let OptimizerConfig {
            kind,
            beta1,
            beta2,
            weight_decay,
            ..
        } = self.config;
        let unbias = |beta: f64| 1.0 / (1.0 - beta.powf(self.steps as f64));
        self.square = ((&self.square * beta2)? + (gradient.sqr()? * (1.0 - beta2))?)?;
        let direction = match kind {
            OptimizerKind::AdamW => {
                self.mean = ((&self.mean * beta1)? + (gradient * (1.0 - beta1))?)?;
                let root = ((&self.square * unbias(beta2))?.sqrt()? + EPSILON)?;
                ((&self.mean * unbias(beta1))? / root)?
            }
            OptimizerKind::RmsProp => (gradient / (self.square.sqrt()? + EPSILON)?)?,
        };
        let weights = self.parameters.as_detached_tensor();
        let decay = ((&weights * &self.decays)? * weight_decay)?;
        self.parameters
            .set(&(weights - ((direction + decay)? * learning_rate)?)?)?;
        Ok(norm)
    }

    /// The running averages, by name, and the number of updates.
    pub fn state(&self) -> (HashMap<String, Tensor>, usize) {
        let averages = [(MEAN, &self.mean), (SQUARE, &self.square)];
        (
            averages
                .map(|(name, average)| (name.to_owned(), average.clone()))
                .into(),
            self.steps,
        )
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
            Ok(tensor.to_device(self.parameters.device())?)
        };
        (self.mean, self.square) = (find(MEAN)?, find(SQUARE)?);
        self.steps = steps;
        Ok(())
    }
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

    /// Gradients of `sum(w * slope)`, which are the slopes.
    fn gradients(network: &Network, slope: &[f32]) -> GradStore {
        let slope = Tensor::new(slope, &Device::Cpu).unwrap();
        let product = (network.parameters().as_tensor() * slope).unwrap();
        product.sum_all().unwrap().backward().unwrap()
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
                let norm = optimizer.step(&gradients(&network, slopes), 0.1).unwrap();
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
        optimizer
            .step(&gradients(&first, &slopes(1.0)), 0.1)
            .unwrap();
        let (tensors, steps) = optimizer.state();
        other.restore(&tensors, steps).unwrap();
        second.parameters().set(first.parameters()).unwrap();
        optimizer
            .step(&gradients(&first, &slopes(2.0)), 0.1)
            .unwrap();
        other.step(&gradients(&second, &slopes(2.0)), 0.1).unwrap();
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
