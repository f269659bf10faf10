//! The end of a run: exports the best network and evaluates it with the runtime.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use candle_core::Device;
use charlet::Model;
use charlet::format::Precision;
use indicatif::HumanDuration;

use super::checkpoint::Checkpoint;
use super::metrics::Loss;
use super::observer::{Ending, Observer};
use super::session::Session;
use super::training_loop::Outcome;
use crate::config::{Config, Mode};
use crate::data::corpus::Corpus;
use crate::data::source::Source;
use crate::export::form::Form;
use crate::export::model_file::model_file;
use crate::inference::evaluation::{Evaluation, evaluate_while};
use crate::inference::sample::{Sample, sorted_samples};
use crate::util::atomic_file::atomic_write;
use crate::util::rng::Random;
use crate::util::run_dir::RunFolder;
use crate::util::shell;
use crate::util::stop::{IsStopping, Stopped};

/// Time between two figures of how far long work is.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);
/// Characters from one look at the clock to the next, at least.
const CHARS_PER_LOOK: usize = 64;

/// How well a run's weights predict in a precision.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// How its weights and sums are computed.
    pub precision: Precision,
    /// Size of the model file.
    pub bytes: usize,
    /// The held-out loss.
    pub evaluation: Evaluation,
}

/// What a run has made.
struct Finalized {
    /// Every precision, that of the exported model first.
    measured: Vec<Measured>,
    /// Samples of the exported model.
    sample: Sample,
}

impl Session<'_> {
    /// Saves what was reached when the training was stopped.
    pub(super) fn interrupt(mut self) -> Result<Outcome> {
        if !self.is_saved() {
            self.save_last()?;
        }
        if self.progress.best.is_none() {
            let model = self.exported(&self.evaluated()?)?;
            atomic_write(&self.folder.model(), &model)?;
        }
        self.stop();
        self.observer.end(&Ending::Stopped, self.elapsed());
        let (last, model) = (self.folder.last(), self.folder.model());
        self.observer.line(&format!(
            "stopped in epoch {}; {} and {} are saved\ngo on     {} train --resume {}",
            self.progress.epoch + 1,
            last.display(),
            model.display(),
            shell::program(),
            shell::path(self.folder.path()),
        ));
        Ok(Outcome::Interrupted)
    }

    /// Exports the best network and reports the results.
    ///
    /// All is saved before: if it is stopped, a resumed run comes back here.
    pub(super) fn finish(mut self, is_stopping: IsStopping<'_>) -> Result<Outcome> {
        self.stop();
        let finalized = finalize(
            self.observer,
            self.config,
            self.folder,
            self.corpus,
            &mut self.progress.streams.samples,
            is_stopping,
        );
        let Finalized { measured, sample } = match finalized {
            Err(error) if error.is::<Stopped>() => {
                self.observer.end(&Ending::Stopped, self.elapsed());
                self.observer.line(&format!(
                    "stopped while measuring; {} is whole\ngo on     {} train --resume {}",
                    self.folder.model().display(),
                    shell::program(),
                    shell::path(self.folder.path()),
                ));
                return Ok(Outcome::Interrupted);
            }
            finalized => finalized?,
        };
        let complete = Ending::Complete {
            measured: &measured,
            sample: &sample,
        };
        self.observer.end(&complete, self.elapsed());
        Ok(Outcome::Finished(measured[0].evaluation))
    }

    /// Ends what shows the learning.
    fn stop(&mut self) {
        self.observer.stop();
        let elapsed = spoken(self.elapsed());
        self.observer.line(&format!("trained for {elapsed}"));
    }
}

/// Exports the best network and evaluates it.
///
/// # Errors
/// If the best checkpoint can't be used or the model can't be written.
fn finalize(
    observer: &mut dyn Observer,
    config: &Config,
    folder: &RunFolder,
    corpus: &Corpus,
    random: &mut Random,
    is_stopping: IsStopping<'_>,
) -> Result<Finalized> {
    let best = Checkpoint::load(&folder.best(), &Device::Cpu).with_context(|| {
        format!(
            "the run is complete, but its best epoch can't be used: train another with --epochs {}",
            config.training.epochs + 1
        )
    })?;
    let best = best.network()?;
    let mut precisions = [Precision::F32, Precision::I8, Precision::I4];
    let exported = config.training.precision();
    precisions.sort_by_key(|&precision| precision != exported);
    let (training, alphabet) = (&config.training, &corpus.alphabet);
    let export = |precision| {
        let form = Form::of(training, best.shape(), alphabet, precision)?;
        model_file(&best, alphabet, form)
    };
    let model = export(exported)?;
    atomic_write(&folder.model(), &model)?;
    // The others are what the same weights do in other arithmetic.
    let mut all = Vec::new();
    for precision in precisions {
        let measured = measure(
            observer,
            corpus,
            precision,
            &export(precision)?,
            is_stopping,
        )?;
        let what = if precision == exported {
            folder.model().display().to_string()
        } else {
            format!("as {precision}, {} bytes", measured.bytes)
        };
        let loss = Loss {
            nats_per_char: measured.evaluation.nats_per_char(),
            sequences: &corpus.validation,
        };
        observer.line(&format!("runtime   {what}: held out {loss}"));
        all.push(measured);
    }
    if config.data.mode == Mode::Lines {
        observer.line(&sorted_samples(&model, corpus, random, is_stopping)?);
    }
    let sample = Sample::of(&model, corpus, random, is_stopping)?;
    observer.line(&format!("new       {}", sample.novelty));
    next_steps(observer, config, folder);
    Ok(Finalized {
        measured: all,
        sample,
    })
}

/// Measures a model file, run by the runtime.
fn measure(
    observer: &mut dyn Observer,
    corpus: &Corpus,
    precision: Precision,
    model: &[u8],
    is_stopping: IsStopping<'_>,
) -> Result<Measured> {
    let held_out = Source {
        text: corpus.validation_text.clone(),
        notes: Vec::new(),
    };
    let what = format!("measuring as {precision}");
    let all = corpus.validation.predictions();
    let (mut shown, mut looked) = (Instant::now(), 0);
    let model_bytes = model.len();
    let model = Model::from_bytes(model)?;
    let evaluation = evaluate_while(&model, &held_out, |done| {
        // The clock takes time itself, beside a step of a small model.
        if done >= looked + CHARS_PER_LOOK {
            looked = done;
            if shown.elapsed() >= PROGRESS_EVERY {
                observer.progress(&what, done, all);
                shown = Instant::now();
            }
        }
        !is_stopping()
    });
    observer.progress(&what, all, all);
    Ok(Measured {
        precision,
        bytes: model_bytes,
        evaluation: evaluation?,
    })
}

/// Commands that can be pasted.
fn next_steps(observer: &mut dyn Observer, config: &Config, folder: &RunFolder) {
    let (program, path) = (shell::program(), folder.model());
    let length = match config.data.mode {
        Mode::Lines => "-n 20",
        Mode::Text => "--length 400",
    };
    observer.line(&format!(
        "next      {program} generate {} {length} --temperature 0.8",
        shell::path(&path)
    ));
    if config.training.quantize.is_none() {
        observer.line(&format!(
            "integers  {program} quantize {} --to i8 -o {}",
            shell::path(&folder.best()),
            shell::path(&path.with_extension("i8.charlet"))
        ));
    }
}

/// A time in words: whole seconds, but for a run of some of them.
fn spoken(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        return format!("{:.1} seconds", time.as_secs_f64());
    }
    HumanDuration(time).to_string()
}
