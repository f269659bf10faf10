//! The end of a run: exports the best network and evaluates it with the runtime.

use std::time::Duration;

use anyhow::Result;
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
use crate::export::model_file::model_file;
use crate::inference::sample::{Sample, sorted_samples};
use crate::inference::text_model::{Evaluation, TextModel};
use crate::util::atomic_file::atomic_write;
use crate::util::rng::Random;
use crate::util::run_dir::RunFolder;
use crate::util::shell;

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
    measured: [Measured; 3],
    /// Samples of the exported model.
    sample: Sample,
}

impl Session<'_> {
    /// Saves what was reached when the training was stopped.
    pub(super) fn interrupt(mut self) -> Result<Outcome> {
        self.save_last()?;
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
    pub(super) fn finish(mut self) -> Result<Outcome> {
        self.stop();
        let Finalized { measured, sample } = finalize(
            self.observer,
            self.config,
            self.folder,
            self.corpus,
            &mut self.progress.streams.samples,
        )?;
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
) -> Result<Finalized> {
    let best = Checkpoint::load(&folder.best(), &Device::Cpu)?.network()?;
    let mut precisions = [Precision::F32, Precision::I8, Precision::I4];
    let exported = config.training.precision();
    precisions.sort_by_key(|&precision| precision != exported);
    let export = |precision| model_file(&best, &corpus.alphabet, precision);
    let model = export(exported)?;
    atomic_write(&folder.model(), &model)?;
    // The others are what the same weights do in other arithmetic.
    let [first, second, third] =
        precisions.map(|precision| measure(corpus, precision, &export(precision)?));
    let measured = [first?, second?, third?];
    for (at, measured) in measured.iter().enumerate() {
        let what = match at {
            0 => folder.model().display().to_string(),
            _ => format!("as {}, {} bytes", measured.precision, measured.bytes),
        };
        let loss = Loss {
            nats_per_char: measured.evaluation.nats_per_char(),
            sequences: &corpus.validation,
        };
        observer.line(&format!("runtime   {what}: held out {loss}"));
    }
    if config.data.mode == Mode::Lines {
        observer.line(&sorted_samples(&model, corpus, random)?);
    }
    let sample = Sample::of(&model, corpus, random)?;
    observer.line(&format!("new       {}", sample.novelty));
    next_steps(observer, config, folder);
    Ok(Finalized { measured, sample })
}

/// Measures a model file, run by the runtime.
fn measure(corpus: &Corpus, precision: Precision, model: &[u8]) -> Result<Measured> {
    let held_out = Source {
        text: corpus.validation_text.clone(),
        notes: Vec::new(),
    };
    Ok(Measured {
        precision,
        bytes: model.len(),
        evaluation: TextModel::new(&Model::from_bytes(model)?).evaluate(&held_out)?,
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
