//! The training loop.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use candle_core::{Device, Tensor};
use charlet::Model;
use charlet::format::Precision;
use charlet::layout::WeightBits;

use crate::batch::{Batch, Batches};
use crate::checkpoint::{Checkpoint, Description};
use crate::config::{Config, DeviceKind, Mode};
use crate::corpus::{Corpus, Source};
use crate::export;
use crate::files::{RunFolder, write_whole};
use crate::lstm::Dropout;
use crate::network::{Network, Shape};
use crate::optimizer::{Optimizer, learning_rate};
use crate::report::{EpochMetrics, Loss, Report, sorted_samples, summary};
use crate::rng::Streams;
use crate::speak::{Evaluation, Speaker};

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// All epochs were made; the loss is that of the exported model, by the runtime itself.
    Finished(Evaluation),
    /// It was stopped; what was reached is saved.
    Interrupted,
}

/// Trains a model as configured and leaves it in the folder, telling `out` how it goes. Setting
/// `stop` saves and ends it.
///
/// # Errors
/// If the data can't be used, a file can't be written, or the loss is no longer a number.
pub fn train(
    config: &Config,
    folder: &RunFolder,
    stop: &AtomicBool,
    out: impl Write + Send,
) -> Result<Outcome> {
    // On one of the pool's own threads: from outside, every parallel piece of a batch would be
    // handed over and waited for.
    rayon::scope(|_| train_in_pool(config, folder, stop, out))
}

fn train_in_pool(
    config: &Config,
    folder: &RunFolder,
    stop: &AtomicBool,
    out: impl Write + Send,
) -> Result<Outcome> {
    let mut streams = Streams::new(config.training.seed);
    let corpus = Corpus::load(&config.data, config.training.window, &mut streams.split)?;
    write_whole(&folder.config(), config.to_toml()?.as_bytes())?;
    let mut run = Run::start(config, folder, &corpus, streams, out)?;
    run.report
        .line(&summary(config, &corpus, run.network.shape())?);

    for epoch in 1..=config.training.epochs {
        if !run.learn_epoch(stop)? {
            run.save_interrupted()?;
            return Ok(Outcome::Interrupted);
        }
        run.finish_epoch(epoch)?;
    }
    run.report.finish();
    run.conclude()
}

/// What learning from one batch gave.
#[derive(Clone, Debug)]
pub struct Update {
    /// The summed cross-entropy before the update, in nats.
    pub nats: f64,
    /// The norm of the gradients before clipping.
    pub norm: f64,
    /// The state after the batch, for the next one.
    pub state: Tensor,
    /// Time of the pass to the loss and back to the gradients.
    pub network: Duration,
    /// Time of the optimizer.
    pub optimizer: Duration,
}

impl Update {
    /// Updates the weights from the gradients of a batch's mean loss.
    ///
    /// # Errors
    /// If the state has another batch size, or the device no memory left.
    pub fn from_batch(
        network: &Network,
        optimizer: &mut Optimizer,
        batch: &Batch,
        state: &Tensor,
        dropout: Option<Dropout>,
        learning_rate: f64,
    ) -> Result<Self> {
        let start = Instant::now();
        let gradient = network.gradient(batch, state, dropout)?;
        let network = start.elapsed();
        let norm = optimizer.step(&gradient.slopes, learning_rate)?;
        Ok(Self {
            nats: gradient.nats,
            norm,
            state: gradient.state,
            network,
            optimizer: start.elapsed() - network,
        })
    }
}

/// Sums over an epoch so far.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    nats: f64,
    chars: usize,
    batches: usize,
    norm: f64,
}

/// A training under way.
struct Run<'r, W> {
    config: &'r Config,
    folder: &'r RunFolder,
    corpus: &'r Corpus,
    streams: Streams,
    network: Network,
    optimizer: Optimizer,
    batches: Batches<'r>,
    report: Report<W>,
    epoch: usize,
    steps: usize,
    totals: Totals,
    validation_loss: Option<f64>,
    /// The lowest held-out loss, with the model file that reached it.
    best: Option<(f64, Vec<u8>)>,
}

impl<'r, W: Write> Run<'r, W> {
    fn start(
        config: &'r Config,
        folder: &'r RunFolder,
        corpus: &'r Corpus,
        mut streams: Streams,
        out: W,
    ) -> Result<Self> {
        let shape = Shape::new(corpus.alphabet.size(), &config.network);
        let device = device(config.training.device)?;
        let network = Network::new(shape, &mut streams.weights, &device)?
            .with_rounding(config.training.quantize.map(WeightBits::from));
        let optimizer = Optimizer::new(config.optimizer.clone(), &network)?;
        let (size, window) = (config.training.batch_size, config.training.window);
        let chars = corpus.train.predictions() * config.training.epochs;
        Ok(Self {
            config,
            folder,
            corpus,
            streams,
            network,
            optimizer,
            batches: Batches::new(&corpus.train, &corpus.alphabet, size, window),
            report: Report::new(&folder.metrics(), chars, out)?,
            epoch: 0,
            steps: 0,
            totals: Totals::default(),
            validation_loss: None,
            best: None,
        })
    }

    /// Learns from every batch once; false if it was stopped.
    fn learn_epoch(&mut self, stop: &AtomicBool) -> Result<bool> {
        self.totals = Totals::default();
        // Replaced by the first batch; a GPU has no memory of no size.
        let mut state = self.network.zero_state(1)?;
        for batch in self.batches.pass(Some(&mut self.streams.order)) {
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            if !batch.continues {
                state = self.network.zero_state(batch.size)?;
            }
            state = self.learn(&batch, &state)?;
        }
        Ok(true)
    }

    /// Learns from one batch; gives the state after it.
    fn learn(&mut self, batch: &Batch, state: &Tensor) -> Result<Tensor> {
        let dropout = Dropout::draw(&self.config.network, &mut self.streams.dropout);
        let rate = self.learning_rate();
        let update = Update::from_batch(
            &self.network,
            &mut self.optimizer,
            batch,
            state,
            Some(dropout),
            rate,
        )?;
        if !update.nats.is_finite() {
            bail!("the loss is no longer a number: {}", self.last_good());
        }
        let predictions = batch.predictions();
        self.steps += 1;
        self.totals.nats += update.nats;
        self.totals.chars += predictions;
        self.totals.batches += 1;
        self.totals.norm += update.norm;
        let mean = self.totals.nats / self.totals.chars as f64;
        self.report.advance(predictions, self.epoch + 1, mean);
        Ok(update.state)
    }

    fn learning_rate(&self) -> f64 {
        let total = self.batches.len() * self.config.training.epochs;
        learning_rate(&self.config.optimizer, self.steps, total)
    }

    /// What remains when a training fails.
    fn last_good(&self) -> String {
        let advice = "try a smaller --lr";
        if self.epoch == 0 {
            return format!("no epoch was completed, so nothing is saved; {advice}");
        }
        let (last, epoch) = (self.folder.last(), self.epoch);
        format!(
            "{} has the network after epoch {epoch}; {advice}",
            last.display()
        )
    }

    /// Measures, saves and reports an epoch.
    fn finish_epoch(&mut self, epoch: usize) -> Result<()> {
        let validation = self.validate()?;
        if !validation.is_finite() {
            bail!(
                "the held-out loss is no longer a number: {}",
                self.last_good()
            );
        }
        self.epoch = epoch;
        self.validation_loss = Some(validation);
        self.save(&self.folder.last(), true)?;
        let is_best = self
            .best
            .as_ref()
            .is_none_or(|(best, _)| validation < *best);
        let model = self.exported()?;
        let is_sample = epoch.is_multiple_of(self.config.training.sample_every);
        let totals = self.totals;
        let seconds = self.report.elapsed().as_secs_f64();
        let metrics = EpochMetrics {
            epoch,
            steps: self.steps,
            train_nats_per_char: totals.nats / totals.chars as f64,
            validation_nats_per_char: validation,
            learning_rate: self.learning_rate(),
            gradient_norm: totals.norm / totals.batches as f64,
            chars_per_second: (self.corpus.train.predictions() * epoch) as f64 / seconds,
            seconds,
        };
        self.report
            .epoch(&metrics, self.corpus, self.config.training.epochs, is_best)?;
        if is_sample {
            self.report.samples(&model, &mut self.streams.samples)?;
        }
        if is_best {
            self.save(&self.folder.best(), false)?;
            write_whole(&self.folder.model(), &model)?;
            self.best = Some((validation, model));
        }
        Ok(())
    }

    /// The held-out loss per prediction. A text is cut into streams, as for learning: the exact
    /// figure, of one unbroken text, is the runtime's at the end.
    fn validate(&self) -> Result<f64> {
        let (size, window) = (self.config.training.batch_size, self.config.training.window);
        let batches = Batches::new(&self.corpus.validation, &self.corpus.alphabet, size, window);
        let (mut nats, mut chars) = (0.0, 0);
        let mut state = self.network.zero_state(1)?;
        for batch in batches.pass(None) {
            if !batch.continues {
                state = self.network.zero_state(batch.size)?;
            }
            let output = self.network.run(&batch, &state, None)?;
            nats += f64::from(output.loss.to_scalar::<f32>()?);
            chars += batch.predictions();
            state = output.state.detach();
        }
        Ok(nats / chars as f64)
    }

    /// The precision that the model is trained for.
    fn precision(&self) -> Precision {
        let quantize = self.config.training.quantize;
        quantize.map_or(Precision::F32, Into::into)
    }

    /// The model file of the network as it is.
    fn exported(&self) -> Result<Vec<u8>> {
        export::model_file(&self.network, &self.corpus.alphabet, self.precision())
    }

    fn save(&self, path: &Path, with_optimizer: bool) -> Result<()> {
        let mut tensors: HashMap<_, _> = self.network.tensors()?.into_iter().collect();
        if with_optimizer {
            tensors.extend(self.optimizer.state()?.0);
        }
        let description = Description {
            config: self.config.clone(),
            alphabet: self.corpus.alphabet.clone(),
            epoch: self.epoch,
            steps: self.steps,
            validation_loss: self.validation_loss,
        };
        Checkpoint {
            description,
            tensors,
        }
        .save(path)
    }

    /// Saves what was reached when the training was stopped.
    fn save_interrupted(&mut self) -> Result<()> {
        self.save(&self.folder.last(), true)?;
        if self.best.is_none() {
            let model = self.exported()?;
            write_whole(&self.folder.model(), &model)?;
        }
        self.report.finish();
        self.report.line(&format!(
            "stopped in epoch {}; {} and {} are saved",
            self.epoch + 1,
            self.folder.last().display(),
            self.folder.model().display(),
        ));
        Ok(())
    }

    /// Tells what the exported model does, by the runtime's own arithmetic.
    fn conclude(mut self) -> Result<Outcome> {
        let (_, model) = self.best.take().context("no epoch was completed")?;
        let path = self.folder.model();
        let evaluation = self.evaluate(&format!("{}:", path.display()), &model)?;
        let best = Checkpoint::load(&self.folder.best(), &Device::Cpu)?.network()?;
        // What the same weights do in other arithmetic.
        for other in [Precision::F32, Precision::I8, Precision::I4] {
            if other != self.precision() {
                let model = export::model_file(&best, &self.corpus.alphabet, other)?;
                self.evaluate(&format!("as {other}, {} bytes:", model.len()), &model)?;
            }
        }
        // As this program was called, so that the line can be pasted.
        let program = std::env::args()
            .next()
            .unwrap_or_else(|| "charlet".to_owned());
        let advice = if self.config.data.mode == Mode::Lines {
            let samples = sorted_samples(&model, self.corpus, &mut self.streams.samples)?;
            self.report.line(&samples);
            "-n 20"
        } else {
            "--length 400"
        };
        let path = path.display();
        self.report.line(&format!(
            "next      {program} generate {path} {advice} --temperature 0.8"
        ));
        if self.config.training.quantize.is_none() {
            let (best, to) = (
                self.folder.best(),
                self.folder.model().with_extension("i8.charlet"),
            );
            self.report.line(&format!(
                "integers  {program} quantize {} --to i8 -o {}",
                best.display(),
                to.display()
            ));
        }
        Ok(Outcome::Finished(evaluation))
    }

    /// Tells the held-out loss of a model file, run by the runtime.
    fn evaluate(&mut self, what: &str, model: &[u8]) -> Result<Evaluation> {
        let held_out = Source {
            text: self.corpus.validation_text.clone(),
            notes: Vec::new(),
        };
        let evaluation = Speaker::new(Model::from_bytes(model)?).evaluate(&held_out)?;
        let loss = Loss {
            nats: evaluation.nats_per_char(),
            sequences: &self.corpus.validation,
        };
        self.report
            .line(&format!("runtime   {what} held out {loss}"));
        Ok(evaluation)
    }
}

/// The device to train on.
///
/// # Errors
/// If this build or this machine has no such device.
pub fn device(kind: DeviceKind) -> Result<Device> {
    match kind {
        DeviceKind::Cpu => Ok(Device::Cpu),
        DeviceKind::Cuda if cfg!(feature = "cuda") => {
            Device::new_cuda(0).context("can't use the first CUDA device")
        }
        DeviceKind::Cuda => bail!(
            "this charlet was built without CUDA: build it with --features cuda, or use --device cpu"
        ),
    }
}
