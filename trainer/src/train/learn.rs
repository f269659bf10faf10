//! Trains on one batch and logs it.

use anyhow::Result;

use super::metrics::{StepMetrics, line_interval};
use super::session::{Session, log_every};
use super::step::TrainStep;
use crate::data::batch::Batch;
use crate::model::lstm::dropout::Dropout;

impl Session<'_> {
    /// Trains on one batch; returns the problem if the loss diverges.
    pub(super) fn learn(&mut self, batch: &Batch) -> Result<Option<String>> {
        let random = &mut self.progress.streams.dropout;
        let dropout = Dropout::draw(&self.config.network, random);
        let rate = self.learning_rate();
        let update = TrainStep::on_batch(
            &self.network,
            &mut self.optimizer,
            batch,
            &self.state,
            Some(dropout),
            rate,
        )?;
        let predictions = batch.predictions();
        let time = update.network + update.optimizer;
        let progress = &mut self.progress;
        progress.steps += 1;
        for totals in [&mut progress.totals, &mut progress.line] {
            totals.add(update.loss_sum, predictions, update.norm, time);
        }
        self.state = update.state;
        if let Some(ema) = &mut self.ema {
            ema.observe(&self.network, progress.steps)?;
        }
        let now = self.now();
        self.observer.batch(&now);
        let guess = (self.corpus.alphabet.size() as f64).ln();
        let loss = update.loss_sum / predictions as f64;
        let smoothed = self.progress.smooth(loss);
        let problem = self.progress.divergence.observe(loss, predictions, guess);
        // A batch that is rolled back is not logged.
        let steps = self.progress.steps;
        let interval = line_interval(self.log_every(), steps);
        if problem.is_none() && steps.is_multiple_of(interval) {
            self.report_steps(smoothed, rate)?;
        }
        Ok(problem)
    }

    /// Updates from one line of `steps.jsonl` to the next, at first.
    fn log_every(&self) -> usize {
        log_every(self.config, &self.batches)
    }

    fn report_steps(&mut self, smoothed: f64, learning_rate: f64) -> Result<()> {
        let progress = &mut self.progress;
        let line = std::mem::take(&mut progress.line);
        let share = progress.totals.batches as f64 / self.batches.len() as f64;
        self.observer.steps(&StepMetrics {
            step: progress.steps,
            epoch: progress.epoch as f64 + share,
            train_nats_per_char: line.nats_per_char(),
            smoothed_nats_per_char: smoothed,
            learning_rate,
            gradient_norm: line.mean_norm(),
            chars_per_second: line.chars as f64 / line.seconds,
        })
    }
}
