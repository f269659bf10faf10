//! A run's logs, `metrics.jsonl` and `steps.jsonl`: files of JSON lines that end where its checkpoint
//! does.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::train::metrics::{EpochMetrics, StepMetrics, line_interval};
use crate::train::observer::{EpochEnd, Observer, ProgressSnapshot, Start, Task};
use crate::util::atomic_file::atomic_write;

/// More damaged lines than this are counted, not listed.
const LISTED: usize = 5;

/// Writes both logs. A resumed run appends to them.
#[derive(Debug, Default)]
pub struct JsonLines {
    logs: Option<Logs>,
    /// Lines that could not be read, and are still to be told.
    problems: Vec<String>,
}

#[derive(Debug)]
struct Logs {
    epochs: Log,
    steps: Log,
    /// Updates from one line of `steps.jsonl` to the next: at first, and now.
    log_every: usize,
    interval: usize,
}

impl Logs {
    fn open(task: &Task<'_>, start: &Start) -> Result<Self> {
        let mut logs = Self {
            epochs: Log::new(task.folder.metrics()),
            steps: Log::new(task.folder.steps()),
            log_every: start.log_every,
            interval: start.log_every,
        };
        logs.epochs.open::<EpochMetrics>(&start.now, None)?;
        logs.cut_steps(&start.now)?;
        Ok(logs)
    }

    /// Cuts the log of steps off at this point, and thins it as far as is due there.
    fn cut_steps(&mut self, now: &ProgressSnapshot) -> Result<()> {
        self.interval = line_interval(self.log_every, now.step);
        self.steps.open::<StepMetrics>(now, Some(self.interval))
    }

    fn add_steps(&mut self, metrics: &StepMetrics) -> Result<()> {
        self.steps.add(metrics)?;
        if line_interval(self.log_every, metrics.step) != self.interval {
            let now = ProgressSnapshot {
                step: metrics.step,
                ..ProgressSnapshot::default()
            };
            self.cut_steps(&now)?;
        }
        Ok(())
    }

    fn take_problems(&mut self) -> impl Iterator<Item = String> {
        let problems = [&mut self.epochs, &mut self.steps];
        problems.into_iter().filter_map(|log| log.problem.take())
    }
}

impl Observer for JsonLines {
    fn begin(&mut self, task: &Task<'_>, start: &Start) -> Result<()> {
        let logs = self.logs.insert(Logs::open(task, start)?);
        self.problems.extend(logs.take_problems());
        Ok(())
    }

    fn steps(&mut self, metrics: &StepMetrics) -> Result<()> {
        let logs = self.logs.as_mut();
        logs.map_or(Ok(()), |logs| logs.add_steps(metrics))
    }

    fn epoch(&mut self, end: &EpochEnd<'_>) -> Result<()> {
        let logs = self.logs.as_mut();
        logs.map_or(Ok(()), |logs| logs.epochs.add(end.metrics))
    }

    fn rollback(&mut self, to: &ProgressSnapshot) -> Result<()> {
        let logs = self.logs.as_mut();
        logs.map_or(Ok(()), |logs| logs.cut_steps(to))
    }

    fn sync(&mut self) -> Result<()> {
        if let Some(logs) = &self.logs {
            logs.epochs.sync()?;
            logs.steps.sync()?;
        }
        Ok(())
    }

    fn take_problem(&mut self) -> Option<String> {
        let logs = self.logs.as_mut();
        let new = logs.into_iter().flat_map(Logs::take_problems);
        self.problems.extend(new);
        self.problems.pop()
    }
}

/// A line of a log.
trait Line: Serialize + DeserializeOwned {
    /// Updates made.
    fn steps(&self) -> usize;

    /// Whether it lies beyond this point of the run.
    fn is_ahead_of(&self, now: &ProgressSnapshot) -> bool;
}

impl Line for EpochMetrics {
    fn steps(&self) -> usize {
        self.steps
    }

    fn is_ahead_of(&self, now: &ProgressSnapshot) -> bool {
        self.epoch > now.epoch
    }
}

impl Line for StepMetrics {
    fn steps(&self) -> usize {
        self.step
    }

    fn is_ahead_of(&self, now: &ProgressSnapshot) -> bool {
        self.step > now.step
    }
}

/// A file of lines that a run adds to.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    /// Absent until it is opened.
    file: Option<File>,
    /// What could not be read of it.
    problem: Option<String>,
}

impl Log {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            problem: None,
        }
    }

    /// Opens the log at this point of the run. Later lines are cut off: the resumed run writes them again. Lines
    /// that can't be read are left out, and told. Of those within an interval the last one is kept.
    fn open<L: Line>(&mut self, now: &ProgressSnapshot, interval: Option<usize>) -> Result<()> {
        let path = &self.path;
        let open = || -> Result<(File, Option<String>)> {
            let (mut kept, mut damaged) = (Vec::new(), Vec::new());
            let written = read(path)?;
            for (number, text) in numbered(&written) {
                match serde_json::from_slice::<L>(text) {
                    // What follows is later, damaged or not.
                    Ok(line) if line.is_ahead_of(now) => break,
                    Ok(line) => kept.push((line.steps(), text)),
                    Err(_) => damaged.push(number),
                }
            }
            if let Some(interval) = interval {
                thin(&mut kept, interval);
            }
            let mut bytes = Vec::with_capacity(written.len());
            for (_, text) in kept {
                bytes.extend(text);
                bytes.push(b'\n');
            }
            atomic_write(path, &bytes)?;
            let file = OpenOptions::new().append(true).open(path)?;
            Ok((file, problem(path, &damaged)))
        };
        let (file, problem) = open().with_context(|| format!("can't use {}", path.display()))?;
        self.file = Some(file);
        self.problem = problem.or(self.problem.take());
        Ok(())
    }

    /// Adds a line.
    fn add(&mut self, line: &impl Line) -> Result<()> {
        let mut json = serde_json::to_string(line)?;
        json.push('\n');
        let mut file = self.file.as_ref().context("the log is not open")?;
        let written = file.write_all(json.as_bytes());
        written.with_context(|| format!("can't write {}", self.path.display()))
    }

    /// Brings the lines to the disk, before a checkpoint that counts on them.
    fn sync(&self) -> Result<()> {
        let synced = self.file.as_ref().map_or(Ok(()), File::sync_data);
        synced.with_context(|| format!("can't write {}", self.path.display()))
    }
}

/// Keeps the last line of each interval. A run that is resumed from before the last one writes it again.
fn thin(lines: &mut Vec<(usize, &[u8])>, interval: usize) {
    let mut after = lines
        .iter()
        .skip(1)
        .map(|line| line.0.div_ceil(interval))
        .collect::<Vec<_>>()
        .into_iter();
    lines.retain(|line| after.next() != Some(line.0.div_ceil(interval)));
}

/// Names the lines that can't be read.
fn problem(path: &Path, damaged: &[usize]) -> Option<String> {
    let path = path.display();
    let listed: Vec<String> = damaged.iter().map(usize::to_string).collect();
    Some(match &listed[..] {
        [] => return None,
        [line] => format!("line {line} of {path} can't be read, and is left out"),
        [first @ .., last] if listed.len() <= LISTED => format!(
            "lines {} and {last} of {path} can't be read, and are left out",
            first.join(", ")
        ),
        [first, ..] => format!(
            "{} lines of {path} can't be read, and are left out; the first is line {first}",
            listed.len()
        ),
    })
}

/// The bytes of a log; of one that isn't there, none.
fn read(path: &Path) -> Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        read => read.with_context(|| format!("can't read {}", path.display())),
    }
}

/// The lines that aren't empty, with their numbers.
fn numbered(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = (1..).zip(bytes.split(|&byte| byte == b'\n'));
    lines.filter(|(_, line)| !line.trim_ascii().is_empty())
}

/// The lines of a log; of a file that is not there, none. Half a last line is still being written.
pub fn lines<L: DeserializeOwned>(path: &Path) -> Result<Vec<L>> {
    let bytes = read(path)?;
    let end = bytes.iter().rposition(|&byte| byte == b'\n').unwrap_or(0);
    let read = |(number, line): (usize, &[u8])| {
        let damaged = || {
            format!(
                "line {number} of {} can't be read: remove it",
                path.display()
            )
        };
        serde_json::from_slice(line).with_context(damaged)
    };
    numbered(&bytes[..end]).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::metrics::MAX_STEP_LINES;

    fn open(path: &Path, step: usize) -> Log {
        let mut log = Log::new(path.to_owned());
        let now = ProgressSnapshot {
            step,
            ..ProgressSnapshot::default()
        };
        log.open::<StepMetrics>(&now, Some(1)).unwrap();
        log
    }

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
        let mut log = open(&path, 0);
        assert_eq!(lines::<StepMetrics>(&path).unwrap(), []);
        for step in [10, 20, 30] {
            log.add(&line(step)).unwrap();
        }
        log.sync().unwrap();
        let whole = fs::read(&path).unwrap();
        let mut log = open(&path, 25);
        assert_eq!(lines::<StepMetrics>(&path).unwrap(), [line(10), line(20)]);
        log.add(&line(30)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole);
        // Only the end of the line is missing.
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(lines::<StepMetrics>(&path).unwrap(), [line(10), line(20)]);
        assert_eq!(open(&path, 99).problem, None);
        assert_eq!(fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn a_damaged_line_takes_no_other_with_it_and_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steps.jsonl");
        let mut log = open(&path, 0);
        (1..=9).for_each(|step| log.add(&line(step)).unwrap());
        let whole = fs::read(&path).unwrap();
        let written: Vec<&[u8]> = whole.split_inclusive(|&byte| byte == b'\n').collect();
        let damage = |damaged: &[(usize, &[u8])]| {
            let mut parts = written.clone();
            damaged.iter().for_each(|&(at, bytes)| parts[at] = bytes);
            fs::write(&path, parts.concat()).unwrap();
            let problem = open(&path, 9).problem.unwrap();
            assert!(problem.contains("steps.jsonl"), "{problem}");
            let steps = lines::<StepMetrics>(&path).unwrap();
            let steps: Vec<usize> = steps.iter().map(|line| line.step).collect();
            assert_eq!(open(&path, 9).problem, None);
            (problem, steps)
        };
        let (problem, steps) = damage(&[(2, b"{\"step\": 3, oops}\n")]);
        assert!(problem.contains("line 3 "), "{problem}");
        assert_eq!(steps, [1, 2, 4, 5, 6, 7, 8, 9]);
        let (problem, steps) = damage(&[(0, b"\xff\xfe\n"), (8, &written[8][..20])]);
        assert!(problem.contains("lines 1 and 9 "), "{problem}");
        assert_eq!(steps, [2, 3, 4, 5, 6, 7, 8]);
        let all: Vec<(usize, &[u8])> = (0..8).map(|at| (at, &b"?\n"[..])).collect();
        let (problem, steps) = damage(&all);
        assert!(
            problem.contains("8 lines") && problem.contains("line 1"),
            "{problem}"
        );
        assert_eq!(steps, [9]);
        // A reader that doesn't write says which one, and the page is not drawn without it.
        fs::write(&path, [b"\xff\n", &whole[..]].concat()).unwrap();
        let error = lines::<StepMetrics>(&path).unwrap_err().to_string();
        assert!(error.contains("line 1 of"), "{error}");
    }

    #[test]
    fn numbers_that_json_does_not_have_are_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steps.jsonl");
        let mut infinite = line(1);
        infinite.gradient_norm = f64::INFINITY;
        infinite.chars_per_second = f64::NAN;
        open(&path, 0).add(&infinite).unwrap();
        assert_eq!(open(&path, 1).problem, None);
        let read = lines::<StepMetrics>(&path).unwrap();
        assert!(read[0].gradient_norm.is_nan() && read[0].chars_per_second.is_nan());
    }

    /// A log of so many steps, with a break before some of them, where the run goes back.
    fn logged(path: &Path, log_every: usize, steps: usize, breaks: &[(usize, usize)]) -> Vec<u8> {
        let mut logs = Logs {
            epochs: Log::new(path.with_extension("epochs")),
            steps: Log::new(path.to_owned()),
            log_every,
            interval: log_every,
        };
        let back_to = |step| ProgressSnapshot {
            step,
            ..ProgressSnapshot::default()
        };
        logs.cut_steps(&back_to(0)).unwrap();
        let mut breaks = breaks.iter();
        let mut next = breaks.next();
        let (mut step, mut most) = (0, 0);
        while step < steps {
            step += 1;
            if step.is_multiple_of(line_interval(log_every, step)) {
                logs.add_steps(&line(step)).unwrap();
                let size = fs::metadata(path).unwrap().len();
                most = most.max(size);
            }
            if let Some((_, to)) = next.filter(|(from, _)| *from == step) {
                logs.cut_steps(&back_to(*to)).unwrap();
                step = *to;
                next = breaks.next();
            }
        }
        assert!(most < 2_000_000, "{most}");
        fs::read(path).unwrap()
    }

    #[test]
    fn a_log_of_any_length_is_bounded_and_that_of_a_broken_run_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steps.jsonl");
        for (log_every, steps) in [(1, 40_000), (3, 50_001)] {
            let whole = logged(&path, log_every, steps, &[]);
            let read: Vec<StepMetrics> = lines(&path).unwrap();
            assert!((MAX_STEP_LINES / 2..MAX_STEP_LINES).contains(&read.len()));
            let interval = line_interval(log_every, steps);
            assert!(
                read.iter()
                    .zip(1..)
                    .all(|(line, at)| line.step == at * interval)
            );
            fs::remove_file(&path).unwrap();
            let first = MAX_STEP_LINES * log_every;
            let breaks = [
                (first - 1, first - 5),
                (first, first - 1),
                (first + 1, 7),
                (first, 0),
                (2 * first + 5, first - 2),
            ];
            assert!(logged(&path, log_every, steps, &breaks) == whole);
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn the_long_log_of_an_older_version_is_thinned() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steps.jsonl");
        let mut log = open(&path, 0);
        (1..=20_000).for_each(|step| log.add(&line(step)).unwrap());
        let old = fs::read(&path).unwrap();
        logged(&path, 1, 20_000, &[]);
        let new = fs::read(&path).unwrap();
        fs::write(&path, old).unwrap();
        let now = ProgressSnapshot {
            step: 20_000,
            ..ProgressSnapshot::default()
        };
        let interval = line_interval(1, 20_000);
        log.open::<StepMetrics>(&now, Some(interval)).unwrap();
        assert!(fs::read(&path).unwrap() == new);
    }
}
