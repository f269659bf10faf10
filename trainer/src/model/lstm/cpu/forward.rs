//! Forward pass of one shard, through all layers and steps to the loss.

use super::packed::Packed;
use super::tape::{LayerTape, ShardTape};
use crate::model::gemm::{Operand, Panels, add_matmul};
use crate::model::lstm::dropout::OutputDropout;
use crate::model::lstm::pointwise;
use crate::model::lstm::profile::{Direction, Stage};
use crate::model::parameters::Weights;
use crate::model::shape::Shape;

/// What all shares of a batch have in common.
pub(super) struct Context<'a> {
    pub(super) shape: Shape,
    pub(super) weights: &'a Weights<&'a [f32]>,
    pub(super) packed: &'a Packed,
    /// What each token adds to the first layer's gates, bias included, `[vocab_size, 4 hidden_size]`.
    pub(super) table: &'a [f32],
    pub(super) dropout: Option<OutputDropout>,
}

/// `embedding weight_ih' + bias` of the first layer: a character's input product is a row of it.
pub(super) fn fold_table(shape: Shape, weights: &Weights<&[f32]>, table: &mut Vec<f32>) {
    let first = &weights.layers[0];
    table.clear();
    for _ in 0..shape.vocab_size {
        table.extend_from_slice(first.bias);
    }
    let mut panels = Panels::default();
    let right = Operand::Transposed(first.weight_ih);
    panels.pack(right, shape.embedding_size, 4 * shape.hidden_size);
    let left = Operand::Plain(weights.embedding);
    add_matmul(table, shape.vocab_size, left, &panels);
}

impl ShardTape {
    /// Runs the shard from the state in its layers' `h_end` and `c_end`, which are then those
    /// after the last step. The gradient of the logits and the loss are left behind too.
    pub(super) fn forward(&mut self, context: &Context<'_>) {
        let Context { shape, weights, .. } = context;
        self.stopwatch.start(Direction::Forward);
        for index in 0..shape.num_layers {
            let (below, layers) = self.layers.split_at_mut(index);
            let layer = &mut layers[0];
            match below.last() {
                None => {
                    gather(context.table, &self.shard.inputs, &mut layer.gates);
                    self.stopwatch.lap(Stage::Gather);
                }
                Some(below) => {
                    for row in layer.gates.chunks_exact_mut(4 * shape.hidden_size) {
                        row.copy_from_slice(weights.layers[index].bias);
                    }
                    let left = Operand::Plain(&below.output);
                    let right = &context.packed.forward.layers[index].input;
                    add_matmul(&mut layer.gates, self.shard.rows(), left, right);
                    self.stopwatch.lap(Stage::Input);
                }
            }
            self.run_layer(context, index);
        }
        self.score(context);
        self.stopwatch.lap(Stage::Head);
    }

    /// The recurrent part of a layer, whose gates hold the input's contribution.
    fn run_layer(&mut self, context: &Context<'_>, index: usize) {
        let size = context.shape.hidden_size;
        let weights = &context.packed.forward.layers[index].recurrent;
        let Self {
            shard,
            layers,
            hidden,
            h_before,
            stopwatch,
            ..
        } = self;
        let LayerTape {
            gates,
            c,
            h_before: packed_before,
            output,
            packed_output,
            c_start,
            h_end,
            c_end,
            ..
        } = &mut layers[index];
        c_start.copy_from_slice(c_end);
        // Most sequences start from nothing, whose products needn't be computed.
        let starts_from_zero = h_end.iter().all(|&h| h == 0.0);
        for step in 0..shard.steps() {
            let (first, lanes) = (shard.first_row[step], shard.active(step));
            let rows = first * size..(first + lanes) * size;
            let (earlier, later) = hidden.split_at_mut(rows.start);
            let (c_earlier, c_later) = c.split_at_mut(rows.start);
            let (h_source, c_before) = if step == 0 {
                (&h_end[..], &c_start[..])
            } else {
                let before = shard.first_row[step - 1] * size;
                (&earlier[before..], &c_earlier[before..])
            };
            let h_before = &mut h_before[rows.clone()];
            h_before.copy_from_slice(&h_source[..lanes * size]);
            let gates = &mut gates[4 * rows.start..4 * rows.end];
            if step > 0 || !starts_from_zero {
                add_matmul(gates, lanes, Operand::Plain(h_before), weights);
                stopwatch.lap(Stage::Recurrent);
            }
            let after = pointwise::Forward {
                gates,
                c_before: &c_before[..lanes * size],
                c: &mut c_later[..lanes * size],
                h: &mut later[..lanes * size],
            };
            pointwise::forward(after, size);
            stopwatch.lap(Stage::Pointwise);
        }
        shard.at_ends(size, |lane, row| {
            h_end[lane.clone()].copy_from_slice(&hidden[row.clone()]);
            c_end[lane].copy_from_slice(&c[row]);
        });
        match context.dropout {
            Some(dropout) => {
                output.copy_from_slice(hidden);
                dropout.mask(shard, index, size, output);
            }
            None => std::mem::swap(output, hidden),
        }
        stopwatch.lap(Stage::Pointwise);
        let first = if starts_from_zero { shard.active(0) } else { 0 };
        let rows = shard.rows() - first;
        packed_before.pack(Operand::Plain(&h_before[first * size..]), rows, size);
        packed_output.pack(Operand::Plain(output), shard.rows(), size);
        stopwatch.lap(Stage::Weights);
    }

    /// Logits, loss, and the logits' gradient.
    fn score(&mut self, context: &Context<'_>) {
        let Context { shape, weights, .. } = context;
        for row in self.logits.chunks_exact_mut(shape.vocab_size) {
            row.copy_from_slice(weights.head_bias);
        }
        let left = Operand::Plain(&self.layers[shape.num_layers - 1].output);
        let right = &context.packed.forward.head;
        add_matmul(&mut self.logits, self.shard.rows(), left, right);
        self.loss_sum =
            pointwise::cross_entropy(&mut self.logits, &self.shard.targets, shape.vocab_size);
    }
}

/// The first layer's input: a row of the table for each token.
fn gather(table: &[f32], tokens: &[u32], gates: &mut [f32]) {
    let width = gates.len() / tokens.len().max(1);
    for (row, &token) in gates.chunks_exact_mut(width.max(1)).zip(tokens) {
        let from = token as usize * width;
        row.copy_from_slice(&table[from..from + width]);
    }
}
