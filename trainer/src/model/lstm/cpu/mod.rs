//! The fused network on the CPU: forward and backward pass, written by hand.
//!
//! The operator takes all parameters as one flat vector and a batch through every layer and step to the
//! summed loss:
//!
//! - A character is an index: the first layer's input product is a row of a folded table, and its
//!   gradient an addition to that row.
//! - A deeper layer's input products are one multiplication for all steps.
//! - Weights are packed once a batch for all their products.
//! - A step is one recurrent multiplication for all four gates and one pass over them; the activated
//!   gates are kept for the gradient.
//! - A weight's gradient is one multiplication over all rows.
//! - Lines are sorted by length and have no padding: a step computes only those that have not ended.
//! - A batch is split into shards of at most 16 lanes, which threads take through the whole
//!   sequence, so that no step waits for another thread. How it is split doesn't depend on their
//!   number, and so neither does the result.

mod backward;
mod forward;
mod packed;
mod tape;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{CpuStorage, CustomOp2, Layout, Storage, Tensor};
use rayon::prelude::*;

use self::forward::Context;
use self::packed::Packed;
use self::tape::{LayerTape, ShardTape};
use super::contiguous;
use super::dropout::OutputDropout;
use super::profile::{Direction, Profile};
use super::shard::Shard;
use crate::data::batch::Batch;
use crate::model::parameters::Weights;
use crate::model::shape::Shape;

/// Buffers of the fused operator, used by batch after batch.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    tapes: Vec<ShardTape>,
    table: Vec<f32>,
    packed: Packed,
    /// Number of forward passes, to check that the tapes belong to this one.
    passes: u64,
    /// Time of all passes by stage.
    profile: Profile,
}

impl Scratch {
    /// The profile since the last call.
    pub(crate) fn take_profile(&mut self) -> Profile {
        for tape in &mut self.tapes {
            self.profile
                .add_all(std::mem::take(&mut tape.stopwatch).profile);
        }
        std::mem::take(&mut self.profile)
    }
}

/// The fused network as an operation on two tensors: all parameters, and the state that the batch
/// starts from, `[2, layers, batch, hidden_size]`, h first.
///
/// The result is one vector: the summed cross-entropy in nats, then the state after the last step
/// of each lane.
pub(crate) struct SequenceLoss {
    shape: Shape,
    batch_size: usize,
    shards: Vec<Shard>,
    dropout: Option<OutputDropout>,
    scratch: Arc<Mutex<Scratch>>,
    /// Which forward pass of the scratch was ours.
    pass: Mutex<u64>,
}

/// What a pass forward and back gives.
pub(crate) struct Grads {
    /// Summed cross-entropy.
    pub(crate) loss_sum: f64,
    /// The state after the last step of each lane.
    pub(crate) state: Vec<f32>,
    /// The gradient of the parameters.
    pub(crate) parameters: Vec<f32>,
}

impl SequenceLoss {
    pub(crate) fn new(
        shape: Shape,
        batch: &Batch,
        dropout: Option<OutputDropout>,
        scratch: Arc<Mutex<Scratch>>,
    ) -> Self {
        let shards = Shard::split(batch);
        Self {
            shape,
            batch_size: batch.size,
            shards,
            dropout,
            scratch,
            pass: Mutex::new(0),
        }
    }

    /// Forward and backward pass. Each shard runs both without waiting for others.
    pub(crate) fn gradient(&self, parameters: &[f32], state: &[f32], of_loss: f32) -> Grads {
        let shape = self.shape;
        let weights = Weights::split(shape, parameters);
        let mut scratch = self.lock();
        scratch.passes += 1;
        let Scratch {
            tapes,
            table,
            packed,
            profile,
            ..
        } = &mut *scratch;
        rayon::join(
            || packed.forward.pack(shape, &weights, Direction::Forward),
            || {
                forward::fold_table(shape, &weights, table);
                packed.backward.pack(shape, &weights, Direction::Backward);
            },
        );
        let context = self.context(&weights, packed, table);
        self.each_shard(tapes, |tape, shard| {
            self.run(tape, shard, state, &context);
            tape.backward(&context, of_loss);
        });
        let (gradient, time) = backward::collect(shape, tapes, &weights, parameters.len());
        profile.add_all(time);
        let (loss_sum, state) = self.outcome(tapes);
        Grads {
            loss_sum,
            state,
            parameters: gradient,
        }
    }

    /// The result, from all parameters and the state.
    fn forward(&self, parameters: &[f32], state: &[f32]) -> Vec<f32> {
        let shape = self.shape;
        let weights = Weights::split(shape, parameters);
        let mut scratch = self.lock();
        scratch.passes += 1;
        *self.pass.lock().unwrap_or_else(PoisonError::into_inner) = scratch.passes;
        let Scratch {
            tapes,
            table,
            packed,
            ..
        } = &mut *scratch;
        forward::fold_table(shape, &weights, table);
        packed.forward.pack(shape, &weights, Direction::Forward);
        let context = self.context(&weights, packed, table);
        self.each_shard(tapes, |tape, shard| self.run(tape, shard, state, &context));
        let (loss_sum, mut result) = self.outcome(tapes);
        result.insert(0, loss_sum as f32);
        result
    }

    /// The gradients of parameters and state, from that of the result.
    fn backward(
        &self,
        parameters: &[f32],
        result: &[f32],
    ) -> candle_core::Result<(Vec<f32>, Vec<f32>)> {
        let shape = self.shape;
        let mut scratch = self.lock();
        if *self.pass.lock().unwrap_or_else(PoisonError::into_inner) != scratch.passes {
            candle_core::bail!("the network ran another batch before this gradient was taken");
        }
        // The tapes will hold gradients: they can't serve a second time.
        scratch.passes += 1;
        let Scratch {
            tapes,
            table,
            packed,
            profile,
            ..
        } = &mut *scratch;
        let weights = Weights::split(shape, parameters);
        packed.backward.pack(shape, &weights, Direction::Backward);
        let context = self.context(&weights, packed, table);
        let last = &result[1..];
        self.each_shard(tapes, |tape, _| {
            self.each_state(tape, LayerTape::gradients, |place, buffer| {
                buffer.copy_from_slice(&last[place]);
            });
            tape.backward(&context, result[0]);
            tape.back_to_start(&context);
        });
        let (gradient, time) = backward::collect(shape, tapes, &weights, parameters.len());
        profile.add_all(time);
        let mut first = vec![0.0; last.len()];
        for tape in tapes {
            self.each_state(tape, LayerTape::gradients, |place, buffer| {
                first[place].copy_from_slice(buffer);
            });
        }
        Ok((gradient, first))
    }

    fn lock(&self) -> MutexGuard<'_, Scratch> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn context<'c>(
        &self,
        weights: &'c Weights<&'c [f32]>,
        packed: &'c Packed,
        table: &'c [f32],
    ) -> Context<'c> {
        Context {
            shape: self.shape,
            weights,
            packed,
            table,
            dropout: self.dropout,
        }
    }

    /// Calls `work` for every shard and its tape, on all threads.
    fn each_shard(&self, tapes: &mut Vec<ShardTape>, work: impl Fn(&mut ShardTape, &Shard) + Sync) {
        tapes.resize_with(self.shards.len(), ShardTape::default);
        tapes
            .par_iter_mut()
            .zip(&self.shards)
            .for_each(|(tape, shard)| work(tape, shard));
    }

    /// The forward pass of a shard.
    fn run(&self, tape: &mut ShardTape, shard: &Shard, state: &[f32], context: &Context<'_>) {
        tape.fit(shard.clone(), self.shape);
        self.each_state(tape, LayerTape::state, |place, buffer| {
            buffer.copy_from_slice(&state[place]);
        });
        tape.forward(context);
    }

    /// The summed cross-entropy in nats, and the state after the last step of each lane.
    fn outcome(&self, tapes: &mut [ShardTape]) -> (f64, Vec<f32>) {
        let mut state =
            vec![0.0; 2 * self.shape.num_layers * self.batch_size * self.shape.hidden_size];
        for tape in &mut *tapes {
            self.each_state(tape, LayerTape::state, |place, buffer| {
                state[place].copy_from_slice(buffer);
            });
        }
        (tapes.iter().map(|tape| tape.loss_sum).sum(), state)
    }

    /// Visits h and c of each lane of a tape, or their gradients, with their places in a state.
    fn each_state(
        &self,
        tape: &mut ShardTape,
        of_layer: impl Fn(&mut LayerTape) -> [&mut [f32]; 2],
        mut visit: impl FnMut(std::ops::Range<usize>, &mut [f32]),
    ) {
        let Shape {
            hidden_size,
            num_layers,
            ..
        } = self.shape;
        let ShardTape { shard, layers, .. } = tape;
        for (index, layer) in layers.iter_mut().enumerate() {
            for (kind, buffer) in of_layer(layer).into_iter().enumerate() {
                for (&lane, buffer) in shard.lanes.iter().zip(buffer.chunks_exact_mut(hidden_size))
                {
                    let from = ((kind * num_layers + index) * self.batch_size + lane) * hidden_size;
                    visit(from..from + hidden_size, buffer);
                }
            }
        }
    }
}

impl CustomOp2 for SequenceLoss {
    fn name(&self) -> &'static str {
        "charlet-sequence-loss"
    }

    fn cpu_fwd(
        &self,
        parameters: &CpuStorage,
        parameters_layout: &Layout,
        state: &CpuStorage,
        state_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, candle_core::Shape)> {
        let parameters = contiguous(parameters, parameters_layout)?;
        let result = self.forward(parameters, contiguous(state, state_layout)?);
        let shape = candle_core::Shape::from(result.len());
        Ok((CpuStorage::F32(result), shape))
    }

    fn bwd(
        &self,
        parameters: &Tensor,
        state: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let (of_parameters, of_state) = {
            let (storage, layout) = parameters.storage_and_layout();
            let Storage::Cpu(storage) = &*storage else {
                candle_core::bail!("the fused network needs tensors on the processor");
            };
            self.backward(contiguous(storage, layout)?, &gradient.to_vec1()?)?
        };
        let device = parameters.device();
        let of_parameters = Tensor::from_vec(of_parameters, parameters.shape(), device)?;
        let of_state = Tensor::from_vec(of_state, state.shape(), device)?;
        Ok((Some(of_parameters), Some(of_state)))
    }
}
