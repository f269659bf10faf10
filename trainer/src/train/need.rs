//! The memory that a run needs, estimated before it starts.
//!
//! The part that training steps need is compared with what they take by a test, `training::need`.

use anyhow::Result;

use crate::config::{Config, DeviceKind};
use crate::data::corpus::Corpus;
use crate::model::shape::Shape;
use crate::train::session::batches;
use crate::util::memory::{Need, available};

const FLOAT: f64 = 4.0;
/// The program itself, its logs and its page.
const PROGRAM: f64 = 40e6;
/// What makes weights fewer.
const NARROWER: &str = "use a smaller --hidden, --layers or --embedding";

/// Refuses a run that needs more memory than there is.
///
/// # Errors
/// Names what it needs, what there is, and what makes that smaller.
pub fn check_run(config: &Config, corpus: &Corpus) -> Result<()> {
    // A GPU has memory of its own, and says so when there is no more.
    if config.training.device == DeviceKind::Cpu {
        of_run(config, corpus).check(available())?;
    }
    Ok(())
}

/// What a run needs beside its data.
fn of_run(config: &Config, corpus: &Corpus) -> Need {
    let shape = Shape::new(corpus.alphabet.size(), &config.network);
    let parameters = parameters(shape);
    let rows = [&corpus.train, &corpus.validation]
        .map(|sequences| batches(config, corpus, sequences).largest());
    let lanes = config.training.batch_size.min(rows[0].max(rows[1])) as f64;
    let has_average = config.training.ema.is_some();
    let is_changed = config.training.quantize.is_some()
        || config.network.weight_dropout > 0.0
        || config.network.embedding_dropout > 0.0;
    let mut need = of_training(shape, rows[0].max(rows[1]) as f64, lanes, is_changed);
    // The averaged network has buffers of its own when it is evaluated.
    if has_average {
        need.add(
            "the average of the weights",
            FLOAT * parameters + need.bytes() / 2.0,
            "leave out --ema",
        );
    }
    // A checkpoint's moments, and the whole of it as a file with the largest tensor once more; at the end of the run the
    // best one, as it is read, and then as a model in plain and in integer numbers.
    let average = if has_average { 3.0 } else { 0.0 };
    let saving = FLOAT * (6.0 + average) * parameters;
    let exporting = FLOAT * 5.0 * parameters + 6.0 * FLOAT * table(shape);
    need.add("saving", saving.max(exporting), NARROWER);
    need
}

/// What a network with random weights or from a checkpoint needs until it is a model file.
pub fn of_export(shape: Shape) -> Need {
    let mut need = Need::of("this network");
    need.add("the program", PROGRAM, "free some of it");
    need.add(
        "the weights",
        FLOAT * 8.0 * parameters(shape),
        "use a smaller one",
    );
    need.add(
        "the input's products with each character",
        FLOAT * 6.0 * table(shape),
        "use one with fewer different characters",
    );
    need
}

/// What training steps need.
///
/// `rows` is the number of predictions in a batch, `is_changed` whether weights are dropped or rounded.
pub fn of_training(shape: Shape, rows: f64, lanes: f64, is_changed: bool) -> Need {
    let Shape {
        vocab_size,
        hidden_size,
        num_layers,
        ..
    } = shape;
    let [vocab, hidden, layers] = [vocab_size, hidden_size, num_layers].map(|size| size as f64);
    let parameters = parameters(shape);
    let mut need = Need::of("this run");
    need.add("the program", PROGRAM, "free some of it");
    // Weights, their two moments and gradient, and as packed for products forward and back; what an allocator can't give
    // back is about once more.
    let copies = if is_changed { 8.0 } else { 7.0 };
    need.add("the weights", FLOAT * copies * parameters, NARROWER);
    need.add(
        format!("the input's products with each of {vocab_size} characters"),
        FLOAT * 2.0 * table(shape),
        "use a smaller --hidden, or a text with fewer different characters",
    );
    // Gates, c, h before and after, both packed, of each layer; h and its gradient; tokens in batch, shard and tape.
    let activations = layers * 8.0 * hidden + 2.0 * hidden + 16.0;
    let states = 12.0 * layers * lanes * hidden;
    need.add(
        format!("the activations of a batch, {rows} characters"),
        FLOAT * (rows * activations + states),
        "use a smaller --batch, --window, --hidden or --layers",
    );
    need.add(
        format!("the logits of a batch, {rows} characters of {vocab_size} kinds"),
        FLOAT * rows * vocab,
        "use a smaller --batch or --window, or a text with fewer different characters",
    );
    need
}

/// Number of weights; none is too large for it.
fn parameters(shape: Shape) -> f64 {
    let count = |dims: &Vec<usize>| dims.iter().map(|&size| size as f64).product::<f64>();
    let parameters = shape.parameters();
    parameters
        .iter()
        .map(|parameter| count(&parameter.dims))
        .sum()
}

/// Elements of the table of the first layer's input products.
fn table(shape: Shape) -> f64 {
    4.0 * shape.hidden_size as f64 * shape.vocab_size as f64
}
