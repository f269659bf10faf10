//! `charlet quantize`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use candle_core::Device;
use charlet::Model;
use charlet::format::{MAGIC, Precision};
use charlet_trainer::config::{InputKind, IntegerPrecision};
use charlet_trainer::data::corpus::Corpus;
use charlet_trainer::data::source::Source;
use charlet_trainer::export::form::Form;
use charlet_trainer::export::model_file::model_file;
use charlet_trainer::inference::evaluation::evaluate;
use charlet_trainer::inference::sample::texts;
use charlet_trainer::inference::text_model::{LINE_LIMIT, line_limit};
use charlet_trainer::model::shape::Shape;
use charlet_trainer::train::checkpoint::Checkpoint;
use charlet_trainer::train::metrics::Loss;
use charlet_trainer::train::need::of_export;
use charlet_trainer::util::atomic_file::atomic_write;
use charlet_trainer::util::distinct::refuse_overwriting;
use charlet_trainer::util::memory::available;
use charlet_trainer::util::replace::refuse_replacing;
use charlet_trainer::util::rng::Streams;
use charlet_trainer::util::shown::Shown;
use charlet_trainer::util::stop::never;
use clap::Parser;

/// Export a checkpoint as an integer model, which needs no floating point on the chip
///
/// Prints the held-out loss before and after quantization, if the data is where it was. If i4 costs too much, train with
/// `charlet train --quantize i4` (quantization-aware training) instead.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  charlet quantize charlet-out/names/best.safetensors --to i8 -o names-i8.charlet
  charlet generate names-i8.charlet -n 20")]
pub(crate) struct Args {
    /// Checkpoint that `charlet train` wrote, such as best.safetensors
    checkpoint: PathBuf,
    /// Precision of the weights
    #[arg(long, value_enum)]
    to: IntegerPrecision,
    /// What the first layer has [default: what it was trained for; else a table, or an embedding where that saves a
    /// tenth of the file or more, beside a table of more than 16 KB, for a fifth more operations at most]
    #[arg(long, value_name = "KIND")]
    input: Option<InputKind>,
    /// With --to i4: 4 bits for the weights of the head, too, as if trained with --small-head
    #[arg(long)]
    small_head: bool,
    /// Model file to write
    #[arg(short, long, value_name = "MODEL")]
    output: PathBuf,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    refuse_overwriting(&args.output, &[("the checkpoint", &args.checkpoint)])?;
    refuse_replacing(&args.output, "charlet model", &MAGIC)?;
    ensure!(
        !args.small_head || args.to == IntegerPrecision::I4,
        "a head of 4 bits is for models in i4: add --to i4, or leave out --small-head"
    );
    let checkpoint = Checkpoint::load(&args.checkpoint, &Device::Cpu)?;
    let (config, alphabet) = (
        &checkpoint.description.config,
        &checkpoint.description.alphabet,
    );
    of_export(Shape::new(alphabet.size(), &config.network)).check(available())?;
    // All is checked before a file is replaced.
    let network = checkpoint.network()?;
    let mut training = config.training.clone();
    training.input = args.input.or(training.input);
    training.small_head |= args.small_head;
    let form = Form::of(&training, network.shape(), alphabet, args.to.into())?;
    let export = |precision| -> Result<Vec<u8>> {
        let bytes = if precision == form.precision {
            model_file(&network, alphabet, form)?
        } else {
            model_file(&network, alphabet, precision)?
        };
        Model::from_bytes(&bytes)?;
        Ok(bytes)
    };
    let export = |precision| {
        export(precision)
            .with_context(|| format!("can't export {} as {precision}", args.checkpoint.display()))
    };
    let float = export(Precision::F32)?;
    let integer = export(args.to.into())?;
    atomic_write(&args.output, &integer)?;
    let mut out = std::io::stdout().lock();
    let shown = Shown::on(&out);
    writeln!(
        out,
        "{}: {} bytes instead of {}",
        shown.line(&args.output.display().to_string()),
        integer.len(),
        float.len()
    )?;
    writeln!(out, "input {}", form.explained(network.shape(), alphabet)?)?;

    let mut streams = Streams::new(config.training.seed);
    let corpus = Corpus::load(&config.data, config.training.window, &mut streams.split);
    let corpus = corpus.and_then(|corpus| {
        let begun = &checkpoint.description.fingerprints;
        corpus.fingerprints.check(begun, &config.data)?;
        Ok(corpus)
    });
    let limit = match corpus {
        Ok(corpus) => {
            let models = [(Precision::F32, &float), (args.to.into(), &integer)];
            write_cost(&mut out, models, &corpus)?;
            line_limit(&corpus)
        }
        Err(error) => {
            let error = format!("{error:#}");
            writeln!(
                out,
                "cost  can't be measured without the data: {}",
                shown.line(&error)
            )?;
            LINE_LIMIT
        }
    };
    for text in texts(&integer, &mut streams.samples, limit, &never)? {
        writeln!(out, "{}", shown.text(&text.to_string()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The held-out losses of a model before and after, and their difference.
fn write_cost(
    out: &mut impl Write,
    models: [(Precision, &Vec<u8>); 2],
    corpus: &Corpus,
) -> Result<()> {
    let held_out = Source {
        text: corpus.validation_text.clone(),
        notes: Vec::new(),
    };
    let mut before = None;
    for (precision, bytes) in models {
        let evaluation = evaluate(&Model::from_bytes(bytes)?, &held_out)?;
        let loss = evaluation.nats_per_char();
        let shown = Loss {
            nats_per_char: loss,
            sequences: &corpus.validation,
        };
        writeln!(out, "{precision:5} held out {shown}")?;
        if let Some(before) = before.replace(loss) {
            writeln!(out, "cost  {:+.4} nats/char", loss - before)?;
        }
    }
    Ok(())
}
