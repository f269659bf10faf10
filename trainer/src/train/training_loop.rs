//! The training loop.

use std::sync::Arc;

use anyhow::Result;

use super::checkpoint::Checkpoint;
use super::control::{NextRequest, Request};
use super::observer::Observer;
use super::session::Session;
use crate::config::Config;
use crate::data::corpus::Corpus;
use crate::inference::text_model::Evaluation;
use crate::util::rng::Streams;
use crate::util::run_dir::RunFolder;

/// The outcome of a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// Finished; the loss is that of the exported model, measured by the runtime.
    Finished(Evaluation),
    /// Stopped and saved.
    Interrupted,
}

/// Trains a model as configured, writes it to the folder, and reports to an observer. With a checkpoint
/// the run is resumed exactly as if it had not been interrupted.
///
/// # Errors
/// If the data can't be used, a file can't be written, or the loss is NaN again and again.
pub fn train(
    config: &Config,
    checkpoint: Option<&Checkpoint>,
    folder: &RunFolder,
    next_request: NextRequest<'_>,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    // On a thread of the pool: from outside, every parallel part of a batch would have to be handed over.
    rayon::scope(|_| train_in_pool(config, checkpoint, folder, next_request, observer))
}

fn train_in_pool(
    config: &Config,
    checkpoint: Option<&Checkpoint>,
    folder: &RunFolder,
    next_request: NextRequest<'_>,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let mut streams = Streams::new(config.training.seed);
    let corpus = Corpus::load(&config.data, config.training.window, &mut streams.split)?;
    let corpus = Arc::new(corpus);
    let mut session = match checkpoint {
        Some(checkpoint) => {
            Session::resume(config, folder, &corpus, streams, checkpoint, observer)?
        }
        None => Session::begin(config, folder, &corpus, streams, observer)?,
    };
    while session.has_next_epoch() {
        match session.train_epoch(next_request)? {
            EpochOutcome::Completed => session.finish_epoch()?,
            EpochOutcome::Diverged(problem) => session.rollback(&problem)?,
            EpochOutcome::Stopped => return session.interrupt(),
        }
    }
    session.finish()
}

/// How an epoch ended.
enum EpochOutcome {
    /// All batches are done.
    Completed,
    /// The loss diverged; describes how.
    Diverged(String),
    /// Stopped on request.
    Stopped,
}

impl Session<'_> {
    /// Whether there is another epoch to train.
    fn has_next_epoch(&mut self) -> bool {
        let training = &self.config.training;
        let waited = self.progress.epochs_without_gain();
        if training.patience.is_some_and(|patience| waited >= patience) {
            self.observer.line(&format!(
                "no lower held-out loss for {waited} epochs: stopping early"
            ));
            return false;
        }
        self.progress.epoch < training.epochs
    }

    /// Trains on every batch once, except those done before the run was resumed.
    fn train_epoch(&mut self, next_request: NextRequest<'_>) -> Result<EpochOutcome> {
        let mut order = self.progress.streams.order.clone();
        let learnt = self.progress.totals.batches;
        for batch in self.batches.pass(Some(&mut order)).skip(learnt) {
            while let Some(request) = next_request() {
                match request {
                    Request::Stop => return Ok(EpochOutcome::Stopped),
                    Request::Save => self.save_now()?,
                    Request::Sample => self.sample_now()?,
                }
            }
            self.state = self.network.state_before(&batch, &self.state)?;
            if let Some(problem) = self.learn(&batch)? {
                return Ok(EpochOutcome::Diverged(problem));
            }
            self.sample_in_time()?;
            self.save_in_time()?;
        }
        self.progress.streams.order = order;
        Ok(EpochOutcome::Completed)
    }
}
