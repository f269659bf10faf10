//! The training loop.

use anyhow::Result;

use super::checkpoint::Checkpoint;
use super::control::Ask;
use super::control::Request;
use super::finalize::{conclude, program};
use super::metrics::{EpochMetrics, StepMetrics};
use super::observer::View;
use super::progress::{Epoch, Totals};
use super::session::Run;
use super::step::Update;
use crate::config::Config;
use crate::data::batch::Batch;
use crate::data::corpus::Corpus;
use crate::export::model_file::model_file;
use crate::inference::novelty::Novelty;
use crate::inference::sample::Sample;
use crate::inference::text_model::Evaluation;
use crate::model::lstm::dropout::Dropout;
use crate::model::network::Network;
use crate::report::html::Status;
use crate::util::atomic_file::write_whole;
use crate::util::rng::Streams;
use crate::util::run_dir::RunFolder;

/// Lines of `steps.jsonl` in an epoch, about, unless the settings say otherwise.
const LINES_PER_EPOCH: usize = 100;

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// It was made to its end; the loss is that of the exported model, by the runtime itself.
    Finished(Evaluation),
    /// It was stopped; what was reached is saved.
    Interrupted,
}

/// Trains a model as configured and leaves it in the folder, showing how it goes. From a
/// checkpoint an earlier run goes on as if it had never stopped.
///
/// # Errors
/// If the data can't be used, a file can't be written, or the loss is no longer a number.
pub fn train(
    config: &Config,
    checkpoint: Option<&Checkpoint>,
    folder: &RunFolder,
    ask: Ask<'_>,
    view: &mut dyn View,
) -> Result<Outcome> {
    // On one of the pool's own threads: from outside, every parallel piece of a batch would be
    // handed over and waited for.
    rayon::scope(|_| train_in_pool(config, checkpoint, folder, ask, view))
}

fn train_in_pool(
    config: &Config,
    checkpoint: Option<&Checkpoint>,
    folder: &RunFolder,
    ask: Ask<'_>,
    view: &mut dyn View,
) -> Result<Outcome> {
    let mut streams = Streams::new(config.training.seed);
    let corpus = Corpus::load(&config.data, config.training.window, &mut streams.split)?;
    let mut run = match checkpoint {
        Some(checkpoint) => Run::resume(config, folder, &corpus, streams, checkpoint, view)?,
        None => Run::begin(config, folder, &corpus, streams, view)?,
    };
    while run.goes_on() {
        match run.learn_epoch(ask)? {
            Pass::Completed => run.finish_epoch()?,
            Pass::Astray(what) => run.fall_back(&what)?,
            Pass::Stopped => return run.interrupt(),
        }
    }
    run.finish()
}

/// How a pass over the data ended.
enum Pass {
    /// Every batch was learnt.
    Completed,
    /// The network has become useless; says how.
    Astray(String),
    /// Somebody stopped it.
    Stopped,
}

impl Run<'_> {
    /// Whether there is something to learn.
    fn goes_on(&mut self) -> bool {
        let training = &self.config.training;
        let waited = self.progress.epochs_without_gain();
        if training.patience.is_some_and(|patience| waited >= patience) {
            self.report.line(&format!(
                "no lower held-out loss for {waited} epochs: enough"
            ));
            return false;
        }
        self.progress.epoch < training.epochs
    }

    /// Learns from every batch once, but those that an earlier run has learnt.
    fn learn_epoch(&mut self, ask: Ask<'_>) -> Result<Pass> {
        let mut order = self.progress.streams.order.clone();
        let learnt = self.progress.totals.batches;
        for batch in self.batches.pass(Some(&mut order)).skip(learnt) {
            while let Some(request) = ask() {
                match request {
                    Request::Stop => return Ok(Pass::Stopped),
                    Request::Save => self.save_now()?,
                    Request::Sample => self.sample_now()?,
                }
            }
            if !batch.continues {
                self.state = self.network.zero_state(batch.size)?;
            }
            if let Some(what) = self.learn(&batch)? {
                return Ok(Pass::Astray(what));
            }
            self.sample_in_time()?;
            self.save_in_time()?;
            self.draw_in_time(self.page.is_old());
        }
        self.progress.streams.order = order;
        Ok(Pass::Completed)
    }

    /// Learns from one batch; tells if something is wrong then.
    fn learn(&mut self, batch: &Batch) -> Result<Option<String>> {
        let random = &mut self.progress.streams.dropout;
        let dropout = Dropout::draw(&self.config.network, random);
        let rate = self.learning_rate();
        let update = Update::from_batch(
            &self.network,
            &mut self.optimizer,
            batch,
            &self.state,
            Some(dropout),
            rate,
        )?;
        let progress = &mut self.progress;
        let predictions = batch.predictions();
        progress.steps += 1;
        progress.totals.add(&update, predictions);
        progress.line.add(&update, predictions);
        self.state = update.state;
        if let Some(average) = &mut self.average {
            average.observe(&self.network, progress.steps)?;
        }
        let place = self.place();
        self.report.advance(place);
        let guess = (self.corpus.alphabet.size() as f64).ln();
        let loss = update.nats / predictions as f64;
        let smoothed = self.progress.smooth(loss);
        let astray = self.progress.watch.observe(loss, predictions, guess);
        // What a run goes back on is no part of its log.
        if astray.is_none() && self.progress.steps.is_multiple_of(self.log_every()) {
            self.report_steps(smoothed, rate)?;
        }
        Ok(astray)
    }

    /// Updates from one line of `steps.jsonl` to the next.
    fn log_every(&self) -> usize {
        let default = || (self.batches.len() / LINES_PER_EPOCH).max(1);
        self.config.training.log_every.unwrap_or_else(default)
    }

    fn report_steps(&mut self, smoothed: f64, learning_rate: f64) -> Result<()> {
        let progress = &mut self.progress;
        let line = std::mem::take(&mut progress.line);
        let share = progress.totals.batches as f64 / self.batches.len() as f64;
        self.report.steps(&StepMetrics {
            step: progress.steps,
            epoch: progress.epoch as f64 + share,
            train_nats_per_char: line.nats_per_char(),
            smoothed_nats_per_char: smoothed,
            learning_rate,
            gradient_norm: line.mean_norm(),
            chars_per_second: line.chars as f64 / line.seconds,
        })
    }

    /// Measures, reports and saves an epoch.
    fn finish_epoch(&mut self) -> Result<()> {
        let network = self.evaluated()?;
        let loss = self.validate(&network)?;
        if !loss.is_finite() {
            return self.fall_back("the held-out loss is no longer a number");
        }
        let number = self.progress.epoch + 1;
        let epoch = Epoch { number, loss };
        let totals = std::mem::take(&mut self.progress.totals);
        self.progress.epoch = number;
        self.progress.validation_loss = Some(loss);
        self.progress.plateau.observe(loss, &self.config.schedule);
        let is_best = self.progress.is_best(epoch);
        let model = self.exported(&network)?;
        let random = &mut self.progress.streams.samples;
        let is_due = number.is_multiple_of(self.config.training.sample_every);
        let sample = is_due.then(|| Sample::of(&model, self.corpus, random));
        self.report_epoch(totals, epoch, is_best, sample.transpose()?)?;
        if is_best {
            self.save_weights(&network, &self.folder.best())?;
            write_whole(&self.folder.model(), &model)?;
        }
        self.keep(&network, epoch)?;
        self.draw_in_time(self.page.is_due());
        // Last: whoever goes on from an earlier checkpoint makes all of the above again.
        self.save_good()
    }

    fn report_epoch(
        &mut self,
        totals: Totals,
        epoch: Epoch,
        is_best: bool,
        sample: Option<Sample>,
    ) -> Result<()> {
        let novelty = sample.as_ref().map(|sample| &sample.novelty);
        let seconds = self.report.elapsed().as_secs_f64();
        let metrics = EpochMetrics {
            epoch: epoch.number,
            steps: self.progress.steps,
            train_nats_per_char: totals.nats_per_char(),
            smoothed_nats_per_char: self.progress.smoothed,
            validation_nats_per_char: epoch.loss,
            learning_rate: self.learning_rate(),
            gradient_norm: totals.mean_norm(),
            chars_per_second: self.place().chars as f64 / seconds,
            seconds,
            known_lines: novelty.and_then(Novelty::known_lines),
            longest_copy: novelty.and_then(Novelty::longest_copy),
        };
        let epochs = self.config.training.epochs;
        self.report.epoch(&metrics, self.corpus, epochs, is_best)?;
        if let Some(sample) = sample {
            self.report.sample(self.progress.steps, &sample)?;
            self.page.sample = Some(sample);
        }
        Ok(())
    }

    /// The held-out loss per prediction. A text is cut into streams, as for learning: the exact
    /// figure, of one unbroken text, is the runtime's at the end.
    fn validate(&self, network: &Network) -> Result<f64> {
        let (mut nats, mut chars) = (0.0, 0);
        // Replaced by the first batch; a GPU has no memory of no size.
        let mut state = network.zero_state(1)?;
        for batch in self.batches_of(&self.corpus.validation).pass(None) {
            if !batch.continues {
                state = network.zero_state(batch.size)?;
            }
            let output = network.run(&batch, &state, None)?;
            nats += f64::from(output.loss.to_scalar::<f32>()?);
            chars += batch.predictions();
            state = output.state.detach();
        }
        Ok(nats / chars as f64)
    }

    /// Lets the model speak, if it is time to within an epoch.
    fn sample_in_time(&mut self) -> Result<()> {
        let every = self.config.training.sample_steps;
        if every.is_some_and(|every| self.progress.steps.is_multiple_of(every)) {
            let model = self.exported(&self.evaluated()?)?;
            let random = &mut self.progress.streams.samples;
            let sample = Sample::of(&model, self.corpus, random)?;
            self.show(&sample)?;
        }
        Ok(())
    }

    /// Lets the model speak because somebody asks for it.
    fn sample_now(&mut self) -> Result<()> {
        let model = self.exported(&self.evaluated()?)?;
        let sample = Sample::of(&model, self.corpus, &mut self.unplanned)?;
        self.show(&sample)
    }

    fn show(&mut self, sample: &Sample) -> Result<()> {
        let step = self.progress.steps;
        self.report.line(&format!("step {step}  sample"));
        self.page.sample = Some(sample.clone());
        self.report.sample(step, sample)
    }

    /// Saves because somebody asks for it.
    fn save_now(&mut self) -> Result<()> {
        self.save_last()?;
        let (step, last) = (self.progress.steps, self.folder.last());
        self.report
            .line(&format!("step {step}  saved {}", last.display()));
        Ok(())
    }

    /// The model file of a network.
    fn exported(&self, network: &Network) -> Result<Vec<u8>> {
        let precision = self.config.training.precision();
        model_file(network, &self.corpus.alphabet, precision)
    }

    /// Saves what was reached when the training was stopped.
    fn interrupt(mut self) -> Result<Outcome> {
        self.save_last()?;
        if self.progress.best.is_none() {
            let model = self.exported(&self.evaluated()?)?;
            write_whole(&self.folder.model(), &model)?;
        }
        self.report.finish();
        self.draw(Status::Stopped);
        let (last, model) = (self.folder.last(), self.folder.model());
        self.report.line(&format!(
            "stopped in epoch {}; {} and {} are saved\ngo on     {} train --resume {}",
            self.progress.epoch + 1,
            last.display(),
            model.display(),
            program(),
            self.folder.path().display(),
        ));
        Ok(Outcome::Interrupted)
    }

    /// Tells what came of it.
    fn finish(mut self) -> Result<Outcome> {
        self.report.finish();
        let conclusion = conclude(
            &mut self.report,
            self.config,
            self.folder,
            self.corpus,
            &mut self.progress.streams.samples,
        )?;
        self.page.sample = Some(conclusion.sample);
        self.draw(Status::Complete(&conclusion.measured));
        Ok(Outcome::Finished(conclusion.measured[0].evaluation))
    }
}
