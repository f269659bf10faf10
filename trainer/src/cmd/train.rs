//! `charlet train`

mod budget;
mod defaults;
mod find_lr;
mod options;
mod resumed;
mod settings;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use charlet_trainer::config::Config;
use charlet_trainer::config::preset::Preset;
use charlet_trainer::model::device::device;
use charlet_trainer::report::observers;
use charlet_trainer::report::progress_bar::{Bar, Plain};
#[cfg(feature = "tui")]
use charlet_trainer::report::tui::{self, Dashboard};
use charlet_trainer::train::checkpoint::Checkpoint;
use charlet_trainer::train::control::{Control, Request};
use charlet_trainer::train::need::check_run;
use charlet_trainer::train::newest::Newest;
use charlet_trainer::train::observer::Observer;
use charlet_trainer::train::training_loop::{Input, Outcome, train_on};
use charlet_trainer::util::distinct::refuse_overwriting;
use charlet_trainer::util::lock::Lock;
use charlet_trainer::util::run_dir::RunFolder;
use charlet_trainer::util::shown::Shown;
use clap::Parser;

use super::{refuse_second_stdin, with_default};

/// The exit code of a command that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Where runs are written unless --out says otherwise.
const OUT: &str = "charlet-out";

const FILES: &str = "\
Output folder:
  NAME.charlet        the exported model, of the epoch with the lowest held-out loss
  best.safetensors    checkpoint of that epoch
  last.safetensors    newest checkpoint, which --resume continues from
  epoch.safetensors   checkpoint of the last full epoch, which a rollback returns to
  config.toml         all settings of the run
  metrics.jsonl       metrics, one line per epoch
  steps.jsonl         metrics, one line every few batches, see --log-every
";
#[cfg(feature = "html")]
const REPORT: &str =
    "  report.html         report with curves, samples and sizes, updated while training
  curves.png          loss curves as a picture
";
#[cfg(not(feature = "html"))]
const REPORT: &str = "";
const EXAMPLES: &str = "
Examples:
  charlet train
  charlet train my-names.txt --hidden 96 --epochs 40
  charlet train alice.txt --mode text --layers 2 --hidden 128 --window 100
  charlet train --config charlet-out/names/config.toml --out again
  charlet train don-quijote.txt --preset quijote --epochs 5
  charlet train my-names.txt --flash-budget 64k --ram-budget 4k
  charlet train alice.txt --mode text --params-budget 250k --find-lr
  charlet train --resume charlet-out/alice --epochs 40
  charlet train cities.txt --init-from charlet-out/names/best.safetensors --lr 0.001";

/// Train a model and export it as a .charlet file
///
/// Without arguments it trains on the bundled names. Ctrl-C saves and stops; --resume continues.
///
/// If the loss becomes NaN or triples, the run rolls back one epoch and halves the learning rate.
#[derive(Debug, Parser)]
#[command(
    mut_args(|option| with_default(option, defaults::default_of)),
    after_help = format!("{FILES}{REPORT}{EXAMPLES}")
)]
pub(crate) struct Args {
    /// Text file to train on, - for standard input: a list with one entry per line, or with --mode text a
    /// running text
    #[arg(value_name = "FILE")]
    data: Option<PathBuf>,
    #[command(flatten)]
    input: options::DataOptions,
    #[command(flatten)]
    model: options::ModelOptions,
    #[command(flatten)]
    optimizer: options::OptimizerOptions,
    #[command(flatten)]
    training: options::TrainingOptions,
    #[command(flatten)]
    settings: options::SettingsOptions,
    #[command(flatten)]
    output: options::OutputOptions,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let (lock, begun) = args
        .output
        .resume
        .as_deref()
        .map(begun)
        .transpose()?
        .unzip();
    let mut config = match &begun {
        Some(checkpoint) => args.resumed_config(&checkpoint.description.config)?,
        None => args.new_config()?,
    };
    args.check_data(&config)?;
    // Fails for a missing GPU before a folder is made.
    device(config.training.device)?;
    refuse_second_stdin(&args.inputs(&config))?;
    let control = Arc::new(Control::default());
    let wanted = Arc::clone(&control);
    let on_request = move |request| {
        let is_second = wanted.add(request);
        if request != Request::Stop {
            return;
        }
        // The second Ctrl-C doesn't wait for the save, and before the training there is nothing to save.
        if is_second || !wanted.has_begun() {
            #[cfg(feature = "tui")]
            tui::leave();
            if !is_second {
                let _ = writeln!(std::io::stderr(), "stopped   nothing was written");
            }
            std::process::exit(INTERRUPTED.into());
        }
    };
    let signal = on_request.clone();
    ctrlc::set_handler(move || signal(Request::Stop)).context("can't listen for Ctrl-C")?;
    args.training.threads.start()?;
    let input = Input::load(&mut config, begun.as_ref())?;
    let budget = args.fit_budget(&mut config, &input.corpus)?;
    check_run(&config, &input.corpus).map_err(|error| {
        if args.chooses_width() {
            error.context("the widest network within the budget is too wide for this machine: give a smaller --params-budget, --flash-budget or --ram-budget")
        } else {
            error
        }
    })?;
    if args.optimizer.find_lr {
        tell("budget", &budget);
        let out = args.out(&config);
        args.refuse_overwriting(&config, &find_lr::outputs(&out))?;
        return find_lr::run(&out, &config, input, &*control);
    }
    let mut observers = observers(&config, display(args, on_request)?)?;
    control.begin();
    let folder = folder(args, &config, lock)?;
    let preset = args.settings.preset;
    tell(
        "departs",
        &preset.map_or(Ok(Vec::new()), Preset::departures)?,
    );
    tell("budget", &budget);
    let outcome = train_on(
        &config,
        input,
        begun.as_ref(),
        &folder,
        &*control,
        &mut observers,
    )?;
    Ok(match outcome {
        Outcome::Finished(_) => ExitCode::SUCCESS,
        Outcome::Interrupted => ExitCode::from(INTERRUPTED),
    })
}

/// Prints notes before a run. A closed pipe doesn't stop a training.
fn tell(label: &str, lines: &[String]) {
    let mut out = std::io::stdout();
    let shown = Shown::on(&out);
    for line in lines {
        let _ = writeln!(out, "{label:9} {}", shown.line(line));
    }
}

/// How the run is displayed. `on_request` is called for each key command.
#[cfg_attr(
    not(feature = "tui"),
    expect(unused_variables, reason = "only a dashboard has keys")
)]
fn display(
    args: &Args,
    on_request: impl Fn(Request) + Send + Sync + 'static,
) -> Result<Box<dyn Observer>> {
    #[cfg(feature = "tui")]
    if args.output.tui {
        return Ok(Box::new(Dashboard::new(on_request)?));
    }
    let out = std::io::stdout();
    Ok(if out.is_terminal() {
        Box::new(Bar::new(out))
    } else {
        Box::new(Plain(out))
    })
}

impl Args {
    /// The files that are read, and what they are.
    fn inputs<'a>(&'a self, config: &'a Config) -> Vec<(&'static str, &'a Path)> {
        // A resumed run has its first weights already.
        let is_new = self.output.resume.is_none();
        let first_weights = config.training.init_from.as_deref();
        let inputs = [
            ("the data", config.data.path.as_deref()),
            ("--val", config.data.validation.as_deref()),
            ("--init-from", first_weights.filter(|_| is_new)),
            ("--config", self.settings.config.as_deref()),
        ];
        let named = inputs.into_iter();
        named
            .filter_map(|(what, path)| Some((what, path?)))
            .collect()
    }

    /// The output folder.
    fn out(&self, config: &Config) -> PathBuf {
        let default = || PathBuf::from(OUT).join(config.name());
        self.output.out.clone().unwrap_or_else(default)
    }
}

/// The checkpoint to resume from, with the lock on its folder.
fn begun(given: &Path) -> Result<(Lock, Checkpoint)> {
    let folder = &resumed::folder_of(given)?;
    ensure!(
        RunFolder::is_resumable(folder),
        "{} has no run to go on with: begin it without --resume",
        folder.display()
    );
    let lock = RunFolder::open(folder)?;
    let Newest { checkpoint, notes } = Newest::load(folder)?;
    tell("note", &notes);
    Ok((lock, checkpoint))
}

/// The folder of the new or resumed run.
fn folder(args: &Args, config: &Config, lock: Option<Lock>) -> Result<RunFolder> {
    let name = config.name();
    let resumed = lock.as_ref().map(|lock| lock.folder().to_owned());
    let out = resumed.unwrap_or_else(|| args.out(config));
    args.refuse_overwriting(config, &RunFolder::at(&out, &name).files()?)?;
    match lock {
        Some(lock) => RunFolder::resume(lock, &name),
        None => {
            let mut folder = RunFolder::create(&out, &name, args.output.force)?;
            if let Ok(former) = Config::from_file(&folder.config(), None) {
                folder.set_former_name(former.name());
            }
            Ok(folder)
        }
    }
}

impl Args {
    /// Refuses to write or remove one of these files that the run needs.
    fn refuse_overwriting(&self, config: &Config, outputs: &[PathBuf]) -> Result<()> {
        let inputs = self.inputs(config);
        outputs
            .iter()
            .try_for_each(|output| refuse_overwriting(output, &inputs))
    }
}
