//! `charlet eval`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use charlet_trainer::config::{Encoding, NormalForm};
use charlet_trainer::data::source::Source;
use charlet_trainer::inference::evaluation::evaluate;
use clap::Parser;

use super::threads::Threads;
use super::{ENCODING, check_model, note, read_model, refuse_second_stdin, with_default};

/// Measure the loss of a model on a file, exactly as the chip computes it
///
/// The loss is the mean cross-entropy per character; lower is better. A list model (trained with
/// --mode lines) resets its state at each line and also predicts the end of the line. A text model carries
/// its state through the whole file.
///
/// Characters that the model doesn't know are counted. They have the probability of the model's mark for
/// such. Without a mark they have none: they are passed over, and left out of the loss.
#[derive(Debug, Parser)]
#[command(mut_args(|option| with_default(option, default_of)), after_help = "\
Output, and keys of --json:
  characters     chars          predictions made
  nats in all    nats           cross-entropy of the whole file
  nats per char  nats_per_char  mean cross-entropy per character: the loss
  bits per char  bits_per_char  the same in bits
  lines          lines          list models only
  bits per line  bits_per_line  list models only
  unknown        unknown        characters that the model doesn't know; shown if there are any

Examples:
  charlet eval names.charlet held-out.txt
  charlet eval alice.charlet end.txt --json | jq .bits_per_char")]
pub(crate) struct Args {
    /// Model file, - for standard input
    model: PathBuf,
    /// Text file to evaluate on, - for standard input
    file: PathBuf,
    /// Encoding of the file, such as windows-1252, utf-16le or shift_jis
    #[arg(long, value_name = "NAME")]
    encoding: Option<Encoding>,
    /// Convert the file to lower case first, as `train --lowercase` does
    #[arg(long)]
    lowercase: bool,
    /// Convert the file to a normal form of Unicode first, as `train --normalize` does
    #[arg(long, value_name = "FORM")]
    normalize: Option<NormalForm>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    threads: Threads,
}

/// The default of an option by its id, for the help.
fn default_of(id: &str) -> Option<String> {
    (id == "encoding").then(|| ENCODING.to_owned())
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    refuse_second_stdin(&[("the model", &args.model), ("the text", &args.file)])?;
    args.threads.start()?;
    let bytes = read_model(&args.model)?;
    let model = check_model(&args.model, &bytes)?;
    let mut source = Source::read_as(&args.file, args.encoding)?;
    if args.lowercase {
        source.make_lowercase();
    }
    if let Some(form) = args.normalize {
        source.normalize(form);
    }
    let evaluation = evaluate(&model, &source)?;
    let summary = evaluation.summary();
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&summary)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let list_notes = match summary.lines {
        Some(_) => source.list_notes(),
        None => Vec::new(),
    };
    let unknown = evaluation.unknown_note(model.vocab(), &source);
    for told in source.notes.iter().chain(&list_notes).chain(&unknown) {
        note(told);
    }
    writeln!(out, "characters     {:>12}", summary.chars)?;
    writeln!(out, "nats in all    {:>12.2}", summary.nats)?;
    writeln!(out, "nats per char  {:>12.4}", summary.nats_per_char)?;
    writeln!(out, "bits per char  {:>12.4}", summary.bits_per_char)?;
    if let (Some(lines), Some(bits)) = (summary.lines, summary.bits_per_line) {
        writeln!(out, "lines          {lines:>12}")?;
        writeln!(out, "bits per line  {bits:>12.3}")?;
    }
    if summary.unknown > 0 {
        writeln!(out, "unknown        {:>12}", summary.unknown)?;
    }
    Ok(ExitCode::SUCCESS)
}
