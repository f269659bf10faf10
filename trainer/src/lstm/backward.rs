//! The gradient: each share back through all steps, then every weight's sum over all rows.

use super::forward::Context;
use super::pointwise;
use super::tape::{LayerTape, Tape};
use super::weights::Weights;
use crate::matmul::{Operand, Size, add_matmul, add_matmul_parallel};
use crate::network::Shape;

impl Tape {
    /// Goes back from the logits, whose gradient is scaled by that of the loss, and from the
    /// gradients of the last state in `h_end` and `c_end`. Leaves the gradients of the gates' sums
    /// in `gates`, and those of the first state in `h_end` and `c_end`.
    pub(super) fn backward(&mut self, context: &Context<'_>, scale: f32) {
        let Context { shape, weights, .. } = context;
        for gradient in &mut self.logits {
            *gradient *= scale;
        }
        let size = Size {
            rows: self.share.rows(),
            inner: shape.vocab_size,
            columns: shape.hidden_size,
        };
        self.hidden.fill(0.0);
        let (left, right) = (
            Operand::Plain(&self.logits),
            Operand::Plain(weights.head_weight),
        );
        add_matmul(&mut self.hidden, size, left, right);
        for index in (0..shape.num_layers).rev() {
            self.back_through_layer(context, index);
            if index > 0 {
                let inner = 4 * shape.hidden_size;
                let size = Size {
                    rows: self.share.rows(),
                    inner,
                    columns: shape.hidden_size,
                };
                self.hidden.fill(0.0);
                let left = Operand::Plain(&self.layers[index].gates);
                let right = Operand::Plain(weights.layers[index].weight_ih);
                add_matmul(&mut self.hidden, size, left, right);
            }
        }
    }

    /// From the gradient of a layer's output, in `hidden`, to those of its gates' sums.
    fn back_through_layer(&mut self, context: &Context<'_>, index: usize) {
        let size = context.shape.hidden_size;
        let weight_hh = context.weights.layers[index].weight_hh;
        let Self {
            share,
            layers,
            hidden,
            ..
        } = self;
        let LayerTape {
            gates,
            c,
            mask,
            c_start,
            h_end,
            c_end,
            ..
        } = &mut layers[index];
        for (gradient, mask) in hidden.iter_mut().zip(&*mask) {
            *gradient *= mask;
        }
        share.at_ends(size, |lane, row| {
            for (gradient, end) in hidden[row].iter_mut().zip(&h_end[lane]) {
                *gradient += end;
            }
        });
        h_end.fill(0.0);
        for step in (0..share.steps()).rev() {
            let (first, lanes) = (share.first_row[step], share.active(step));
            let rows = first * size..(first + lanes) * size;
            let before = if step == 0 {
                0
            } else {
                share.first_row[step - 1] * size
            };
            let (earlier, later) = hidden.split_at_mut(rows.start);
            let c_before = if step == 0 {
                &c_start[..]
            } else {
                &c[before..]
            };
            let gates = &mut gates[4 * rows.start..4 * rows.end];
            let gradient = pointwise::Backward {
                gates,
                c_before: &c_before[..lanes * size],
                c: &c[rows.clone()],
                dh: &later[..lanes * size],
                dc: &mut c_end[..lanes * size],
            };
            pointwise::backward(gradient, size);
            let dh_before = if step == 0 {
                &mut h_end[..]
            } else {
                &mut earlier[before..]
            };
            let product = Size {
                rows: lanes,
                inner: 4 * size,
                columns: size,
            };
            let (left, right) = (Operand::Plain(gates), Operand::Plain(weight_hh));
            add_matmul(&mut dh_before[..lanes * size], product, left, right);
        }
    }
}

/// Sums every weight's gradient over the rows of all shares, share after share.
pub(super) fn collect(
    shape: Shape,
    tapes: &[Tape],
    weights: &Weights<&[f32]>,
    gradients: &mut Weights<&mut [f32]>,
) {
    let (hidden_size, rows) = (shape.hidden_size, 4 * shape.hidden_size);
    let mut table = vec![0.0; shape.vocab_size * rows];
    for tape in tapes {
        let outer = |out: &mut [f32], left: &[f32], right: &[f32]| {
            let inner = tape.share.rows();
            let size = Size {
                rows: left.len() / inner,
                inner,
                columns: right.len() / inner,
            };
            add_matmul_parallel(out, size, Operand::Transposed(left), Operand::Plain(right));
        };
        for (index, layer) in tape.layers.iter().enumerate() {
            let gradient = &mut gradients.layers[index];
            outer(gradient.weight_hh, &layer.gates, &layer.h_before);
            if index > 0 {
                outer(
                    gradient.weight_ih,
                    &layer.gates,
                    &tape.layers[index - 1].output,
                );
                add_rows(gradient.bias, &layer.gates);
            }
        }
        scatter(&tape.layers[0].gates, &tape.share.inputs, &mut table);
        outer(
            gradients.head_weight,
            &tape.logits,
            &tape.layers[shape.num_layers - 1].output,
        );
        add_rows(gradients.head_bias, &tape.logits);
    }
    // The table is `embedding weight_ih' + bias`.
    let (vocab_size, embedding_size) = (shape.vocab_size, shape.embedding_size);
    let first = &mut gradients.layers[0];
    add_rows(first.bias, &table);
    let size = Size {
        rows,
        inner: vocab_size,
        columns: embedding_size,
    };
    let (left, right) = (
        Operand::Transposed(&table),
        Operand::Plain(weights.embedding),
    );
    add_matmul(first.weight_ih, size, left, right);
    let size = Size {
        rows: vocab_size,
        inner: 4 * hidden_size,
        columns: embedding_size,
    };
    let (left, right) = (
        Operand::Plain(&table),
        Operand::Plain(weights.layers[0].weight_ih),
    );
    add_matmul(gradients.embedding, size, left, right);
}

/// `sum += ` the rows of a matrix.
fn add_rows(sum: &mut [f32], matrix: &[f32]) {
    for row in matrix.chunks_exact(sum.len()) {
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum += value;
        }
    }
}

/// Adds each row to the row of its token: the gradient of a gather.
fn scatter(gates: &[f32], tokens: &[u32], table: &mut [f32]) {
    let width = gates.len() / tokens.len().max(1);
    for (row, &token) in gates.chunks_exact(width.max(1)).zip(tokens) {
        let from = token as usize * width;
        for (sum, value) in table[from..from + width].iter_mut().zip(row) {
            *sum += value;
        }
    }
}
