//! Applies the options of `charlet train` to the settings.

use anyhow::{Result, ensure};
use charlet_trainer::config::{Config, Mode, OptimizerConfig, OptimizerKind, ScheduleConfig};

use super::Args;

impl Args {
    /// The defaults, overridden by the settings file or a preset, overridden by the options.
    pub(super) fn new_config(&self) -> Result<Config> {
        let config = match (&self.settings.config, self.settings.preset) {
            (Some(path), _) => Config::from_file(path, self.input.mode)?,
            (None, Some(preset)) => preset.config(self.input.mode)?,
            (None, None) => {
                let mut config = Config::defaults(self.input.mode.unwrap_or(Mode::Lines));
                // Of settings in a file all are known, and stay as they are.
                config.data.min_count = None;
                config
            }
        };
        self.overriding(config)
    }

    /// The settings of a resumed run, overridden by the options.
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
        set(&mut data.mode, self.input.mode);
        set(&mut data.encoding, self.input.encoding.map(Some));
        data.lowercase |= self.input.lowercase;
        set(&mut data.normalize, self.input.normalize.map(Some));
        set(&mut data.min_count, self.input.min_count.map(Some));
        set(&mut data.path, self.data.clone().map(Some));
        set(&mut data.validation, self.input.val.clone().map(Some));
        if self.input.val_split.is_some() {
            data.validation = None;
        }
        set(&mut data.validation_split, self.input.val_split);
        set(&mut network.num_layers, self.model.layers);
        set(&mut network.hidden_size, self.model.hidden);
        set(&mut network.embedding_size, self.model.embedding);
        set(&mut network.dropout, self.model.dropout);
        set(&mut network.weight_dropout, self.model.weight_dropout);
        set(&mut network.embedding_dropout, self.model.embedding_dropout);
        set(&mut optimizer.learning_rate, self.optimizer.lr);
        set(&mut optimizer.weight_decay, self.optimizer.weight_decay);
        set(&mut optimizer.momentum, self.optimizer.momentum);
        set(&mut optimizer.clip_norm, self.optimizer.clip_norm);
        set(&mut training.epochs, self.training.epochs);
        set(&mut training.batch_size, self.training.batch);
        set(&mut training.window, self.training.window);
        set(&mut training.seed, self.training.seed);
        set(&mut training.device, self.training.device);
        set(&mut training.sample_every, self.output.sample_every);
        set(&mut training.quantize, self.model.quantize.map(Into::into));
        set(&mut training.input, self.model.input.map(Some));
        training.small_head |= self.model.small_head;
        set(
            &mut training.init_from,
            self.training.init_from.clone().map(Some),
        );
        set(&mut training.ema, self.optimizer.ema.map(Some));
        set(&mut training.patience, self.training.patience.map(Some));
        set(&mut training.keep, self.output.keep);
        set(
            &mut training.sample_steps,
            self.output.sample_steps.map(Some),
        );
        #[cfg(feature = "tensorboard")]
        {
            training.tensorboard |= self.output.tensorboard;
        }
        set(&mut training.save_every, self.output.save_every);
        set(&mut training.log_every, self.output.log_every.map(Some));
        config.check()?;
        Ok(config)
    }
}

impl Args {
    /// Sets optimizer and schedule; changing one resets its settings to the defaults.
    fn set_algorithms(&self, config: &mut Config) -> Result<()> {
        let mode = config.data.mode;
        let optimizer = &mut config.optimizer;
        if let Some(kind) = self
            .optimizer
            .optimizer
            .filter(|&kind| kind != optimizer.kind)
        {
            *optimizer = OptimizerConfig::defaults(kind, mode);
        }
        ensure!(
            self.optimizer.momentum.is_none() || optimizer.kind == OptimizerKind::Sgd,
            "--momentum is for --optimizer sgd"
        );
        let schedule = &mut config.schedule;
        if let Some(kind) = self
            .optimizer
            .schedule
            .filter(|&kind| kind != schedule.kind())
        {
            *schedule = ScheduleConfig::defaults(kind);
        }
        let mut left = (
            self.optimizer.warmup,
            self.optimizer.schedule_factor,
            self.optimizer.schedule_epochs,
        );
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
