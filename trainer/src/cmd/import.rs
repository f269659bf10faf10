//! `charlet import`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use charlet::Model;
use charlet::format::{Input, MAGIC, Precision};
use charlet_trainer::config::{InputKind, IntegerPrecision};
use charlet_trainer::data::alphabet::Alphabet;
use charlet_trainer::data::source::Source;
use charlet_trainer::export::exported::Description;
use charlet_trainer::export::form::Form;
use charlet_trainer::export::model_file::{header, with_header};
use charlet_trainer::import::{self, Foreign, Mapping, Marks, Names, Tokens};
use charlet_trainer::inference::compression::Progress;
use charlet_trainer::inference::evaluation::evaluate_while;
use charlet_trainer::model::network::Network;
use charlet_trainer::model::shape::Shape;
use charlet_trainer::train::checkpoint::{self, Checkpoint};
use charlet_trainer::train::need::of_export;
use charlet_trainer::train::summary::network_summary;
use charlet_trainer::util::atomic_file::atomic_write;
use charlet_trainer::util::distinct::refuse_overwriting;
use charlet_trainer::util::memory::{self, available};
use charlet_trainer::util::replace::refuse_replacing;
use charlet_trainer::util::shell;
use charlet_trainer::util::shown::Shown;
use clap::{Parser, ValueEnum};

use super::messages::Bar;
use super::note;

/// Predictions between two looks at the progress.
const STRIDE: usize = 256;

/// Make a model of a network that PyTorch or Keras has trained, or that is in an ONNX file
///
/// Reads LSTM layers with an embedding or one-hot inputs before them and a linear layer behind them. What a
/// charlet model can't have is refused by name.
///
/// A file rarely says which characters its tokens are: --chars does.
#[derive(Debug, Parser)]
#[command(after_help = "Files:
  .safetensors, .pt, .pth   a state dict of PyTorch, also inside a dict such as {\"model_state_dict\": ...}
  .keras, .h5               a model of Keras, or its weights alone
  .onnx                     from torch.onnx.export and others; what charlet export wrote needs no --chars

Examples:
  charlet import net.pt -o net.charlet --chars vocab.json --to i8
  charlet import names.safetensors -o names.charlet --chars names.txt --end '\\n' --check names.txt
  charlet import net.pt -o net.safetensors --chars vocab.json      (train --init-from takes this)")]
pub(crate) struct Args {
    /// File of the network
    file: PathBuf,
    /// File to write: a model, or with the ending .safetensors a checkpoint, which `train --init-from` and
    /// `quantize` take
    #[arg(short, long, value_name = "MODEL")]
    output: PathBuf,
    /// The characters in the order of their tokens, or a file with them: JSON, such as ["a", "b"], {"a": 0},
    /// {"0": "a"}, or a text. If a character comes twice it is a text that was learnt, and its characters are taken
    /// in ascending order, as by sorted(set(text)) [default: what the file says]
    #[arg(long, value_name = "FILE|STRING")]
    chars: Option<String>,
    /// The token that ends a line, such as '\n' or '<eos>': the model makes lines. Without it, it makes running text
    #[arg(long, value_name = "TOKEN")]
    end: Option<String>,
    /// The token that is fed before the first character, or `zeros` for a vector of zeros [default: the end of a line,
    /// else a line break if it is a token, else a space or the first character]
    #[arg(long, value_name = "TOKEN")]
    start: Option<String>,
    /// Precision of the weights
    #[arg(long, value_enum, default_value_t = To::F32)]
    to: To,
    /// Measure the loss on this text as the network is, and as a model in each precision
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// What a weight is, where names leave doubt: PART is embedding, head, lstm or ignore; NAME is a weight's name or
    /// what it begins with. lstm given several times lists the layers
    #[arg(long, value_name = "PART=NAME")]
    map: Vec<String>,
}

/// Precisions of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum To {
    /// Single precision
    F32,
    /// 8-bit weights
    I8,
    /// 4-bit weights in the LSTM layers; costs more unless trained for
    I4,
}

impl From<To> for Precision {
    fn from(to: To) -> Self {
        match to {
            To::F32 => Self::F32,
            To::I8 => Self::I8,
            To::I4 => Self::I4,
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let is_checkpoint = args.output.extension() == Some("safetensors".as_ref());
    args.refuse_replacing(is_checkpoint)?;
    ensure!(
        !is_checkpoint || args.to == To::F32,
        "{} will be a checkpoint, which has no precision: leave out --to, or name the output .charlet",
        args.output.display()
    );
    let mapping = Mapping::new(&args.map)?;
    let foreign = import::read(&args.file, &mapping)?;
    let tokens = args
        .tokens(&foreign)
        .with_context(|| format!("can't import {}", memory::name(&args.file)))?;
    let text = args.check.as_deref().map(Source::read_utf8).transpose()?;
    let alphabet = tokens.alphabet();
    // Narrow layers are filled up: a small file may need much.
    let unfit = || format!("can't import {}", memory::name(&args.file));
    of_export(foreign.shape(&tokens))
        .check(available())
        .with_context(unfit)?;
    let network = foreign.network(&tokens).with_context(unfit)?;
    let checkpoint = Checkpoint::imported(&network, alphabet).with_context(unfit)?;
    let mut training = checkpoint.description.config.training.clone();
    training.quantize = match args.to {
        To::F32 => None,
        To::I8 => Some(IntegerPrecision::I8),
        To::I4 => Some(IntegerPrecision::I4),
    };
    // They are no weights that were trained for a precision.
    let form = |precision| Form::chosen(None, false, network.shape(), alphabet, precision);
    // What was one-hot in the file may have been an embedding before.
    let folded = args.own(&foreign).filter(|_| foreign.embedding.is_none());
    let shape = Shape {
        embedding_size: folded.map_or(network.shape().embedding_size, |own| own.embedding_size),
        ..network.shape()
    };
    let export = |precision| -> Result<Vec<u8>> {
        let bytes = with_header(&network, &header(shape, alphabet, form(precision)?)?)?;
        Model::from_bytes(&bytes)?;
        Ok(bytes)
    };
    let precision = args.to.into();
    training.input = Some(match form(precision)?.input {
        Input::Embedding => InputKind::Embedding,
        _ => InputKind::Table,
    });
    let bytes = if is_checkpoint {
        checkpoint.to_bytes()?
    } else {
        export(precision).with_context(unfit)?
    };
    let summary = network_summary(network.shape(), alphabet, &training)?;
    // All that may fail comes before the file, which may replace another.
    let losses = match (&text, &args.check) {
        (Some(text), Some(path)) => measured(&foreign, &tokens, text, export)
            .with_context(|| format!("can't measure the loss on {}", memory::name(path)))?,
        _ => Vec::new(),
    };
    atomic_write(&args.output, &bytes)?;

    for told in foreign.notes.iter().chain(tokens.notes()) {
        note(told);
    }
    let mut out = std::io::stdout().lock();
    let shown = Shown::on(&out);
    writeln!(out, "tokens    {}", described(alphabet))?;
    writeln!(out, "{}", summary.trim_end())?;
    for (name, loss) in losses {
        match loss {
            Ok(nats) => writeln!(
                out,
                "{name:9} {nats:.4} nats/char, {:.4} bits/char",
                nats / std::f64::consts::LN_2
            )?,
            Err(error) => writeln!(out, "{name:9} none: {error:#}")?,
        }
    }
    let output = args.output.display().to_string();
    writeln!(
        out,
        "written   {}: {} bytes",
        shown.line(&output),
        bytes.len()
    )?;
    writeln!(
        out,
        "next      {}",
        args.next(&network, alphabet, is_checkpoint)
    )?;
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// Refuses to write over what is read, or what is no such file.
    fn refuse_replacing(&self, is_checkpoint: bool) -> Result<()> {
        let chars = self.chars.as_deref().map(Path::new);
        let chars = chars.filter(|chars| chars.is_file());
        let mut inputs = vec![("the network", self.file.as_path())];
        inputs.extend(self.check.as_deref().map(|text| ("--check", text)));
        inputs.extend(chars.map(|chars| ("--chars", chars)));
        refuse_overwriting(&self.output, &inputs)?;
        if !is_checkpoint {
            refuse_replacing(&self.output, "charlet model", &MAGIC)?;
            ensure!(
                self.output.extension() == Some("charlet".as_ref()),
                "{}: an import writes a model or a checkpoint: name the output .charlet or .safetensors",
                self.output.display()
            );
            return Ok(());
        }
        refuse_replacing(&self.output, "checkpoint of charlet", b"")?;
        let metadata = self.output.metadata();
        ensure!(
            !metadata.is_ok_and(|file| file.len() > 0)
                || checkpoint::Description::load(&self.output).is_ok(),
            "{} is no checkpoint of charlet, and would be lost: remove it first, or choose another name for \
             the output",
            self.output.display()
        );
        Ok(())
    }

    /// What `charlet export` has said of a network, unless its tokens are said to be others.
    fn own<'f>(&self, foreign: &'f Foreign) -> Option<&'f Description> {
        let is_other = self.chars.is_some() || self.start.is_some() || self.end.is_some();
        foreign.own.as_ref().filter(|_| !is_other)
    }

    /// The tokens as they are given, or as the file says.
    fn tokens(&self, foreign: &Foreign) -> Result<Tokens> {
        let marks = Marks {
            start: self.start.clone(),
            end: self.end.clone(),
        };
        let count = foreign.tokens();
        if let Some(own) = self.own(foreign) {
            return Ok(Tokens::own(&own.alphabet));
        }
        if let Some(chars) = &self.chars {
            return Tokens::new(Names::read(chars)?, count, &marks);
        }
        let found = foreign.vocabularies.iter();
        let mut fitting = found.filter(|(_, names)| names.fits(count));
        let Some((key, names)) = fitting.next() else {
            bail!(
                "it doesn't say which characters its {count} tokens are: give them in their order with --chars, \
                 or the text that it has learnt if they are those of sorted(set(text))"
            );
        };
        if let Some((other, _)) = fitting.find(|(_, other)| other != names) {
            bail!("its {key} and {other} name other characters: say with --chars which are meant");
        }
        Tokens::new(names.clone(), count, &marks)
    }

    /// A command that can be pasted.
    fn next(&self, network: &Network, alphabet: &Alphabet, is_checkpoint: bool) -> String {
        let (program, output) = (shell::program(), shell::path(&self.output));
        if is_checkpoint {
            let shape = network.shape();
            let text = self.check.as_deref().map_or("FILE".to_owned(), shell::path);
            return format!(
                "{program} train {text} --init-from {output} --layers {} --hidden {} --embedding {}",
                shape.num_layers, shape.hidden_size, shape.embedding_size
            );
        }
        let length = match alphabet.end() {
            Some(_) => "-n 20",
            None => "--length 400",
        };
        format!("{program} generate {output} {length} --temperature 0.8")
    }
}

/// What the tokens are.
fn described(alphabet: &Alphabet) -> String {
    let count = alphabet.chars().chars().count();
    let mut text = format!("{} tokens: {count} characters", alphabet.size());
    if alphabet.end().is_some() {
        text.push_str(", a mark that ends a line");
    }
    if usize::from(alphabet.start()) >= count && Some(alphabet.start()) != alphabet.end() {
        text.push_str(", a mark that starts a text");
    }
    if alphabet.unknown().is_some() {
        text.push_str(", a mark for others");
    }
    let first = alphabet.chars().chars().nth(alphabet.start().into());
    match (first, alphabet.end()) {
        (Some(first), None) => format!("{text}; running text, which starts as if after {first:?}"),
        (None, None) => format!("{text}; running text"),
        _ => text,
    }
}

/// The losses on a text in nats per character: as the network is, and as a model in each precision, or why there is
/// no such model.
fn measured(
    foreign: &Foreign,
    tokens: &Tokens,
    text: &Source,
    export: impl Fn(Precision) -> Result<Vec<u8>>,
) -> Result<Vec<(String, Result<f64>)>> {
    const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::I8, Precision::I4];
    // About as many predictions as there are characters, for each.
    let of_one = text.text.chars().count();
    let mut bar = Bar::new(Some(of_one * (1 + PRECISIONS.len())));
    let mut shown = 0;
    let mut show = |before: usize, chars: usize| {
        let chars = before * of_one + chars.min(of_one);
        if chars >= shown + STRIDE {
            shown = chars;
            bar.show(Progress { chars, read: chars });
        }
    };
    let original = import::evaluate(foreign, tokens, text, |chars| show(0, chars))?;
    let mut losses = vec![("original".to_owned(), Ok(original.nats_per_char()))];
    for (precision, before) in PRECISIONS.into_iter().zip(1..) {
        let loss = match export(precision) {
            Ok(bytes) => {
                let model = Model::from_bytes(&bytes)?;
                let evaluation = evaluate_while(&model, text, |chars| {
                    show(before, chars);
                    true
                });
                Ok(evaluation?.nats_per_char())
            }
            // One that isn't asked for is no reason to refuse the others.
            Err(error) => Err(error),
        };
        losses.push((precision.to_string(), loss));
    }
    Ok(losses)
}
