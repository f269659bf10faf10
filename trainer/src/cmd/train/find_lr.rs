//! `charlet train --find-lr`

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use charlet_trainer::config::Config;
use charlet_trainer::files::write_whole;
use charlet_trainer::sweep::{BATCHES, Sweep};
use charlet_trainer::train::Stop;
use indicatif::{ProgressBar, ProgressStyle};

use super::INTERRUPTED;

/// Looks for a learning rate, tells what it saw, and leaves that in the folder.
pub(super) fn run(folder: &Path, config: &Config, stop: Stop<'_>) -> Result<ExitCode> {
    let mut out = std::io::stdout();
    let bar = bar()?;
    let sweep = Sweep::run(config, stop, |rate, loss| {
        bar.set_message(format!("learning rate {rate:.1e}  loss {loss:.3}"));
        bar.inc(1);
    })?;
    bar.finish_and_clear();
    let Some(sweep) = sweep else {
        writeln!(out, "stopped before there was anything to tell")?;
        return Ok(ExitCode::from(INTERRUPTED));
    };
    fs::create_dir_all(folder)
        .with_context(|| format!("can't make the folder {}", folder.display()))?;
    let csv = folder.join("find-lr.csv");
    write_whole(&csv, sweep.to_csv()?.as_bytes())?;
    writeln!(out, "{:?}", sweep.suggestion()?)?;
    Ok(ExitCode::SUCCESS)
}

fn bar() -> Result<ProgressBar> {
    if !std::io::stdout().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}  {eta} left")?;
    Ok(ProgressBar::new(BATCHES as u64).with_style(style))
}
