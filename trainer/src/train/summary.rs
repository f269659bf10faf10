//! What is about to be trained, before it is.

use std::fmt::Write;

use anyhow::{Context, Result};
use charlet::Sizes;
use charlet::format::{self, Precision};
use indicatif::HumanCount;

use crate::config::Config;
use crate::corpus::{Alphabet, Corpus, Sequences, bigram_loss};
use crate::export;
use crate::network::Shape;
use crate::report::Loss;

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
    let mark = if alphabet.end().is_some() {
        " and a mark"
    } else {
        ""
    };
    writeln!(
        text,
        "data      {}: {} to learn, {} held out, {chars} different characters{mark}",
        config.name(),
        count(&corpus.train),
        count(&corpus.validation),
    )?;
    for note in &corpus.notes {
        writeln!(text, "          {note}")?;
    }
    write_network(&mut text, shape)?;
    write_needs(&mut text, shape, alphabet, config.training.precision())?;
    let baseline = Loss {
        nats: bigram_loss(corpus),
        sequences: &corpus.validation,
    };
    write!(
        text,
        "baseline  counts of character pairs: held out {baseline}"
    )?;
    Ok(text)
}

/// A layer, or all of them.
pub(crate) struct Layer {
    pub(crate) name: String,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) parameters: usize,
}

/// The layers, and all of them at the end.
pub(crate) fn layers(shape: Shape) -> Vec<Layer> {
    let all = shape.parameters();
    let layer = |name: String, inputs: usize, outputs: usize, prefix: &str| {
        let part = all.iter().filter(|part| part.name.starts_with(prefix));
        Layer {
            name,
            inputs,
            outputs,
            parameters: part.map(|part| part.dims.iter().product::<usize>()).sum(),
        }
    };
    let (vocab, hidden) = (shape.vocab_size, shape.hidden_size);
    let embedding = shape.embedding_size;
    let mut layers = vec![layer("embedding".into(), vocab, embedding, "embedding.")];
    layers.extend((0..shape.num_layers).map(|at| {
        let (name, prefix) = (format!("lstm {at}"), format!("lstm.{at}."));
        layer(name, shape.input_size(at), hidden, &prefix)
    }));
    layers.push(layer("head".into(), hidden, vocab, "head."));
    layers.push(layer("in all".into(), vocab, vocab, ""));
    layers
}

fn write_network(text: &mut String, shape: Shape) -> Result<()> {
    let mut label = "network";
    for layer in layers(shape) {
        let Layer {
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

/// What a model needs on the chip, in bytes.
pub(crate) struct Needs {
    pub(crate) flash: usize,
    pub(crate) ram: usize,
}

/// What the model will need in a precision.
///
/// # Errors
/// If the network exceeds what a model file can hold.
pub(crate) fn needs(shape: Shape, alphabet: &Alphabet, precision: Precision) -> Result<Needs> {
    let header = export::header(shape, alphabet, precision)?;
    let too_large = "the network is too large for a model file";
    Ok(Needs {
        flash: format::file_len(&header).context(too_large)?,
        ram: Sizes::of(&header).context(too_large)?.ram_bytes(),
    })
}

/// What the model needs.
fn write_needs(
    text: &mut String,
    shape: Shape,
    alphabet: &Alphabet,
    precision: Precision,
) -> Result<()> {
    let needs = needs(shape, alphabet, precision)?;
    writeln!(
        text,
        "on chip   {} bytes of flash, {} bytes of RAM, {} multiply-accumulates per character ({precision})",
        HumanCount(needs.flash as u64),
        HumanCount(needs.ram as u64),
        HumanCount(shape.macs_per_char() as u64),
    )?;
    Ok(())
}
