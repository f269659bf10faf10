//! What the options of `charlet train` make of the settings.

use anyhow::{Result, ensure};
use charlet_trainer::config::{
    Config, IntegerPrecision, Mode, OptimizerConfig, OptimizerKind, ScheduleConfig,
};

use super::Args;

/// What is trained for and exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Quantize {
    /// Single precision, whatever a settings file or a budget would have
    F32,
    /// Weights of 8 bits, with a scale for every row
    I8,
    /// Weights of 4 bits in the layers, with a scale for every row
    I4,
}

impl From<Quantize> for Option<IntegerPrecision> {
    fn from(quantize: Quantize) -> Self {
        match quantize {
            Quantize::F32 => None,
            Quantize::I8 => Some(IntegerPrecision::I8),
            Quantize::I4 => Some(IntegerPrecision::I4),
        }
    }
}

impl Args {
    /// The defaults, overridden by the settings file or a preset, overridden by the options.
    pub(super) fn new_config(&self) -> Result<Config> {
        let config = match (&self.config, self.preset) {
            (Some(path), _) => Config::from_file(path, self.mode)?,
            (None, Some(preset)) => preset.config(self.mode)?,
            (None, None) => Config::defaults(self.mode.unwrap_or(Mode::Lines)),
        };
        self.overriding(config)
    }

    /// The settings of a run that goes on, overridden by the options.
    pub(super) fn resumed_config(&self, begun: &Config) -> Result<Config> {
        let config = self.overriding(begun.clone())?;
        config.check_resumable(begun)?;
        Ok(config)
    }

    fn overriding(&self, mut config: Config) -> Result<Config> {
        self.set_algorithms(&mut config)?;
        let Config {
            data,
            network,
            optimizer,
            training,
            ..
        } = &mut config;
        set(&mut data.mode, self.mode);
        data.lowercase |= self.lowercase;
        set(&mut data.path, self.data.clone().map(Some));
        set(&mut data.validation, self.val.clone().map(Some));
        if self.val_split.is_some() {
            data.validation = None;
        }
        set(&mut data.validation_split, self.val_split);
        set(&mut network.num_layers, self.layers);
        set(&mut network.hidden_size, self.hidden);
        set(&mut network.embedding_size, self.embedding);
        set(&mut network.dropout, self.dropout);
        set(&mut network.weight_dropout, self.weight_dropout);
        set(&mut network.embedding_dropout, self.embedding_dropout);
        set(&mut optimizer.learning_rate, self.lr);
        set(&mut optimizer.weight_decay, self.weight_decay);
        set(&mut optimizer.momentum, self.momentum);
        set(&mut optimizer.clip_norm, self.clip_norm);
        set(&mut training.epochs, self.epochs);
        set(&mut training.batch_size, self.batch);
        set(&mut training.window, self.window);
        set(&mut training.seed, self.seed);
        set(&mut training.device, self.device);
        set(&mut training.sample_every, self.sample_every);
        set(&mut training.quantize, self.quantize.map(Into::into));
        set(&mut training.init_from, self.init_from.clone().map(Some));
        set(&mut training.ema, self.ema.map(Some));
        set(&mut training.patience, self.patience.map(Some));
        set(&mut training.keep, self.keep);
        set(&mut training.sample_steps, self.sample_steps.map(Some));
        #[cfg(feature = "tensorboard")]
        {
            training.tensorboard |= self.tensorboard;
        }
        set(&mut training.save_every, self.save_every);
        set(&mut training.log_every, self.log_every.map(Some));
        config.check()?;
        Ok(config)
    }
}

impl Args {
    /// The optimizer and the schedule; another one comes with its own defaults.
    fn set_algorithms(&self, config: &mut Config) -> Result<()> {
        let mode = config.data.mode;
        let optimizer = &mut config.optimizer;
        if let Some(kind) = self.optimizer.filter(|&kind| kind != optimizer.kind) {
            *optimizer = OptimizerConfig::defaults(kind, mode);
        }
        ensure!(
            self.momentum.is_none() || optimizer.kind == OptimizerKind::Sgd,
            "--momentum is for --optimizer sgd"
        );
        let schedule = &mut config.schedule;
        if let Some(kind) = self.schedule.filter(|&kind| kind != schedule.kind()) {
            *schedule = ScheduleConfig::defaults(kind);
        }
        let mut left = (self.warmup, self.schedule_factor, self.schedule_epochs);
        match schedule {
            ScheduleConfig::Constant {} => {}
            ScheduleConfig::Step { epochs, factor }
            | ScheduleConfig::Plateau { epochs, factor } => {
                set(factor, left.1.take());
                set(epochs, left.2.take());
            }
            ScheduleConfig::Exponential { factor } => set(factor, left.1.take()),
            ScheduleConfig::Cosine { warmup, .. } => set(warmup, left.0.take()),
        }
        for (is_left, option, schedules) in [
            (left.0.is_some(), "--warmup", "cosine"),
            (
                left.1.is_some(),
                "--schedule-factor",
                "step, exponential or plateau",
            ),
            (left.2.is_some(), "--schedule-epochs", "step or plateau"),
        ] {
            ensure!(!is_left, "{option} is for --schedule {schedules}");
        }
        Ok(())
    }
}

fn set<T>(setting: &mut T, option: Option<T>) {
    if let Some(value) = option {
        *setting = value;
    }
}
