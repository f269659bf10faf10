//! Activations that the forward pass saves for the backward pass, in reused buffers.

use crate::model::gemm::Panels;
use crate::model::lstm::profile::Stopwatch;
use crate::model::lstm::shard::Shard;
use crate::model::shape::Shape;

/// Saved activations of one layer and shard. `rows` counts the steps of all its lanes.
#[derive(Debug, Default)]
pub(super) struct LayerTape {
    /// The activated gates, then the gradients of their sums, `[rows, 4 hidden_size]`.
    pub(super) gates: Vec<f32>,
    /// c after each step, `[rows, hidden_size]`.
    pub(super) c: Vec<f32>,
    /// h before each step, `[rows, hidden_size]`, but without those of the first step if they are zero. Packed,
    /// since all that is to come of it is the gradient of the recurrent weights.
    pub(super) h_before: Panels,
    /// h after each step, without what was dropped, `[rows, hidden_size]`.
    pub(super) output: Vec<f32>,
    /// The same, packed for the gradient of the weights that it is multiplied with.
    pub(super) packed_output: Panels,
    /// c before the first step, `[lanes, hidden_size]`.
    pub(super) c_start: Vec<f32>,
    /// h before the first step of each lane, then after its last, `[lanes, hidden_size]`.
    pub(super) h_end: Vec<f32>,
    /// As `h_end`, for c.
    pub(super) c_end: Vec<f32>,
    /// The gradient of h after the last step of each lane, 0 unless something comes after the batch; in the
    /// end that of h before the first step if it is wanted. `[lanes, hidden_size]`
    pub(super) dh: Vec<f32>,
    /// As `dh`, for c.
    pub(super) dc: Vec<f32>,
}

impl LayerTape {
    /// h and c, before the first step and then after the last.
    pub(super) fn state(&mut self) -> [&mut [f32]; 2] {
        [&mut self.h_end, &mut self.c_end]
    }

    /// The gradients of h and c.
    pub(super) fn gradients(&mut self) -> [&mut [f32]; 2] {
        [&mut self.dh, &mut self.dc]
    }
}

/// Saved activations of one shard.
#[derive(Debug, Default)]
pub(super) struct ShardTape {
    pub(super) shard: Shard,
    pub(super) layers: Vec<LayerTape>,
    /// Logits, then their gradient, `[rows, vocab_size]`.
    pub(super) logits: Vec<f32>,
    /// h after each step, then the gradient of a layer's output, `[rows, hidden_size]`.
    pub(super) hidden: Vec<f32>,
    /// h before each step, `[rows, hidden_size]`.
    pub(super) h_before: Vec<f32>,
    /// Summed cross-entropy, in nats.
    pub(super) loss_sum: f64,
    pub(super) stopwatch: Stopwatch,
}

impl ShardTape {
    /// Makes the buffers fit a shard; what they hold is left over from before.
    pub(super) fn fit(&mut self, shard: Shard, shape: Shape) {
        let (rows, lanes) = (shard.rows(), shard.lanes.len());
        let hidden_size = shape.hidden_size;
        self.layers
            .resize_with(shape.num_layers, LayerTape::default);
        for layer in &mut self.layers {
            layer.gates.resize(rows * 4 * hidden_size, 0.0);
            for buffer in [&mut layer.c, &mut layer.output] {
                buffer.resize(rows * hidden_size, 0.0);
            }
            for buffer in [&mut layer.c_start, &mut layer.h_end, &mut layer.c_end] {
                buffer.resize(lanes * hidden_size, 0.0);
            }
            for gradient in [&mut layer.dh, &mut layer.dc] {
                gradient.clear();
                gradient.resize(lanes * hidden_size, 0.0);
            }
        }
        self.logits.resize(rows * shape.vocab_size, 0.0);
        for buffer in [&mut self.hidden, &mut self.h_before] {
            buffer.resize(rows * hidden_size, 0.0);
        }
        self.shard = shard;
    }
}
