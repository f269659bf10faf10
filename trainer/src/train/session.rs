//! A training under way: its parts, and how it is saved and taken up again.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};
use charlet::layout::WeightBits;

use super::checkpoint::{Checkpoint, Description, STATE, WEIGHTS};
use super::init_from::adopt;
use super::observer::{Place, Start, View};
use super::progress::{Epoch, Progress};
use super::summary::summary;
use crate::config::Config;
use crate::data::batch::Batches;
use crate::data::corpus::{Corpus, Sequences};
use crate::model::device::device;
use crate::model::network::Network;
use crate::model::shape::Shape;
use crate::optim::ema::Average;
use crate::optim::optimizer::Optimizer;
use crate::optim::schedule::{Clock, learning_rate};
use crate::report::Report;
use crate::report::html::{Page, Status};
use crate::util::atomic_file::{link, remove, write_whole};
use crate::util::rng::{Random, Streams};
use crate::util::run_dir::RunFolder;

/// How often a run that goes astray is taken back to where it was good.
const MAX_FALLBACKS: i32 = 5;

/// A training under way.
pub(crate) struct Run<'r> {
    pub(crate) config: &'r Config,
    pub(crate) folder: &'r RunFolder,
    pub(crate) corpus: &'r Corpus,
    pub(crate) network: Network,
    pub(crate) average: Option<Average>,
    pub(crate) optimizer: Optimizer,
    pub(crate) batches: Batches<'r>,
    /// h and c after the last batch.
    pub(crate) state: Tensor,
    pub(crate) progress: Progress,
    pub(crate) page: Page<'r>,
    pub(crate) report: Report<'r>,
    /// For samples that somebody asks for: they take nothing from those that the settings ask for.
    pub(crate) unplanned: Random,
    /// When the last checkpoint was written.
    saved: Instant,
}

impl<'r> Run<'r> {
    /// A run that has learnt nothing, and its first checkpoint.
    pub(crate) fn begin(
        config: &'r Config,
        folder: &'r RunFolder,
        corpus: &'r Corpus,
        mut streams: Streams,
        view: &'r mut dyn View,
    ) -> Result<Self> {
        let (network, origin) = first_network(config, corpus, &mut streams)?;
        let mut notes = summary(config, corpus, network.shape())?;
        notes.extend(origin.map(|origin| format!("\nfrom      {origin}")));
        let progress = Progress::new(streams);
        let mut run = Self::new(config, folder, corpus, network, progress, view)?;
        run.report.line(&notes);
        run.save_good()?;
        // Behind the checkpoint, so that a folder with settings has something to go on from.
        write_whole(&folder.config(), config.to_toml()?.as_bytes())?;
        Ok(run)
    }

    /// A run that goes on.
    pub(crate) fn resume(
        config: &'r Config,
        folder: &'r RunFolder,
        corpus: &'r Corpus,
        mut streams: Streams,
        checkpoint: &Checkpoint,
        view: &'r mut dyn View,
    ) -> Result<Self> {
        let Description {
            fingerprints,
            progress,
            ..
        } = &checkpoint.description;
        corpus.fingerprints.check(fingerprints, &config.data)?;
        let network = new_network(config, corpus, &mut streams)?;
        let notes = summary(config, corpus, network.shape())?;
        let mut run = Self::new(config, folder, corpus, network, progress.clone(), view)?;
        run.restore(checkpoint)?;
        write_whole(&folder.config(), config.to_toml()?.as_bytes())?;
        run.report.line(&format!(
            "{notes}\ngoes on   after {} epochs and {} batches of the next, with a learning rate of {:.2e}",
            run.progress.epoch,
            run.progress.totals.batches,
            run.learning_rate(),
        ));
        Ok(run)
    }

    fn new(
        config: &'r Config,
        folder: &'r RunFolder,
        corpus: &'r Corpus,
        network: Network,
        progress: Progress,
        view: &'r mut dyn View,
    ) -> Result<Self> {
        let average = config.training.ema;
        let average = average.map(|decay| Average::new(decay, &network));
        let batches = batches(config, corpus, &corpus.train);
        let epochs = config.training.epochs;
        let start = Start {
            name: config.name(),
            epochs,
            steps: batches.len() * epochs,
            chars: corpus.train.predictions() * epochs,
            place: place(corpus, &progress),
            ..Start::default()
        };
        let has_events = config.training.tensorboard;
        Ok(Self {
            config,
            folder,
            corpus,
            average: average.transpose()?,
            optimizer: Optimizer::new(config.optimizer.clone(), &network)?,
            page: Page::new(config, corpus, folder, network.shape()),
            batches,
            // Replaced by the first batch; a GPU has no memory of no size.
            state: network.zero_state(1)?,
            network,
            report: Report::new(folder, &progress, start, has_events, view)?,
            unplanned: progress.streams.samples.apart(),
            progress,
            saved: Instant::now(),
        })
    }

    /// How these sequences are cut.
    pub(crate) fn batches_of(&self, sequences: &'r Sequences) -> Batches<'r> {
        batches(self.config, self.corpus, sequences)
    }

    /// The network that is measured and exported.
    pub(crate) fn evaluated(&self) -> Result<Network> {
        match &self.average {
            Some(average) => Ok(with_rounding(average.network(&self.network)?, self.config)),
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
        let height = self.config.optimizer.learning_rate;
        let rate = learning_rate(height, &self.config.schedule, clock, self.progress.plateau);
        rate * 0.5f64.powi(self.progress.fallbacks)
    }

    /// How far the training is.
    pub(crate) fn place(&self) -> Place {
        place(self.corpus, &self.progress)
    }

    /// Goes back to the end of the last epoch, and on from there with half the learning rate.
    pub(crate) fn fall_back(&mut self, what: &str) -> Result<()> {
        let fallbacks = self.progress.fallbacks + 1;
        let good = self.folder.good();
        ensure!(
            fallbacks <= MAX_FALLBACKS,
            "{what}, though the learning rate was halved {MAX_FALLBACKS} times: {} has the network \
             after epoch {}; try a smaller --lr",
            good.display(),
            self.progress.epoch
        );
        let step = self.progress.steps;
        self.restore(&Checkpoint::load(&good, &Device::Cpu)?)?;
        self.progress.fallbacks = fallbacks;
        self.report.go_back(self.folder, &self.progress)?;
        self.report.line(&format!(
            "{what} in step {step}: back to step {}, and on with half the learning rate",
            self.progress.steps
        ));
        Ok(())
    }

    /// Takes up what a checkpoint has.
    fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let Checkpoint {
            tensors,
            description,
        } = checkpoint;
        let device = self.network.parameters().device();
        let saved = checkpoint.network()?;
        let weights = tensors.get(WEIGHTS).unwrap_or(saved.parameters());
        let progress = description.progress.clone();
        self.optimizer.restore(tensors, progress.steps)?;
        self.network.parameters().set(&weights.to_device(device)?)?;
        if let Some(average) = &mut self.average {
            average.restore(&saved)?;
        }
        if let Some(state) = tensors.get(STATE) {
            self.state = state.to_device(device)?;
        }
        self.progress = progress;
        Ok(())
    }

    /// Shows on the run's page how far it is. A page that can't be made is told once, and doesn't end a
    /// training.
    pub(crate) fn draw(&mut self, status: Status<'_>) {
        if let Some(problem) = self
            .page
            .write(status, &self.progress, self.report.elapsed())
        {
            self.report.line(&format!("note      {problem}"));
        }
    }

    pub(crate) fn draw_in_time(&mut self, is_time: bool) {
        if is_time {
            self.draw(Status::UnderWay);
        }
    }

    /// Saves, if it is time to.
    pub(crate) fn save_in_time(&mut self) -> Result<()> {
        if self.saved.elapsed().as_secs_f64() >= self.config.training.save_every {
            self.save_last()?;
        }
        Ok(())
    }

    /// Saves the run as it is.
    pub(crate) fn save_last(&mut self) -> Result<()> {
        let bytes = self.whole()?.to_bytes()?;
        write_whole(&self.folder.last(), &bytes)?;
        self.saved = Instant::now();
        Ok(())
    }

    /// Saves the run where it is good to fall back on.
    pub(crate) fn save_good(&mut self) -> Result<()> {
        let bytes = self.whole()?.to_bytes()?;
        // First, since a run that goes on from the last must find this one.
        let (good, last) = (self.folder.good(), self.folder.last());
        write_whole(&good, &bytes)?;
        // Without writing it twice, where the file system can.
        link(&good, &last).or_else(|_| write_whole(&last, &bytes))?;
        self.saved = Instant::now();
        Ok(())
    }

    /// A checkpoint to go on from.
    fn whole(&mut self) -> Result<Checkpoint> {
        self.report.sync()?;
        self.progress.seconds = self.report.elapsed().as_secs_f64();
        let mut checkpoint = self.checkpoint(&self.evaluated()?)?;
        let tensors = &mut checkpoint.tensors;
        tensors.extend(self.optimizer.state()?.0);
        if self.average.is_some() {
            let weights = self.network.parameters().as_detached_tensor();
            tensors.insert(WEIGHTS.to_owned(), weights);
        }
        if self.progress.totals.batches > 0 {
            tensors.insert(STATE.to_owned(), self.state.clone());
        }
        Ok(checkpoint)
    }

    /// Saves a network to use, not to go on from.
    pub(crate) fn save_weights(&self, network: &Network, path: &Path) -> Result<()> {
        write_whole(path, &self.checkpoint(network)?.to_bytes()?)
    }

    fn checkpoint(&self, network: &Network) -> Result<Checkpoint> {
        Ok(Checkpoint {
            description: Description {
                config: self.config.clone(),
                alphabet: self.corpus.alphabet.clone(),
                fingerprints: self.corpus.fingerprints.clone(),
                progress: self.progress.clone(),
            },
            tensors: network.tensors()?.into_iter().collect::<HashMap<_, _>>(),
        })
    }

    /// Keeps an epoch's network while it is among the best.
    pub(crate) fn keep(&mut self, network: &Network, epoch: Epoch) -> Result<()> {
        let dropped = self.progress.keep(epoch, self.config.training.keep);
        if !dropped.contains(&epoch) {
            self.save_weights(network, &self.folder.kept(epoch.number, epoch.loss))?;
        }
        for epoch in dropped {
            remove(&self.folder.kept(epoch.number, epoch.loss))?;
        }
        Ok(())
    }
}

fn place(corpus: &Corpus, progress: &Progress) -> Place {
    let totals = &progress.totals;
    Place {
        epoch: progress.epoch,
        step: progress.steps,
        chars: corpus.train.predictions() * progress.epoch + totals.chars,
        nats_per_char: totals.nats_per_char(),
    }
}

/// How sequences are cut for a run.
pub(crate) fn batches<'r>(
    config: &Config,
    corpus: &Corpus,
    sequences: &'r Sequences,
) -> Batches<'r> {
    let (size, window) = (config.training.batch_size, config.training.window);
    Batches::new(sequences, &corpus.alphabet, size, window)
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
    let known = adopt(&network, &corpus.alphabet, &from)
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

/// Rounds weights as the model's precision does.
fn with_rounding(network: Network, config: &Config) -> Network {
    network.with_rounding(config.training.quantize.map(WeightBits::from))
}
