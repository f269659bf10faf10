//! What a run tells while it goes on: to its logs, and to whoever watches.

pub mod compare;
pub(crate) mod html;
pub(crate) mod jsonl;
pub mod plot;
pub mod progress_bar;
pub(crate) mod tensorboard;
pub mod tui;

use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{HumanCount, HumanDuration};

use self::jsonl::Log;
use self::tensorboard::EventFile;
use crate::data::corpus::Corpus;
use crate::inference::sample::Sample;
use crate::train::metrics::{EpochMetrics, Loss, StepMetrics};
use crate::train::observer::{Place, Start, View};
use crate::train::progress::Progress;
use crate::util::run_dir::RunFolder;

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
