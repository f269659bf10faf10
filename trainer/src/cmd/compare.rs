//! `charlet compare`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use charlet_trainer::report::compare::{Compared, compare};
use charlet_trainer::util::shown::Shown;
#[cfg(feature = "plot")]
use charlet_trainer::util::{
    distinct::refuse_overwriting, replace::refuse_replacing, run_dir::RunFolder,
};
use clap::Parser;
use indicatif::HumanCount;

use super::note;

#[cfg(feature = "plot")]
const EXAMPLES: &str = "Examples:
  charlet compare charlet-out/*
  charlet compare small large -o sizes.svg
  charlet compare small large --json | jq '.[0].run'";
#[cfg(not(feature = "plot"))]
const EXAMPLES: &str = "Examples:
  charlet compare charlet-out/*
  charlet compare small large --json | jq '.[0].run'";

/// Compare training runs in a table, lowest held-out loss first
///
/// The loss is that of the best epoch. The last column shows the settings in which the runs differ.
#[cfg_attr(
    feature = "plot",
    doc = "A plot shows the held-out loss of all runs over their epochs."
)]
#[derive(Debug, Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Output folders of runs
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Plot to write, .png or .svg
    #[cfg(feature = "plot")]
    #[arg(short, long, value_name = "FILE", default_value = "compare.png")]
    output: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    #[cfg(feature = "plot")]
    let draw = drawing(&args.output)?;
    #[cfg(feature = "plot")]
    for run in &args.runs {
        // No file of a run is called as a picture is; a link to one may be.
        let run = RunFolder::at(run, "");
        let (log, last) = (run.metrics(), run.last());
        refuse_overwriting(
            &args.output,
            &[("a run's log", &log), ("a run's checkpoint", &last)],
        )?;
    }
    #[cfg(feature = "plot")]
    refuse_replacing_by_picture(&args.output)?;
    let (runs, mut skipped) = compare(&args.runs);
    if runs.is_empty() && skipped.len() == 1 {
        return Err(skipped.remove(0));
    }
    for error in &skipped {
        note(&format!("skipped: {error:#}"));
    }
    if runs.is_empty() {
        bail!("none of these is a run to compare: name folders that charlet train wrote");
    }
    for run in &runs {
        if run.held_out != runs[0].held_out {
            note(&format!(
                "{} holds out other data than {}: their losses don't compare",
                run.run, runs[0].run
            ));
        }
    }
    #[cfg(feature = "plot")]
    charlet_trainer::util::atomic_file::atomic_write(&args.output, &draw(&runs)?)?;
    let mut out = std::io::stdout().lock();
    let shown = Shown::on(&out);
    if args.json {
        let json = serde_json::to_string(&runs)?;
        writeln!(out, "{}", shown.json(&json))?;
        return Ok(ExitCode::SUCCESS);
    }
    write!(out, "{}", table(&runs, shown))?;
    #[cfg(feature = "plot")]
    writeln!(
        out,
        "curves: {}",
        shown.line(&args.output.display().to_string())
    )?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(feature = "plot")]
type Draw = fn(&[Compared]) -> Result<Vec<u8>>;

/// How a picture of this name is drawn.
#[cfg(feature = "plot")]
fn drawing(picture: &std::path::Path) -> Result<Draw> {
    use charlet_trainer::report::plot::comparison::{png, svg};
    Ok(
        match picture.extension().and_then(|ending| ending.to_str()) {
            Some("png") => png,
            Some("svg") => |runs| Ok(svg(runs)?.into_bytes()),
            _ => anyhow::bail!(
                "can't draw {}: its name has to end with .png or .svg",
                picture.display()
            ),
        },
    )
}

/// Pictures replace pictures only.
#[cfg(feature = "plot")]
fn refuse_replacing_by_picture(picture: &std::path::Path) -> Result<()> {
    let is_png = picture.extension().is_some_and(|ending| ending == "png");
    if is_png {
        refuse_replacing(picture, "PNG picture", b"\x89PNG")
    } else {
        refuse_replacing(picture, "SVG picture", b"<svg")
    }
}

const TITLES: [&str; 12] = [
    "run",
    "data",
    "network",
    "parameters",
    "i8 bytes",
    "nats/char",
    "bits/char",
    "bits/line",
    "epoch",
    "seconds",
    "chars/s",
    "differs in",
];

fn table(runs: &[Compared], shown: Shown) -> String {
    let mut rows = vec![TITLES.map(str::to_owned)];
    rows.extend(
        runs.iter()
            .map(|run| row(run).map(|cell| shown.line(&cell).into_owned())),
    );
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: [usize; TITLES.len()] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let cells = row
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                // Names from the left, numbers from the right.
                let is_name = column < 3 || column == TITLES.len() - 1;
                if is_name {
                    format!("{cell:width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

fn row(run: &Compared) -> [String; TITLES.len()] {
    let count = |number: usize| HumanCount(number as u64).to_string();
    let per_line = run.bits_per_line.map(|bits| format!("{bits:.2}"));
    let settings = run
        .settings
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    [
        run.run.clone(),
        run.data.clone(),
        format!("{} x {}", run.layers, run.hidden_size),
        count(run.parameters),
        count(run.i8_bytes),
        format!("{:.4}", run.nats_per_char),
        format!("{:.4}", run.bits_per_char),
        per_line.unwrap_or_else(|| "-".to_owned()),
        format!("{}/{}", run.best_epoch, run.epochs),
        format!("{:.1}", run.seconds),
        count(run.chars_per_second as usize),
        settings.collect::<Vec<_>>().join(" "),
    ]
}
