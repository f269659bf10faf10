//! `charlet bench`

mod step;
mod train;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use charlet_trainer::model::shape::Shape;
use clap::{Parser, Subcommand};

/// Measure the speed of inference and training on this machine
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Step(step::Args),
    Train(train::Args),
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    match args.what {
        What::Step(args) => step::run(&args)?,
        What::Train(args) => train::run(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// `N` numbers separated by commas.
fn numbers<const N: usize>(text: &str, example: &str) -> Result<[usize; N]> {
    let numbers = text
        .split(',')
        .map(str::parse)
        .collect::<Result<Vec<_>, _>>();
    match numbers.ok().and_then(|numbers| numbers.try_into().ok()) {
        Some(numbers) => Ok(numbers),
        None => anyhow::bail!("{N} numbers are needed, as in {example}"),
    }
}

/// The shape of a network of random weights.
fn shape(vocab_size: usize, hidden_size: usize, num_layers: usize) -> Result<Shape> {
    const MAX_HIDDEN: usize = 8192;
    const MAX_LAYERS: usize = 16;
    ensure!(
        (2..=0x4000).contains(&vocab_size),
        "2 to 16,384 tokens will do"
    );
    ensure!(
        (1..=MAX_HIDDEN).contains(&hidden_size),
        "1 to {MAX_HIDDEN} hidden units will do"
    );
    ensure!(
        (1..=MAX_LAYERS).contains(&num_layers),
        "1 to {MAX_LAYERS} layers will do"
    );
    Ok(Shape {
        vocab_size,
        // It is folded into the input table, and costs no time.
        embedding_size: 32,
        hidden_size,
        num_layers,
    })
}

/// A duration in seconds.
fn seconds(text: &str) -> Result<f64> {
    let seconds: f64 = text.parse()?;
    ensure!(
        (0.001..=3600.0).contains(&seconds),
        "0.001 to 3600 seconds will do"
    );
    Ok(seconds)
}
