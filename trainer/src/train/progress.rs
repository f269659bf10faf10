//! Progress of a run: all that resuming needs, besides tensors.
//!
//! Renamed fields keep their first names in checkpoints.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::divergence::DivergenceMonitor;
use crate::optim::schedule::Plateau;
use crate::util::rng::Streams;

/// Progress of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs completed.
    pub epoch: usize,
    /// Updates made.
    pub steps: usize,
    /// Sums over the epoch under way.
    pub totals: Totals,
    /// Sums since the last line of `steps.jsonl`.
    #[serde(default)]
    pub line: Totals,
    /// The random sequences; that of the order as it was when the epoch began.
    pub streams: Streams,
    /// State of a plateau schedule.
    pub plateau: Plateau,
    /// Watches the training loss for divergence.
    #[serde(rename = "watch")]
    pub divergence: DivergenceMonitor,
    /// The training loss, smoothed over about a thousand batches.
    pub smoothed: Option<f64>,
    /// Rollbacks so far; each halved the learning rate.
    #[serde(rename = "fallbacks")]
    pub rollbacks: i32,
    /// Held-out loss in nats per prediction, after the last epoch.
    pub validation_loss: Option<f64>,
    /// The epoch with the lowest held-out loss.
    pub best: Option<Epoch>,
    /// The epochs whose networks are kept, the best first.
    pub kept: Vec<Epoch>,
    /// Time spent.
    pub seconds: f64,
}

/// An epoch and its held-out loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Its number, from 1.
    pub number: usize,
    /// Nats per prediction.
    pub loss: f64,
}

/// Sums over an epoch so far, or since something else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Summed cross-entropy.
    #[serde(rename = "nats")]
    pub loss_sum: f64,
    /// Predictions.
    pub chars: usize,
    /// Batches done in this epoch.
    pub batches: usize,
    /// Summed norms of the gradients.
    pub norm: f64,
    /// Summed time of the updates.
    #[serde(default)]
    pub seconds: f64,
}

impl Totals {
    /// Adds a batch: its summed cross-entropy, its predictions, the norm of its gradients, and the time
    /// that it took.
    pub fn add(&mut self, loss_sum: f64, predictions: usize, norm: f64, time: Duration) {
        self.loss_sum += loss_sum;
        self.chars += predictions;
        self.batches += 1;
        self.norm += norm;
        self.seconds += time.as_secs_f64();
    }

    /// The mean loss.
    pub fn nats_per_char(&self) -> f64 {
        self.loss_sum / self.chars as f64
    }

    /// The mean norm of the gradients.
    pub fn mean_norm(&self) -> f64 {
        self.norm / self.batches as f64
    }
}

impl Progress {
    /// A run that has not started.
    pub fn new(streams: Streams) -> Self {
        Self {
            epoch: 0,
            steps: 0,
            totals: Totals::default(),
            line: Totals::default(),
            streams,
            plateau: Plateau::default(),
            divergence: DivergenceMonitor::default(),
            smoothed: None,
            rollbacks: 0,
            validation_loss: None,
            best: None,
            kept: Vec::new(),
            seconds: 0.0,
        }
    }

    /// Epochs since the best one.
    pub fn epochs_without_gain(&self) -> usize {
        self.epoch - self.best.map_or(0, |best| best.number)
    }

    /// Takes note of the last batch's mean loss, and gives the smoothed one: the mean of all until
    /// there are a thousand, then an average that each batch moves by a thousandth (as in Karpathy's
    /// min-char-rnn, 2015, which starts from the loss of guessing, and shows that for long).
    pub fn smooth(&mut self, loss: f64) -> f64 {
        let kept = 0.999f64.min(1.0 - 1.0 / self.steps as f64);
        let smoothed = self.smoothed.unwrap_or(loss);
        *self.smoothed.insert(kept * smoothed + (1.0 - kept) * loss)
    }

    /// Takes note of an epoch's loss; whether it is the best.
    pub fn is_best(&mut self, epoch: Epoch) -> bool {
        let is_best = self.best.is_none_or(|best| epoch.loss < best.loss);
        if is_best {
            self.best = Some(epoch);
        }
        is_best
    }

    /// Takes an epoch among the `count` best, if it is one; gives those that are not any more.
    pub fn keep(&mut self, epoch: Epoch, count: usize) -> Vec<Epoch> {
        // Behind its equals, so that the earlier one stays.
        let place = self.kept.partition_point(|other| other.loss <= epoch.loss);
        self.kept.insert(place, epoch);
        self.kept.split_off(count.min(self.kept.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_epochs_are_kept_and_the_earlier_of_equals() {
        let mut progress = Progress::new(Streams::new(1));
        let mut keep = |number, loss| {
            let dropped = progress.keep(Epoch { number, loss }, 2);
            dropped.first().map(|epoch| epoch.number)
        };
        assert_eq!(keep(1, 3.0), None);
        assert_eq!(keep(2, 2.0), None);
        assert_eq!(keep(3, 2.5), Some(1));
        assert_eq!(keep(4, 2.5), Some(4));
        assert_eq!(keep(5, 1.0), Some(3));
        let kept: Vec<usize> = progress.kept.iter().map(|epoch| epoch.number).collect();
        assert_eq!(kept, [5, 2]);
    }

    #[test]
    fn the_smoothed_loss_is_the_mean_until_there_are_a_thousand() {
        let mut progress = Progress::new(Streams::new(1));
        let mut smooth = |loss| {
            progress.steps += 1;
            progress.smooth(loss)
        };
        let smoothed = [4.0, 2.0, 3.0, 7.0].map(&mut smooth);
        let means = [4.0, 3.0, 3.0, 4.0];
        for (smoothed, mean) in smoothed.into_iter().zip(means) {
            assert!((smoothed - mean).abs() < 1e-12);
        }
        for _ in 4..1000 {
            smooth(4.0);
        }
        for expected in [5.0, 5.999, 6.997_001] {
            assert!((smooth(1004.0) - expected).abs() < 1e-9);
        }
    }
}
