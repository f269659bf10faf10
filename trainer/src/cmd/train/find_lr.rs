//! `charlet train --find-lr`

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use charlet_trainer::config::Config;
#[cfg(feature = "plot")]
use charlet_trainer::report::plot::lr_finder;
use charlet_trainer::train::control::Requests;
use charlet_trainer::train::lr_finder::{BATCHES, LrFinder, Point, Suggestion};
use charlet_trainer::train::training_loop::Input;
use charlet_trainer::util::atomic_file::atomic_write;
use charlet_trainer::util::replace::refuse_replacing;
use charlet_trainer::util::shown::Shown;
use indicatif::{ProgressBar, ProgressStyle};

use super::INTERRUPTED;

/// Batches from one line of the table to the next: two lines for a power of ten.
const BATCHES_PER_LINE: usize = 15;

/// The files that it writes.
pub(super) fn outputs(folder: &Path) -> [PathBuf; 2] {
    ["find-lr.csv", "find-lr.png"].map(|name| folder.join(name))
}

/// Runs the range test, prints a table and a suggestion, and writes both to the folder.
pub(super) fn run(
    folder: &Path,
    config: &Config,
    input: Input,
    requests: &dyn Requests,
) -> Result<ExitCode> {
    #[cfg_attr(not(feature = "plot"), expect(unused_variables))]
    let [csv, png] = outputs(folder);
    if folder.exists() {
        refuse_replacing(&csv, "table of --find-lr", LrFinder::CSV_HEADER.as_bytes())?;
        #[cfg(feature = "plot")]
        refuse_replacing(&png, "PNG picture", b"\x89PNG")?;
    }
    let mut out = std::io::stdout();
    let shown = Shown::on(&out);
    writeln!(
        out,
        "find-lr   up to {BATCHES} batches at rising learning rates, on a network that is thrown away"
    )?;
    let bar = bar()?;
    let finder = LrFinder::run(config, input, requests, |rate, loss| {
        bar.set_message(format!("learning rate {rate:.1e}  loss {loss:.3}"));
        bar.inc(1);
    })?;
    bar.finish_and_clear();
    let Some(finder) = finder else {
        writeln!(out, "stopped   nothing was written")?;
        return Ok(ExitCode::from(INTERRUPTED));
    };
    fs::create_dir_all(folder)
        .with_context(|| format!("can't make the folder {}", folder.display()))?;
    atomic_write(&csv, finder.to_csv()?.as_bytes())?;
    write_table(&mut out, &finder)?;
    let Suggestion {
        rate,
        steepest,
        lowest,
    } = finder.suggestion()?;
    writeln!(
        out,
        "suggests  --lr {rate}: a third of {lowest}, where the loss is lowest; it falls fastest at {steepest}"
    )?;
    #[cfg(feature = "plot")]
    {
        atomic_write(&png, &lr_finder::png(&config.name(), &finder)?)?;
        let png = png.display().to_string();
        write!(out, "plot      {}; all batches: ", shown.line(&png))?;
    }
    #[cfg(not(feature = "plot"))]
    write!(out, "batches   ")?;
    writeln!(out, "{}", shown.line(&csv.display().to_string()))?;
    Ok(ExitCode::SUCCESS)
}

/// The smoothed losses, and whether they grew too large.
fn write_table(out: &mut impl Write, finder: &LrFinder) -> Result<()> {
    writeln!(out, "{:9} {:>8}  {:>9}", "", "rate", "nats/char")?;
    for Point { rate, smoothed, .. } in finder.points.iter().step_by(BATCHES_PER_LINE) {
        writeln!(out, "{:9} {rate:>8.1e}  {smoothed:>9.3}", "")?;
    }
    if let Some(last) = finder
        .points
        .last()
        .filter(|_| finder.points.len() < BATCHES)
    {
        writeln!(
            out,
            "{:9} {:>8.1e}  worse than guessing: the end",
            "", last.rate
        )?;
    }
    Ok(())
}

fn bar() -> Result<ProgressBar> {
    if !std::io::stdout().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}  {eta} left")?;
    Ok(ProgressBar::new(BATCHES as u64).with_style(style))
}
