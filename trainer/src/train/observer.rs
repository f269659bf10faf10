//! The seam between a training and those who watch it.

use super::metrics::{EpochMetrics, StepMetrics};
use crate::inference::sample::Sample;

/// Shows a training to somebody. Whatever goes wrong there is no reason to stop the training.
pub trait View: Send {
    /// A training begins, or goes on.
    fn begin(&mut self, _start: Start) {}

    /// Shows a line, or several.
    fn line(&mut self, text: &str);

    /// A batch was learnt.
    fn advance(&mut self, _place: Place) {}

    /// A line was added to `steps.jsonl`.
    fn steps(&mut self, _metrics: &StepMetrics) {}

    /// An epoch was completed.
    fn epoch(&mut self, _metrics: &EpochMetrics) {}

    /// The model has spoken.
    fn sample(&mut self, sample: &Sample) {
        for text in &sample.texts {
            self.line(&text.to_string());
        }
        self.line(&format!("    new  {}", sample.novelty));
    }

    /// The run went back to the end of this epoch.
    fn go_back(&mut self, _epoch: usize) {}

    /// The training is over, and only lines follow.
    fn finish(&mut self) {}
}

/// What a training begins with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Start {
    /// What is learnt.
    pub name: String,
    /// Epochs to be made in all.
    pub epochs: usize,
    /// Updates to be made in all.
    pub steps: usize,
    /// Characters to be learnt in all, each as often as it is.
    pub chars: usize,
    /// Where the training is.
    pub place: Place,
    /// The logs of what was made before.
    pub past: (Vec<StepMetrics>, Vec<EpochMetrics>),
}

/// Where a training is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Place {
    /// Epochs completed.
    pub epoch: usize,
    /// Updates made.
    pub step: usize,
    /// Characters learnt, each as often as it was.
    pub chars: usize,
    /// The mean loss of the epoch under way.
    pub nats_per_char: f64,
}
