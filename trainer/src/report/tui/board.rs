//! The state of the dashboard.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::series::Series;
use crate::inference::sample::Sample;
use crate::train::control::Request;
use crate::train::metrics::{EpochMetrics, StepMetrics};
use crate::train::observer::{ProgressSnapshot, Start};
use crate::util::shown::escaped;

/// Lines of the log that are kept.
const LOG_LINES: usize = 500;

/// What the dashboard knows of a training.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) start: Start,
    /// When this process began to learn.
    begun: Instant,
    pub(super) now: ProgressSnapshot,
    pub(super) training: Smooth,
    pub(super) held_out: Series,
    /// The last held-out loss, and the epoch with the lowest.
    pub(super) last: Option<f64>,
    pub(super) best: Option<(usize, f64)>,
    pub(super) steps: Option<StepMetrics>,
    pub(super) learning_rate: Series,
    pub(super) gradient_norm: Series,
    pub(super) speed: Series,
    /// The newest sample, and the step it was made after.
    pub(super) sample: Option<(usize, Sample)>,
    pub(super) log: VecDeque<String>,
    /// What was asked for and is still to be done.
    pub(super) awaited: Option<Request>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            start: Start::default(),
            begun: Instant::now(),
            now: ProgressSnapshot::default(),
            training: Smooth::default(),
            held_out: Series::default(),
            last: None,
            best: None,
            steps: None,
            learning_rate: Series::default(),
            gradient_norm: Series::default(),
            speed: Series::default(),
            sample: None,
            log: VecDeque::new(),
            awaited: None,
        }
    }
}

impl Board {
    /// Takes up a training, with the curves of what was made before.
    pub(super) fn begin(&mut self, start: &Start, steps: &[StepMetrics], epochs: &[EpochMetrics]) {
        for metrics in steps {
            self.steps(metrics);
        }
        for metrics in epochs {
            self.epoch(metrics);
        }
        self.begun = Instant::now();
        self.now = start.now;
        self.start = start.clone();
        self.start.name = escaped(&start.name).into_owned();
    }

    pub(super) fn steps(&mut self, metrics: &StepMetrics) {
        let x = metrics.epoch;
        self.training.push(x, metrics.train_nats_per_char);
        self.learning_rate.push(x, metrics.learning_rate);
        self.gradient_norm.push(x, metrics.gradient_norm);
        self.speed.push(x, metrics.chars_per_second);
        self.steps = Some(*metrics);
    }

    pub(super) fn epoch(&mut self, metrics: &EpochMetrics) {
        let loss = metrics.validation_nats_per_char;
        self.held_out.push(metrics.epoch as f64, loss);
        self.last = Some(loss);
        if self.best.is_none_or(|(_, best)| loss < best) {
            self.best = Some((metrics.epoch, loss));
        }
    }

    pub(super) fn line(&mut self, text: &str) {
        // The training confirms it.
        self.awaited.take_if(|awaited| *awaited != Request::Stop);
        self.log.extend(escaped(text).lines().map(str::to_owned));
        self.log.drain(..self.log.len().saturating_sub(LOG_LINES));
    }

    pub(super) fn sample(&mut self, sample: &Sample) {
        let mut sample = sample.clone();
        for text in &mut sample.texts {
            text.text = escaped(&text.text).into_owned();
        }
        self.sample = Some((self.now.step, sample));
    }

    /// Forgets the curves beyond this epoch.
    pub(super) fn rollback(&mut self, epoch: usize) {
        let epoch = epoch as f64;
        self.training.curve.cut(epoch);
        for series in [
            &mut self.learning_rate,
            &mut self.gradient_norm,
            &mut self.speed,
        ] {
            series.cut(epoch);
        }
    }

    /// Training time of this process.
    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The share of the training that is made.
    pub(super) fn share(&self) -> f64 {
        self.now.chars as f64 / self.start.chars.max(1) as f64
    }

    /// Remaining time, at the mean speed of this process.
    pub(super) fn left(&self) -> Option<Duration> {
        let made = self.now.chars.checked_sub(self.start.now.chars)?;
        let left = self.start.chars.saturating_sub(self.now.chars);
        let seconds = self.elapsed().as_secs_f64() / made as f64 * left as f64;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// A curve whose points are means that forget what lies far behind.
#[derive(Debug, Default)]
pub(super) struct Smooth {
    pub(super) curve: Series,
    sum: f64,
    weight: f64,
}

impl Smooth {
    /// What a point keeps of those before it: ten of them count, a tenth of an epoch in most runs.
    const KEPT: f64 = 0.9;

    fn push(&mut self, x: f64, y: f64) {
        if y.is_finite() {
            self.sum = Self::KEPT * self.sum + y;
            self.weight = Self::KEPT * self.weight + 1.0;
            self.curve.push(x, self.sum / self.weight);
        }
    }

    /// The newest value.
    pub(super) fn last(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}
