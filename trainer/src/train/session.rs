//! The state of a training, and how it begins or is resumed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use charlet::format::Input;

use super::checkpoint::{Checkpoint, Description};
use super::init_from::load_matching;
use super::observer::{Observer, ProgressSnapshot, Start, Task};
use super::progress::Progress;
use super::summary::summary;
use crate::config::{Config, LOG_LINES_PER_EPOCH};
use crate::data::batch::Batches;
use crate::data::corpus::{Corpus, Sequences};
use crate::model::device::device;
use crate::model::fake_quant::Rounding;
use crate::model::network::Network;
use crate::model::shape::Shape;
use crate::optim::ema::Ema;
use crate::optim::optimizer::Optimizer;
use crate::optim::schedule::{Clock, learning_rate};
use crate::util::atomic_file::atomic_write;
use crate::util::rng::{Random, Streams};
use crate::util::run_dir::RunFolder;

/// The state of a training.
pub(crate) struct Session<'r> {
    pub(crate) config: &'r Config,
    pub(crate) folder: &'r RunFolder,
    pub(crate) corpus: &'r Arc<Corpus>,
    pub(crate) network: Network,
    pub(crate) ema: Option<Ema>,
    pub(crate) optimizer: Optimizer,
    pub(crate) batches: Batches<'r>,
    /// h and c after the last batch.
    pub(crate) state: Tensor,
    pub(crate) progress: Progress,
    pub(crate) observer: &'r mut dyn Observer,
    /// Random numbers of samples on request, so that they don't change scheduled samples.
    pub(crate) unplanned: Random,
    /// When this process last wrote a checkpoint, and after how many updates; `None` before the first.
    pub(super) saved: (Instant, Option<usize>),
    /// When this process began.
    started: Instant,
    /// Training time before the run was resumed.
    before: Duration,
}

impl<'r> Session<'r> {
    /// A new run, with its first checkpoint.
    pub(crate) fn begin(
        config: &'r Config,
        folder: &'r RunFolder,
        corpus: &'r Arc<Corpus>,
        mut streams: Streams,
        observer: &'r mut dyn Observer,
    ) -> Result<Self> {
        let (network, origin) = first_network(config, corpus, &mut streams)?;
        let mut notes = summary(config, corpus, network.shape())?;
        notes.extend(origin.map(|origin| format!("\nfrom      {origin}")));
        let progress = Progress::new(streams);
        let replaced = folder.begin()?;
        let mut session = Self::new(config, folder, corpus, network, progress, observer)?;
        session.observer.line(&notes);
        session.save_epoch()?;
        // After the checkpoint: a folder with settings always has one to resume from.
        atomic_write(&folder.config(), config.to_toml()?.as_bytes())?;
        replaced.discard()?;
        Ok(session)
    }

    /// A resumed run.
    pub(crate) fn resume(
        config: &'r Config,
        folder: &'r RunFolder,
        corpus: &'r Arc<Corpus>,
        mut streams: Streams,
        checkpoint: &Checkpoint,
        observer: &'r mut dyn Observer,
    ) -> Result<Self> {
        let Description {
            fingerprints,
            progress,
            ..
        } = &checkpoint.description;
        corpus.fingerprints.check(fingerprints, &config.data)?;
        let network = new_network(config, corpus, &mut streams)?;
        let notes = summary(config, corpus, network.shape())?;
        let mut session = Self::new(config, folder, corpus, network, progress.clone(), observer)?;
        session.restore(checkpoint)?;
        atomic_write(&folder.config(), config.to_toml()?.as_bytes())?;
        session.observer.line(&format!(
            "{notes}\ngoes on   after {} epochs and {} batches of the next, with a learning rate of {:.2e}",
            session.progress.epoch,
            session.progress.totals.batches,
            session.learning_rate(),
        ));
        Ok(session)
    }

    fn new(
        config: &'r Config,
        folder: &'r RunFolder,
        corpus: &'r Arc<Corpus>,
        network: Network,
        progress: Progress,
        observer: &'r mut dyn Observer,
    ) -> Result<Self> {
        let ema = config.training.ema;
        let ema = ema.map(|decay| Ema::new(decay, &network)).transpose()?;
        let optimizer = Optimizer::new(config.optimizer.clone(), &network)?;
        let batches = batches(config, corpus, &corpus.train);
        let epochs = config.training.epochs;
        let before = Duration::from_secs_f64(progress.seconds);
        let start = Start {
            name: config.name(),
            epochs,
            steps: batches.len() * epochs,
            chars: corpus.train.predictions() * epochs,
            log_every: log_every(config, &batches),
            now: snapshot(corpus, &progress, before),
        };
        let task = Task {
            config,
            corpus,
            shape: network.shape(),
            folder,
        };
        observer.begin(&task, &start)?;
        Ok(Self {
            config,
            folder,
            corpus,
            ema,
            optimizer,
            batches,
            // Replaced by the first batch; a GPU has no memory of no size.
            state: network.zero_state(1)?,
            network,
            observer,
            started: Instant::now(),
            before,
            unplanned: progress.streams.samples.apart(),
            progress,
            saved: (Instant::now(), None),
        })
    }

    /// Batches of these sequences.
    pub(crate) fn batches_of(&self, sequences: &'r Sequences) -> Batches<'r> {
        batches(self.config, self.corpus, sequences)
    }

    /// The network that is measured and exported.
    pub(crate) fn evaluated(&self) -> Result<Network> {
        match &self.ema {
            Some(ema) => Ok(with_rounding(ema.network(&self.network)?, self.config)),
            None => Ok(self.network.clone()),
        }
    }

    /// The learning rate of the next step.
    pub(crate) fn learning_rate(&self) -> f64 {
        let clock = Clock {
            step: self.progress.steps,
            total_steps: self.batches.len() * self.config.training.epochs,
            epoch: self.progress.epoch,
        };
        let base_lr = self.config.optimizer.learning_rate;
        let rate = learning_rate(base_lr, &self.config.schedule, clock, self.progress.plateau);
        rate * 0.5f64.powi(self.progress.rollbacks)
    }

    /// Training time, without pauses between a stop and --resume.
    pub(crate) fn elapsed(&self) -> Duration {
        self.before + self.started.elapsed()
    }

    /// A snapshot of the progress.
    pub(crate) fn now(&self) -> ProgressSnapshot {
        snapshot(self.corpus, &self.progress, self.elapsed())
    }
}

fn snapshot(corpus: &Corpus, progress: &Progress, elapsed: Duration) -> ProgressSnapshot {
    let totals = &progress.totals;
    ProgressSnapshot {
        epoch: progress.epoch,
        step: progress.steps,
        chars: corpus.train.predictions() * progress.epoch + totals.chars,
        nats_per_char: totals.nats_per_char(),
        elapsed,
    }
}

/// Batches of these sequences, as configured.
pub(crate) fn batches<'r>(
    config: &Config,
    corpus: &Corpus,
    sequences: &'r Sequences,
) -> Batches<'r> {
    let (size, window) = (config.training.batch_size, config.training.window);
    Batches::new(sequences, &corpus.alphabet, size, window)
}

/// Updates from one line of `steps.jsonl` to the next, at first.
pub(super) fn log_every(config: &Config, batches: &Batches<'_>) -> usize {
    let default = || (batches.len() / LOG_LINES_PER_EPOCH).max(1);
    config.training.log_every.unwrap_or_else(default)
}

/// The network that a run begins with, and where its weights come from if they aren't random.
pub(crate) fn first_network(
    config: &Config,
    corpus: &Corpus,
    streams: &mut Streams,
) -> Result<(Network, Option<String>)> {
    let network = new_network(config, corpus, streams)?;
    let Some(path) = &config.training.init_from else {
        return Ok((network, None));
    };
    let from = Checkpoint::load(path, &Device::Cpu)?;
    let known = load_matching(&network, &corpus.alphabet, &from)
        .with_context(|| format!("can't start from {}", path.display()))?;
    Ok((network, Some(format!("{}: {known}", path.display()))))
}

/// A network with random weights.
fn new_network(config: &Config, corpus: &Corpus, streams: &mut Streams) -> Result<Network> {
    let shape = Shape::new(corpus.alphabet.size(), &config.network);
    let device = device(config.training.device)?;
    let network = Network::new(shape, &mut streams.weights, &device)?;
    Ok(with_rounding(network, config))
}

/// Adds fake quantization for the model's precision.
fn with_rounding(network: Network, config: &Config) -> Network {
    let training = &config.training;
    network.with_rounding(training.quantize.map(|precision| Rounding {
        layers: precision.into(),
        head: training.head_bits(),
        input: training.input.map_or(Input::Table, Input::from),
    }))
}
