//! A run's page, `report.html`, and its curves, `curves.png`: written again and again while it goes
//! on.

mod document;

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::config::Config;
use crate::data::corpus::{Corpus, bigram_loss};
use crate::inference::sample::Sample;
use crate::model::shape::Shape;
use crate::report::plot::curves::Curves;
use crate::report::plot::figures;
use crate::train::finalize::Measured;
use crate::train::progress::Progress;
use crate::util::atomic_file::write_whole;
use crate::util::rng::Streams;
use crate::util::run_dir::RunFolder;

/// The least time from one page to the next, at the end of an epoch and within it.
const AFTER_EPOCH: Duration = Duration::from_secs(2);
const WITHIN_EPOCH: Duration = Duration::from_secs(30);
/// The least time as a multiple of what drawing takes, so that it never takes much of a training.
const RARE: u32 = 50;

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Status<'s> {
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

/// What a run's page is made of. The curves are read from its logs.
#[derive(Debug)]
pub(crate) struct Page<'r> {
    config: &'r Config,
    corpus: &'r Corpus,
    folder: &'r RunFolder,
    shape: Shape,
    /// Held-out loss of counted pairs of characters.
    baseline: f64,
    /// What the model said last.
    pub(crate) sample: Option<Sample>,
    /// When it was written, or the run went on, and how long that took.
    written: (Instant, Duration),
    /// What was wrong then.
    problem: Option<String>,
}

impl<'r> Page<'r> {
    pub(crate) fn new(
        config: &'r Config,
        corpus: &'r Corpus,
        folder: &'r RunFolder,
        shape: Shape,
    ) -> Self {
        Self {
            config,
            corpus,
            folder,
            shape,
            baseline: bigram_loss(corpus),
            sample: None,
            written: (Instant::now(), Duration::ZERO),
            problem: None,
        }
    }

    /// Whether it is time to write it, after an epoch.
    pub(crate) fn is_due(&self) -> bool {
        self.is_older_than(AFTER_EPOCH)
    }

    /// Whether it is time to write it, within an epoch.
    pub(crate) fn is_old(&self) -> bool {
        self.is_older_than(WITHIN_EPOCH)
    }

    fn is_older_than(&self, least: Duration) -> bool {
        let (at, took) = self.written;
        at.elapsed() >= least.max(RARE * took)
    }

    /// Writes the page and the curves. Gives what is wrong, if that is not known yet.
    pub(crate) fn write(
        &mut self,
        status: Status<'_>,
        progress: &Progress,
        elapsed: Duration,
    ) -> Option<String> {
        let start = Instant::now();
        let moment = Moment {
            status,
            epoch: progress.epoch,
            elapsed,
        };
        let problem = self
            .try_write(moment)
            .err()
            .map(|error| format!("no page: {error:#}"));
        // Also if it failed: the next one is no sooner.
        self.written = (Instant::now(), start.elapsed());
        let is_new = problem.is_some() && problem != self.problem;
        self.problem.clone_from(&problem);
        problem.filter(|_| is_new)
    }

    fn try_write(&mut self, moment: Moment<'_>) -> Result<()> {
        let model = self.folder.model();
        if self.sample.is_none() && model.exists() {
            // A run that goes on has yet to say something.
            let model = std::fs::read(&model)?;
            self.sample = Some(Sample::of(
                &model,
                self.corpus,
                &mut Streams::new(0).samples,
            )?);
        }
        let curves = Curves::read(&self.folder.metrics(), &self.folder.steps())?;
        let picture = figures::picture(&self.config.name(), &curves, self.baseline)?;
        write_whole(&self.folder.curves(), &picture)?;
        write_whole(&self.folder.page(), self.html(moment, &curves)?.as_bytes())
    }
}
