//! A foreign network as its program computes it, step by step: what an import is compared with.

use anyhow::Result;

use super::foreign::{Foreign, Layer};
use super::tokens::Tokens;
use crate::data::source::Source;
use crate::inference::evaluation::Evaluation;

/// A foreign network with its state, in double precision.
#[derive(Clone, Debug)]
pub struct Original<'f> {
    foreign: &'f Foreign,
    h: Vec<Vec<f64>>,
    c: Vec<Vec<f64>>,
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn dot(row: &[f32], x: &[f64]) -> f64 {
    row.iter().zip(x).map(|(&w, x)| f64::from(w) * x).sum()
}

impl<'f> Original<'f> {
    /// With a state of zeros.
    pub fn new(foreign: &'f Foreign) -> Self {
        let zeros = |layer: &Layer| vec![0.0; layer.weight_hh.columns];
        let zeros: Vec<Vec<f64>> = foreign.layers.iter().map(zeros).collect();
        Self {
            foreign,
            h: zeros.clone(),
            c: zeros,
        }
    }

    /// Feeds one of its tokens, or a vector of zeros, and returns the logits of all.
    pub fn step(&mut self, token: Option<usize>) -> Vec<f64> {
        let first = self.foreign.layers[0].weight_ih.columns;
        let mut x: Vec<f64> = match (&self.foreign.embedding, token) {
            (Some(embedding), Some(token)) => {
                embedding.row(token).iter().map(|&x| x.into()).collect()
            }
            (_, token) => (0..first)
                .map(|at| f64::from(u8::from(Some(at) == token)))
                .collect(),
        };
        for (at, layer) in self.foreign.layers.iter().enumerate() {
            let hidden = layer.weight_hh.columns;
            let gates: Vec<f64> = (0..4 * hidden)
                .map(|row| {
                    f64::from(layer.bias[row])
                        + dot(layer.weight_ih.row(row), &x)
                        + dot(layer.weight_hh.row(row), &self.h[at])
                })
                .collect();
            for unit in 0..hidden {
                let gate = |gate: usize| gates[gate * hidden + unit];
                let (i, f, g, o) = (
                    sigmoid(gate(0)),
                    sigmoid(gate(1)),
                    gate(2).tanh(),
                    sigmoid(gate(3)),
                );
                let c = f * self.c[at][unit] + i * g;
                self.c[at][unit] = c;
                self.h[at][unit] = o * c.tanh();
            }
            x.clone_from(&self.h[at]);
        }
        let head = &self.foreign.head;
        let logits = head.bias.iter().enumerate();
        logits
            .map(|(row, &bias)| f64::from(bias) + dot(head.weight.row(row), &x))
            .collect()
    }

    /// h of a layer.
    pub fn hidden_state(&self, layer: usize) -> &[f64] {
        &self.h[layer]
    }

    /// c of a layer.
    pub fn cell_state(&self, layer: usize) -> &[f64] {
        &self.c[layer]
    }
}

/// How well a foreign network predicts a text, with the tokens that it has been given: by lines if they have an
/// end, and else as a whole. `progress` gets the number of predictions so far before each of them.
///
/// # Errors
/// If the tokens make no alphabet.
pub fn evaluate(
    foreign: &Foreign,
    tokens: &Tokens,
    source: &Source,
    mut progress: impl FnMut(usize),
) -> Result<Evaluation> {
    let vocab = tokens.vocab()?;
    let mut evaluation = Evaluation::default();
    let mut score = |text: &str| {
        let mut original = Original::new(foreign);
        let mut logits = original.step(tokens.foreign(vocab.start()));
        let mut add = |logits: &[f64], token: usize| {
            progress(evaluation.chars);
            let largest = logits.iter().copied().fold(f64::MIN, f64::max);
            let sum: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
            evaluation.nll += largest + sum.ln() - logits[token];
            evaluation.chars += 1;
        };
        for char in text.chars() {
            // One that isn't known is passed over, as by the runtime.
            let token = vocab.token(char).or(vocab.unknown());
            let Some(token) = token.and_then(|token| tokens.foreign(token)) else {
                continue;
            };
            add(&logits, token);
            logits = original.step(Some(token));
        }
        if let Some(end) = vocab.end().and_then(|end| tokens.foreign(end)) {
            add(&logits, end);
        }
    };
    if vocab.end().is_some() {
        source.lines().into_iter().for_each(&mut score);
    } else {
        score(&source.text);
    }
    Ok(evaluation)
}
