//! What a training tells while it goes on, and to whom. Implementations are in [`report`](crate::report).

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

/// Told of all that happens in a training.
///
/// An error ends the training. Logs return one, since a run goes on from them; a display that fails
/// has a [problem](Self::take_problem) instead.
pub trait Observer: Send {
    /// A training begins, or goes on: what was logged beyond `start` is of no checkpoint, and is made
    /// again.
    ///
    /// # Errors
    /// If a log can't be opened.
    fn begin(&mut self, _task: &Task<'_>, _start: &Start) -> Result<()> {
        Ok(())
    }

    /// A line for people, or several.
    fn line(&mut self, _text: &str) {}

    /// A batch was learnt.
    fn batch(&mut self, _now: &ProgressSnapshot) {}

    /// About a hundredth of an epoch was learnt.
    ///
    /// # Errors
    /// If a log can't be written.
    fn steps(&mut self, _metrics: &StepMetrics) -> Result<()> {
        Ok(())
    }

    /// An epoch was completed, and its model is saved if it is the best.
    ///
    /// # Errors
    /// If a log can't be written.
    fn epoch(&mut self, _end: &EpochEnd<'_>) -> Result<()> {
        Ok(())
    }

    /// The model has made text after this step, within an epoch.
    ///
    /// # Errors
    /// If a log can't be written.
    fn sample(&mut self, _step: usize, _sample: &Sample) -> Result<()> {
        Ok(())
    }

    /// The run went back to the end of its last epoch.
    ///
    /// # Errors
    /// If a log can't be written.
    fn rollback(&mut self, _to: &ProgressSnapshot) -> Result<()> {
        Ok(())
    }

    /// A checkpoint is about to be written that counts on the logs: they have to be on the disk.
    ///
    /// # Errors
    /// If they can't be written.
    fn sync(&mut self) -> Result<()> {
        Ok(())
    }

    /// Nothing more is learnt, and only lines follow.
    fn stop(&mut self) {}

    /// The run is over.
    fn end(&mut self, _ending: &Ending<'_>, _elapsed: Duration) {}

    /// What went wrong with a display since this was last asked, if it is not known yet.
    fn take_problem(&mut self) -> Option<String> {
        None
    }
}

/// What a run learns, and where it is written.
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
    pub now: ProgressSnapshot,
}

/// Where a training is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProgressSnapshot {
    /// Epochs completed.
    pub epoch: usize,
    /// Updates made.
    pub step: usize,
    /// Characters learnt, each as often as it was.
    pub chars: usize,
    /// The mean loss of the epoch under way.
    pub nats_per_char: f64,
    /// Time since the training started, without that between a stop and going on.
    pub elapsed: Duration,
}

/// What an epoch brought. Shown, it is the line that people read.
#[derive(Clone, Copy, Debug)]
pub struct EpochEnd<'e> {
    /// All that was measured.
    pub metrics: &'e EpochMetrics,
    /// Epochs to be made in all.
    pub epochs: usize,
    /// The held-out loss, with its units.
    pub held_out: Loss<'e>,
    /// Whether that is the lowest so far.
    pub is_best: bool,
    /// What the model says, where it was asked.
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
    /// Somebody stopped it.
    Stopped,
    /// It was made to its end.
    Complete {
        /// Every precision, that of the exported model first.
        measured: &'e [Measured],
        /// What the exported model says.
        sample: &'e Sample,
    },
}
