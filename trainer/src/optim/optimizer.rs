//! AdamW, Adam, RMSprop and SGD with gradient clipping, and their saved state.
//!
//! An update is one pass over all weights on the processor. The weights of another device are fetched and
//! put back.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use candle_core::{CpuStorage, DType, Device, InplaceOp1, Layout, Tensor, Var};
use rayon::prelude::*;

use super::rule::{Rule, norm};
use crate::config::{OptimizerConfig, OptimizerKind};
use crate::model::network::Network;
use crate::model::shape::Shape;

/// Names of the moments in a checkpoint.
const FIRST_MOMENT: &str = "optimizer.mean";
const SECOND_MOMENT: &str = "optimizer.square";
/// Names of all tensors that an optimizer may save, each with a value for each weight.
pub(crate) const MOMENTS: [&str; 2] = [FIRST_MOMENT, SECOND_MOMENT];
/// Weights per parallel job. Fixed, so that the norm is summed in the same order for any number of
/// threads.
pub(super) const PIECE: usize = 1 << 14;

/// Updates a network's weights from their gradients.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    shape: Shape,
    /// All weights in one vector.
    parameters: Var,
    moments: Moments,
    /// Updates made.
    steps: usize,
}

/// Running moments of the gradients.
#[derive(Debug)]
struct Moments {
    /// Running average of the gradient, or its sum with momentum.
    first_moment: Vec<f32>,
    /// Running average of the squared gradient.
    second_moment: Vec<f32>,
}

impl OptimizerKind {
    /// Names of the moments it uses.
    fn moments(self) -> &'static [&'static str] {
        match self {
            Self::AdamW | Self::Adam => &[FIRST_MOMENT, SECOND_MOMENT],
            Self::RmsProp => &[SECOND_MOMENT],
            Self::Sgd => &[FIRST_MOMENT],
        }
    }
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
            moments: Moments {
                first_moment: vec![0.0; count],
                second_moment: vec![0.0; count],
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
            gradient.len() == self.moments.first_moment.len(),
            "the gradient has another length"
        );
        let norm = norm(gradient);
        self.steps += 1;
        let rule = Rule::new(&self.config, self.steps, norm, learning_rate);
        let update = UpdateOp {
            rule,
            shape: self.shape,
            gradient,
            moments: Mutex::new(&mut self.moments),
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

    /// The moments that this algorithm uses, by name, and the number of updates.
    ///
    /// # Errors
    /// If there is no memory left.
    pub fn state(&self) -> Result<(HashMap<String, Tensor>, usize)> {
        let Moments {
            first_moment,
            second_moment,
        } = &self.moments;
        let mut tensors = HashMap::new();
        for &name in self.config.kind.moments() {
            let average = if name == FIRST_MOMENT {
                first_moment
            } else {
                second_moment
            };
            let tensor = Tensor::from_slice(average, average.len(), &Device::Cpu)?;
            tensors.insert(name.to_owned(), tensor);
        }
        Ok((tensors, self.steps))
    }

    /// Restores a saved state.
    ///
    /// # Errors
    /// If a tensor is missing or has another length; nothing has changed then.
    pub fn restore(&mut self, tensors: &HashMap<String, Tensor>, steps: usize) -> Result<()> {
        let find = |name: &str| -> Result<Vec<f32>> {
            let tensor = tensors
                .get(name)
                .with_context(|| format!("{name} is missing"))?;
            ensure!(
                tensor.dims() == self.parameters.dims(),
                "{name} has another length"
            );
            Ok(tensor.to_dtype(DType::F32)?.to_vec1()?)
        };
        let names = self.config.kind.moments();
        let found = names.iter().map(|name| find(name));
        let found: Vec<_> = found.collect::<Result<_>>()?;
        for (name, average) in names.iter().zip(found) {
            let own = if *name == FIRST_MOMENT {
                &mut self.moments.first_moment
            } else {
                &mut self.moments.second_moment
            };
            *own = average;
        }
        self.steps = steps;
        Ok(())
    }
}

/// An update of all weights, as an operation on their tensor.
struct UpdateOp<'a> {
    rule: Rule,
    shape: Shape,
    gradient: &'a [f32],
    /// Changed too, though an operation only lends itself.
    moments: Mutex<&'a mut Moments>,
}

impl InplaceOp1 for UpdateOp<'_> {
    fn name(&self) -> &'static str {
        "charlet-update"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (Some((from, to)), CpuStorage::F32(weights)) = (layout.contiguous_offsets(), storage)
        else {
            candle_core::bail!("the optimizer needs contiguous floats");
        };
        let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        let Moments {
            first_moment,
            second_moment,
        } = &mut **moments;
        let mut rest = (
            &mut weights[from..to],
            &mut first_moment[..],
            &mut second_moment[..],
        );
        let mut gradient = self.gradient;
        let mut pieces = Vec::new();
        for parameter in self.shape.parameters() {
            let count = parameter.dims.iter().product();
            let (weights, first_moment, second_moment) = rest;
            let (weights, first_moment, second_moment) = (
                weights.split_at_mut(count),
                first_moment.split_at_mut(count),
                second_moment.split_at_mut(count),
            );
            let (own, others) = gradient.split_at(count);
            let rule = if parameter.is_matrix() {
                self.rule
            } else {
                self.rule.without_decay()
            };
            let moments = first_moment
                .0
                .chunks_mut(PIECE)
                .zip(second_moment.0.chunks_mut(PIECE));
            let values = weights.0.chunks_mut(PIECE).zip(own.chunks(PIECE));
            pieces.extend(values.zip(moments).map(|piece| (rule, piece)));
            rest = (weights.1, first_moment.1, second_moment.1);
            gradient = others;
        }
        pieces.into_par_iter().for_each(
            |(rule, ((weights, gradient), (first_moment, second_moment)))| {
                rule.apply(weights, gradient, first_moment, second_moment);
            },
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Mode;
    use crate::util::rng::Streams;

    /// One token, one hidden unit: eight matrix weights, then biases.
    const SHAPE: Shape = Shape {
        vocab_size: 1,
        embedding_size: 1,
        hidden_size: 1,
        num_layers: 1,
    };

    const KINDS: [OptimizerKind; 4] = [
        OptimizerKind::AdamW,
        OptimizerKind::Adam,
        OptimizerKind::RmsProp,
        OptimizerKind::Sgd,
    ];

    /// With a decay for every algorithm, so that each has to put it in the right place.
    fn config(kind: OptimizerKind) -> OptimizerConfig {
        OptimizerConfig {
            weight_decay: 0.02,
            ..OptimizerConfig::defaults(kind, Mode::Lines)
        }
    }

    fn network() -> Network {
        Network::new(SHAPE, &mut Streams::new(1).weights, &Device::Cpu).unwrap()
    }

    fn values(network: &Network) -> Vec<f32> {
        network.parameters().to_vec1().unwrap()
    }

    fn grads(factor: f32) -> Vec<f32> {
        (0..SHAPE.parameter_count())
            .map(|at| factor * (at as f32 - 6.5))
            .collect()
    }

    /// Updates written out by hand, in double precision.
    fn expected(config: &OptimizerConfig, weights: &[f32], grads: &[Vec<f32>]) -> Vec<f64> {
        let decays: Vec<bool> = SHAPE
            .parameters()
            .iter()
            .flat_map(|parameter| vec![parameter.is_matrix(); parameter.dims.iter().product()])
            .collect();
        let one = |at: usize| {
            let mut weight = f64::from(weights[at]);
            let (mut first_moment, mut second_moment) = (0.0, 0.0);
            for (step, grad) in grads.iter().enumerate() {
                let norm = grad
                    .iter()
                    .map(|s| f64::from(*s).powi(2))
                    .sum::<f64>()
                    .sqrt();
                let clipped = f64::from(grad[at]) * (config.clip_norm / norm).min(1.0);
                let decay = if decays[at] {
                    config.weight_decay * weight
                } else {
                    0.0
                };
                let g = match config.kind {
                    OptimizerKind::AdamW => clipped,
                    _ => clipped + decay,
                };
                let exponent = step as i32 + 1;
                second_moment = config.beta2 * second_moment + (1.0 - config.beta2) * g * g;
                weight -= 0.1
                    * match config.kind {
                        OptimizerKind::AdamW | OptimizerKind::Adam => {
                            first_moment = config.beta1 * first_moment + (1.0 - config.beta1) * g;
                            let first_moment = first_moment / (1.0 - config.beta1.powi(exponent));
                            let second_moment = second_moment / (1.0 - config.beta2.powi(exponent));
                            let is_decoupled = config.kind == OptimizerKind::AdamW;
                            let beside = if is_decoupled { decay } else { 0.0 };
                            first_moment / (second_moment.sqrt() + 1e-8) + beside
                        }
                        OptimizerKind::RmsProp => g / (second_moment.sqrt() + 1e-8),
                        OptimizerKind::Sgd => {
                            first_moment = config.momentum * first_moment + g;
                            first_moment
                        }
                    };
            }
            weight
        };
        (0..weights.len()).map(one).collect()
    }

    #[test]
    fn updates_follow_the_formulas() {
        for kind in KINDS {
            let (config, network) = (config(kind), network());
            let mut optimizer = Optimizer::new(config.clone(), &network).unwrap();
            // The first is longer than the clipping norm, the second shorter.
            let all = [grads(3.0), grads(-0.01)];
            let expected = expected(&config, &values(&network), &all);
            for grads in &all {
                let norm = optimizer.step(grads, 0.1).unwrap();
                let exact = grads.iter().map(|s| s * s).sum::<f32>().sqrt();
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
        for kind in KINDS {
            let (first, second) = (network(), network());
            let config = config(kind);
            let mut optimizer = Optimizer::new(config.clone(), &first).unwrap();
            let mut other = Optimizer::new(config, &second).unwrap();
            optimizer.step(&grads(1.0), 0.1).unwrap();
            let (tensors, steps) = optimizer.state().unwrap();
            other.restore(&tensors, steps).unwrap();
            second.parameters().set(first.parameters()).unwrap();
            optimizer.step(&grads(2.0), 0.1).unwrap();
            other.step(&grads(2.0), 0.1).unwrap();
            assert_eq!(values(&first), values(&second), "{kind:?}");
            assert!(other.restore(&HashMap::new(), 1).is_err());
        }
    }
}
