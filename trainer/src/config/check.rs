//! Validates settings before anything is read or allocated.

use anyhow::{Result, ensure};

use super::{Config, NetworkConfig, OptimizerConfig, ScheduleConfig, TrainingConfig};

/// Limits that no sensible run meets; beyond them a typing error is more likely. What fits into memory is checked when
/// the data are known.
pub(crate) const MAX_SIZE: usize = 8192;
const MAX_LAYERS: usize = 16;
const MAX_BATCH: usize = 65_536;
pub(crate) const MAX_EPOCHS: usize = 1_000_000;
const MAX_STEPS: usize = 1_000_000_000;

impl Config {
    /// Refuses settings that can't work, before anything is read or allocated.
    ///
    /// # Errors
    /// Names the setting and its range.
    pub fn check(&self) -> Result<()> {
        let split = self.data.validation_split;
        ensure!(
            self.data.validation.is_some() || (split > 0.0 && split < 1.0),
            "the held-out share must be between 0 and 1, both excluded: {split}"
        );
        ensure!(
            split.is_finite(),
            "the held-out share must be a number: {split}"
        );
        let min_count = self.data.min_count.unwrap_or(0);
        ensure!(
            min_count <= MAX_STEPS,
            "the least count of a character must be at most {MAX_STEPS}: {min_count}"
        );
        self.check_paths()?;
        self.check_sizes()?;
        self.network.check()?;
        self.optimizer.check()?;
        self.schedule.check()?;
        let TrainingConfig {
            ema, save_every, ..
        } = self.training;
        below_one("decay of the average", ema.unwrap_or(0.0))?;
        ensure!(
            save_every >= 0.0 && save_every.is_finite(),
            "the seconds between checkpoints must be 0 or more: {save_every}"
        );
        Ok(())
    }

    /// Files of settings are UTF-8.
    fn check_paths(&self) -> Result<()> {
        let (data, init_from) = (&self.data, &self.training.init_from);
        for path in [&data.path, &data.validation, init_from]
            .into_iter()
            .flatten()
        {
            ensure!(
                path.to_str().is_some(),
                "the name {} is not UTF-8, and the settings of a run have to be: rename it",
                path.display()
            );
        }
        Ok(())
    }

    fn check_sizes(&self) -> Result<()> {
        let NetworkConfig {
            embedding_size,
            hidden_size,
            num_layers,
            ..
        } = self.network;
        let TrainingConfig {
            epochs,
            batch_size,
            window,
            sample_every,
            patience,
            keep,
            log_every,
            sample_steps,
            ..
        } = self.training;
        in_range("hidden size", hidden_size, MAX_SIZE)?;
        in_range("embedding size", embedding_size, MAX_SIZE)?;
        in_range("number of layers", num_layers, MAX_LAYERS)?;
        in_range("batch size", batch_size, MAX_BATCH)?;
        in_range("window", window, MAX_BATCH)?;
        in_range("number of epochs", epochs, MAX_EPOCHS)?;
        in_range("sampling interval", sample_every, MAX_EPOCHS)?;
        in_range("patience", patience.unwrap_or(1), MAX_EPOCHS)?;
        in_range("sampling steps", sample_steps.unwrap_or(1), MAX_STEPS)?;
        in_range("logging interval", log_every.unwrap_or(1), MAX_STEPS)?;
        ensure!(
            keep <= MAX_EPOCHS,
            "the number of kept networks must be at most {MAX_EPOCHS}: {keep}"
        );
        Ok(())
    }
}

impl NetworkConfig {
    fn check(&self) -> Result<()> {
        below_one("dropout", self.dropout)?;
        below_one("weight dropout", self.weight_dropout)?;
        below_one("embedding dropout", self.embedding_dropout)
    }
}

impl OptimizerConfig {
    fn check(&self) -> Result<()> {
        below_one("momentum", self.momentum)?;
        below_one("beta1", self.beta1)?;
        below_one("beta2", self.beta2)?;
        for (name, value) in [
            ("learning rate", self.learning_rate),
            ("clipping norm", self.clip_norm),
        ] {
            ensure!(
                value > 0.0 && value.is_finite(),
                "the {name} must be positive: {value}"
            );
        }
        share("weight decay", self.weight_decay)
    }
}

impl ScheduleConfig {
    fn check(&self) -> Result<()> {
        match *self {
            Self::Constant {} => Ok(()),
            Self::Step { epochs, factor } | Self::Plateau { epochs, factor } => {
                in_range("epochs of the schedule", epochs, MAX_EPOCHS)?;
                is_factor(factor)
            }
            Self::Exponential { factor } => is_factor(factor),
            Self::Cosine { warmup, final_rate } => {
                share("warm-up", warmup)?;
                share("final rate", final_rate)
            }
        }
    }
}

fn in_range(name: &str, value: usize, max: usize) -> Result<()> {
    ensure!(
        (1..=max).contains(&value),
        "the {name} must be from 1 to {max}: {value}"
    );
    Ok(())
}

fn below_one(name: &str, value: f64) -> Result<()> {
    ensure!(
        (0.0..1.0).contains(&value),
        "the {name} must be at least 0 and below 1: {value}"
    );
    Ok(())
}

fn share(name: &str, value: f64) -> Result<()> {
    ensure!(
        (0.0..=1.0).contains(&value),
        "the {name} must be a share from 0 to 1: {value}"
    );
    Ok(())
}

fn is_factor(value: f64) -> Result<()> {
    ensure!(
        value > 0.0 && value <= 1.0,
        "the factor of the schedule must be above 0 and at most 1: {value}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Mode;

    #[test]
    fn impossible_settings_are_refused() {
        let refused = |change: fn(&mut Config)| {
            let mut config = Config::defaults(Mode::Lines);
            config.check().unwrap();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(refused(|c| c.network.hidden_size = 0).contains("hidden size"));
        assert!(refused(|c| c.training.batch_size = 0).contains("batch size"));
        assert!(refused(|c| c.network.hidden_size = usize::MAX).contains("hidden size"));
        assert!(refused(|c| c.network.dropout = 1.0).contains("dropout"));
        assert!(refused(|c| c.optimizer.learning_rate = f64::NAN).contains("learning rate"));
        assert!(refused(|c| c.optimizer.momentum = 1.0).contains("momentum"));
        let step = |epochs, factor| ScheduleConfig::Step { epochs, factor };
        for (schedule, words) in [
            (step(0, 0.5), "epochs of the schedule"),
            (step(1, 1.5), "factor of the schedule"),
            (ScheduleConfig::Exponential { factor: 0.0 }, "factor"),
        ] {
            let error = schedule.check().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        assert!(refused(|c| c.data.min_count = Some(usize::MAX)).contains("least count"));
        assert!(refused(|c| c.data.validation_split = 0.0).contains("held-out share"));
    }
}
