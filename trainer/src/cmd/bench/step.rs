//! `charlet bench step`

use std::hint::black_box;
use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Instant;

use anyhow::{Context, Result};
use candle_core::Device;
use charlet::format::layout::{IntegerSections, ROWS, SECTION_ALIGN, Sections};
use charlet::format::{Header, Precision};
use charlet::{Backend, Model, State, Token, Workspace};
use charlet_trainer::config::{IntegerPrecision, Mode};
use charlet_trainer::data::alphabet::Alphabet;
use charlet_trainer::export::model_file::model_file;
use charlet_trainer::model::network::Network;
use charlet_trainer::model::shape::Shape;
use charlet_trainer::train::need::of_export;
use charlet_trainer::util::memory::available;
use charlet_trainer::util::rng::Streams;
use charlet_trainer::util::shown::Shown;
use charlet_trainer::util::style::Styles;
use clap::{Parser, ValueEnum};
use serde::Serialize;

use super::super::{check_model, read_model};
use super::{numbers, seconds, shape};

/// Measure inference: one step, from a token to the logits of the next
///
/// Runs on one thread, batch size 1, with each backend (set of SIMD instructions) of this machine. Bytes are
/// the weights that a step reads: the LSTM layers, the head, and one row of the input table.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  charlet bench step names.charlet names-i8.charlet
  charlet bench step --shape 60,512,2 --precision f32,i8
  charlet bench step names.charlet --json | jq '.results[] | {backend, median_ns}'

JSON: one object with `features`, the CPU features that backends use, and `results`:
  model             path, or sizes of a model with random weights
  precision, vocab_size, hidden_size, layers
  backend           instructions that computed the steps
  median_ns         nanoseconds per step, median
  best_ns           nanoseconds per step, minimum
  bytes_per_step    bytes of weights that a step reads
  bytes_per_second  bytes_per_step divided by the median time")]
pub(crate) struct Args {
    /// Model files
    #[arg(value_name = "MODEL", required_unless_present = "shapes")]
    models: Vec<PathBuf>,
    /// Also measure random weights with this vocabulary size, hidden size and number of layers
    #[arg(long = "shape", value_name = "VOCAB,HIDDEN,LAYERS")]
    shapes: Vec<RandomShape>,
    /// Precisions of the random weights
    #[arg(
        long,
        value_name = "PRECISION",
        value_delimiter = ',',
        value_parser = precision,
        default_values = ["f32", "i8"]
    )]
    precision: Vec<Precision>,
    /// Measure only the fastest backend
    #[arg(long)]
    best_backend: bool,
    /// Duration per model and backend
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The sizes of a model of random weights.
#[derive(Clone, Copy, Debug)]
struct RandomShape(Shape);

impl FromStr for RandomShape {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let [vocab_size, hidden_size, num_layers] = numbers(text, "56,128,1")?;
        Ok(Self(shape(vocab_size, hidden_size, num_layers)?))
    }
}

impl RandomShape {
    fn name(self) -> String {
        let Shape {
            vocab_size,
            hidden_size,
            num_layers,
            ..
        } = self.0;
        format!("{vocab_size},{hidden_size},{num_layers}")
    }

    /// A model file with the weights that a training starts from.
    fn model_file(self, precision: Precision) -> Result<Vec<u8>> {
        of_export(self.0).check(available())?;
        let chars: String = ('\u{4e00}'..).take(self.0.vocab_size - 1).collect();
        let alphabet = Alphabet::of([chars.as_str()], Mode::Lines)?;
        let network = Network::new(self.0, &mut Streams::new(1).weights, &Device::Cpu)?;
        model_file(&network, &alphabet, precision)
    }
}

fn precision(text: &str) -> Result<Precision, String> {
    if text == "f32" {
        return Ok(Precision::F32);
    }
    IntegerPrecision::from_str(text, false).map(Into::into)
}

/// All that was measured.
#[derive(Serialize)]
struct Report<'m> {
    features: Vec<&'static str>,
    results: Vec<Measurement<'m>>,
}

/// A model's steps on a backend.
#[derive(Serialize)]
struct Measurement<'m> {
    model: &'m str,
    precision: String,
    vocab_size: u16,
    hidden_size: u16,
    layers: u16,
    backend: String,
    median_ns: f64,
    best_ns: f64,
    bytes_per_step: usize,
    bytes_per_second: f64,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut files = Vec::new();
    for path in &args.models {
        let bytes = read_model(path)?;
        check_model(path, &bytes)?;
        files.push((path.display().to_string(), bytes));
    }
    for shape in &args.shapes {
        for &precision in &args.precision {
            files.push((shape.name(), shape.model_file(precision)?));
        }
    }
    // The best comes first.
    let available = Backend::available();
    let backends = if args.best_backend {
        &available[..1]
    } else {
        available
    };
    let mut report = Report {
        features: features(),
        results: Vec::new(),
    };
    let mut table = Table::new(&files);
    if !args.json {
        table.head(&report.features)?;
    }
    for (name, bytes) in &files {
        for &backend in backends {
            backend.select()?;
            let measurement = measure(name, Model::from_bytes(bytes)?, backend, args.seconds)?;
            if !args.json {
                table.row(&measurement)?;
            }
            report.results.push(measurement);
        }
    }
    if args.json {
        let json = serde_json::to_string(&report)?;
        let mut out = std::io::stdout();
        writeln!(out, "{}", Shown::on(&out).json(&json))?;
    }
    Ok(())
}

/// Times batches of steps for so many seconds, after a tenth of that to warm up.
fn measure<'m>(
    name: &'m str,
    model: Model<'_>,
    backend: Backend,
    seconds: f64,
) -> Result<Measurement<'m>> {
    const BATCHES: f64 = 100.0;
    let header = model.header();
    let sizes = model.sizes();
    let mut state = State::from_words(vec![0; sizes.state]);
    let mut workspace = Workspace::from_words(vec![0; sizes.workspace]);
    let mut tokens = (0..header.vocab_size).map(Token).cycle();
    let mut batch = |steps: u64| -> Result<f64> {
        let start = Instant::now();
        for token in tokens.by_ref().take(steps as usize) {
            black_box(model.step(token, &mut state, &mut workspace)?);
        }
        Ok(start.elapsed().as_secs_f64() / steps as f64)
    };
    let (start, mut steps) = (Instant::now(), 0);
    while steps == 0 || start.elapsed().as_secs_f64() < seconds / 10.0 {
        steps += 1;
        batch(1)?;
    }
    let per_step = start.elapsed().as_secs_f64() / steps as f64;
    let steps = (seconds / BATCHES / per_step).ceil() as u64;
    let start = Instant::now();
    let mut times = vec![batch(steps)?];
    while start.elapsed().as_secs_f64() < seconds {
        times.push(batch(steps)?);
    }
    times.sort_by(f64::total_cmp);
    let (best, median) = (times[0], times[times.len() / 2]);
    let bytes_per_step = bytes_per_step(&header).context("the model's sizes overflow")?;
    Ok(Measurement {
        model: name,
        precision: header.precision.to_string(),
        vocab_size: header.vocab_size,
        hidden_size: header.hidden_size,
        layers: header.num_layers,
        backend: backend.to_string(),
        median_ns: 1e9 * median,
        best_ns: 1e9 * best,
        bytes_per_step,
        bytes_per_second: bytes_per_step as f64 / median,
    })
}

/// Bytes of the layers, the head and a row of the table; `None` if they overflow.
fn bytes_per_step(header: &Header<'_>) -> Option<usize> {
    Some(match header.precision {
        Precision::F32 => {
            let sections = Sections::of(header)?;
            4 * ROWS * (sections.layer_blocks + sections.layers + sections.head)
        }
        _ => {
            let sections = IntegerSections::of(header)?;
            sections.bytes()? - SECTION_ALIGN * sections.input() + 4 * sections.input_row()
        }
    })
}

/// The processor's features that a backend uses, or one could use.
fn features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let features = {
        use std::arch::is_x86_feature_detected as has;
        vec![
            ("avx2", has!("avx2")),
            ("fma", has!("fma")),
            ("avxvnni", has!("avxvnni")),
            ("avx512f", has!("avx512f")),
            ("avx512vnni", has!("avx512vnni")),
        ]
    };
    #[cfg(not(target_arch = "x86_64"))]
    let features: Vec<(&'static str, bool)> = Vec::new();
    let found = features.into_iter().filter(|&(_, found)| found);
    found.map(|(name, _)| name).collect()
}

/// The table for people: rows appear as they are measured.
struct Table {
    out: std::io::Stdout,
    shown: Shown,
    width: usize,
}

impl Table {
    fn new(files: &[(String, Vec<u8>)]) -> Self {
        let out = std::io::stdout();
        let shown = Shown::on(&out);
        let widths = files
            .iter()
            .map(|(name, _)| shown.line(name).chars().count());
        Self {
            out,
            shown,
            width: widths.chain(["model".len()]).max().unwrap_or(0),
        }
    }

    fn head(&mut self, features: &[&str]) -> Result<()> {
        let bold = Styles::of_stdout().heading();
        let found = if features.is_empty() {
            "none that matter".to_owned()
        } else {
            features.join(" ")
        };
        writeln!(
            self.out,
            "processor features: {found}; one thread, one character at a time"
        )?;
        writeln!(
            self.out,
            "{bold}{:width$}  precision  backend   {:>12}  {:>12}  {:>12}  {:>9}{bold:#}",
            "model",
            "median",
            "best",
            "weights read",
            "GB/s",
            width = self.width,
        )?;
        Ok(())
    }

    fn row(&mut self, measurement: &Measurement<'_>) -> Result<()> {
        writeln!(
            self.out,
            "{:width$}  {:9}  {:8}  {:>12}  {:>12}  {:>12}  {:>9.1}",
            self.shown.line(measurement.model),
            measurement.precision,
            measurement.backend,
            micros(measurement.median_ns),
            micros(measurement.best_ns),
            format!("{} B", measurement.bytes_per_step),
            measurement.bytes_per_second / 1e9,
            width = self.width,
        )?;
        Ok(())
    }
}

fn micros(nanoseconds: f64) -> String {
    format!("{:.2} us", nanoseconds / 1e3)
}
