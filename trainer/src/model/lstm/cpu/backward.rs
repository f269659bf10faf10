//! Backward pass: backpropagation through time for each shard, then the weight gradients over all rows.

use std::time::Instant;

use rayon::prelude::*;

use super::forward::Context;
use super::tape::{LayerTape, ShardTape};
use crate::model::gemm::{Operand, Panels, add_matmul, add_rows_of_matmul};
use crate::model::lstm::pointwise;
use crate::model::lstm::profile::Direction;
use crate::model::lstm::profile::{Profile, Stage};
use crate::model::parameters::{LayerWeights, Weights};
use crate::model::shape::Shape;

impl ShardTape {
    /// Goes back from the logits, whose gradient is scaled by that of the loss, and from the
    /// gradients of the last state in `dh` and `dc`. Leaves the gradients of the gates' sums in
    /// `gates`, and that of the first c in `dc`.
    pub(super) fn backward(&mut self, context: &Context<'_>, scale: f32) {
        let packed = &context.packed.backward;
        self.stopwatch.start(Direction::Backward);
        for gradient in &mut self.logits {
            *gradient *= scale;
        }
        let rows = self.shard.rows();
        self.hidden.fill(0.0);
        let left = Operand::Plain(&self.logits);
        add_matmul(&mut self.hidden, rows, left, &packed.head);
        self.stopwatch.lap(Stage::Head);
        for index in (0..context.shape.num_layers).rev() {
            self.back_through_layer(context, index);
            if index > 0 {
                self.hidden.fill(0.0);
                let left = Operand::Plain(&self.layers[index].gates);
                add_matmul(&mut self.hidden, rows, left, &packed.layers[index].input);
                self.stopwatch.lap(Stage::Input);
            }
        }
    }

    /// From the gradient of a layer's output, in `hidden`, to those of its gates' sums.
    fn back_through_layer(&mut self, context: &Context<'_>, index: usize) {
        let size = context.shape.hidden_size;
        let weights = &context.packed.backward.layers[index].recurrent;
        let Self {
            shard,
            layers,
            hidden,
            stopwatch,
            ..
        } = self;
        let LayerTape {
            gates,
            c,
            c_start,
            dh,
            dc,
            ..
        } = &mut layers[index];
        if let Some(dropout) = context.dropout {
            dropout.mask(shard, index, size, hidden);
        }
        shard.at_ends(size, |lane, row| {
            for (gradient, end) in hidden[row].iter_mut().zip(&dh[lane]) {
                *gradient += end;
            }
        });
        for step in (0..shard.steps()).rev() {
            let (first, lanes) = (shard.first_row[step], shard.active(step));
            let rows = first * size..(first + lanes) * size;
            let before = if step == 0 {
                0
            } else {
                shard.first_row[step - 1] * size
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
                dc: &mut dc[..lanes * size],
            };
            pointwise::backward(gradient, size);
            stopwatch.lap(Stage::Pointwise);
            if step > 0 {
                let out = &mut earlier[before..][..lanes * size];
                add_matmul(out, lanes, Operand::Plain(gates), weights);
                stopwatch.lap(Stage::Recurrent);
            }
        }
    }

    /// After [`backward`](Self::backward): leaves the gradient of h before the first step in `dh`.
    pub(super) fn back_to_start(&mut self, context: &Context<'_>) {
        let lanes = self.shard.active(0);
        for (layer, packed) in self.layers.iter_mut().zip(&context.packed.backward.layers) {
            let gates = &layer.gates[..lanes * 4 * context.shape.hidden_size];
            layer.dh.fill(0.0);
            add_matmul(
                &mut layer.dh,
                lanes,
                Operand::Plain(gates),
                &packed.recurrent,
            );
        }
    }
}

/// A piece of work on a gradient that no other piece touches.
type Job<'j> = Box<dyn FnOnce() + Send + 'j>;

/// Jobs of a large gradient per thread: enough that none waits long for the last one. The fewer there are, the
/// less often what is on the right comes from far away.
const JOBS_OF_A_THREAD: usize = 4;

/// Rows of a gradient that a job computes, at least.
const ROWS_OF_A_JOB: usize = 96;

/// The gradient of all parameters, `count` of them: each weight's summed over the rows of all shards, shard after
/// shard. Gives the time that it took, too.
///
/// All threads take jobs from one heap, so that they meet only once in a batch, at its end: where
/// another process wants a core, waiting for a thread costs more than its work.
pub(super) fn collect(
    shape: Shape,
    tapes: &[ShardTape],
    weights: &Weights<&[f32]>,
    count: usize,
) -> (Vec<f32>, Profile) {
    let mut gradient = vec![0.0; count];
    let gradients = Weights::split_mut(shape, &mut gradient);
    let mut jobs: Vec<Job<'_>> = Vec::new();
    let mut layers = gradients.layers.into_iter().enumerate();
    if let Some((_, first)) = layers.next() {
        let LayerWeights {
            weight_ih,
            weight_hh,
            bias,
        } = first;
        let embedding = gradients.embedding;
        jobs.push(Box::new(move || {
            unfold_table(shape, tapes, weights, [embedding, weight_ih, bias])
        }));
        outer(&mut jobs, tapes, weight_hh, shape.hidden_size, |tape| {
            (&tape.layers[0].gates, &tape.layers[0].h_before)
        });
    }
    for (
        index,
        LayerWeights {
            weight_ih,
            weight_hh,
            bias,
        },
    ) in layers
    {
        outer(
            &mut jobs,
            tapes,
            weight_hh,
            shape.hidden_size,
            move |tape| (&tape.layers[index].gates, &tape.layers[index].h_before),
        );
        outer(
            &mut jobs,
            tapes,
            weight_ih,
            shape.hidden_size,
            move |tape| {
                (
                    &tape.layers[index].gates,
                    &tape.layers[index - 1].packed_output,
                )
            },
        );
        jobs.push(Box::new(move || {
            tapes
                .iter()
                .for_each(|tape| add_rows(bias, &tape.layers[index].gates));
        }));
    }
    let last = shape.num_layers - 1;
    outer(
        &mut jobs,
        tapes,
        gradients.head_weight,
        shape.hidden_size,
        move |tape| (&tape.logits, &tape.layers[last].packed_output),
    );
    let head_bias = gradients.head_bias;
    jobs.push(Box::new(move || {
        tapes
            .iter()
            .for_each(|tape| add_rows(head_bias, &tape.logits));
    }));
    let timed = |job: Job<'_>| {
        let start = Instant::now();
        job();
        start.elapsed()
    };
    let mut profile = Profile::default();
    let time = jobs.into_par_iter().map(timed).sum();
    profile.add(Direction::Backward, Stage::Weights, time);
    (gradient, profile)
}

/// Adds the jobs of a weight's gradient: with the gradient of what it gives on the left and what it
/// was multiplied with on the right, `out += left' x right` for every tape. Where the right has fewer rows,
/// those missing are the first, and zero.
fn outer<'j>(
    jobs: &mut Vec<Job<'j>>,
    tapes: &'j [ShardTape],
    out: &'j mut [f32],
    columns: usize,
    operands: impl Fn(&ShardTape) -> (&[f32], &Panels) + Send + Copy + 'j,
) {
    let rows = out.len() / columns;
    // How rows are dealt out doesn't change their sums.
    let rows_of_a_job = rows
        .div_ceil(JOBS_OF_A_THREAD * rayon::current_num_threads())
        .next_multiple_of(ROWS_OF_A_JOB);
    for (index, out) in out.chunks_mut(rows_of_a_job * columns).enumerate() {
        jobs.push(Box::new(move || {
            for tape in tapes {
                let (left, right) = operands(tape);
                let left = Operand::Transposed(&left[left.len() - right.inner() * rows..]);
                add_rows_of_matmul(out, index * rows_of_a_job, rows, left, right);
            }
        }));
    }
}

/// The gradients of embedding, input weights and bias of the first layer, from those of the table
/// that they are folded into: `embedding weight_ih' + bias`.
fn unfold_table(
    shape: Shape,
    tapes: &[ShardTape],
    weights: &Weights<&[f32]>,
    [embedding, weight_ih, bias]: [&mut [f32]; 3],
) {
    let Shape {
        vocab_size,
        embedding_size,
        ..
    } = shape;
    let rows = 4 * shape.hidden_size;
    let mut table = vec![0.0; vocab_size * rows];
    for tape in tapes {
        scatter(&tape.layers[0].gates, &tape.shard.inputs, &mut table);
    }
    add_rows(bias, &table);
    let mut panels = Panels::default();
    panels.pack(
        Operand::Plain(weights.embedding),
        vocab_size,
        embedding_size,
    );
    add_matmul(weight_ih, rows, Operand::Transposed(&table), &panels);
    let right = Operand::Plain(weights.layers[0].weight_ih);
    panels.pack(right, rows, embedding_size);
    add_matmul(embedding, vocab_size, Operand::Plain(&table), &panels);
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
