//! The end of a run: its model, measured by the runtime's own arithmetic, and what to do with it.

use anyhow::Result;
use candle_core::Device;
use charlet::Model;
use charlet::format::Precision;

use crate::checkpoint::Checkpoint;
use crate::config::{Config, Mode};
use crate::corpus::{Corpus, Source};
use crate::export;
use crate::files::{RunFolder, write_whole};
use crate::report::{Loss, Report, sorted_samples};
use crate::rng::Random;
use crate::speak::{Evaluation, Speaker};

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
) -> Result<Evaluation> {
    let best = Checkpoint::load(&folder.best(), &Device::Cpu)?.network()?;
    let precision = config.training.precision();
    let model = export::model_file(&best, &corpus.alphabet, precision)?;
    let path = folder.model();
    write_whole(&path, &model)?;
    let evaluation = evaluate(report, corpus, &format!("{}:", path.display()), &model)?;
    // What the same weights do in other arithmetic.
    for other in [Precision::F32, Precision::I8, Precision::I4] {
        if other != precision {
            let model = export::model_file(&best, &corpus.alphabet, other)?;
            let what = format!("as {other}, {} bytes:", model.len());
            evaluate(report, corpus, &what, &model)?;
        }
    }
    if config.data.mode == Mode::Lines {
        report.line(&sorted_samples(&model, corpus, random)?);
    }
    next_steps(report, config, folder);
    Ok(evaluation)
}

/// Tells the held-out loss of a model file, run by the runtime.
fn evaluate(
    report: &mut Report<'_>,
    corpus: &Corpus,
    what: &str,
    model: &[u8],
) -> Result<Evaluation> {
    let held_out = Source {
        text: corpus.validation_text.clone(),
        notes: Vec::new(),
    };
    let evaluation = Speaker::new(Model::from_bytes(model)?).evaluate(&held_out)?;
    let loss = Loss {
        nats: evaluation.nats_per_char(),
        sequences: &corpus.validation,
    };
    report.line(&format!("runtime   {what} held out {loss}"));
    Ok(evaluation)
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
