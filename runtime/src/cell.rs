//! One step of one LSTM layer: the only place that knows what the four gates do.

use crate::activation::{sigmoid, tanh};
use crate::kernel::{Column, accumulate, load};
use crate::layout::UNITS;

/// The weights of one layer, in the file's own bytes.
pub(crate) struct Layer<'a> {
    /// What every gate's sum starts with: the bias, or a row of the input table. One column a block.
    pub(crate) start: &'a [Column],
    /// One column per input, block after block; the inputs are x, then h.
    pub(crate) weights: &'a [Column],
}

impl Layer<'_> {
    /// Computes c and h after the next input.
    ///
    /// With `[i, f, g, o] = start + W [x, h]`, every sum taken from left to right,
    /// `c' = sigmoid(f) c + sigmoid(i) tanh(g)` and `h' = sigmoid(o) tanh(c')`: the equations and
    /// the gate order of PyTorch's `nn.LSTM`. `c`, `h` and `h_next` have one value per hidden unit.
    /// `x` is empty in the first layer, whose input is in `start`.
    pub(crate) fn step(&self, x: &[f32], h: &[f32], c: &mut [f32], h_next: &mut [f32]) {
        let mut weights = self.weights;
        let units = c.chunks_mut(UNITS).zip(h_next.chunks_mut(UNITS));
        for (start, (c, h_next)) in self.start.iter().zip(units) {
            let mut sums = load(start);
            for inputs in [x, h] {
                let (block, rest) = weights.split_at_checked(inputs.len()).unwrap_or_default();
                accumulate(&mut sums, block, inputs);
                weights = rest;
            }
            let (i, sums) = split_gate(&sums);
            let (f, sums) = split_gate(sums);
            let (g, o) = split_gate(sums);
            for (((((c, h), i), f), g), o) in c.iter_mut().zip(h_next).zip(i).zip(f).zip(g).zip(o) {
                *c = sigmoid(*f) * *c + sigmoid(*i) * tanh(*g);
                *h = sigmoid(*o) * tanh(*c);
            }
        }
    }
}

/// The sums of the next gate, and the rest.
fn split_gate(sums: &[f32]) -> (&[f32], &[f32]) {
    sums.split_at_checked(UNITS).unwrap_or_default()
}
