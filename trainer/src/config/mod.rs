//! Every setting of a run, in one structure that TOML can hold.

pub(crate) mod check;
mod defaults;
mod file;
pub mod preset;
mod resume;

use std::path::{Path, PathBuf};

use charlet::format::Precision;
pub(crate) use resume::settings;
use serde::{Deserialize, Serialize};

/// All settings of a run: what `config.toml` in its folder holds, enough to repeat it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What is learnt.
    pub data: DataConfig,
    /// The network's shape.
    pub network: NetworkConfig,
    /// How its weights are updated.
    pub optimizer: OptimizerConfig,
    /// How the learning rate changes.
    pub schedule: ScheduleConfig,
    /// How long and on what it is trained.
    pub training: TrainingConfig,
}

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Each line is a sequence of its own, with marks where it starts and ends
    Lines,
    /// One running text; the state is carried from window to window
    Text,
}

/// What is learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The file; absent for the bundled names.
    pub path: Option<PathBuf>,
    /// How it is read.
    pub mode: Mode,
    /// Whether upper case is made lower case.
    pub lowercase: bool,
    /// A file to measure the held-out loss on, instead of a share of the data.
    pub validation: Option<PathBuf>,
    /// The share of the data that is held out: random lines, or the end of the text.
    pub validation_split: f64,
}

/// The network's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Size of the vector that a character is turned into.
    pub embedding_size: usize,
    /// Hidden units of each layer.
    pub hidden_size: usize,
    /// Stacked LSTM layers.
    pub num_layers: usize,
    /// Dropout on the outputs of each layer (Zaremba et al., 2014).
    pub dropout: f64,
    /// Dropout on the recurrent weights, one mask per batch (DropConnect; Merity et al., 2018).
    #[serde(alias = "recurrent_dropout")]
    pub weight_dropout: f64,
    /// Dropout on whole rows of the embedding, one mask per batch (Gal and Ghahramani, 2016).
    #[serde(alias = "character_dropout")]
    pub embedding_dropout: f64,
}

/// An algorithm that updates weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Adam with decoupled weight decay
    #[value(name = "adamw")]
    AdamW,
    /// Gradients averaged, and divided by the running average of their magnitude
    Adam,
    /// Gradients divided by a running average of their magnitude
    #[value(name = "rmsprop")]
    RmsProp,
    /// Stochastic gradient descent with momentum
    Sgd,
}

/// How the weights are updated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// The algorithm.
    pub kind: OptimizerKind,
    /// The learning rate that the schedule starts from, or rises to.
    pub learning_rate: f64,
    /// What is kept of the last update's direction (SGD).
    pub momentum: f64,
    /// Decay of the running average of gradients (AdamW, Adam).
    pub beta1: f64,
    /// Decay of the running average of squared gradients (AdamW, Adam, RMSprop).
    pub beta2: f64,
    /// Weight decay, of matrices only: decoupled in AdamW, else a part of the gradient.
    pub weight_decay: f64,
    /// Gradients are scaled down to this norm, taken over all weights.
    pub clip_norm: f64,
}

/// A way in which the learning rate changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// It stays
    Constant,
    /// It falls by a factor every so many epochs
    Step,
    /// It falls by a factor every epoch
    Exponential,
    /// It rises from 0, then falls along half a cosine
    Cosine,
    /// It falls by a factor when the held-out loss hasn't for so many epochs
    Plateau,
}

/// How the learning rate changes, with the settings of each way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum ScheduleConfig {
    /// It stays.
    Constant {},
    /// It falls again and again.
    Step {
        /// Epochs from one fall to the next.
        epochs: usize,
        /// What it is multiplied with.
        factor: f64,
    },
    /// It falls with every epoch.
    Exponential {
        /// What it is multiplied with.
        factor: f64,
    },
    /// A linear rise, then half a cosine.
    Cosine {
        /// Share of all steps in which the rate rises from 0.
        warmup: f64,
        /// The rate falls to this share of its height.
        final_rate: f64,
    },
    /// It falls when the held-out loss doesn't.
    Plateau {
        /// Epochs without a lower held-out loss before it falls.
        epochs: usize,
        /// What it is multiplied with.
        factor: f64,
    },
}

impl ScheduleConfig {
    /// Which way it is.
    pub fn kind(&self) -> ScheduleKind {
        match self {
            Self::Constant {} => ScheduleKind::Constant,
            Self::Step { .. } => ScheduleKind::Step,
            Self::Exponential { .. } => ScheduleKind::Exponential,
            Self::Cosine { .. } => ScheduleKind::Cosine,
            Self::Plateau { .. } => ScheduleKind::Plateau,
        }
    }
}

/// How long and on what the network is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Passes over the data.
    pub epochs: usize,
    /// Lines, or places in the text, that are learnt at once.
    pub batch_size: usize,
    /// Characters that a gradient reaches back, for running text.
    pub window: usize,
    /// Seed of everything random: weights, order, dropout, held-out lines and samples.
    pub seed: u64,
    /// Where it is computed.
    pub device: DeviceKind,
    /// Epochs from one set of samples to the next.
    pub sample_every: usize,
    /// Train for this integer precision, with weights rounded as on the chip, and export it.
    pub quantize: Option<IntegerPrecision>,
    /// The checkpoint whose weights are the first.
    pub init_from: Option<PathBuf>,
    /// Decay of a running average of the weights, which is evaluated and exported in their place.
    pub ema: Option<f64>,
    /// Epochs without a lower held-out loss after which the training ends.
    pub patience: Option<usize>,
    /// Networks that are kept beside the best and the last: the best of all epochs.
    pub keep: usize,
    /// Updates from one set of samples to the next, beside those of epochs.
    pub sample_steps: Option<usize>,
    /// Seconds from one checkpoint to the next within an epoch.
    pub save_every: f64,
    /// Updates from one line of `steps.jsonl` to the next; absent for about 100 lines an epoch.
    pub log_every: Option<usize>,
    /// Whether event files for TensorBoard are written too.
    #[serde(default)]
    pub tensorboard: bool,
}

impl TrainingConfig {
    /// The precision that the model is trained for.
    pub fn precision(&self) -> Precision {
        self.quantize.map_or(Precision::F32, Into::into)
    }
}

/// A precision in integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum IntegerPrecision {
    /// Weights of 8 bits, with a scale for every row
    I8,
    /// Weights of 4 bits in the layers, with a scale for every row: train for it with `--quantize`
    I4,
}

impl From<IntegerPrecision> for Precision {
    fn from(precision: IntegerPrecision) -> Self {
        match precision {
            IntegerPrecision::I8 => Self::I8,
            IntegerPrecision::I4 => Self::I4,
        }
    }
}

impl From<IntegerPrecision> for charlet::layout::WeightBits {
    fn from(precision: IntegerPrecision) -> Self {
        match precision {
            IntegerPrecision::I8 => Self::Eight,
            IntegerPrecision::I4 => Self::Four,
        }
    }
}

/// Where a network is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// The processor
    Cpu,
    /// The first CUDA device, in a build with the feature `cuda`
    Cuda,
}

impl Config {
    /// The name of the data, and so of the model.
    pub fn name(&self) -> String {
        let stem = self.data.path.as_deref().and_then(Path::file_stem);
        stem.map_or_else(
            || "names".into(),
            |stem| stem.to_string_lossy().into_owned(),
        )
    }
}
