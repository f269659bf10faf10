//! The summary that is printed before training.

use std::fmt::Write;

use anyhow::Result;
use charlet::format::{Precision, WeightBits};
use indicatif::HumanCount;

use super::metrics::Loss;
use crate::config::{Config, TrainingConfig};
use crate::data::alphabet::Alphabet;
use crate::data::corpus::{Corpus, Sequences, bigram_loss};
use crate::export::footprint::needs;
use crate::export::form::Form;
use crate::model::layers::{LayerSummary, layers};
use crate::model::shape::Shape;

/// What is about to be trained, on what, and what the model will need on the chip.
///
/// # Errors
/// If the network exceeds what a model file can hold.
pub(crate) fn summary(config: &Config, corpus: &Corpus, shape: Shape) -> Result<String> {
    let mut text = String::new();
    let alphabet = &corpus.alphabet;
    let count = |sequences: &Sequences| match sequences {
        Sequences::Lines(lines) => format!("{} lines", HumanCount(lines.len() as u64)),
        Sequences::Text(text) => format!("{} characters", HumanCount(text.len() as u64)),
    };
    let chars = alphabet.chars().chars().count();
    let marks = match (alphabet.end(), alphabet.unknown()) {
        (None, None) => "",
        (Some(_), None) => " and an end mark",
        (None, Some(_)) => " and a mark for others",
        (Some(_), Some(_)) => ", an end mark and a mark for others",
    };
    writeln!(
        text,
        "data      {}: {} to train on, {} held out, {chars} different characters{marks}",
        config.name(),
        count(&corpus.train),
        count(&corpus.validation),
    )?;
    for note in &corpus.notes {
        writeln!(text, "          {note}")?;
    }
    if let Some(others) = corpus.others {
        writeln!(text, "characters  {others}")?;
    }
    write_network(&mut text, shape)?;
    write_needs(&mut text, shape, alphabet, &config.training)?;
    let baseline = Loss {
        nats_per_char: bigram_loss(corpus),
        sequences: &corpus.validation,
    };
    write!(
        text,
        "baseline  counts of character pairs: held out {baseline}"
    )?;
    Ok(text)
}

/// A network's layers, and what it will need on the chip.
///
/// # Errors
/// If the network exceeds what a model file can hold.
pub fn network_summary(
    shape: Shape,
    alphabet: &Alphabet,
    training: &TrainingConfig,
) -> Result<String> {
    let mut text = String::new();
    write_network(&mut text, shape)?;
    write_needs(&mut text, shape, alphabet, training)?;
    Ok(text)
}

fn write_network(text: &mut String, shape: Shape) -> Result<()> {
    let mut label = "network";
    for layer in layers(shape) {
        let LayerSummary {
            name,
            inputs,
            outputs,
            parameters,
        } = layer;
        let count = HumanCount(parameters as u64).to_string();
        writeln!(
            text,
            "{label:9} {name:10} {inputs:>5} -> {outputs:<5} {count:>12} parameters"
        )?;
        label = "";
    }
    Ok(())
}

/// What the model needs.
fn write_needs(
    text: &mut String,
    shape: Shape,
    alphabet: &Alphabet,
    training: &TrainingConfig,
) -> Result<()> {
    let precision = training.precision();
    let form = Form::of(training, shape, alphabet, precision)?;
    let needs = needs(shape, alphabet, form)?;
    writeln!(
        text,
        "on chip   {} bytes of flash, {} bytes of RAM, {} multiply-accumulates per character ({precision})",
        HumanCount(needs.flash as u64),
        HumanCount(needs.ram as u64),
        HumanCount(form.operations(shape) as u64),
    )?;
    if precision != Precision::F32 {
        let head = match form.head_bits {
            WeightBits::Four => "; head of 4 bits",
            WeightBits::Eight => "",
        };
        writeln!(text, "input     {}{head}", form.explained(shape, alphabet)?)?;
    }
    Ok(())
}
