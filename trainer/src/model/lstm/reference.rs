//! Reference implementation in plain tensor operations: slow, obviously correct, on any device.
//!
//! It is the reference that the fused operator is tested against.

use anyhow::{Context, Result};
use candle_core::{D, Tensor};

use super::dropout::OutputDropout;
use crate::data::batch::Batch;
use crate::model::shape::Shape;

/// All that a pass through the network computes.
#[derive(Clone, Debug)]
pub struct Trace {
    /// h after each step, by layer and step, `[batch, hidden_size]`.
    pub h: Vec<Vec<Tensor>>,
    /// c after each step, in the same way.
    pub c: Vec<Vec<Tensor>>,
    /// `[steps * batch, vocab_size]`, time-major.
    pub logits: Tensor,
}

impl Trace {
    /// The state after the last step of a batch without padding, `[2, layers, batch, hidden_size]`.
    ///
    /// # Errors
    /// If there was no step.
    pub fn last_state(&self) -> Result<Tensor> {
        let last = |steps: &Vec<Tensor>| steps.last().cloned().context("a batch without steps");
        let h = self.h.iter().map(last).collect::<Result<Vec<_>>>()?;
        let c = self.c.iter().map(last).collect::<Result<Vec<_>>>()?;
        Ok(Tensor::stack(
            &[Tensor::stack(&h, 0)?, Tensor::stack(&c, 0)?],
            0,
        )?)
    }

    /// The summed cross-entropy, in nats, of the targets that are no padding.
    ///
    /// # Errors
    /// If the trace is of another batch.
    pub fn loss(&self, batch: &Batch) -> Result<Tensor> {
        let (count, device) = (batch.targets.len(), self.logits.device());
        let targets = Tensor::from_slice(&batch.targets, (count, 1), device)?;
        let mask = Tensor::from_vec(batch.mask(), (count, 1), device)?;
        let log_probs = log_softmax(&self.logits)?.gather(&targets, D::Minus1)?;
        Ok((log_probs * mask)?.sum_all()?.neg()?)
    }
}

/// Runs a batch from a state `[2, layers, batch, hidden_size]`, h first, with flat parameters.
pub(crate) fn run(
    shape: Shape,
    parameters: &Tensor,
    batch: &Batch,
    state: &Tensor,
    dropout: Option<OutputDropout>,
) -> Result<Trace> {
    let mut named = shape
        .split(parameters)?
        .into_iter()
        .map(|(_, tensor)| tensor);
    let mut next = || named.next().context("a parameter is missing");
    let embedding = next()?;
    let tokens = Tensor::from_slice(
        &batch.inputs,
        (batch.steps, batch.size),
        parameters.device(),
    )?;
    let mut inputs = Vec::new();
    let (mut all_h, mut all_c) = (Vec::new(), Vec::new());
    for layer in 0..shape.num_layers {
        let (weight_ih, weight_hh, bias) = (next()?.t()?, next()?.t()?, next()?);
        if layer == 0 {
            // A character's share of the gates is a row of a table: no product for each character.
            let table = embedding.matmul(&weight_ih)?.broadcast_add(&bias)?;
            for step in 0..batch.steps {
                inputs.push(table.index_select(&tokens.get(step)?, 0)?);
            }
        } else {
            for input in &mut inputs {
                *input = input.matmul(&weight_ih)?.broadcast_add(&bias)?;
            }
        }
        let state = state.get_on_dim(1, layer)?;
        let (mut h, mut c) = (state.get(0)?, state.get(1)?);
        let (mut hs, mut cs) = (Vec::new(), Vec::new());
        for input in &inputs {
            (h, c) = step((input + h.matmul(&weight_hh)?)?, &c)?;
            hs.push(h.clone());
            cs.push(c.clone());
        }
        inputs = match dropout {
            Some(dropout) => drop_outputs(dropout, layer, &hs)?,
            None => hs.clone(),
        };
        all_h.push(hs);
        all_c.push(cs);
    }
    let (head_weight, head_bias) = (next()?, next()?);
    let logits = Tensor::cat(&inputs, 0)?
        .matmul(&head_weight.t()?)?
        .broadcast_add(&head_bias)?;
    Ok(Trace {
        h: all_h,
        c: all_c,
        logits,
    })
}

/// `c' = sigmoid(f) c + sigmoid(i) tanh(g)` and `h' = sigmoid(o) tanh(c')`, as PyTorch's `nn.LSTM`.
/// Gives h' and c'.
fn step(gates: Tensor, c: &Tensor) -> Result<(Tensor, Tensor)> {
    let size = c.dim(D::Minus1)?;
    let gate = |index| gates.narrow(D::Minus1, index * size, size);
    let (i, f, g, o) = (gate(0)?, gate(1)?, gate(2)?, gate(3)?);
    let c = ((sigmoid(&f)? * c)? + (sigmoid(&i)? * g.tanh()?)?)?;
    Ok(((sigmoid(&o)? * c.tanh()?)?, c))
}

/// `1 / (1 + exp(-x))`, by tanh: nothing overflows, in the gradient either.
fn sigmoid(x: &Tensor) -> candle_core::Result<Tensor> {
    x.affine(0.5, 0.0)?.tanh()?.affine(0.5, 0.5)
}

/// The logarithm of each row's softmax. The highest is subtracted first: no overflow.
pub(crate) fn log_softmax(logits: &Tensor) -> candle_core::Result<Tensor> {
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?;
    let sums = shifted.exp()?.sum_keepdim(D::Minus1)?;
    shifted.broadcast_sub(&sums.log()?)
}

/// Multiplies each step's outputs with their dropout factors.
fn drop_outputs(dropout: OutputDropout, layer: usize, outputs: &[Tensor]) -> Result<Vec<Tensor>> {
    let (lanes, width) = outputs.first().context("a batch without steps")?.dims2()?;
    let drop = |(step, output): (usize, &Tensor)| -> Result<Tensor> {
        let places = (step * width) as u32..((step + 1) * width) as u32;
        let factors = (0..lanes).flat_map(|lane| {
            let factors = dropout.lane(layer, lane);
            places.clone().map(move |place| factors.at(place))
        });
        let mask = Tensor::from_vec(factors.collect(), (lanes, width), output.device())?;
        Ok((output * mask)?)
    };
    outputs.iter().enumerate().map(drop).collect()
}
