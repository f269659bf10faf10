//! Several observers as one.

use std::time::Duration;

use anyhow::Result;

use crate::inference::sample::Sample;
use crate::train::metrics::StepMetrics;
use crate::train::observer::{Ending, EpochEnd, Observer, ProgressSnapshot, Start, Task};

/// Forwards events to several observers, and reports the failures of displays to all.
#[derive(Default)]
pub struct FanOut<'o>(Vec<Box<dyn Observer + 'o>>);

impl<'o> FanOut<'o> {
    /// One more, which is told after the others.
    #[must_use]
    pub fn and(mut self, observer: Box<dyn Observer + 'o>) -> Self {
        self.0.push(observer);
        self
    }

    fn all(&mut self, mut tell: impl FnMut(&mut dyn Observer) -> Result<()>) -> Result<()> {
        self.0.iter_mut().try_for_each(|one| tell(&mut **one))
    }

    fn each(&mut self, mut tell: impl FnMut(&mut dyn Observer)) {
        self.0.iter_mut().for_each(|one| tell(&mut **one));
    }

    fn tell_problems(&mut self) {
        for at in 0..self.0.len() {
            while let Some(problem) = self.0[at].take_problem() {
                self.line(&format!("note      {problem}"));
            }
        }
    }
}

impl Observer for FanOut<'_> {
    fn begin(&mut self, task: &Task<'_>, start: &Start) -> Result<()> {
        self.all(|one| one.begin(task, start))
    }

    fn line(&mut self, text: &str) {
        self.each(|one| one.line(text));
    }

    fn batch(&mut self, now: &ProgressSnapshot) {
        self.each(|one| one.batch(now));
        self.tell_problems();
    }

    fn steps(&mut self, metrics: &StepMetrics) -> Result<()> {
        self.all(|one| one.steps(metrics))
    }

    fn epoch(&mut self, end: &EpochEnd<'_>) -> Result<()> {
        self.all(|one| one.epoch(end))?;
        self.tell_problems();
        Ok(())
    }

    fn sample(&mut self, step: usize, sample: &Sample) -> Result<()> {
        self.all(|one| one.sample(step, sample))
    }

    fn rollback(&mut self, to: &ProgressSnapshot) -> Result<()> {
        self.all(|one| one.rollback(to))
    }

    fn sync(&mut self) -> Result<()> {
        self.all(|one| one.sync())
    }

    fn stop(&mut self) {
        self.each(|one| one.stop());
    }

    fn progress(&mut self, what: &str, done: usize, all: usize) {
        self.each(|one| one.progress(what, done, all));
    }

    fn end(&mut self, ending: &Ending<'_>, elapsed: Duration) {
        self.each(|one| one.end(ending, elapsed));
        self.tell_problems();
    }
}
