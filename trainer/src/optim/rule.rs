//! The update formulas of the optimizers.

use multiversion::multiversion;
use rayon::prelude::*;

use super::optimizer::PIECE;
use crate::config::{OptimizerConfig, OptimizerKind};

/// Keeps a division by a vanishing gradient finite.
const EPSILON: f32 = 1e-8;

/// The coefficients of one update.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    kind: OptimizerKind,
    /// Factor of gradient clipping.
    clip: f32,
    momentum: f32,
    beta1: f32,
    beta2: f32,
    /// `1 - beta`, computed in double precision.
    one_minus_beta1: f32,
    one_minus_beta2: f32,
    /// `1 / (1 - beta^step)`: corrects for moments that started from zero.
    bias_correction1: f32,
    bias_correction2: f32,
    /// Weight decay added to the gradient (L2).
    coupled: f32,
    /// Decoupled weight decay (AdamW).
    decoupled: f32,
    learning_rate: f32,
}

impl Rule {
    pub(super) fn new(
        config: &OptimizerConfig,
        steps: usize,
        norm: f64,
        learning_rate: f64,
    ) -> Self {
        let clip = if norm > config.clip_norm {
            config.clip_norm / norm
        } else {
            1.0
        };
        let bias_correction = |beta: f64| (1.0 / (1.0 - beta.powf(steps as f64))) as f32;
        let decay = config.weight_decay as f32;
        let (coupled, decoupled) = match config.kind {
            OptimizerKind::AdamW => (0.0, decay),
            OptimizerKind::Adam | OptimizerKind::RmsProp | OptimizerKind::Sgd => (decay, 0.0),
        };
        Self {
            kind: config.kind,
            clip: clip as f32,
            momentum: config.momentum as f32,
            beta1: config.beta1 as f32,
            beta2: config.beta2 as f32,
            one_minus_beta1: (1.0 - config.beta1) as f32,
            one_minus_beta2: (1.0 - config.beta2) as f32,
            bias_correction1: bias_correction(config.beta1),
            bias_correction2: bias_correction(config.beta2),
            coupled,
            decoupled,
            learning_rate: learning_rate as f32,
        }
    }

    pub(super) fn without_decay(self) -> Self {
        Self {
            coupled: 0.0,
            decoupled: 0.0,
            ..self
        }
    }

    pub(super) fn apply(
        self,
        weights: &mut [f32],
        gradient: &[f32],
        first_moment: &mut [f32],
        second_moment: &mut [f32],
    ) {
        match self.kind {
            OptimizerKind::AdamW | OptimizerKind::Adam => {
                adam(self, weights, gradient, first_moment, second_moment);
            }
            OptimizerKind::RmsProp => rms_prop(self, weights, gradient, second_moment),
            OptimizerKind::Sgd => sgd(self, weights, gradient, first_moment),
        }
    }
}

/// Kingma and Ba, 2015, and with the decay decoupled Loshchilov and Hutter, 2019.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2", "aarch64+neon"))]
fn adam(
    rule: Rule,
    weights: &mut [f32],
    gradient: &[f32],
    first_moment: &mut [f32],
    second_moment: &mut [f32],
) {
    let values = weights.iter_mut().zip(gradient);
    for ((weight, gradient), (first_moment, second_moment)) in
        values.zip(first_moment.iter_mut().zip(second_moment))
    {
        let gradient = gradient * rule.clip + *weight * rule.coupled;
        *first_moment = *first_moment * rule.beta1 + gradient * rule.one_minus_beta1;
        *second_moment = *second_moment * rule.beta2 + gradient * gradient * rule.one_minus_beta2;
        let direction = *first_moment * rule.bias_correction1
            / ((*second_moment * rule.bias_correction2).sqrt() + EPSILON);
        *weight -= (direction + *weight * rule.decoupled) * rule.learning_rate;
    }
}

/// Tieleman and Hinton, 2012.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2", "aarch64+neon"))]
fn rms_prop(rule: Rule, weights: &mut [f32], gradient: &[f32], second_moment: &mut [f32]) {
    for ((weight, gradient), second_moment) in weights.iter_mut().zip(gradient).zip(second_moment) {
        let gradient = gradient * rule.clip + *weight * rule.coupled;
        *second_moment = *second_moment * rule.beta2 + gradient * gradient * rule.one_minus_beta2;
        *weight -= gradient / (second_moment.sqrt() + EPSILON) * rule.learning_rate;
    }
}

/// Momentum as in Sutskever et al., 2013, and PyTorch: `first_moment` is the sum of all gradients, each
/// shrunk by the momentum once a step.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2", "aarch64+neon"))]
fn sgd(rule: Rule, weights: &mut [f32], gradient: &[f32], first_moment: &mut [f32]) {
    for ((weight, gradient), first_moment) in weights.iter_mut().zip(gradient).zip(first_moment) {
        let gradient = gradient * rule.clip + *weight * rule.coupled;
        *first_moment = *first_moment * rule.momentum + gradient;
        *weight -= *first_moment * rule.learning_rate;
    }
}

/// The square root of the sum of squares.
pub(super) fn norm(values: &[f32]) -> f64 {
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
