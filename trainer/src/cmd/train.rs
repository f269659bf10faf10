//! `charlet train`

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use charlet_trainer::config::{Config, DeviceKind, IntegerPrecision, Mode, OptimizerKind};
use charlet_trainer::files::RunFolder;
use charlet_trainer::train::{Outcome, device, train};
use clap::Parser;

/// The exit code of a command that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Train a model and export it for the chip
///
/// Without arguments it learns the bundled names. It writes best.safetensors, last.safetensors,
/// config.toml, metrics.jsonl and the model itself, NAME.charlet, into the output folder. Ctrl-C
/// saves and stops.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  charlet train
  charlet train my-names.txt --hidden 96 --epochs 40
  charlet train alice.txt --mode text --layers 2 --hidden 128 --window 100
  charlet train --config charlet-out/names/config.toml --out again")]
pub(crate) struct Args {
    /// The file to learn: a list with one entry per line, or a text [default: bundled names]
    data: Option<PathBuf>,
    /// How the file is read [default: lines]
    #[arg(long)]
    mode: Option<Mode>,
    /// A file to measure the held-out loss on, instead of a share of the data
    #[arg(long, value_name = "FILE", conflicts_with = "val_split")]
    val: Option<PathBuf>,
    /// The share of the data that is held out [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    val_split: Option<f64>,
    /// Stacked LSTM layers [default: 1, text: 2]
    #[arg(long, value_name = "N")]
    layers: Option<usize>,
    /// Hidden units of each layer [default: 128]
    #[arg(long, value_name = "N")]
    hidden: Option<usize>,
    /// Size of the vector that a character is turned into [default: 32]
    #[arg(long, value_name = "N")]
    embedding: Option<usize>,
    /// Share of each layer's output that is dropped while training [default: 0.2]
    #[arg(long, value_name = "SHARE")]
    dropout: Option<f64>,
    /// Share of the recurrent weights that is dropped in each batch [default: 0.4, text: 0]
    #[arg(long, value_name = "SHARE")]
    recurrent_dropout: Option<f64>,
    /// Share of the characters whose embedding is dropped in each batch [default: 0.05, text: 0]
    #[arg(long, value_name = "SHARE")]
    character_dropout: Option<f64>,
    /// Passes over the data [default: 30, text: 20]
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Lines, or places in the text, that are learnt at once [default: 32]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Characters that a gradient reaches back in a text [default: 64]
    #[arg(long, value_name = "N")]
    window: Option<usize>,
    /// How weights are updated [default: adamw]
    #[arg(long)]
    optimizer: Option<OptimizerKind>,
    /// The highest learning rate [default: 0.006, text: 0.003]
    #[arg(long, value_name = "X")]
    lr: Option<f64>,
    /// Share of the training in which the learning rate rises from 0 [default: 0.05]
    #[arg(long, value_name = "SHARE")]
    warmup: Option<f64>,
    /// Decoupled weight decay [default: 0.01]
    #[arg(long, value_name = "X")]
    weight_decay: Option<f64>,
    /// The norm that gradients are scaled down to [default: 1]
    #[arg(long, value_name = "X")]
    clip_norm: Option<f64>,
    /// The seed of everything random [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where it is computed [default: cpu]
    #[arg(long)]
    device: Option<DeviceKind>,
    /// Epochs from one set of samples to the next [default: 10, text: 5]
    #[arg(long, value_name = "N")]
    sample_every: Option<usize>,
    /// Train for integers, with weights rounded as on the chip, and export such a model
    #[arg(long)]
    quantize: Option<IntegerPrecision>,
    /// Settings in TOML, as a run writes them; the options above override them
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder to write into [default: charlet-out/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace the run that the output folder holds
    #[arg(long)]
    force: bool,
}

impl Args {
    /// The defaults, overridden by the settings file, overridden by the options.
    fn config(&self) -> Result<Config> {
        let mut config = match &self.config {
            Some(path) => Config::from_file(path, self.mode)?,
            None => Config::defaults(self.mode.unwrap_or(Mode::Lines)),
        };
        let Config {
            data,
            network,
            optimizer,
            training,
        } = &mut config;
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
        set(&mut network.recurrent_dropout, self.recurrent_dropout);
        set(&mut network.character_dropout, self.character_dropout);
        set(&mut optimizer.kind, self.optimizer);
        set(&mut optimizer.learning_rate, self.lr);
        set(&mut optimizer.warmup, self.warmup);
        set(&mut optimizer.weight_decay, self.weight_decay);
        set(&mut optimizer.clip_norm, self.clip_norm);
        set(&mut training.epochs, self.epochs);
        set(&mut training.batch_size, self.batch);
        set(&mut training.window, self.window);
        set(&mut training.seed, self.seed);
        set(&mut training.device, self.device);
        set(&mut training.sample_every, self.sample_every);
        set(&mut training.quantize, self.quantize.map(Some));
        config.check()?;
        Ok(config)
    }
}

fn set<T>(setting: &mut T, option: Option<T>) {
    if let Some(value) = option {
        *setting = value;
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let config = args.config()?;
    // Looked for before a folder is made.
    device(config.training.device)?;
    let name = config.name();
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from("charlet-out").join(&name));
    let folder = RunFolder::create(&out, &name, args.force)?;

    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        // The second Ctrl-C doesn't wait for the save.
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into());
        }
    })
    .context("can't listen for Ctrl-C")?;
    Ok(match train(&config, &folder, &stop, std::io::stdout())? {
        Outcome::Finished(_) => ExitCode::SUCCESS,
        Outcome::Interrupted => ExitCode::from(INTERRUPTED),
    })
}
