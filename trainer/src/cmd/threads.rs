//! `--threads`: how many threads compute.

use std::thread::available_parallelism;

use anyhow::{Context, Result};
use clap::Args;

/// The environment variable that the pool of threads looks at, too.
const VARIABLE: &str = "RAYON_NUM_THREADS";

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Threads {
    /// Threads to compute with, at most one per CPU, which is the default. The result is the same for any number
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    threads: Option<usize>,
}

impl Threads {
    /// Starts as many as were asked for and help.
    pub(crate) fn start(self) -> Result<()> {
        let of_variable = || std::env::var(VARIABLE).ok()?.parse().ok();
        let wanted = self
            .threads
            .or_else(of_variable)
            .filter(|&wanted| wanted > 0);
        // Those that this process may use: a container or taskset may leave it fewer than the machine has.
        let most = available_parallelism().map_or(1, usize::from);
        let count = wanted.unwrap_or(most).min(most);
        if let Some(wanted) = wanted.filter(|&wanted| wanted > most) {
            eprintln!(
                "note: {count} threads instead of {wanted}: one for each CPU, more don't help"
            );
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count);
        pool.build_global()
            .with_context(|| format!("can't start {count} threads: use fewer with --threads"))
    }
}

fn at_least_one(text: &str) -> Result<usize> {
    let count = text.parse()?;
    anyhow::ensure!(count > 0, "at least 1 thread is needed");
    Ok(count)
}
