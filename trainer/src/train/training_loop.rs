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

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// It was made to its end; the loss is that of the exported model, by the runtime itself.
    Finished(Evaluation),
    /// It was stopped; what was reached is saved.
    Interrupted,
}

/// Trains a model as configured and leaves it in the folder, telling an observer how it goes. From a
/// checkpoint an earlier run goes on as if it had never stopped.
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
    // On one of the pool's own threads: from outside, every parallel piece of a batch would be
    // handed over and waited for.
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
    while session.goes_on() {
        match session.learn_epoch(next_request)? {
            EpochOutcome::Completed => session.finish_epoch()?,
            EpochOutcome::Diverged(problem) => session.rollback(&problem)?,
            EpochOutcome::Stopped => return session.interrupt(),
        }
    }
    session.finish()
}

/// How a pass over the data ended.
enum EpochOutcome {
    /// Every batch was learnt.
    Completed,
    /// The network has become useless; says how.
    Diverged(String),
    /// Somebody stopped it.
    Stopped,
}

impl Session<'_> {
    /// Whether there is something to learn.
    fn goes_on(&mut self) -> bool {
        let training = &self.config.training;
        let waited = self.progress.epochs_without_gain();
        if training.patience.is_some_and(|patience| waited >= patience) {
            self.observer.line(&format!(
                "no lower held-out loss for {waited} epochs: enough"
            ));
            return false;
        }
        self.progress.epoch < training.epochs
    }

    /// Learns from every batch once, but those that an earlier run has learnt.
    fn learn_epoch(&mut self, next_request: NextRequest<'_>) -> Result<EpochOutcome> {
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
            if !batch.carry_state {
                self.state = self.network.zero_state(batch.size)?;
            }
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
