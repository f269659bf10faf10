//! The end of an epoch: validate, sample, save.

use anyhow::Result;

use super::metrics::{EpochMetrics, Loss};
use super::observer::EpochEnd;
use super::progress::{Epoch, Totals};
use super::session::Session;
use crate::export::form::Form;
use crate::export::model_file::model_file;
use crate::inference::novelty::Novelty;
use crate::inference::sample::Sample;
use crate::model::network::Network;
use crate::util::atomic_file::atomic_write;
use crate::util::rng::Random;
use crate::util::stop::{IsStopping, Stopped, unless};

impl Session<'_> {
    /// Validates, samples, saves and reports an epoch. `order` draws the next epoch's order.
    ///
    /// Stopped before it saves, it leaves the run as after the last batch: when that goes on, it comes back here.
    pub(super) fn finish_epoch(
        &mut self,
        order: Random,
        is_stopping: IsStopping<'_>,
    ) -> Result<()> {
        let before = self.progress.clone();
        let result = self.judge_and_save(order, is_stopping);
        if result.as_ref().is_err_and(|error| error.is::<Stopped>()) {
            self.progress = before;
        }
        result
    }

    fn judge_and_save(&mut self, order: Random, is_stopping: IsStopping<'_>) -> Result<()> {
        let network = self.evaluated()?;
        let loss = self.validate(&network, is_stopping)?;
        if !loss.is_finite() {
            return self.rollback("the held-out loss is NaN or infinite");
        }
        let number = self.progress.epoch + 1;
        let epoch = Epoch { number, loss };
        let totals = std::mem::take(&mut self.progress.totals);
        self.progress.epoch = number;
        self.progress.streams.order = order;
        self.progress.validation_loss = Some(loss);
        self.progress.plateau.observe(loss, &self.config.schedule);
        let is_best = self.progress.is_best(epoch);
        let model = self.exported(&network)?;
        let random = &mut self.progress.streams.samples;
        let is_due = number.is_multiple_of(self.config.training.sample_every);
        let sample = is_due.then(|| Sample::of(&model, self.corpus, random, is_stopping));
        let sample = sample.transpose()?;
        let metrics = self.epoch_metrics(totals, loss, sample.as_ref());
        if is_best {
            self.save_weights(&network, &self.folder.best())?;
            atomic_write(&self.folder.model(), &model)?;
        }
        self.keep(&network, epoch)?;
        self.observer.epoch(&EpochEnd {
            metrics: &metrics,
            epochs: self.config.training.epochs,
            held_out: Loss {
                nats_per_char: loss,
                sequences: &self.corpus.validation,
            },
            is_best,
            sample: sample.as_ref(),
        })?;
        // Last: a run that resumes from an earlier checkpoint repeats all of the above.
        self.save_epoch()
    }

    fn epoch_metrics(&self, totals: Totals, loss: f64, sample: Option<&Sample>) -> EpochMetrics {
        let novelty = sample.map(|sample| &sample.novelty);
        let now = self.now();
        let seconds = now.elapsed.as_secs_f64();
        EpochMetrics {
            epoch: now.epoch,
            steps: now.step,
            train_nats_per_char: totals.nats_per_char(),
            smoothed_nats_per_char: self.progress.smoothed,
            validation_nats_per_char: loss,
            learning_rate: self.learning_rate(),
            gradient_norm: totals.mean_norm(),
            chars_per_second: now.chars as f64 / seconds,
            seconds,
            known_lines: novelty.and_then(Novelty::known_lines),
            longest_copy: novelty.and_then(Novelty::longest_copy),
        }
    }

    /// The held-out loss per prediction. A text is cut into streams, as for training; at the end the
    /// runtime measures the exact loss of the unbroken text.
    fn validate(&self, network: &Network, is_stopping: IsStopping<'_>) -> Result<f64> {
        let (mut loss_sum, mut chars) = (0.0, 0);
        // Replaced by the first batch; a GPU has no memory of no size.
        let mut state = network.zero_state(1)?;
        for batch in self.batches_of(&self.corpus.validation).pass(None) {
            unless(is_stopping)?;
            state = network.state_before(&batch, &state)?;
            let output = network.run(&batch, &state, None)?;
            loss_sum += f64::from(output.loss.to_scalar::<f32>()?);
            chars += batch.predictions();
            state = output.state.detach();
        }
        Ok(loss_sum / chars as f64)
    }

    /// Samples every `sample_steps` batches.
    pub(super) fn sample_in_time(&mut self, is_stopping: IsStopping<'_>) -> Result<()> {
        let every = self.config.training.sample_steps;
        if every.is_some_and(|every| self.progress.steps.is_multiple_of(every)) {
            let model = self.exported(&self.evaluated()?)?;
            let random = &mut self.progress.streams.samples;
            let sample = Sample::of(&model, self.corpus, random, is_stopping);
            self.show(sample)?;
        }
        Ok(())
    }

    /// Samples on request.
    pub(super) fn sample_now(&mut self, is_stopping: IsStopping<'_>) -> Result<()> {
        let model = self.exported(&self.evaluated()?)?;
        let sample = Sample::of(&model, self.corpus, &mut self.unplanned, is_stopping);
        self.show(sample)
    }

    /// Shows a sample, if it wasn't stopped: the run itself stops before its next batch.
    fn show(&mut self, sample: Result<Sample>) -> Result<()> {
        let sample = match sample {
            Err(error) if error.is::<Stopped>() => return Ok(()),
            sample => sample?,
        };
        let step = self.progress.steps;
        self.observer.line(&format!("step {step}  sample"));
        self.observer.sample(step, &sample)
    }

    /// The model file of a network.
    pub(super) fn exported(&self, network: &Network) -> Result<Vec<u8>> {
        let (training, alphabet) = (&self.config.training, &self.corpus.alphabet);
        let form = Form::of(training, network.shape(), alphabet, training.precision())?;
        model_file(network, alphabet, form)
    }
}
