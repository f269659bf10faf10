//! Every setting of a run, in one structure that is read from and written to TOML.

pub(crate) mod check;
mod defaults;
mod encoding;
mod file;
pub mod preset;
mod resume;
mod seed;

use std::path::{Path, PathBuf};

use charlet::format::{Input, Precision, WeightBits};
pub use defaults::LOG_LINES_PER_EPOCH;
pub use encoding::{Encoding, NormalForm};
pub(crate) use resume::settings;
use serde::{Deserialize, Serialize};

use crate::util::memory::STDIN;

/// All settings of a run: what `config.toml` in its folder holds, enough to repeat it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The training data.
    pub data: DataConfig,
    /// The network's shape.
    pub network: NetworkConfig,
    /// How its weights are updated.
    pub optimizer: OptimizerConfig,
    /// The learning-rate schedule.
    pub schedule: ScheduleConfig,
    /// The training loop.
    pub training: TrainingConfig,
}

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A list: each line is a sequence of its own
    Lines,
    /// Running text: the hidden state is carried from window to window
    Text,
}

/// The training data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The file; absent for the bundled names.
    pub path: Option<PathBuf>,
    /// How it is read.
    pub mode: Mode,
    /// Its encoding, and that of the held-out file; absent for UTF-8.
    pub encoding: Option<Encoding>,
    /// Whether the data is converted to lower case.
    pub lowercase: bool,
    /// The normal form that the data is converted to; absent to leave it as it is.
    pub normalize: Option<NormalForm>,
    /// How often a character has to come in the part to learn; others become the mark for unknown ones.
    /// `None` leaves it to the size of the data. A run's settings have the number; those of the first
    /// versions, which had no mark, have none.
    #[serde(default = "any_count")]
    pub min_count: Option<usize>,
    /// The file to measure the held-out loss on; absent for a share of the data.
    pub validation: Option<PathBuf>,
    /// Share of the data that is held out: random lines of a list, the end of a text.
    pub validation_split: f64,
}

/// Each character is learnt, however rare it is.
fn any_count() -> Option<usize> {
    Some(0)
}

/// The network's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Size of the embedding vector of a character.
    pub embedding_size: usize,
    /// Hidden units per layer.
    pub hidden_size: usize,
    /// LSTM layers.
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
    /// Adam
    Adam,
    /// RMSprop
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
    /// The base learning rate: the highest of the schedule.
    pub learning_rate: f64,
    /// Momentum (SGD).
    pub momentum: f64,
    /// Decay of the first moment (AdamW, Adam).
    pub beta1: f64,
    /// Decay of the second moment (AdamW, Adam, RMSprop).
    pub beta2: f64,
    /// Weight decay of matrices, not of biases: decoupled in AdamW, else L2 regularization.
    pub weight_decay: f64,
    /// The global norm that gradients are clipped to.
    pub clip_norm: f64,
}

/// A learning-rate schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// The same rate throughout
    Constant,
    /// Multiply by a factor every --schedule-epochs epochs
    Step,
    /// Multiply by a factor every epoch
    Exponential,
    /// Linear warmup, then cosine decay to 1 % of the rate
    Cosine,
    /// Multiply by a factor when the held-out loss hasn't fallen for --schedule-epochs epochs
    Plateau,
}

/// A learning-rate schedule and its settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum ScheduleConfig {
    /// The same rate throughout.
    Constant {},
    /// The rate is multiplied by a factor every few epochs.
    Step {
        /// Epochs between two reductions.
        epochs: usize,
        /// The rate is multiplied by this.
        factor: f64,
    },
    /// The rate is multiplied by a factor every epoch.
    Exponential {
        /// The rate is multiplied by this.
        factor: f64,
    },
    /// Linear warmup, then cosine decay.
    Cosine {
        /// Share of all steps in which the rate rises from 0.
        warmup: f64,
        /// The last rate, as a share of the highest.
        final_rate: f64,
    },
    /// The rate is multiplied by a factor when the held-out loss stops falling.
    Plateau {
        /// Epochs without a lower held-out loss before a reduction.
        epochs: usize,
        /// The rate is multiplied by this.
        factor: f64,
    },
}

impl ScheduleConfig {
    /// The schedule without its settings.
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

/// The training loop: its length, its device, what it logs and saves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Passes over the data.
    pub epochs: usize,
    /// Sequences per batch: lines of a list, or streams that read a text in parallel.
    pub batch_size: usize,
    /// Characters per backpropagation window of running text (truncated BPTT).
    pub window: usize,
    /// Seed of the initial weights, the order of batches, dropout, held-out lines and samples.
    #[serde(with = "seed")]
    pub seed: u64,
    /// Device to train on.
    pub device: DeviceKind,
    /// Epochs between samples.
    pub sample_every: usize,
    /// Integer precision to export; weights are rounded to it in every forward pass.
    pub quantize: Option<IntegerPrecision>,
    /// What the first layer of an integer model has; absent for a table where `quantize` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputKind>,
    /// Whether the head of a model in `i4` has weights of 4 bits, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub small_head: bool,
    /// Checkpoint of the initial weights.
    pub init_from: Option<PathBuf>,
    /// Decay of an exponential moving average of the weights, evaluated and exported in their place.
    pub ema: Option<f64>,
    /// Epochs without a lower held-out loss before training stops.
    pub patience: Option<usize>,
    /// Checkpoints of the best epochs to keep, besides the best and the last.
    pub keep: usize,
    /// Batches between samples, in addition to those of `sample_every`.
    pub sample_steps: Option<usize>,
    /// Seconds between checkpoints within an epoch.
    pub save_every: f64,
    /// Batches between lines of `steps.jsonl`; absent for about [`LOG_LINES_PER_EPOCH`] lines.
    pub log_every: Option<usize>,
    /// Whether TensorBoard event files are written.
    #[serde(default)]
    pub tensorboard: bool,
}

impl TrainingConfig {
    /// The precision of the exported model.
    pub fn precision(&self) -> Precision {
        self.quantize.map_or(Precision::F32, Into::into)
    }

    /// How large the weights of the exported model's head are.
    pub fn head_bits(&self) -> WeightBits {
        if self.small_head && self.quantize == Some(IntegerPrecision::I4) {
            WeightBits::Four
        } else {
            WeightBits::Eight
        }
    }
}

/// Integer precisions of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum IntegerPrecision {
    /// 8-bit weights, one scale per row
    I8,
    /// 4-bit weights in the LSTM layers, one scale per row; train with `--quantize i4` for it
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

impl From<IntegerPrecision> for WeightBits {
    fn from(precision: IntegerPrecision) -> Self {
        match precision {
            IntegerPrecision::I8 => Self::Eight,
            IntegerPrecision::I4 => Self::Four,
        }
    }
}

/// What the first layer of an integer model makes of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum InputKind {
    /// A row of a table for each character: fewer operations
    Table,
    /// An embedding and input weights: fewer bytes, for large alphabets
    Embedding,
}

impl From<InputKind> for Input {
    fn from(kind: InputKind) -> Self {
        match kind {
            InputKind::Table => Self::Table,
            InputKind::Embedding => Self::Embedding,
        }
    }
}

/// Devices to train on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// CPU
    Cpu,
    /// First CUDA GPU; needs a build with the feature `cuda`
    Cuda,
}

impl Config {
    /// The name of the data, and so of the model.
    pub fn name(&self) -> String {
        let path = self.data.path.as_deref();
        if path == Some(Path::new(STDIN)) {
            return "stdin".into();
        }
        // `..txt` has the stem `.`, which is no name of a folder.
        let stem = path.and_then(Path::file_stem).filter(|stem| *stem != ".");
        stem.map_or_else(
            || "names".into(),
            |stem| stem.to_string_lossy().into_owned(),
        )
    }
}
