//! The checkpoint that a run is resumed from: the newest one that can be read.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use candle_core::Device;

use super::checkpoint::Checkpoint;
use crate::util::run_dir::RunFolder;
use crate::util::shell;

/// The newest checkpoint of a run.
#[derive(Debug)]
pub struct Newest {
    /// It has all that resuming needs.
    pub checkpoint: Checkpoint,
    /// Newer ones that are missing or damaged.
    pub notes: Vec<String>,
}

impl Newest {
    /// Reads the newest checkpoint that a run in this folder can be resumed from.
    ///
    /// # Errors
    /// If there is none. Says what there is.
    pub fn load(folder: &Path) -> Result<Self> {
        let mut problems = Vec::new();
        for path in RunFolder::resumable_in(folder) {
            if !path.exists() {
                continue;
            }
            match Checkpoint::load(&path, &Device::Cpu) {
                Ok(checkpoint) => {
                    let notes = notes(folder, &path, &checkpoint, problems);
                    return Ok(Self { checkpoint, notes });
                }
                Err(error) => problems.push(format!("{error:#}")),
            }
        }
        let others = RunFolder::checkpoints_in(folder)?;
        let [last, epoch, _] = RunFolder::resumable_in(folder);
        if problems.is_empty() {
            problems.push(format!(
                "{} and {} are missing",
                last.display(),
                epoch.display()
            ));
        }
        let problems = problems.join("; ");
        let usable = |path: &PathBuf| Checkpoint::load(path, &Device::Cpu).is_ok();
        match others.into_iter().find(usable) {
            Some(weights) => bail!(
                "{problems}: the run can't go on, but a new one can begin with the weights in {0}, by \
                 --init-from {0} and another --out",
                shell::path(&weights)
            ),
            None => bail!("{problems}: the run can't go on, and there is no other checkpoint"),
        }
    }
}

/// What is said if this isn't the last checkpoint.
fn notes(
    folder: &Path,
    path: &Path,
    checkpoint: &Checkpoint,
    mut problems: Vec<String>,
) -> Vec<String> {
    let last = RunFolder::last_in(folder);
    if path == last {
        return Vec::new();
    }
    if problems.is_empty() {
        problems.push(format!("{} is missing", last.display()));
    }
    let epoch = checkpoint.description.progress.epoch;
    problems.push(format!(
        "going on from {} instead, the end of epoch {epoch}",
        path.display()
    ));
    problems
}
