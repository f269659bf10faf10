//! A step of several streams in `f32`.

use bytemuck::must_cast_slice_mut;

use super::{FloatNetwork, step_layer};
use crate::arch::float::{BLOCKS_AT_ONCE, Column, accumulate, load};
use crate::format::layout::{ROWS, UNITS};
use crate::network::batch::{Stream, Streams};

impl<'a> FloatNetwork<'a> {
    /// Feeds a token of each stream.
    #[inline(always)]
    pub(crate) fn step_together(&self, streams: &mut impl Streams) {
        let mut left = self.layers;
        let mut layer = 0;
        // The head has weights of its own.
        while !left.is_empty() {
            let (start, columns) = if layer == 0 {
                (None, self.hidden_size)
            } else {
                let (bias, rest) = split(left, self.layer_blocks);
                left = rest;
                (Some(bias), 2 * self.hidden_size)
            };
            let (weights, rest) = split(left, self.layer_blocks * columns);
            left = rest;
            for (at, weights) in weights
                .chunks((BLOCKS_AT_ONCE * columns).max(1))
                .enumerate()
            {
                for stream in 0..streams.count() {
                    let Some(stream) = streams.get(stream) else {
                        continue;
                    };
                    let start = start.unwrap_or(self.input_row(stream.token));
                    self.compute_blocks(layer, at, start, weights, stream);
                }
            }
            for stream in 0..streams.count() {
                if let Some(stream) = streams.get(stream) {
                    self.take_next(layer, stream);
                }
            }
            layer += 1;
        }
        let blocks = self.head.chunks(self.hidden_size.max(1));
        for (at, (bias, weights)) in self.head_bias.iter().zip(blocks).enumerate() {
            for stream in 0..streams.count() {
                let Some(stream) = streams.get(stream) else {
                    continue;
                };
                let (_, (_, h)) = self.of_layer(layer.saturating_sub(1), stream.state);
                let sums = accumulate(load(bias), weights, h);
                let (_, logits) = split_mut(stream.workspace, self.hidden_size);
                let logits = logits.get_mut(ROWS * at..).unwrap_or_default();
                for (logit, sum) in logits.iter_mut().zip(sums) {
                    *logit = sum.to_bits();
                }
            }
        }
    }

    /// Makes the next h of a layer its h, which every block has used.
    #[inline(always)]
    fn take_next(&self, layer: usize, stream: Stream<'_>) {
        let (h_next, _) = split_mut(stream.workspace, self.hidden_size);
        let h = (2 * layer + 1) * self.hidden_size;
        let h = stream.state.get_mut(h..).unwrap_or_default();
        for (h, next) in h.iter_mut().zip(h_next) {
            *h = *next;
        }
    }

    /// Computes c and the next h of some blocks of a layer: those from `BLOCKS_AT_ONCE * at` on.
    #[inline(always)]
    fn compute_blocks(
        &self,
        layer: usize,
        at: usize,
        start: &[Column],
        weights: &[Column],
        stream: Stream<'_>,
    ) {
        let (h_next, _) = split_mut(must_cast_slice_mut(stream.workspace), self.hidden_size);
        let (x, (c, h)) = self.of_layer(layer, stream.state);
        let (first, unit) = (BLOCKS_AT_ONCE * at, UNITS * BLOCKS_AT_ONCE * at);
        let start = start.get(first..).unwrap_or_default();
        let start = start.get(..BLOCKS_AT_ONCE).unwrap_or(start);
        let c = c.get_mut(unit..).unwrap_or_default();
        let h_next = h_next.get_mut(unit..).unwrap_or_default();
        step_layer(start, weights, [x, h], c, h_next);
    }

    /// The inputs of a layer from the one below, and its own c and h.
    fn of_layer<'s>(
        &self,
        layer: usize,
        state: &'s mut [u32],
    ) -> (&'s [f32], (&'s mut [f32], &'s [f32])) {
        let (below, own) = split_mut(must_cast_slice_mut(state), 2 * layer * self.hidden_size);
        let x = below.len().saturating_sub(self.hidden_size);
        let (c, h) = split_mut(own, self.hidden_size);
        let h = h.get(..self.hidden_size).unwrap_or_default();
        (below.get(x..).unwrap_or_default(), (c, h))
    }
}

/// Two parts of a slice; nothing if it is shorter.
fn split<T>(slice: &[T], at: usize) -> (&[T], &[T]) {
    slice.split_at_checked(at).unwrap_or_default()
}

fn split_mut<T>(slice: &mut [T], at: usize) -> (&mut [T], &mut [T]) {
    slice.split_at_mut_checked(at).unwrap_or_default()
}
