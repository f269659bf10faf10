//! `charlet generate`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use charlet::{Generator, Sampler};
use charlet_trainer::speak::{LINE_LIMIT, Speaker, text_rng};
use clap::Parser;

use super::{check_model, read_model};

/// Length of a text that has no end mark.
const TEXT_LENGTH: usize = 400;

/// Make text with a model, run as a chip would run it
///
/// The same model, options and seed give the same text on every machine.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  charlet generate names.charlet -n 20 --temperature 0.8 --seed 1
  charlet generate names.charlet --prime ma
  charlet generate alice.charlet --prime \"alice \" --length 1000 --top-p 0.9")]
pub(crate) struct Args {
    /// The model
    model: PathBuf,
    /// How many texts to make [default: 10 lines, or 1 text]
    #[arg(short = 'n', long = "count", value_name = "N")]
    count: Option<usize>,
    /// How daring to be: 1 is the model's own distribution, less is more careful
    #[arg(
        long,
        value_name = "T",
        default_value_t = 0.8,
        allow_negative_numbers = true
    )]
    temperature: f32,
    /// Choose among the K most probable characters only
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Choose among the fewest characters that make up this share of the probability
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    top_p: Option<f32>,
    /// Always take the most probable character
    #[arg(long, conflicts_with_all = ["temperature", "top_k", "top_p"])]
    greedy: bool,
    /// A text to continue
    #[arg(long, value_name = "TEXT", default_value = "")]
    prime: String,
    /// The seed of the random choices [default: from the clock]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Characters to make at most [default: 64 for a line, 400 for a text]
    #[arg(long, value_name = "L")]
    length: Option<usize>,
}

impl Args {
    fn sampler(&self, vocab_size: usize) -> Result<Sampler> {
        if self.greedy {
            return Ok(Sampler::greedy());
        }
        let mut sampler = Sampler::with_temperature(self.temperature).with_context(|| {
            format!(
                "--temperature {} won't do; see also --greedy",
                self.temperature
            )
        })?;
        if let Some(top_k) = self.top_k {
            ensure!(
                (1..=vocab_size).contains(&top_k),
                "--top-k {top_k} must be from 1 to {vocab_size}, the size of the model's vocabulary"
            );
            sampler = sampler.top_k(top_k)?;
        }
        if let Some(top_p) = self.top_p {
            sampler = sampler
                .top_p(top_p)
                .with_context(|| format!("--top-p {top_p} won't do"))?;
        }
        Ok(sampler)
    }
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let bytes = read_model(&args.model)?;
    let model = check_model(&args.model, &bytes)?;
    let is_list = model.vocab().end().is_some();
    let sampler = args.sampler(model.vocab().size())?;
    let count = args.count.unwrap_or(if is_list { 10 } else { 1 });
    let length = args
        .length
        .unwrap_or(if is_list { LINE_LIMIT } else { TEXT_LENGTH });
    let mut rng = text_rng(args.seed.unwrap_or_else(clock));
    let mut speaker = Speaker::new(model);
    let mut out = std::io::stdout().lock();
    for text in 0..count {
        let generator = speaker
            .generate(sampler, &mut rng, &args.prime)
            .with_context(|| format!("can't continue --prime {:?}", args.prime))?;
        if text > 0 && !is_list {
            writeln!(out)?;
        }
        stream(&mut out, &args.prime, generator.take(length))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints characters as they are made.
fn stream<R: rand_core::Rng>(
    out: &mut impl Write,
    prime: &str,
    chars: std::iter::Take<Generator<'_, R>>,
) -> std::io::Result<()> {
    write!(out, "{prime}")?;
    for char in chars {
        write!(out, "{char}")?;
        out.flush()?;
    }
    writeln!(out)
}

/// A seed that differs from run to run.
fn clock() -> u64 {
    // A clock before 1970 gives the same seed every time: a nuisance, no error.
    SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |since| since.as_nanos() as u64)
}
