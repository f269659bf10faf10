//! Every setting of a run, in one structure that TOML can hold.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
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
    /// Share of the outputs of each layer that is dropped while training.
    pub dropout: f64,
    /// Share of the recurrent weights that is dropped in each batch.
    pub recurrent_dropout: f64,
    /// Share of the characters whose embedding is dropped in each batch.
    pub character_dropout: f64,
}

/// An algorithm that updates weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Adam with decoupled weight decay
    #[value(name = "adamw")]
    AdamW,
    /// Gradients divided by a running average of their magnitude
    #[value(name = "rmsprop")]
    RmsProp,
}

/// How the weights are updated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// The algorithm.
    pub kind: OptimizerKind,
    /// The highest learning rate, reached after the warm-up.
    pub learning_rate: f64,
    /// Share of all steps in which the rate rises from 0.
    pub warmup: f64,
    /// The rate falls to this share of its height, along half a cosine; 1 keeps it.
    pub final_rate: f64,
    /// Decay of the running average of gradients (AdamW).
    pub beta1: f64,
    /// Decay of the running average of squared gradients.
    pub beta2: f64,
    /// Decoupled weight decay, of matrices only.
    pub weight_decay: f64,
    /// Gradients are scaled down to this norm, taken over all weights.
    pub clip_norm: f64,
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

impl From<IntegerPrecision> for charlet::format::Precision {
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

/// Limits that no sensible run meets; beyond them a typing error is more likely.
const MAX_SIZE: usize = 8192;
const MAX_LAYERS: usize = 16;
const MAX_BATCH: usize = 65_536;
/// Floats of one step's activations: 16 GiB.
const MAX_ACTIVATIONS: usize = 4 << 30;
/// Floats that the fused and composed networks keep per hidden unit and character.
const ACTIVATIONS_PER_UNIT: usize = 24;

impl Config {
    /// The defaults for a kind of data.
    pub fn defaults(mode: Mode) -> Self {
        let lines = mode == Mode::Lines;
        Self {
            data: DataConfig {
                path: None,
                mode,
                validation: None,
                validation_split: 0.1,
            },
            network: NetworkConfig {
                embedding_size: 32,
                hidden_size: 128,
                num_layers: if lines { 1 } else { 2 },
                dropout: 0.2,
                recurrent_dropout: if lines { 0.4 } else { 0.0 },
                character_dropout: if lines { 0.05 } else { 0.0 },
            },
            optimizer: OptimizerConfig {
                kind: OptimizerKind::AdamW,
                learning_rate: if lines { 6e-3 } else { 3e-3 },
                warmup: 0.05,
                final_rate: 0.01,
                beta1: 0.9,
                beta2: 0.999,
                weight_decay: 0.01,
                clip_norm: 1.0,
            },
            training: TrainingConfig {
                epochs: if lines { 30 } else { 20 },
                batch_size: 32,
                window: 64,
                seed: 1,
                device: DeviceKind::Cpu,
                sample_every: if lines { 10 } else { 5 },
                quantize: None,
            },
        }
    }

    /// The defaults, overridden by what a TOML file sets; `mode` overrides the file's.
    ///
    /// # Errors
    /// If the file can't be read, is no TOML, or has a setting that doesn't exist.
    pub fn from_file(path: &Path, mode: Option<Mode>) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("can't read the settings in {}", path.display()))?;
        let parse = || -> Result<Self> {
            let set: toml::Table = text.parse().map_err(|error| in_one_line(&text, &error))?;
            let file_mode = set.get("data").and_then(|data| data.get("mode"));
            let mode = match (mode, file_mode) {
                (Some(mode), _) => mode,
                (None, Some(value)) => value.clone().try_into()?,
                (None, None) => Mode::Lines,
            };
            let mut merged = toml::Table::try_from(Self::defaults(mode))?;
            merge(&mut merged, set);
            let mut config: Self = merged
                .try_into()
                .map_err(|error| in_one_line(&text, &error))?;
            config.data.mode = mode;
            Ok(config)
        };
        parse().with_context(|| format!("the settings in {} are not valid", path.display()))
    }

    /// The run as TOML.
    ///
    /// # Errors
    /// If a path is not UTF-8.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).context("can't write the settings as TOML")
    }

    /// The name of the data, and so of the model.
    pub fn name(&self) -> String {
        let stem = self.data.path.as_deref().and_then(Path::file_stem);
        stem.map_or_else(
            || "names".into(),
            |stem| stem.to_string_lossy().into_owned(),
        )
    }

    /// Refuses settings that can't work, before anything is read or allocated.
    ///
    /// # Errors
    /// Names the setting and its range.
    pub fn check(&self) -> Result<()> {
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
            ..
        } = self.training;
        let optimizer = &self.optimizer;
        in_range("hidden size", hidden_size, MAX_SIZE)?;
        in_range("embedding size", embedding_size, MAX_SIZE)?;
        in_range("number of layers", num_layers, MAX_LAYERS)?;
        in_range("batch size", batch_size, MAX_BATCH)?;
        in_range("window", window, MAX_BATCH)?;
        in_range("number of epochs", epochs, 1_000_000)?;
        in_range("sampling interval", sample_every, 1_000_000)?;
        let activations = [
            batch_size,
            window,
            hidden_size,
            num_layers,
            ACTIVATIONS_PER_UNIT,
        ]
        .into_iter()
        .try_fold(1usize, usize::checked_mul);
        if activations.is_none_or(|activations| activations > MAX_ACTIVATIONS) {
            bail!(
                "batch {batch_size} x window {window} x hidden {hidden_size} x layers {num_layers} \
                 needs more than 16 GiB for one step: make one of them smaller"
            );
        }
        for (name, share) in [
            ("dropout", self.network.dropout),
            ("recurrent dropout", self.network.recurrent_dropout),
            ("character dropout", self.network.character_dropout),
            ("beta1", optimizer.beta1),
            ("beta2", optimizer.beta2),
        ] {
            ensure!(
                (0.0..1.0).contains(&share),
                "{name} must be at least 0 and below 1: {share}"
            );
        }
        let split = self.data.validation_split;
        ensure!(
            self.data.validation.is_some() || (split > 0.0 && split < 1.0),
            "the held-out share must be between 0 and 1, both excluded: {split}"
        );
        for (name, share) in [
            ("warm-up", optimizer.warmup),
            ("final rate", optimizer.final_rate),
        ] {
            ensure!(
                (0.0..=1.0).contains(&share),
                "the {name} must be a share from 0 to 1: {share}"
            );
        }
        for (name, value) in [
            ("learning rate", optimizer.learning_rate),
            ("clipping norm", optimizer.clip_norm),
        ] {
            ensure!(
                value > 0.0 && value.is_finite(),
                "the {name} must be positive: {value}"
            );
        }
        let decay = optimizer.weight_decay;
        ensure!(
            (0.0..=1.0).contains(&decay),
            "the weight decay must be from 0 to 1: {decay}"
        );
        Ok(())
    }
}

fn in_range(name: &str, value: usize, max: usize) -> Result<()> {
    ensure!(
        (1..=max).contains(&value),
        "the {name} must be from 1 to {max}: {value}"
    );
    Ok(())
}

/// A TOML error without the excerpt, which would take several lines.
fn in_one_line(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let message = error.message();
    match error.span() {
        Some(span) => {
            let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
            anyhow::anyhow!("line {line}: {message}")
        }
        None => anyhow::anyhow!("{message}"),
    }
}

/// Overrides the settings of `base` with those that `set` has.
fn merge(base: &mut toml::Table, set: toml::Table) {
    for (key, value) in set {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(set)) => merge(base, set),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, mode: Option<Mode>) -> Result<Config> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), text)?;
        Config::from_file(file.path(), mode)
    }

    #[test]
    fn a_written_config_reads_back_the_same() {
        for mode in [Mode::Lines, Mode::Text] {
            let mut config = Config::defaults(mode);
            config.data.path = Some("a b.txt".into());
            config.training.seed = 77;
            assert_eq!(parse(&config.to_toml().unwrap(), None).unwrap(), config);
        }
    }

    #[test]
    fn a_file_overrides_the_defaults_of_its_mode() {
        let config = parse("data.mode = 'text'\nnetwork.hidden_size = 9", None).unwrap();
        let mut expected = Config::defaults(Mode::Text);
        expected.network.hidden_size = 9;
        assert_eq!(config, expected);
        let config = parse("data.mode = 'text'", Some(Mode::Lines)).unwrap();
        assert_eq!(config, Config::defaults(Mode::Lines));
    }

    #[test]
    fn an_unknown_setting_is_named() {
        let error = format!("{:#}", parse("network.hiden_size = 9", None).unwrap_err());
        assert!(error.contains("hiden_size"), "{error}");
    }

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
        assert!(refused(|c| c.data.validation_split = 0.0).contains("held-out share"));
        assert!(
            refused(|c| {
                c.training.batch_size = 60_000;
                c.training.window = 60_000;
            })
            .contains("16 GiB")
        );
    }
}
