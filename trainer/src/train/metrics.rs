//! Metrics of an epoch, and of the batches within.

use serde::{Deserialize, Deserializer, Serialize};

use crate::data::corpus::Sequences;

/// What an epoch brought: a line of `metrics.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// Epochs completed.
    pub epoch: usize,
    /// Updates made.
    pub steps: usize,
    /// Mean training loss, with dropout, in nats per character.
    #[serde(deserialize_with = "or_nan")]
    pub train_nats_per_char: f64,
    /// The training loss of each batch, smoothed over about a thousand.
    pub smoothed_nats_per_char: Option<f64>,
    /// Held-out loss in nats per character.
    pub validation_nats_per_char: f64,
    /// The last learning rate.
    pub learning_rate: f64,
    /// Mean norm of the gradients before clipping.
    #[serde(deserialize_with = "or_nan")]
    pub gradient_norm: f64,
    /// Training characters per second.
    #[serde(deserialize_with = "or_nan")]
    pub chars_per_second: f64,
    /// Seconds since the training started.
    pub seconds: f64,
    /// List, in epochs with samples: share of sampled lines found in the training data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_lines: Option<f64>,
    /// Text, in epochs with samples: length of the longest part found in the training data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_copy: Option<usize>,
}

/// `steps.jsonl` has fewer lines than this, some 2 MB, however long a run is.
pub const MAX_STEP_LINES: usize = 8192;

/// Updates from one line of `steps.jsonl` to the next, after so many: `log_every`, doubled as often as it takes to
/// stay below [`MAX_STEP_LINES`]. It depends on nothing else, so that a resumed run has the log of an unbroken one.
pub fn line_interval(log_every: usize, steps: usize) -> usize {
    let mut interval = log_every;
    while steps / interval >= MAX_STEP_LINES {
        interval *= 2;
    }
    interval
}

/// Metrics of the batches since the previous line of `steps.jsonl`. In a long run lines are left out later: then it is
/// those since the line that was the previous one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    /// Updates made.
    pub step: usize,
    /// Epochs completed, with the share of the one under way.
    pub epoch: f64,
    /// Mean training loss, with dropout, in nats per character.
    #[serde(deserialize_with = "or_nan")]
    pub train_nats_per_char: f64,
    /// The training loss of each batch, smoothed over about a thousand.
    #[serde(deserialize_with = "or_nan")]
    pub smoothed_nats_per_char: f64,
    /// The last learning rate.
    pub learning_rate: f64,
    /// Mean norm of the gradients before clipping.
    #[serde(deserialize_with = "or_nan")]
    pub gradient_norm: f64,
    /// Training characters per second, without validation and saving.
    #[serde(deserialize_with = "or_nan")]
    pub chars_per_second: f64,
}

/// JSON has no infinity: what is null in a log was no finite number.
fn or_nan<'d, D: Deserializer<'d>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// A loss with its units: per character, and per line for lists.
#[derive(Clone, Copy, Debug)]
pub struct Loss<'c> {
    /// Nats per character.
    pub nats_per_char: f64,
    /// What it was measured on.
    pub sequences: &'c Sequences,
}

impl std::fmt::Display for Loss<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bits = self.nats_per_char / std::f64::consts::LN_2;
        write!(
            f,
            "{:.3} nats/char = {bits:.3} bits/char",
            self.nats_per_char
        )?;
        if let Some(per_line) = self.sequences.predictions_per_line() {
            write!(f, " = {:.2} bits/line", bits * per_line)?;
        }
        Ok(())
    }
}
