//! The options of `charlet train`, by the heading that the help shows them under.
//!
//! Defaults are not written here: [`defaults`](super::defaults) takes them from the settings.

use std::path::PathBuf;

use charlet_trainer::config::preset::Preset;
use charlet_trainer::config::{
    DeviceKind, Encoding, InputKind, IntegerPrecision, Mode, NormalForm, OptimizerKind,
    ScheduleKind,
};
use charlet_trainer::export::budget::amount;
use clap::{Args, ValueEnum};

use super::super::threads::Threads;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Data")]
pub(super) struct DataOptions {
    /// Whether the file is a list or running text
    #[arg(long)]
    pub(super) mode: Option<Mode>,
    /// Encoding of the data and of --val, such as windows-1252, utf-16le or shift_jis
    #[arg(long, value_name = "NAME")]
    pub(super) encoding: Option<Encoding>,
    /// Convert the data to lower case
    #[arg(long)]
    pub(super) lowercase: bool,
    /// Convert the data to a normal form of Unicode, so that a letter with an accent is always written
    /// the same way
    #[arg(long, value_name = "FORM")]
    pub(super) normalize: Option<NormalForm>,
    /// Learn only characters that come at least N times in the part to learn. The others become one mark,
    /// which the model has for every character that it does not know. 0 learns all, and makes no mark
    #[arg(long, value_name = "N")]
    pub(super) min_count: Option<usize>,
    /// Measure the held-out (validation) loss on this file, instead of a share of the data
    #[arg(long, value_name = "FILE", conflicts_with = "val_split")]
    pub(super) val: Option<PathBuf>,
    /// Share of the data to hold out for validation, between 0 and 1
    #[arg(long, value_name = "SHARE")]
    pub(super) val_split: Option<f64>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Model")]
pub(super) struct ModelOptions {
    /// LSTM layers
    #[arg(long, value_name = "N")]
    pub(super) layers: Option<usize>,
    /// Hidden units per layer
    #[arg(long, value_name = "N")]
    pub(super) hidden: Option<usize>,
    /// Size of the embedding vector of a character
    #[arg(long, value_name = "N")]
    pub(super) embedding: Option<usize>,
    /// Dropout on the outputs of each layer
    #[arg(long, value_name = "RATE")]
    pub(super) dropout: Option<f64>,
    /// Dropout on the recurrent weights (DropConnect), one mask per batch
    #[arg(long, alias = "recurrent-dropout", value_name = "RATE")]
    pub(super) weight_dropout: Option<f64>,
    /// Dropout on whole embedding vectors, one mask per batch
    #[arg(long, alias = "character-dropout", value_name = "RATE")]
    pub(super) embedding_dropout: Option<f64>,
    /// Export integer weights, and round them in every forward pass (quantization-aware training)
    #[arg(long, value_name = "PRECISION")]
    pub(super) quantize: Option<Quantize>,
    /// What the first layer of an integer model has [default: a table, or an embedding where that saves a tenth
    /// of the file or more, beside a table of more than 16 KB, for a fifth more operations at most]
    #[arg(long, value_name = "KIND")]
    pub(super) input: Option<InputKind>,
    /// With --quantize i4: 4 bits for the weights of the head, too
    #[arg(long)]
    pub(super) small_head: bool,
    /// Choose the largest --hidden with at most N parameters, such as 250k. One layer unless --layers is
    /// given. With --hidden: only check the limit
    #[arg(long, value_name = "N", conflicts_with = "resume", value_parser = |text: &str| amount(text, 1000))]
    pub(super) params_budget: Option<usize>,
    /// The same for the size of the model file in bytes: 64k is 65,536. Implies --quantize i8 unless
    /// a precision is given
    #[arg(long, value_name = "BYTES", conflicts_with = "resume", value_parser = |text: &str| amount(text, 1024))]
    pub(super) flash_budget: Option<usize>,
    /// The same for the RAM that the model needs on the chip
    #[arg(long, value_name = "BYTES", conflicts_with = "resume", value_parser = |text: &str| amount(text, 1024))]
    pub(super) ram_budget: Option<usize>,
}

/// Precisions of the exported weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Quantize {
    /// Single precision: overrides a settings file or a budget
    F32,
    /// 8-bit integers, one scale per row
    I8,
    /// 4-bit integers in the LSTM layers, one scale per row
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

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Optimizer")]
pub(super) struct OptimizerOptions {
    /// Algorithm that updates the weights
    #[arg(long)]
    pub(super) optimizer: Option<OptimizerKind>,
    /// Base learning rate, which the schedule scales
    #[arg(long, value_name = "RATE")]
    pub(super) lr: Option<f64>,
    /// Run a learning-rate range test for some seconds, suggest a rate, and exit
    #[arg(long, conflicts_with = "resume")]
    pub(super) find_lr: bool,
    /// Learning-rate schedule
    #[arg(long)]
    pub(super) schedule: Option<ScheduleKind>,
    /// Share of all steps in which a cosine schedule rises from 0
    #[arg(long, value_name = "SHARE")]
    pub(super) warmup: Option<f64>,
    /// Factor that step, exponential and plateau schedules multiply the rate by
    #[arg(long, value_name = "FACTOR")]
    pub(super) schedule_factor: Option<f64>,
    /// step: epochs between two reductions. plateau: epochs without a lower held-out loss before one
    #[arg(long, value_name = "N")]
    pub(super) schedule_epochs: Option<usize>,
    /// Weight decay: decoupled in adamw, else L2 regularization
    #[arg(long, value_name = "RATE")]
    pub(super) weight_decay: Option<f64>,
    /// Momentum of sgd
    #[arg(long, value_name = "FACTOR")]
    pub(super) momentum: Option<f64>,
    /// Clip the norm of all gradients together to this
    #[arg(long, value_name = "NORM")]
    pub(super) clip_norm: Option<f64>,
    /// Evaluate and export an exponential moving average of the weights, with this decay, such as 0.999
    #[arg(long, value_name = "DECAY")]
    pub(super) ema: Option<f64>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Training")]
pub(super) struct TrainingOptions {
    /// Passes over the training data
    #[arg(long, value_name = "N")]
    pub(super) epochs: Option<usize>,
    /// Sequences per batch: lines of a list, or streams that read a text in parallel
    #[arg(long, value_name = "N")]
    pub(super) batch: Option<usize>,
    /// Characters per backpropagation window in a text (truncated BPTT)
    #[arg(long, value_name = "N")]
    pub(super) window: Option<usize>,
    /// Stop after N epochs without a lower held-out loss
    #[arg(long, value_name = "N")]
    pub(super) patience: Option<usize>,
    /// Seed of the initial weights, the order of batches, dropout, the held-out lines and samples
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Device to train on
    #[arg(long)]
    pub(super) device: Option<DeviceKind>,
    #[command(flatten)]
    pub(super) threads: Threads,
    /// Start from the weights of this checkpoint; new characters get random embeddings. If it has a mark for
    /// unknown characters, its alphabet is taken over, and new characters are the mark
    #[arg(long, value_name = "CHECKPOINT")]
    pub(super) init_from: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Settings")]
pub(super) struct SettingsOptions {
    /// Start from the settings of a known model; other options override them
    #[arg(long, conflicts_with_all = ["config", "resume"])]
    pub(super) preset: Option<Preset>,
    /// Start from the settings in this TOML file, such as a run's config.toml; other options override
    /// them
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputOptions {
    /// Folder to write into
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Replace the run in the output folder, as soon as the new one has begun
    #[arg(long)]
    pub(super) force: bool,
    /// Continue the run in this folder, exactly as if it had not been interrupted
    #[arg(long, value_name = "DIR", conflicts_with_all = ["config", "out", "force", "init_from"])]
    pub(super) resume: Option<PathBuf>,
    /// Checkpoints of the best epochs to keep, besides best.safetensors
    #[arg(long, value_name = "N")]
    pub(super) keep: Option<usize>,
    /// Seconds between checkpoints within an epoch
    #[arg(long, value_name = "SECONDS")]
    pub(super) save_every: Option<f64>,
    /// Batches between lines of steps.jsonl, at first: long runs have fewer, so that the file stays small
    #[arg(long, value_name = "N")]
    pub(super) log_every: Option<usize>,
    /// Epochs between samples
    #[arg(long, value_name = "N")]
    pub(super) sample_every: Option<usize>,
    /// Batches between samples, in addition to --sample-every
    #[arg(long, value_name = "N")]
    pub(super) sample_steps: Option<usize>,
    /// Also write TensorBoard event files, into tensorboard/ of the output folder
    #[cfg(feature = "tensorboard")]
    #[arg(long)]
    pub(super) tensorboard: bool,
    /// Show a full-screen dashboard with curves, samples and key commands
    #[cfg(feature = "tui")]
    #[arg(long)]
    pub(super) tui: bool,
}
