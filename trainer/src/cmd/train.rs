//! `charlet train`

mod budget;
mod find_lr;
mod settings;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use candle_core::Device;
use charlet_trainer::config::preset::Preset;
use charlet_trainer::config::{Config, DeviceKind, Mode, OptimizerKind, ScheduleKind};
use charlet_trainer::model::device::device;
use charlet_trainer::report::observers;
use charlet_trainer::report::progress_bar::{Bar, Plain};
#[cfg(feature = "tui")]
use charlet_trainer::report::tui::{self, Dashboard};
use charlet_trainer::train::checkpoint::Checkpoint;
use charlet_trainer::train::control::{Request, Requests};
use charlet_trainer::train::observer::Observer;
use charlet_trainer::train::training_loop::{Outcome, train};
use charlet_trainer::util::lock::Lock;
use charlet_trainer::util::run_dir::RunFolder;
use clap::Parser;

/// The exit code of a command that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Train a model and export it for the chip
///
/// Without arguments it learns the bundled names. It writes the model itself, NAME.charlet, into the
/// output folder, and best.safetensors, the network that it was made from; last.safetensors, to go on
/// from with --resume, and good.safetensors, the same at the end of an epoch; config.toml;
/// metrics.jsonl, a line for each epoch, and steps.jsonl, about a hundred. Ctrl-C saves and stops. Where
/// the loss is no longer a number, or three times what it was, the run goes back to the end of the last
/// epoch and on with half the learning rate.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  charlet train
  charlet train my-names.txt --hidden 96 --epochs 40
  charlet train alice.txt --mode text --layers 2 --hidden 128 --window 100
  charlet train --config charlet-out/names/config.toml --out again
  charlet train don-quijote.txt --preset quijote --epochs 5
  charlet train my-names.txt --flash-budget 64k --ram-budget 4k
  charlet train alice.txt --mode text --params-budget 250k --find-lr
  charlet train --resume charlet-out/alice --epochs 40
  charlet train cities.txt --init-from charlet-out/names/best.safetensors --lr 0.001")]
pub(crate) struct Args {
    /// The file to learn: a list with one entry per line, or a text [default: bundled names]
    data: Option<PathBuf>,
    /// How the file is read [default: lines]
    #[arg(long)]
    mode: Option<Mode>,
    /// Make upper case lower case
    #[arg(long)]
    lowercase: bool,
    /// A file to measure the held-out loss on, instead of a share of the data
    #[arg(long, value_name = "FILE", conflicts_with = "val_split")]
    val: Option<PathBuf>,
    /// The share of the data that is held out [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    val_split: Option<f64>,
    /// Stacked LSTM layers [default: 1]
    #[arg(long, value_name = "N")]
    layers: Option<usize>,
    /// Hidden units of each layer [default: 128, text: 192]
    #[arg(long, value_name = "N")]
    hidden: Option<usize>,
    /// Size of the vector that a character is turned into [default: 32]
    #[arg(long, value_name = "N")]
    embedding: Option<usize>,
    #[command(flatten)]
    budget: budget::Options,
    /// Share of each layer's output that is dropped while training [default: 0.2]
    #[arg(long, value_name = "SHARE")]
    dropout: Option<f64>,
    /// Share of the recurrent weights that is dropped in each batch [default: 0.4, text: 0.2]
    #[arg(long, alias = "recurrent-dropout", value_name = "SHARE")]
    weight_dropout: Option<f64>,
    /// Share of the characters whose embedding is dropped in each batch [default: 0.05, text: 0]
    #[arg(long, alias = "character-dropout", value_name = "SHARE")]
    embedding_dropout: Option<f64>,
    /// Passes over the data [default: 30, text: 20]
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Lines, or places in the text, that are learnt at once [default: 32]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Characters that a gradient reaches back in a text [default: 32]
    #[arg(long, value_name = "N")]
    window: Option<usize>,
    /// How weights are updated [default: adamw]
    #[arg(long)]
    optimizer: Option<OptimizerKind>,
    /// The highest learning rate [default: 0.006, text: 0.01, rmsprop: 0.002, sgd: 0.5]
    #[arg(long, value_name = "X")]
    lr: Option<f64>,
    /// Weight decay; decoupled in adamw, else a part of the gradient [default: 0, adamw: 0.01]
    #[arg(long, value_name = "X")]
    weight_decay: Option<f64>,
    /// What sgd keeps of its last direction [default: 0.9]
    #[arg(long, value_name = "SHARE")]
    momentum: Option<f64>,
    /// How the learning rate changes [default: cosine]
    #[arg(long)]
    schedule: Option<ScheduleKind>,
    /// Share of the training in which a cosine's rate rises from 0 [default: 0.05]
    #[arg(long, value_name = "SHARE")]
    warmup: Option<f64>,
    /// What step, exponential and plateau multiply the rate with [default: 0.5, exponential: 0.9]
    #[arg(long, value_name = "X")]
    schedule_factor: Option<f64>,
    /// Epochs after which step and plateau do so [default: 10, plateau: 2 without a lower loss]
    #[arg(long, value_name = "N")]
    schedule_epochs: Option<usize>,
    /// The norm that gradients are scaled down to [default: 1]
    #[arg(long, value_name = "X")]
    clip_norm: Option<f64>,
    /// Don't train, but look for a learning rate: try ever larger ones on a network that is thrown away,
    /// for some seconds, show what they do to the loss, and suggest one
    #[arg(long, conflicts_with = "resume")]
    find_lr: bool,
    /// The seed of everything random [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where it is computed [default: cpu]
    #[arg(long)]
    device: Option<DeviceKind>,
    /// Epochs from one set of samples to the next [default: 10, text: 5]
    #[arg(long, value_name = "N")]
    sample_every: Option<usize>,
    /// Updates from one set of samples to the next, within epochs as well [default: none within]
    #[arg(long, value_name = "N")]
    sample_steps: Option<usize>,
    /// Train for integers, with weights rounded as on the chip, and export such a model
    #[arg(long)]
    quantize: Option<settings::Quantize>,
    /// The settings of a network that is known from elsewhere; the other options override them
    #[arg(long, conflicts_with_all = ["config", "resume"])]
    preset: Option<Preset>,
    /// Settings in TOML, as a run writes them; the other options override them
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Start from the weights of a checkpoint; characters that both know keep theirs
    #[arg(long, value_name = "CHECKPOINT")]
    init_from: Option<PathBuf>,
    /// Use a running average of the weights that keeps this share of itself, such as 0.999
    #[arg(long, value_name = "DECAY")]
    ema: Option<f64>,
    /// End after so many epochs without a lower held-out loss
    #[arg(long, value_name = "N")]
    patience: Option<usize>,
    /// Keep the networks of the best epochs, named by epoch and loss, beside best and last [default: 0]
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
    /// Seconds from one checkpoint to the next within an epoch [default: 60]
    #[arg(long, value_name = "SECONDS")]
    save_every: Option<f64>,
    /// Updates from one line of steps.jsonl to the next [default: about 100 lines an epoch]
    #[arg(long, value_name = "N")]
    log_every: Option<usize>,
    /// Write event files for TensorBoard too, into the folder's tensorboard/
    #[cfg(feature = "tensorboard")]
    #[arg(long)]
    tensorboard: bool,
    /// Show curves, samples and keys that steer the run, instead of lines
    #[cfg(feature = "tui")]
    #[arg(long)]
    tui: bool,
    /// Go on with the run in this folder, as if it had never stopped
    #[arg(long, value_name = "DIR", conflicts_with_all = ["config", "out", "force", "init_from"])]
    resume: Option<PathBuf>,
    /// The folder to write into [default: charlet-out/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace the run that the output folder holds
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let (lock, begun) = args.resume.as_deref().map(begun).transpose()?.unzip();
    let mut config = match &begun {
        Some(checkpoint) => args.resumed_config(&checkpoint.description.config)?,
        None => args.new_config()?,
    };
    // What can be missing is looked for before a folder is made.
    device(config.training.device)?;
    let budget = args.fit_budget(&mut config)?;
    let requests = Arc::new(Requests::default());
    let wanted = Arc::clone(&requests);
    let wish = move |request| {
        // The second Ctrl-C doesn't wait for the save.
        if wanted.add(request) && request == Request::Stop {
            #[cfg(feature = "tui")]
            tui::leave();
            std::process::exit(INTERRUPTED.into());
        }
    };
    let signal = wish.clone();
    ctrlc::set_handler(move || signal(Request::Stop)).context("can't listen for Ctrl-C")?;
    let ask = || requests.next();
    if args.find_lr {
        tell("budget", &budget);
        return find_lr::run(&args.out(&config), &config, &ask);
    }
    let mut observers = observers(&config, display(args, wish)?)?;
    let folder = folder(args, &config, lock)?;
    tell(
        "departs",
        &args.preset.map_or(Ok(Vec::new()), Preset::departures)?,
    );
    tell("budget", &budget);
    let outcome = train(&config, begun.as_ref(), &folder, &ask, &mut observers)?;
    Ok(match outcome {
        Outcome::Finished(_) => ExitCode::SUCCESS,
        Outcome::Interrupted => ExitCode::from(INTERRUPTED),
    })
}

/// Prints what is worth knowing before a run. A closed pipe doesn't stop a training.
fn tell(label: &str, lines: &[String]) {
    for line in lines {
        let _ = writeln!(std::io::stdout(), "{label:9} {line}");
    }
}

/// How the run is shown. What a key asks for is a `wish`.
#[cfg_attr(
    not(feature = "tui"),
    expect(unused_variables, reason = "only a dashboard has keys")
)]
fn display(
    args: &Args,
    wish: impl Fn(Request) + Send + Sync + 'static,
) -> Result<Box<dyn Observer>> {
    #[cfg(feature = "tui")]
    if args.tui {
        return Ok(Box::new(Dashboard::new(wish)?));
    }
    let out = std::io::stdout();
    Ok(if out.is_terminal() {
        Box::new(Bar::new(out))
    } else {
        Box::new(Plain(out))
    })
}

impl Args {
    /// The output folder.
    fn out(&self, config: &Config) -> PathBuf {
        let default = || PathBuf::from("charlet-out").join(config.name());
        self.out.clone().unwrap_or_else(default)
    }
}

/// The checkpoint that a run goes on from, which nobody replaces meanwhile.
fn begun(folder: &Path) -> Result<(Lock, Checkpoint)> {
    let last = RunFolder::last_in(folder);
    ensure!(
        last.exists(),
        "{} has no run to go on with: begin it without --resume",
        folder.display()
    );
    let lock = Lock::take(folder)?;
    Ok((lock, Checkpoint::load(&last, &Device::Cpu)?))
}

/// Where the run is, or will be.
fn folder(args: &Args, config: &Config, lock: Option<Lock>) -> Result<RunFolder> {
    let name = config.name();
    if let Some(lock) = lock {
        return RunFolder::resume(lock, &name);
    }
    RunFolder::create(&args.out(config), &name, args.force)
}
