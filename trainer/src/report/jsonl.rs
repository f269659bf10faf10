//! A run's logs, `metrics.jsonl` and `steps.jsonl`: files of JSON lines that end where its checkpoint
//! does.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::train::metrics::{EpochMetrics, StepMetrics};
use crate::train::observer::{EpochEnd, Observer, ProgressSnapshot, Start, Task};
use crate::util::atomic_file::atomic_write;

/// Writes both logs. A resumed run appends to them.
#[derive(Debug, Default)]
pub struct JsonLines(Option<Logs>);

#[derive(Debug)]
struct Logs {
    epochs: Log,
    steps: Log,
}

impl Observer for JsonLines {
    fn begin(&mut self, task: &Task<'_>, start: &Start) -> Result<()> {
        self.0 = Some(Logs {
            epochs: Log::open::<EpochMetrics>(&task.folder.metrics(), &start.now)?,
            steps: Log::open::<StepMetrics>(&task.folder.steps(), &start.now)?,
        });
        Ok(())
    }

    fn steps(&mut self, metrics: &StepMetrics) -> Result<()> {
        self.0
            .as_mut()
            .map_or(Ok(()), |logs| logs.steps.add(metrics))
    }

    fn epoch(&mut self, end: &EpochEnd<'_>) -> Result<()> {
        let logs = self.0.as_mut();
        logs.map_or(Ok(()), |logs| logs.epochs.add(end.metrics))
    }

    fn rollback(&mut self, to: &ProgressSnapshot) -> Result<()> {
        if let Some(logs) = &mut self.0 {
            logs.steps = Log::open::<StepMetrics>(&logs.steps.path, to)?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        if let Some(logs) = &self.0 {
            logs.epochs.sync()?;
            logs.steps.sync()?;
        }
        Ok(())
    }
}

/// A line of a log.
trait Line: Serialize + DeserializeOwned {
    /// Whether it lies beyond this point of the run.
    fn is_ahead_of(&self, now: &ProgressSnapshot) -> bool;
}

impl Line for EpochMetrics {
    fn is_ahead_of(&self, now: &ProgressSnapshot) -> bool {
        self.epoch > now.epoch
    }
}

impl Line for StepMetrics {
    fn is_ahead_of(&self, now: &ProgressSnapshot) -> bool {
        self.step > now.step
    }
}

/// A file of lines that a run adds to.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// Opens a log at this point of the run. Later lines and a partial line are cut off: the resumed run
    /// writes them again.
    fn open<L: Line>(path: &Path, now: &ProgressSnapshot) -> Result<Self> {
        let open = || -> Result<Self> {
            let written = match std::fs::read_to_string(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
                read => read?,
            };
            let mut kept = 0;
            for text in written.split_inclusive('\n') {
                match serde_json::from_str::<L>(text) {
                    Ok(line) if text.ends_with('\n') && !line.is_ahead_of(now) => {}
                    _ => break,
                }
                kept += text.len();
            }
            atomic_write(path, &written.as_bytes()[..kept])?;
            Ok(Self {
                path: path.to_owned(),
                file: OpenOptions::new().append(true).open(path)?,
            })
        };
        open().with_context(|| format!("can't use {}", path.display()))
    }

    /// Adds a line.
    fn add(&mut self, line: &impl Line) -> Result<()> {
        let mut json = serde_json::to_string(line)?;
        json.push('\n');
        let written = self.file.write_all(json.as_bytes());
        written.with_context(|| format!("can't write {}", self.path.display()))
    }

    /// Brings the lines to the disk, before a checkpoint that counts on them.
    fn sync(&self) -> Result<()> {
        let synced = self.file.sync_data();
        synced.with_context(|| format!("can't write {}", self.path.display()))
    }
}

/// The lines of a log; of a file that is not there, none. Half a last line is still being written.
pub fn lines<L: DeserializeOwned>(path: &Path) -> Result<Vec<L>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        read => read.with_context(|| format!("can't read {}", path.display()))?,
    };
    let whole = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    let read = |(number, line): (usize, &str)| {
        let broken = || format!("line {number} of {} is damaged", path.display());
        serde_json::from_str(line).with_context(broken)
    };
    (1..).zip(whole).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(step: usize) -> StepMetrics {
        StepMetrics {
            step,
            epoch: 0.25,
            train_nats_per_char: 2.5,
            smoothed_nats_per_char: 2.75,
            learning_rate: 1e-3,
            gradient_norm: 0.1,
            chars_per_second: 1e5,
        }
    }

    #[test]
    fn a_log_is_cut_where_the_run_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steps.jsonl");
        let mut now = ProgressSnapshot::default();
        let mut log = Log::open::<StepMetrics>(&path, &now).unwrap();
        assert_eq!(lines::<StepMetrics>(&path).unwrap(), []);
        for step in [10, 20, 30] {
            log.add(&line(step)).unwrap();
        }
        log.sync().unwrap();
        let whole = std::fs::read(&path).unwrap();
        now.step = 25;
        let mut log = Log::open::<StepMetrics>(&path, &now).unwrap();
        assert_eq!(lines::<StepMetrics>(&path).unwrap(), [line(10), line(20)]);
        log.add(&line(30)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole);
        // A process that was killed while it wrote a line.
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        now.step = 99;
        Log::open::<StepMetrics>(&path, &now).unwrap();
        assert_eq!(lines::<StepMetrics>(&path).unwrap(), [line(10), line(20)]);
        assert!(whole.starts_with(&std::fs::read(&path).unwrap()));
    }
}
