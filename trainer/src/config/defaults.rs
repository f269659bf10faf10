//! Default settings. Those of an algorithm depend on the algorithm.

use super::{
    Config, DataConfig, DeviceKind, Mode, NetworkConfig, OptimizerConfig, OptimizerKind,
    ScheduleConfig, ScheduleKind, TrainingConfig,
};

/// Lines of `steps.jsonl` that an epoch gets where `log_every` isn't set.
pub const LOG_LINES_PER_EPOCH: usize = 100;

impl Config {
    /// The defaults for a kind of data.
    pub fn defaults(mode: Mode) -> Self {
        let lines = mode == Mode::Lines;
        Self {
            data: DataConfig {
                path: None,
                mode,
                encoding: None,
                lowercase: false,
                normalize: None,
                min_count: Some(0),
                validation: None,
                validation_split: 0.1,
            },
            network: NetworkConfig {
                embedding_size: 32,
                hidden_size: if lines { 128 } else { 192 },
                num_layers: 1,
                dropout: 0.2,
                weight_dropout: if lines { 0.4 } else { 0.2 },
                embedding_dropout: if lines { 0.05 } else { 0.0 },
            },
            optimizer: OptimizerConfig::defaults(OptimizerKind::AdamW, mode),
            schedule: ScheduleConfig::defaults(ScheduleKind::Cosine),
            training: TrainingConfig {
                epochs: if lines { 30 } else { 20 },
                batch_size: 32,
                window: 32,
                seed: 1,
                device: DeviceKind::Cpu,
                sample_every: if lines { 10 } else { 5 },
                quantize: None,
                input: None,
                small_head: false,
                init_from: None,
                ema: None,
                patience: None,
                keep: 0,
                sample_steps: None,
                save_every: 60.0,
                log_every: None,
                tensorboard: false,
            },
        }
    }
}

impl OptimizerConfig {
    /// The defaults of an algorithm.
    pub fn defaults(kind: OptimizerKind, mode: Mode) -> Self {
        let lines = mode == Mode::Lines;
        let learning_rate = match kind {
            OptimizerKind::AdamW | OptimizerKind::Adam => {
                if lines {
                    6e-3
                } else {
                    1e-2
                }
            }
            OptimizerKind::RmsProp => 2e-3,
            OptimizerKind::Sgd => 0.5,
        };
        Self {
            kind,
            learning_rate,
            momentum: 0.9,
            beta1: 0.9,
            // RMSprop doesn't correct its average for having started from zero.
            beta2: if kind == OptimizerKind::RmsProp {
                0.99
            } else {
                0.999
            },
            weight_decay: if kind == OptimizerKind::AdamW {
                0.01
            } else {
                0.0
            },
            clip_norm: 1.0,
        }
    }
}

impl ScheduleConfig {
    /// The defaults of a schedule.
    pub fn defaults(kind: ScheduleKind) -> Self {
        match kind {
            ScheduleKind::Constant => Self::Constant {},
            ScheduleKind::Step => Self::Step {
                epochs: 10,
                factor: 0.5,
            },
            ScheduleKind::Exponential => Self::Exponential { factor: 0.9 },
            ScheduleKind::Cosine => Self::Cosine {
                warmup: 0.05,
                final_rate: 0.01,
            },
            ScheduleKind::Plateau => Self::Plateau {
                epochs: 2,
                factor: 0.5,
            },
        }
    }
}
