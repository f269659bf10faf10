//! Learning-rate schedules.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::config::ScheduleConfig;
use crate::config::check::MAX_EPOCHS;

/// Progress of the training, on which the rate depends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    /// Updates made.
    pub step: usize,
    /// Updates to be made in all.
    pub total_steps: usize,
    /// Epochs completed.
    pub epoch: usize,
}

/// State of the plateau schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plateau {
    lowest: Option<f64>,
    /// Epochs since the loss last fell or the rate was last reduced.
    waited: usize,
    /// Reductions so far.
    falls: i32,
}

impl Plateau {
    /// Refuses what no run can have written.
    ///
    /// # Errors
    /// Names the field and its value.
    pub(crate) fn check(&self) -> Result<()> {
        let Self { waited, falls, .. } = *self;
        ensure!(
            waited <= MAX_EPOCHS,
            "waited is {waited}, more than {MAX_EPOCHS}"
        );
        ensure!(
            (0..=MAX_EPOCHS as i32).contains(&falls),
            "falls is {falls}, not from 0 to {MAX_EPOCHS}"
        );
        Ok(())
    }

    /// Takes note of an epoch's held-out loss.
    pub fn observe(&mut self, loss: f64, schedule: &ScheduleConfig) {
        let ScheduleConfig::Plateau { epochs, .. } = *schedule else {
            return;
        };
        if self.lowest.is_none_or(|lowest| loss < lowest) {
            self.lowest = Some(loss);
            self.waited = 0;
            return;
        }
        self.waited += 1;
        if self.waited >= epochs {
            self.falls += 1;
            self.waited = 0;
        }
    }
}

/// The learning rate of the next step; `base_lr` is the highest.
pub fn learning_rate(
    base_lr: f64,
    schedule: &ScheduleConfig,
    clock: Clock,
    plateau: Plateau,
) -> f64 {
    match *schedule {
        ScheduleConfig::Constant {} => base_lr,
        ScheduleConfig::Step { epochs, factor } => base_lr * power(factor, clock.epoch / epochs),
        ScheduleConfig::Exponential { factor } => base_lr * power(factor, clock.epoch),
        ScheduleConfig::Cosine { warmup, final_rate } => cosine(base_lr, warmup, final_rate, clock),
        ScheduleConfig::Plateau { factor, .. } => base_lr * factor.powi(plateau.falls),
    }
}

fn power(factor: f64, exponent: usize) -> f64 {
    factor.powf(exponent as f64)
}

/// Linear warmup, then cosine decay to the final rate (Loshchilov and Hutter, 2017).
fn cosine(base_lr: f64, warmup: f64, final_rate: f64, clock: Clock) -> f64 {
    let (step, total) = (clock.step as f64, clock.total_steps as f64);
    let warmup = (warmup * total).ceil();
    if step < warmup {
        return base_lr * (step + 1.0) / warmup;
    }
    let progress = (step - warmup) / (total - warmup).max(1.0);
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
    base_lr * (final_rate + (1.0 - final_rate) * cosine)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rates of a training of 100 steps in 10 epochs, as shares of the base rate.
    fn rate(schedule: ScheduleConfig, step: usize) -> f64 {
        let clock = Clock {
            step,
            total_steps: 100,
            epoch: step / 10,
        };
        learning_rate(3.0, &schedule, clock, Plateau::default()) / 3.0
    }

    fn close(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-12, "{value} {expected}");
    }

    #[test]
    fn a_cosine_rises_then_falls_to_its_share() {
        let schedule = ScheduleConfig::Cosine {
            warmup: 0.1,
            final_rate: 0.01,
        };
        close(rate(schedule, 0), 0.1);
        close(rate(schedule, 9), 1.0);
        close(rate(schedule, 10), 1.0);
        close(rate(schedule, 55), 0.505);
        assert!(rate(schedule, 99) < 0.012);
    }

    #[test]
    fn the_other_rates_fall_with_the_epochs() {
        let step = ScheduleConfig::Step {
            epochs: 4,
            factor: 0.5,
        };
        for (at, expected) in [(0, 1.0), (39, 1.0), (40, 0.5), (79, 0.5), (80, 0.25)] {
            close(rate(step, at), expected);
        }
        let exponential = ScheduleConfig::Exponential { factor: 0.9 };
        for (at, expected) in [(0, 1.0), (9, 1.0), (10, 0.9), (25, 0.81)] {
            close(rate(exponential, at), expected);
        }
        close(rate(ScheduleConfig::Constant {}, 99), 1.0);
    }

    #[test]
    fn a_plateau_lowers_the_rate_after_epochs_without_a_lower_loss() {
        let schedule = ScheduleConfig::Plateau {
            epochs: 2,
            factor: 0.1,
        };
        let clock = Clock {
            step: 0,
            total_steps: 1,
            epoch: 0,
        };
        let mut plateau = Plateau::default();
        let mut after = |loss| {
            plateau.observe(loss, &schedule);
            learning_rate(1.0, &schedule, clock, plateau)
        };
        for (loss, expected) in [
            (2.0, 1.0),
            (2.5, 1.0),
            (1.9, 1.0),
            (1.9, 1.0),
            (2.0, 0.1),
            (2.0, 0.1),
            (1.8, 0.1),
            (1.8, 0.1),
            (1.8, 0.01),
        ] {
            close(after(loss), expected);
        }
    }
}
