//! A run's page, `report.html`, and its curves, `curves.png`: written again and again while it goes
//! on.

mod curves;
mod document;
mod figures;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use self::curves::Curves;
use crate::config::Config;
use crate::data::corpus::{Corpus, bigram_loss};
use crate::inference::sample::Sample;
use crate::model::shape::Shape;
use crate::train::finalize::Measured;
use crate::train::observer::{Ending, EpochEnd, Observer, ProgressSnapshot, Start, Task};
use crate::util::atomic_file::atomic_write;
use crate::util::rng::Streams;
use crate::util::run_dir::RunFolder;
use crate::util::stop::never;

/// The least time from one page to the next, at the end of an epoch and within it.
const AFTER_EPOCH: Duration = Duration::from_secs(2);
const WITHIN_EPOCH: Duration = Duration::from_secs(30);
/// The least time as a multiple of what drawing takes, so that it never takes much of a training.
const RARE: u32 = 50;

/// Writes a run's page and its curves. One that can't be made ends no training.
#[derive(Debug, Default)]
pub struct HtmlReport(Option<Page>);

impl Observer for HtmlReport {
    fn begin(&mut self, task: &Task<'_>, start: &Start) -> Result<()> {
        self.0 = Some(Page::new(task, start));
        Ok(())
    }

    fn batch(&mut self, now: &ProgressSnapshot) {
        if let Some(page) = &mut self.0 {
            page.epoch = now.epoch;
            page.write_after(WITHIN_EPOCH, now.elapsed);
        }
    }

    fn epoch(&mut self, end: &EpochEnd<'_>) -> Result<()> {
        if let Some(page) = &mut self.0 {
            page.epoch = end.metrics.epoch;
            page.hear(end.sample);
            page.write_after(AFTER_EPOCH, Duration::from_secs_f64(end.metrics.seconds));
        }
        Ok(())
    }

    fn sample(&mut self, _step: usize, sample: &Sample) -> Result<()> {
        if let Some(page) = &mut self.0 {
            page.hear(Some(sample));
        }
        Ok(())
    }

    fn end(&mut self, ending: &Ending<'_>, elapsed: Duration) {
        let Some(page) = &mut self.0 else {
            return;
        };
        let status = match *ending {
            Ending::Stopped => Status::Stopped,
            Ending::Complete { measured, sample } => {
                page.hear(Some(sample));
                Status::Complete(measured)
            }
        };
        page.write(status, elapsed);
    }

    fn take_problem(&mut self) -> Option<String> {
        self.0.as_mut()?.news.take()
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
enum Status<'s> {
    UnderWay,
    Stopped,
    /// With what was measured of the model, the exported one first.
    Complete(&'s [Measured]),
}

/// A run at some moment.
#[derive(Clone, Copy, Debug)]
struct Moment<'s> {
    status: Status<'s>,
    /// Epochs completed.
    epoch: usize,
    /// Time spent.
    elapsed: Duration,
}

/// The contents of a report. Curves are read from the logs.
#[derive(Debug)]
struct Page {
    config: Config,
    corpus: Arc<Corpus>,
    folder: RunFolder,
    shape: Shape,
    /// Held-out loss of counted pairs of characters.
    baseline: f64,
    /// Epochs completed.
    epoch: usize,
    /// What the model said last.
    sample: Option<Sample>,
    /// When it was written, or the run went on, and how long that took.
    written: (Instant, Duration),
    /// What was wrong then, and whether that is still to be told.
    problem: Option<String>,
    news: Option<String>,
}

impl Page {
    fn new(task: &Task<'_>, start: &Start) -> Self {
        Self {
            config: task.config.clone(),
            corpus: Arc::clone(task.corpus),
            folder: RunFolder::at(task.folder.path(), &start.name),
            shape: task.shape,
            baseline: bigram_loss(task.corpus),
            epoch: start.now.epoch,
            sample: None,
            written: (Instant::now(), Duration::ZERO),
            problem: None,
            news: None,
        }
    }

    fn hear(&mut self, sample: Option<&Sample>) {
        if let Some(sample) = sample {
            self.sample = Some(sample.clone());
        }
    }

    /// Writes the page of a run under way, if the last one is older than this.
    fn write_after(&mut self, least: Duration, elapsed: Duration) {
        let (at, took) = self.written;
        if at.elapsed() >= least.max(RARE * took) {
            self.write(Status::UnderWay, elapsed);
        }
    }

    /// Writes the page and the curves.
    fn write(&mut self, status: Status<'_>, elapsed: Duration) {
        let start = Instant::now();
        let moment = Moment {
            status,
            epoch: self.epoch,
            elapsed,
        };
        let written = self.try_write(moment);
        // Also if it failed: the next one is no sooner.
        self.written = (Instant::now(), start.elapsed());
        let problem = written.err().map(|error| format!("no page: {error:#}"));
        if problem.is_some() && problem != self.problem {
            self.news.clone_from(&problem);
        }
        self.problem = problem;
    }

    fn try_write(&mut self, moment: Moment<'_>) -> Result<()> {
        let model = self.folder.model();
        // A resumed run has no sample yet. One that was stopped doesn't wait for it: a long text takes a second to search.
        let is_stopped = matches!(moment.status, Status::Stopped);
        if self.sample.is_none() && !is_stopped && model.exists() {
            let model = std::fs::read(&model)?;
            self.sample = Some(Sample::of(
                &model,
                &self.corpus,
                &mut Streams::new(0).samples,
                &never,
            )?);
        }
        let curves = Curves::read(&self.folder.metrics(), &self.folder.steps())?;
        let picture = figures::picture(&self.config.name(), &curves, self.baseline)?;
        atomic_write(&self.folder.curves(), &picture)?;
        atomic_write(
            &self.folder.html_report(),
            self.html(moment, &curves)?.as_bytes(),
        )
    }
}
