//! The training loop.

use std::sync::Arc;

use anyhow::{Result, ensure};

use super::checkpoint::{Checkpoint, Description};
use super::control::{Request, Requests};
use super::observer::Observer;
use super::session::Session;
use crate::config::Config;
use crate::data::corpus::Corpus;
use crate::inference::evaluation::Evaluation;
use crate::util::rng::{Random, Streams};
use crate::util::run_dir::RunFolder;
use crate::util::stop::Stopped;

/// The outcome of a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// Finished; the loss is that of the exported model, measured by the runtime.
    Finished(Evaluation),
    /// Stopped and saved.
    Interrupted,
}

/// What a run learns. Read once: a pipe can't be read again.
#[derive(Debug)]
pub struct Input {
    /// The data.
    pub corpus: Arc<Corpus>,
    /// The run's random numbers, after the data were split.
    pub streams: Streams,
}

impl Input {
    /// Reads and splits the data of a run, and settles what the settings leave to the data.
    ///
    /// An alphabet with a mark is taken over from the checkpoint that the run goes on from, or that has
    /// its first weights: characters that it lacks are the mark.
    ///
    /// # Errors
    /// If they can't be used, or that alphabet doesn't suit them.
    pub fn load(config: &mut Config, begun: Option<&Checkpoint>) -> Result<Self> {
        let first_weights = config.training.init_from.as_deref();
        let alphabet = match (begun, first_weights) {
            (Some(begun), _) => Some(begun.description.alphabet.clone()),
            (None, Some(path)) => Some(Description::load(path)?.alphabet),
            (None, None) => None,
        };
        let given = alphabet.filter(|alphabet| alphabet.unknown().is_some());
        if let (None, Some(path), Some(_)) = (begun, first_weights, &given) {
            let min_count = config.data.min_count.unwrap_or(0);
            ensure!(
                min_count == 0,
                "{} has a mark for unknown characters, so its alphabet is taken over, whatever --min-count is: leave \
                 that out, or give --min-count 0 where a settings file has it",
                path.display()
            );
            config.data.min_count = Some(0);
        }
        let mut streams = Streams::new(config.training.seed);
        let (data, window) = (&config.data, config.training.window);
        let corpus = Corpus::load_with(data, window, &mut streams.split, given.as_ref())?;
        config.data.min_count = Some(corpus.min_count);
        Ok(Self {
            corpus: Arc::new(corpus),
            streams,
        })
    }
}

/// Reads the data and [trains on](train_on) them.
///
/// # Errors
/// If the data can't be used, and as [`train_on`].
pub fn train(
    config: &Config,
    checkpoint: Option<&Checkpoint>,
    folder: &RunFolder,
    requests: &dyn Requests,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let mut config = config.clone();
    let input = Input::load(&mut config, checkpoint)?;
    train_on(&config, input, checkpoint, folder, requests, observer)
}

/// Trains a model as configured, writes it to the folder, and reports to an observer. With a checkpoint
/// the run is resumed exactly as if it had not been interrupted.
///
/// # Errors
/// If a file can't be written, or the loss is NaN again and again.
pub fn train_on(
    config: &Config,
    input: Input,
    checkpoint: Option<&Checkpoint>,
    folder: &RunFolder,
    requests: &dyn Requests,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    // On a thread of the pool: from outside, every parallel part of a batch would have to be handed over.
    rayon::scope(|_| train_in_pool(config, input, checkpoint, folder, requests, observer))
}

fn train_in_pool(
    config: &Config,
    Input { corpus, streams }: Input,
    checkpoint: Option<&Checkpoint>,
    folder: &RunFolder,
    requests: &dyn Requests,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let is_stopping = || requests.is_stopping();
    let mut session = match checkpoint {
        Some(checkpoint) => {
            Session::resume(config, folder, &corpus, streams, checkpoint, observer)?
        }
        None => Session::begin(config, folder, &corpus, streams, observer)?,
    };
    while session.has_next_epoch() {
        match session.train_epoch(requests)? {
            EpochOutcome::Completed(order) => match session.finish_epoch(order, &is_stopping) {
                Err(error) if error.is::<Stopped>() => return session.interrupt(),
                result => result?,
            },
            EpochOutcome::Diverged(problem) => session.rollback(&problem)?,
            EpochOutcome::Stopped => return session.interrupt(),
        }
    }
    session.finish(&is_stopping)
}

/// How an epoch ended.
enum EpochOutcome {
    /// All batches are done, in an order after which these random numbers come.
    Completed(Random),
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
    fn train_epoch(&mut self, requests: &dyn Requests) -> Result<EpochOutcome> {
        let mut order = self.progress.streams.order.clone();
        let learnt = self.progress.totals.batches;
        for batch in self.batches.pass(Some(&mut order)).skip(learnt) {
            while let Some(request) = requests.next() {
                match request {
                    Request::Stop => return Ok(EpochOutcome::Stopped),
                    Request::Save => self.save_now()?,
                    Request::Sample => self.sample_now(&|| requests.is_stopping())?,
                }
            }
            self.state = self.network.state_before(&batch, &self.state)?;
            if let Some(problem) = self.learn(&batch)? {
                return Ok(EpochOutcome::Diverged(problem));
            }
            self.sample_in_time(&|| requests.is_stopping())?;
            self.save_in_time()?;
        }
        Ok(EpochOutcome::Completed(order))
    }
}
