//! The learning-rate range test (Smith, 2017): trains on batch after batch with rising rates.
//!
//! It suggests a third of the rate at which the loss is lowest. Checked against short trainings; the last
//! column has the rate with the lowest held-out loss:
//!
//! | training | falls fastest at | lowest at | a third | best of those tried |
//! | --- | --- | --- | --- | --- |
//! | bundled names, AdamW, 10 epochs | 0.001 | 0.016 | 0.0053 | 0.016 of 0.001, 0.002, 0.0042, 0.008, 0.016 |
//! | the same, 30 epochs | 0.001 | 0.016 | 0.0053 | 0.0053 (2.332 nats/char) of 0.001 (2.35), 0.0053, 0.016 (2.337) |
//! | bundled names, SGD, 10 epochs | 0.037 | 1.2 | 0.39 | 1.2 of 0.04, 0.2, 0.6, 1.2 |
//! | Alice in Wonderland, AdamW, 3 epochs | 0.00027 | 0.16 | 0.053 | 0.05 of 0.0007, 0.002, 0.0066, 0.02, 0.05 |
//! | the same, 8 epochs | 0.00027 | 0.16 | 0.053 | 0.02 (1.572 nats/char) of 0.0066 (1.734), 0.02, 0.05 (1.594) |
//!
//! The rate of the steepest fall, which is often recommended, was too low by a factor of five to more than a
//! hundred.

use std::fmt::Write;

use anyhow::{Context, Result};

use super::control::Requests;
use super::session::{batches, first_network};
use super::step::TrainStep;
use super::training_loop::Input;
use crate::config::Config;
use crate::model::lstm::dropout::Dropout;
use crate::optim::optimizer::Optimizer;

/// Batches of a range test. The rate rises by the same factor from each to the next.
pub const BATCHES: usize = 211;
const LOWEST: f64 = 1e-6;
const HIGHEST: f64 = 10.0;
/// Losses are averaged over so many batches on each side.
const REACH: usize = 8;
/// The test ends when the loss exceeds that of guessing by this factor.
const DIVERGED: f64 = 1.25;
/// How many times the suggested rate the one with the lowest loss is.
const SAFETY: f64 = 3.0;

const NO_FALL: &str =
    "the loss falls at no learning rate: is there anything to learn in these data?";

/// The loss at one learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Its learning rate.
    pub rate: f64,
    /// Nats per prediction, before the update.
    pub loss: f64,
    /// The mean loss of this batch and its neighbours.
    pub smoothed: f64,
}

/// The result of a range test, by rising rate.
#[derive(Clone, Debug, PartialEq)]
pub struct LrFinder {
    /// The batches.
    pub points: Vec<Point>,
}

/// What a range test suggests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suggestion {
    /// The one to train with.
    pub rate: f64,
    /// Where the loss falls fastest.
    pub steepest: f64,
    /// Where it is lowest.
    pub lowest: f64,
}

impl LrFinder {
    /// The first line of its table.
    pub const CSV_HEADER: &str = "learning_rate,nats_per_char,smoothed\n";

    /// Runs the test on a new network, which is dropped afterwards. `advance` gets each rate and loss.
    /// `None` if it was stopped.
    ///
    /// # Errors
    /// If the device has no memory left.
    pub fn run(
        config: &Config,
        input: Input,
        requests: &dyn Requests,
        advance: impl FnMut(f64, f64) + Send,
    ) -> Result<Option<Self>> {
        // On one of the pool's own threads, as a training.
        rayon::scope(|_| Self::run_in_pool(config, input, requests, advance))
    }

    fn run_in_pool(
        config: &Config,
        Input {
            corpus,
            mut streams,
        }: Input,
        requests: &dyn Requests,
        mut advance: impl FnMut(f64, f64),
    ) -> Result<Option<Self>> {
        let (network, _) = first_network(config, &corpus, &mut streams)?;
        let mut optimizer = Optimizer::new(config.optimizer.clone(), &network)?;
        let batches = batches(config, &corpus, &corpus.train);
        let passes = std::iter::repeat_with(|| batches.pass(Some(&mut streams.order))).flatten();
        let guess = (corpus.alphabet.size() as f64).ln();
        let mut state = network.zero_state(1)?;
        let mut losses = Vec::new();
        for (rate, batch) in rates().zip(passes) {
            if requests.is_stopping() {
                return Ok(None);
            }
            state = network.state_before(&batch, &state)?;
            let dropout = Dropout::draw(&config.network, &mut streams.dropout);
            let update = TrainStep::on_batch(
                &network,
                &mut optimizer,
                &batch,
                &state,
                Some(dropout),
                rate,
            )?;
            state = update.state;
            let loss = update.loss_sum / batch.predictions() as f64;
            if !loss.is_finite() {
                break;
            }
            losses.push((rate, loss));
            advance(rate, loss);
            let newest = &losses[losses.len().saturating_sub(REACH)..];
            if mean(newest) > DIVERGED * guess {
                break;
            }
        }
        Ok(Some(Self::of(&losses)))
    }

    /// The result for these losses, each with its rate.
    pub fn of(losses: &[(f64, f64)]) -> Self {
        let point = |(at, &(rate, loss))| {
            // As many on each side, so that the mean is of this place.
            let reach = REACH.min(at).min(losses.len() - 1 - at);
            let smoothed = mean(&losses[at - reach..=at + reach]);
            Point {
                rate,
                loss,
                smoothed,
            }
        };
        Self {
            points: losses.iter().enumerate().map(point).collect(),
        }
    }

    /// As a table for other programs.
    ///
    /// # Errors
    /// Never: the text is in memory.
    pub fn to_csv(&self) -> Result<String> {
        let mut text = Self::CSV_HEADER.to_owned();
        for Point {
            rate,
            loss,
            smoothed,
        } in &self.points
        {
            writeln!(text, "{rate:e},{loss},{smoothed}")?;
        }
        Ok(text)
    }

    /// The rate to train with: a third of that where the loss is lowest, which is on the way to where it
    /// grows again.
    ///
    /// # Errors
    /// If no rate makes the loss fall.
    pub fn suggestion(&self) -> Result<Suggestion> {
        let points = self.points.iter().enumerate();
        let lowest = points.min_by(|(_, one), (_, other)| one.smoothed.total_cmp(&other.smoothed));
        let (end, lowest) = lowest.context(NO_FALL)?;
        let parts = self.points[..=end].windows(2 * REACH + 1);
        let fall = |part: &[Point]| part[0].smoothed - part[2 * REACH].smoothed;
        let steepest = parts.max_by(|one, other| fall(one).total_cmp(&fall(other)));
        let steepest = steepest.filter(|part| fall(part) > 0.0);
        let (steepest, lowest) = (steepest.context(NO_FALL)?[REACH].rate, lowest.rate);
        Ok(Suggestion {
            rate: two_digits(lowest / SAFETY),
            steepest: two_digits(steepest),
            lowest: two_digits(lowest),
        })
    }
}

/// As many digits as such a rate deserves.
fn two_digits(rate: f64) -> f64 {
    let digits = format!("{rate:.1e}");
    digits.parse().unwrap_or(rate)
}

fn rates() -> impl Iterator<Item = f64> {
    let step = (HIGHEST / LOWEST).ln() / (BATCHES - 1) as f64;
    (0..BATCHES).map(move |batch| LOWEST * (step * batch as f64).exp())
}

fn mean(losses: &[(f64, f64)]) -> f64 {
    losses.iter().map(|(_, loss)| loss).sum::<f64>() / losses.len() as f64
}
