//! `charlet info`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use charlet::format::{Input, WeightBits};
use charlet_trainer::export::form::Form;
use charlet_trainer::model::shape::Shape;
use charlet_trainer::util::shown::Shown;
use clap::Parser;
use serde::Serialize;

use super::{check_model, read_model};

/// Show a model's sizes, alphabet, checksum, flash and RAM
///
/// Flash is the size of the model file. RAM is the state and workspace of one session; the stack comes on
/// top. By the checksum, a CRC-32, a compressed file names the model that it needs.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  charlet info names.charlet
  charlet info names.charlet --json | jq .ram_bytes
  charlet info names.charlet --json | jq -r .checksum")]
pub(crate) struct Args {
    /// Model file
    model: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The facts about a model file.
#[derive(Serialize)]
struct Info<'m> {
    format_version: u16,
    /// In hexadecimal, as all messages show it.
    checksum: String,
    precision: String,
    /// Characters and marks.
    vocab_size: usize,
    chars: &'m str,
    ends_lines: bool,
    /// Whether a mark stands for all other characters.
    unknown_mark: bool,
    embedding_size: usize,
    is_folded: bool,
    small_head: bool,
    layers: usize,
    hidden_size: usize,
    parameters: usize,
    flash_bytes: usize,
    ram_bytes: usize,
    macs_per_char: usize,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let bytes = read_model(&args.model)?;
    let model = check_model(&args.model, &bytes)?;
    let header = model.header();
    let shape = Shape {
        vocab_size: header.vocab_size.into(),
        embedding_size: header.embedding_size.into(),
        hidden_size: header.hidden_size.into(),
        num_layers: header.num_layers.into(),
    };
    let info = Info {
        format_version: header.version(),
        checksum: format!("{:08x}", model.checksum()),
        precision: header.precision.to_string(),
        vocab_size: shape.vocab_size,
        chars: header.chars,
        ends_lines: header.end.is_some(),
        unknown_mark: header.has_unknown,
        embedding_size: shape.embedding_size,
        is_folded: header.input == Input::Table,
        small_head: header.head_bits == WeightBits::Four,
        layers: shape.num_layers,
        hidden_size: shape.hidden_size,
        parameters: shape.parameter_count(),
        flash_bytes: bytes.len(),
        ram_bytes: model.sizes().ram_bytes(),
        macs_per_char: Form {
            precision: header.precision,
            input: header.input,
            head_bits: header.head_bits,
        }
        .operations(shape),
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        let json = serde_json::to_string(&info)?;
        writeln!(out, "{}", Shown::on(&out).json(&json))?;
        return Ok(ExitCode::SUCCESS);
    }
    let kind = if info.ends_lines {
        "lines"
    } else {
        "running text"
    };
    writeln!(out, "format version  {}", info.format_version)?;
    writeln!(out, "checksum        {}", info.checksum)?;
    let head = match header.head_bits {
        WeightBits::Four => ", the head too",
        WeightBits::Eight => "",
    };
    writeln!(out, "precision       {}{head}", info.precision)?;
    writeln!(out, "makes           {kind}")?;
    writeln!(
        out,
        "vocabulary      {} tokens: {:?}",
        info.vocab_size, info.chars
    )?;
    if info.unknown_mark {
        writeln!(
            out,
            "others          a mark stands for all other characters"
        )?;
    }
    let input = if info.is_folded {
        ""
    } else {
        ", not folded into a table"
    };
    writeln!(
        out,
        "network         {} x {}, embedding {}{input}",
        info.layers, info.hidden_size, info.embedding_size
    )?;
    writeln!(out, "parameters      {}", info.parameters)?;
    writeln!(out, "flash           {} bytes", info.flash_bytes)?;
    writeln!(out, "RAM             {} bytes", info.ram_bytes)?;
    writeln!(
        out,
        "per character   {} multiply-accumulates",
        info.macs_per_char
    )?;
    Ok(ExitCode::SUCCESS)
}
