//! What a run tells while it goes on: to its logs, and to whoever watches.

mod log;
mod plain;
mod sample;
mod view;

use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{HumanCount, HumanDuration};
use serde::{Deserialize, Serialize};

use self::log::Log;
pub use self::plain::{Bar, Plain};
pub(crate) use self::sample::sorted_samples;
pub use self::sample::{Sample, TEMPERATURES, Text, texts};
pub use self::view::{Place, Start, View};
use crate::corpus::{Corpus, Sequences};
use crate::files::RunFolder;
use crate::progress::Progress;
use crate::tensorboard::EventFile;

/// What an epoch brought: a line of `metrics.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// Epochs completed.
    pub epoch: usize,
    /// Updates made.
    pub steps: usize,
    /// Mean training loss, with dropout, in nats per character.
    pub train_nats_per_char: f64,
    /// The training loss of each batch, smoothed over about a thousand.
    pub smoothed_nats_per_char: Option<f64>,
    /// Held-out loss in nats per character.
    pub validation_nats_per_char: f64,
    /// The last learning rate.
    pub learning_rate: f64,
    /// Mean norm of the gradients before clipping.
    pub gradient_norm: f64,
    /// Characters learnt per second.
    pub chars_per_second: f64,
    /// Seconds since the training started.
    pub seconds: f64,
    /// Where a sample was made of a list: the share of its lines that are learnt ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_lines: Option<f64>,
    /// Where a sample was made of a text: characters of its longest part that stands in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_copy: Option<usize>,
}

/// What the updates since the last such line brought: a line of `steps.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    /// Updates made.
    pub step: usize,
    /// Epochs completed, with the share of the one under way.
    pub epoch: f64,
    /// Mean training loss, with dropout, in nats per character.
    pub train_nats_per_char: f64,
    /// The training loss of each batch, smoothed over about a thousand.
    pub smoothed_nats_per_char: f64,
    /// The last learning rate.
    pub learning_rate: f64,
    /// Mean norm of the gradients before clipping.
    pub gradient_norm: f64,
    /// Characters learnt per second, of the time spent on updates.
    pub chars_per_second: f64,
}

/// Writes the logs of a run and tells its view.
pub(crate) struct Report<'v> {
    view: &'v mut dyn View,
    epochs: Log,
    steps: Log,
    events: Option<EventFile>,
    started: Instant,
    /// Time spent before the run was stopped and went on.
    before: Duration,
}

impl<'v> Report<'v> {
    /// Opens the logs of a run that is so far; `start` lacks what they have.
    ///
    /// # Errors
    /// If a log can't be written.
    pub(crate) fn new(
        folder: &RunFolder,
        progress: &Progress,
        mut start: Start,
        has_events: bool,
        view: &'v mut dyn View,
    ) -> Result<Self> {
        let (epochs, past_epochs) = Log::open(&folder.metrics(), progress)?;
        let (steps, past_steps) = Log::open(&folder.steps(), progress)?;
        let events = has_events.then(|| EventFile::create(&folder.tensorboard(), progress.steps));
        start.past = (past_steps, past_epochs);
        view.begin(start);
        Ok(Self {
            view,
            epochs,
            steps,
            events: events.transpose()?,
            started: Instant::now(),
            before: Duration::from_secs_f64(progress.seconds),
        })
    }

    /// Time since the training started, without that between a stop and going on.
    pub(crate) fn elapsed(&self) -> Duration {
        self.before + self.started.elapsed()
    }

    /// Shows a line, or several.
    pub(crate) fn line(&mut self, text: &str) {
        self.view.line(text);
    }

    /// Tells of a batch.
    pub(crate) fn advance(&mut self, place: Place) {
        self.view.advance(place);
    }

    /// Tells what some updates brought.
    ///
    /// # Errors
    /// If a log can't be written.
    pub(crate) fn steps(&mut self, metrics: &StepMetrics) -> Result<()> {
        self.steps.add(metrics)?;
        if let Some(events) = &mut self.events {
            events.steps(metrics)?;
        }
        self.view.steps(metrics);
        Ok(())
    }

    /// Goes back to where a run is that went astray.
    ///
    /// # Errors
    /// If a log can't be written.
    pub(crate) fn go_back(&mut self, folder: &RunFolder, progress: &Progress) -> Result<()> {
        self.steps = Log::open::<StepMetrics>(&folder.steps(), progress)?.0;
        if let Some(events) = &mut self.events {
            events.go_back(progress.steps)?;
        }
        self.view.go_back(progress.epoch);
        Ok(())
    }

    /// Brings the logs to the disk, before a checkpoint that counts on them.
    ///
    /// # Errors
    /// If they can't be written.
    pub(crate) fn sync(&self) -> Result<()> {
        self.epochs.sync()?;
        self.steps.sync()
    }

    /// Tells of a completed epoch.
    ///
    /// # Errors
    /// If a log can't be written.
    pub(crate) fn epoch(
        &mut self,
        metrics: &EpochMetrics,
        corpus: &Corpus,
        epochs: usize,
        is_best: bool,
    ) -> Result<()> {
        self.epochs.add(metrics)?;
        if let Some(events) = &mut self.events {
            events.epoch(metrics)?;
        }
        let validation = Loss {
            nats: metrics.validation_nats_per_char,
            sequences: &corpus.validation,
        };
        self.view.epoch(metrics);
        self.view.line(&format!(
            "epoch {:>3}/{epochs}  train {:.3}  held out {validation}  {} chars/s{}",
            metrics.epoch,
            metrics.train_nats_per_char,
            HumanCount(metrics.chars_per_second as u64),
            if is_best { "  best" } else { "" },
        ));
        Ok(())
    }

    /// Shows what the model says after this step.
    ///
    /// # Errors
    /// If a log can't be written.
    pub(crate) fn sample(&mut self, step: usize, sample: &Sample) -> Result<()> {
        if let Some(events) = &mut self.events {
            events.sample(step, sample)?;
        }
        self.view.sample(sample);
        Ok(())
    }

    /// Ends the view.
    pub(crate) fn finish(&mut self) {
        self.view.finish();
        let elapsed = spoken(self.elapsed());
        self.view.line(&format!("trained for {elapsed}"));
    }
}

/// A time in words: whole seconds, but for a run of some of them.
fn spoken(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        return format!("{:.1} seconds", time.as_secs_f64());
    }
    HumanDuration(time).to_string()
}

/// A loss with its units: per character, and per line for lists.
#[derive(Clone, Copy, Debug)]
pub struct Loss<'c> {
    /// Nats per character.
    pub nats: f64,
    /// What it was measured on.
    pub sequences: &'c Sequences,
}

impl std::fmt::Display for Loss<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bits = self.nats / std::f64::consts::LN_2;
        write!(f, "{:.3} nats/char = {bits:.3} bits/char", self.nats)?;
        if let Some(per_line) = self.sequences.predictions_per_line() {
            write!(f, " = {:.2} bits/line", bits * per_line)?;
        }
        Ok(())
    }
}
