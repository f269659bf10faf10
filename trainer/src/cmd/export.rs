//! `charlet export`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use candle_core::Device;
use charlet::format::{MAGIC, Precision};
use charlet_trainer::export::c_array::{self, c_array};
use charlet_trainer::export::exported::Exported;
use charlet_trainer::export::onnx::{self, onnx_file};
use charlet_trainer::export::pytorch;
use charlet_trainer::model::shape::Shape;
use charlet_trainer::train::checkpoint::Checkpoint;
use charlet_trainer::train::need::of_export;
use charlet_trainer::util::atomic_file::atomic_write;
use charlet_trainer::util::distinct::refuse_overwriting;
use charlet_trainer::util::file_kind::{self, Kind};
use charlet_trainer::util::memory::{self, available};
use charlet_trainer::util::replace::{refuse_replacing, refuse_replacing_unless};
use charlet_trainer::util::shown::Shown;
use clap::{Parser, ValueEnum};

use super::{check_model, note};

/// How many times an array in C has to fit into memory: as a model, and as text of four characters a byte.
const COPIES_IN_C: u64 = 6;
/// The same for weights.
const COPIES: u64 = 2;

/// Write a model or checkpoint as ONNX, as a state dict of PyTorch, or as an array in C
///
/// ONNX has the state as inputs and outputs: token, h and c become logits, h_out and c_out. PyTorch's file is in
/// safetensors; the module that loads it is printed. A checkpoint keeps its embedding; a model file has it folded into
/// the first layer, whose inputs are one-hot then. Alphabet and marks are in the metadata. Integer models are written
/// as what their weights are worth in f32.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  charlet export charlet-out/names/best.safetensors --to onnx -o names.onnx
  charlet export names.charlet --to pytorch -o names-pytorch.safetensors
  charlet export names-i8.charlet --to c -o names.h")]
pub(crate) struct Args {
    /// Model file, or checkpoint such as best.safetensors
    model: PathBuf,
    /// What to write
    #[arg(long, value_enum)]
    to: Target,
    /// File to write: .onnx, .safetensors, or for C .h (to be included) or .c (to be compiled)
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// A network for ONNX Runtime and others
    Onnx,
    /// A state dict in safetensors
    Pytorch,
    /// The bytes of the model file, aligned, with their sizes; for C99 and C++
    C,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    check_output(args.to, &args.output)?;
    refuse_overwriting(&args.output, &[("the model", &args.model)])?;
    let lines;
    let contents = match args.to {
        Target::C => {
            let bytes = file_kind::read(&args.model, Kind::Model, COPIES_IN_C)?;
            let model = check_model(&args.model, &bytes)?;
            let name = c_array::identifier(&args.output);
            let upper = name.to_ascii_uppercase();
            lines = format!(
                "array   {name}_model, {upper}_MODEL_SIZE {}\n\
                 memory  {upper}_STATE_WORDS {}, {upper}_WORKSPACE_WORDS {}\n",
                bytes.len(),
                model.sizes().state,
                model.sizes().workspace,
            );
            c_array(&args.output, &bytes)?.into_bytes()
        }
        Target::Onnx => {
            let exported = read(&args.model)?;
            lines = described(&exported);
            onnx_file(&exported)?
        }
        Target::Pytorch => {
            let exported = read(&args.model)?;
            lines = format!("\n{}", pytorch::loading(&exported, &args.output)?);
            pytorch::state_dict(&exported)?
        }
    };
    atomic_write(&args.output, &contents)?;
    let mut out = std::io::stdout().lock();
    let shown = Shown::on(&out);
    let file = args.output.display().to_string();
    writeln!(out, "{}: {} bytes", shown.line(&file), contents.len())?;
    write!(out, "{}", shown.text(&lines))?;
    Ok(ExitCode::SUCCESS)
}

/// Refuses a name that says another kind of file, and to replace a file of another kind.
fn check_output(to: Target, output: &Path) -> Result<()> {
    let extension = output.extension().and_then(|extension| extension.to_str());
    match (to, extension) {
        (Target::Onnx, Some("onnx")) => {
            refuse_replacing(output, "ONNX file of charlet", onnx::BEGINNING)
        }
        (Target::Onnx, _) => bail!(
            "{} is no name of an ONNX file: name it .onnx",
            output.display()
        ),
        (Target::Pytorch, Some("safetensors")) => {
            // The length of the header comes first.
            let len = 8 + pytorch::BEGINNING.len();
            refuse_replacing_unless(output, "state dict of charlet export", len, |found| {
                found.get(8..) == Some(pytorch::BEGINNING)
            })
        }
        (Target::Pytorch, _) => bail!(
            "{} is no name of a state dict in safetensors, which is what is written: name it .safetensors",
            output.display()
        ),
        (Target::C, _) => {
            c_array::Kind::of(output)?;
            refuse_replacing(
                output,
                "array of charlet export",
                c_array::BEGINNING.as_bytes(),
            )
        }
    }
}

/// The weights of a model or a checkpoint.
fn read(path: &Path) -> Result<Exported> {
    let bytes = file_kind::read(path, Kind::Network, COPIES)?;
    if !bytes.starts_with(&MAGIC) {
        let checkpoint = Checkpoint::of(path, &bytes, &Device::Cpu)?;
        let description = &checkpoint.description;
        let shape = Shape::new(description.alphabet.size(), &description.config.network);
        of_export(shape).check(available())?;
        return Exported::of_network(&checkpoint.network()?, &description.alphabet)
            .with_context(|| format!("can't export {}", path.display()));
    }
    let model = check_model(path, &bytes)?;
    let header = model.header();
    of_export(Shape {
        vocab_size: header.vocab_size.into(),
        embedding_size: header.embedding_size.into(),
        hidden_size: header.hidden_size.into(),
        num_layers: header.num_layers.into(),
    })
    .check(available())?;
    if header.precision != Precision::F32 {
        note(&format!(
            "{} is in {}: its weights are written as f32, and other programs compute without its roundings, so that \
             logits differ a little; export the checkpoint for the weights before they were rounded",
            memory::name(path),
            header.precision
        ));
    }
    Exported::of_model(&bytes)
}

/// The inputs and outputs of an ONNX file.
fn described(exported: &Exported) -> String {
    let Shape {
        vocab_size,
        hidden_size,
        num_layers,
        embedding_size,
    } = exported.shape();
    let input = if exported.is_one_hot() {
        format!("one-hot: the embedding of {embedding_size} is folded into the first layer")
    } else {
        format!("an embedding of {embedding_size}")
    };
    format!(
        "inputs   token [steps, batch], int64; h and c [{num_layers}, batch, {hidden_size}], zero at the start\n\
         outputs  logits [steps, batch, {vocab_size}]; h_out and c_out, the next h and c\n\
         tokens   {input}\n"
    )
}
