//! The observer trait of the training loop. Implementations are in [`report`](crate::report).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use indicatif::HumanCount;

use super::finalize::Measured;
use super::metrics::{EpochMetrics, Loss, StepMetrics};
use crate::config::Config;
use crate::data::corpus::Corpus;
use crate::inference::sample::Sample;
use crate::model::shape::Shape;
use crate::util::run_dir::RunFolder;

/// Receives the events of a training.
///
/// An error ends the training. Logs return one, since a resumed run needs them. A display that fails
/// reports a [problem](Self::take_problem) instead.
pub trait Observer: Send {
    /// A training begins or is resumed. Whatever was logged beyond `start` will be repeated.
    ///
    /// # Errors
    /// If a log can't be opened.
    fn begin(&mut self, _task: &Task<'_>, _start: &Start) -> Result<()> {
        Ok(())
    }

    /// One or more lines of plain text to show.
    fn line(&mut self, _text: &str) {}

    /// A training step is done.
    fn batch(&mut self, _now: &ProgressSnapshot) {}

    /// About every hundredth of an epoch, see `log_every`.
    ///
    /// # Errors
    /// If a log can't be written.
    fn steps(&mut self, _metrics: &StepMetrics) -> Result<()> {
        Ok(())
    }

    /// An epoch is done, and its model is saved if it is the best.
    ///
    /// # Errors
    /// If a log can't be written.
    fn epoch(&mut self, _end: &EpochEnd<'_>) -> Result<()> {
        Ok(())
    }

    /// Samples within an epoch, after this step.
    ///
    /// # Errors
    /// If a log can't be written.
    fn sample(&mut self, _step: usize, _sample: &Sample) -> Result<()> {
        Ok(())
    }

    /// The run rolled back to the end of its last epoch.
    ///
    /// # Errors
    /// If a log can't be written.
    fn rollback(&mut self, _to: &ProgressSnapshot) -> Result<()> {
        Ok(())
    }

    /// Called before a checkpoint is written: logs must be flushed to disk.
    ///
    /// # Errors
    /// If they can't be written.
    fn sync(&mut self) -> Result<()> {
        Ok(())
    }

    /// Training is over; only lines follow, and [progress](Self::progress) of other work.
    fn stop(&mut self) {}

    /// How far long work is that is no training: over when all is done.
    fn progress(&mut self, _what: &str, _done: usize, _all: usize) {}

    /// The run is over.
    fn end(&mut self, _ending: &Ending<'_>, _elapsed: Duration) {}

    /// The problem of a display since the last call, if there is one.
    fn take_problem(&mut self) -> Option<String> {
        None
    }
}

/// Data, settings and folder of a run.
#[derive(Clone, Copy, Debug)]
pub struct Task<'t> {
    /// All settings.
    pub config: &'t Config,
    /// The data.
    pub corpus: &'t Arc<Corpus>,
    /// The network's sizes.
    pub shape: Shape,
    /// The folder.
    pub folder: &'t RunFolder,
}

/// The totals of a run, and where it starts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Start {
    /// Name of the data.
    pub name: String,
    /// Epochs in total.
    pub epochs: usize,
    /// Updates in total.
    pub steps: usize,
    /// Characters in total, summed over epochs.
    pub chars: usize,
    /// Updates from one line of `steps.jsonl` to the next, see [`line_interval`](super::metrics::line_interval).
    pub log_every: usize,
    /// Where the run starts: zero, or that of a checkpoint.
    pub now: ProgressSnapshot,
}

/// A snapshot of the progress.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProgressSnapshot {
    /// Epochs completed.
    pub epoch: usize,
    /// Updates made.
    pub step: usize,
    /// Training characters so far, summed over epochs.
    pub chars: usize,
    /// The mean loss of the epoch under way.
    pub nats_per_char: f64,
    /// Training time, without pauses between a stop and --resume.
    pub elapsed: Duration,
}

/// The results of an epoch. `Display` gives the line that is printed.
#[derive(Clone, Copy, Debug)]
pub struct EpochEnd<'e> {
    /// The metrics.
    pub metrics: &'e EpochMetrics,
    /// Epochs in total.
    pub epochs: usize,
    /// The held-out loss, with its units.
    pub held_out: Loss<'e>,
    /// Whether that is the lowest so far.
    pub is_best: bool,
    /// Samples, every `sample_every` epochs.
    pub sample: Option<&'e Sample>,
}

impl fmt::Display for EpochEnd<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "epoch {:>3}/{}  train {:.3}  held out {}  {} chars/s{}",
            self.metrics.epoch,
            self.epochs,
            self.metrics.train_nats_per_char,
            self.held_out,
            HumanCount(self.metrics.chars_per_second as u64),
            if self.is_best { "  best" } else { "" },
        )
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug)]
pub enum Ending<'e> {
    /// It was stopped.
    Stopped,
    /// It was finished.
    Complete {
        /// Every precision, that of the exported model first.
        measured: &'e [Measured],
        /// Samples of the exported model.
        sample: &'e Sample,
    },
}
