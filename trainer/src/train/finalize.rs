//! The end of a run: its model, measured by the runtime's own arithmetic, and what to do with it.

use anyhow::Result;
use candle_core::Device;
use charlet::Model;
use charlet::format::Precision;

use super::checkpoint::Checkpoint;
use super::metrics::Loss;
use crate::config::{Config, Mode};
use crate::data::corpus::Corpus;
use crate::data::source::Source;
use crate::export::model_file::model_file;
use crate::inference::sample::{Sample, sorted_samples};
use crate::inference::text_model::{Evaluation, Speaker};
use crate::report::Report;
use crate::util::atomic_file::write_whole;
use crate::util::rng::Random;
use crate::util::run_dir::RunFolder;

/// How well a run's weights predict in a precision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) precision: Precision,
    /// Size of the model file.
    pub(crate) bytes: usize,
    pub(crate) evaluation: Evaluation,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub(crate) struct Conclusion {
    /// Every precision, that of the exported model first.
    pub(crate) measured: [Measured; 3],
    /// What the exported model says.
    pub(crate) sample: Sample,
}

/// Exports the best network and tells what the model does.
///
/// # Errors
/// If the best checkpoint can't be used or the model can't be written.
pub(crate) fn conclude(
    report: &mut Report<'_>,
    config: &Config,
    folder: &RunFolder,
    corpus: &Corpus,
    random: &mut Random,
) -> Result<Conclusion> {
    let best = Checkpoint::load(&folder.best(), &Device::Cpu)?.network()?;
    let mut precisions = [Precision::F32, Precision::I8, Precision::I4];
    let exported = config.training.precision();
    precisions.sort_by_key(|&precision| precision != exported);
    let export = |precision| model_file(&best, &corpus.alphabet, precision);
    let model = export(exported)?;
    write_whole(&folder.model(), &model)?;
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
            nats: measured.evaluation.nats_per_char(),
            sequences: &corpus.validation,
        };
        report.line(&format!("runtime   {what}: held out {loss}"));
    }
    if config.data.mode == Mode::Lines {
        report.line(&sorted_samples(&model, corpus, random)?);
    }
    let sample = Sample::of(&model, corpus, random)?;
    report.line(&format!("new       {}", sample.novelty));
    next_steps(report, config, folder);
    Ok(Conclusion { measured, sample })
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
        evaluation: Speaker::new(Model::from_bytes(model)?).evaluate(&held_out)?,
    })
}

/// Commands that can be pasted.
fn next_steps(report: &mut Report<'_>, config: &Config, folder: &RunFolder) {
    let (program, path) = (program(), folder.model());
    let length = match config.data.mode {
        Mode::Lines => "-n 20",
        Mode::Text => "--length 400",
    };
    report.line(&format!(
        "next      {program} generate {} {length} --temperature 0.8",
        path.display()
    ));
    if config.training.quantize.is_none() {
        report.line(&format!(
            "integers  {program} quantize {} --to i8 -o {}",
            folder.best().display(),
            path.with_extension("i8.charlet").display()
        ));
    }
}

/// This program, as it was called.
pub(crate) fn program() -> String {
    let name = std::env::args().next();
    name.unwrap_or_else(|| "charlet".to_owned())
}
