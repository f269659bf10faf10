//! Curves over epochs, from the logs of a run.

use std::path::Path;

use anyhow::Result;

use crate::report::jsonl::lines;
use crate::report::plot::Points;
use crate::train::metrics::{EpochMetrics, StepMetrics};

/// More points than this are no use in a large or a small picture: neighbours are averaged.
const LARGE: usize = 500;
const SMALL: usize = 150;

/// The curves of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Curves {
    pub(crate) train: Points,
    pub(crate) smoothed: Points,
    pub(crate) held_out: Points,
    pub(crate) learning_rate: Points,
    pub(crate) gradient_norm: Points,
    pub(crate) chars_per_second: Points,
}

impl Curves {
    /// Reads both logs of a run; the finer one need not be there.
    ///
    /// # Errors
    /// If one can't be read, or a line of it is not one of ours.
    pub(crate) fn read(metrics: &Path, steps: &Path) -> Result<Self> {
        let epochs: Vec<EpochMetrics> = lines(metrics)?;
        let steps: Vec<StepMetrics> = lines(steps)?;
        let held_out = |line: &EpochMetrics| (line.epoch as f64, line.validation_nats_per_char);
        let held_out = epochs.iter().map(held_out).collect();
        // A resumed run may be older than steps.jsonl.
        let first = steps.first().map_or(f64::INFINITY, |line| line.epoch);
        let coarse = epochs.iter().filter(|line| (line.epoch as f64) < first);
        let all: Vec<StepMetrics> = coarse.map(step).chain(steps.iter().copied()).collect();
        let points = |most, value: fn(&StepMetrics) -> f64| thinned(&all, most, value);
        Ok(Self {
            held_out,
            train: points(LARGE, |line| line.train_nats_per_char),
            smoothed: points(LARGE, |line| line.smoothed_nats_per_char),
            learning_rate: points(SMALL, |line| line.learning_rate),
            gradient_norm: points(SMALL, |line| line.gradient_norm),
            chars_per_second: points(SMALL, |line| line.chars_per_second),
        })
    }

    /// The epoch with the lowest held-out loss, and that.
    pub(crate) fn best(&self) -> Option<(f64, f64)> {
        let all = self.held_out.iter().copied();
        all.min_by(|one, other| one.1.total_cmp(&other.1))
    }
}

/// An epoch as a single step.
fn step(line: &EpochMetrics) -> StepMetrics {
    StepMetrics {
        step: line.steps,
        epoch: line.epoch as f64,
        train_nats_per_char: line.train_nats_per_char,
        smoothed_nats_per_char: line.smoothed_nats_per_char.unwrap_or(f64::NAN),
        learning_rate: line.learning_rate,
        gradient_norm: line.gradient_norm,
        chars_per_second: line.chars_per_second,
    }
}

/// A curve of what is a number, with so few points that a picture can show them.
fn thinned(lines: &[StepMetrics], most: usize, value: fn(&StepMetrics) -> f64) -> Points {
    let all: Points = lines.iter().map(|line| (line.epoch, value(line))).collect();
    let all: Points = all
        .into_iter()
        .filter(|point| point.1.is_finite())
        .collect();
    let mean = |points: &[(f64, f64)]| {
        let (x, y) = points
            .iter()
            .fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (x / points.len() as f64, y / points.len() as f64)
    };
    all.chunks(all.len().div_ceil(most).max(1))
        .map(mean)
        .collect()
}
