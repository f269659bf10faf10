//! Plain output, with a progress bar in a terminal.

use std::io::Write;
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};

use anyhow::Result;

use crate::inference::sample::Sample;
use crate::train::observer::{EpochEnd, Observer, ProgressSnapshot, Start, Task};
use crate::util::shown::escaped;

/// Lines, as a file or a pipe takes them.
#[derive(Debug)]
pub struct Plain<W>(pub W);

impl<W: Write + Send> Observer for Plain<W> {
    fn line(&mut self, text: &str) {
        // A closed pipe doesn't stop a training.
        let _ = writeln!(self.0, "{text}");
    }

    fn epoch(&mut self, end: &EpochEnd<'_>) -> Result<()> {
        self.line(&end.to_string());
        if let Some(sample) = end.sample {
            self.line(&sample.to_string());
        }
        Ok(())
    }

    fn sample(&mut self, _step: usize, sample: &Sample) -> Result<()> {
        self.line(&sample.to_string());
        Ok(())
    }
}

/// Lines above a progress bar, which counts characters. For a terminal: what it would obey is escaped.
#[derive(Debug)]
pub struct Bar<W> {
    lines: Plain<W>,
    bar: ProgressBar,
    work: WorkBar,
}

impl<W: Write + Send> Bar<W> {
    /// A bar that appears when the training begins.
    pub fn new(out: W) -> Self {
        Self {
            lines: Plain(out),
            bar: ProgressBar::hidden(),
            work: WorkBar::default(),
        }
    }
}

impl<W: Write + Send> Observer for Bar<W> {
    fn begin(&mut self, _task: &Task<'_>, start: &Start) -> Result<()> {
        self.bar = ProgressBar::new(start.chars as u64);
        let template = "{bar:30} {percent:>3} %  {msg}  {per_sec}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.with_key("per_sec", write_speed));
        }
        // Where an earlier run has been is no speed of this one.
        self.bar.set_position(start.now.chars as u64);
        self.bar.reset_eta();
        self.bar.enable_steady_tick(Duration::from_millis(200));
        Ok(())
    }

    fn line(&mut self, text: &str) {
        self.bar.suspend(|| self.lines.line(&escaped(text)));
    }

    fn epoch(&mut self, end: &EpochEnd<'_>) -> Result<()> {
        self.line(&end.to_string());
        if let Some(sample) = end.sample {
            self.line(&sample.to_string());
        }
        Ok(())
    }

    fn sample(&mut self, _step: usize, sample: &Sample) -> Result<()> {
        self.line(&sample.to_string());
        Ok(())
    }

    fn batch(&mut self, now: &ProgressSnapshot) {
        self.bar.set_position(now.chars as u64);
        let (epoch, loss) = (now.epoch + 1, now.nats_per_char);
        self.bar
            .set_message(format!("epoch {epoch}  loss {loss:.3}"));
    }

    fn stop(&mut self) {
        self.bar.finish_and_clear();
    }

    fn progress(&mut self, what: &str, done: usize, all: usize) {
        self.work.show(what, done, all);
    }
}

/// How far long work is that is no training.
#[derive(Debug)]
pub struct WorkBar(ProgressBar);

impl Default for WorkBar {
    fn default() -> Self {
        Self(ProgressBar::hidden())
    }
}

impl WorkBar {
    /// Shows how much is done; nothing any more when that is all.
    pub fn show(&mut self, what: &str, done: usize, all: usize) {
        if done >= all {
            self.0.finish_and_clear();
            return;
        }
        if self.0.is_finished() || self.0.is_hidden() {
            self.0 = ProgressBar::new(all as u64);
            let template = "{bar:30} {percent:>3} %  {msg}  {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.0.set_style(style);
            }
        }
        self.0.set_message(what.to_owned());
        self.0.set_position(done as u64);
    }
}

fn write_speed(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    let _ = write!(out, "{} chars/s", HumanCount(state.per_sec() as u64));
}
