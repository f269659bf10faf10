//! A step of several streams in integers.

use core::ops::Range;

use bytemuck::must_cast_slice_mut;

use super::{IntegerNetwork, Out, Rows, Widened};
use crate::arch::total;
use crate::format::layout::QUAD_BYTES;
use crate::network::batch::{GROUP_BYTES, Stream, Streams};
use crate::vocab::Token;

/// Groups have a multiple of so many blocks, whose cells kernels compute at once.
const BLOCKS_AT_ONCE: usize = 16;

impl IntegerNetwork<'_> {
    /// Feeds a token of each stream.
    #[inline(always)]
    pub(crate) fn step_together(&self, streams: &mut impl Streams) {
        let mut left = self.parts;
        for part in 0..=self.sections.num_layers {
            let this = left;
            // Only the first layer's start values are those of a token.
            let Some(rows) = self.rows(part, Token(0), &mut left) else {
                return;
            };
            // All of them, before h changes.
            for at in 0..streams.count() {
                if let Some(stream) = streams.get(at)
                    && let Some(rows) = self.rows(part, stream.token, &mut { this })
                {
                    let (h, _) = self.split_state(stream.state);
                    self.inputs(part, &rows, h, stream.workspace);
                }
            }
            let blocks = rows.scales.len();
            let group = rows.blocks_of(GROUP_BYTES);
            let mut from = 0;
            while from < blocks {
                let blocks = from..(from + group).min(blocks);
                for at in 0..streams.count() {
                    if let Some(stream) = streams.get(at)
                        && let Some(rows) = self.rows(part, stream.token, &mut { this })
                    {
                        let rows = rows.of(blocks.clone());
                        self.compute_blocks(part, &rows, blocks.clone(), stream);
                    }
                }
                from += group;
            }
        }
    }

    /// Computes some blocks of a part for a stream, whose inputs are widened.
    #[inline(always)]
    fn compute_blocks(
        &self,
        part: usize,
        rows: &Rows<'_>,
        blocks: Range<usize>,
        stream: Stream<'_>,
    ) {
        let sections = &self.sections;
        let (inputs, logits) = stream
            .workspace
            .split_at_mut_checked(stream.workspace.len().saturating_sub(sections.vocab_size))
            .unwrap_or_default();
        let words = inputs.get(..rows.columns / 2).unwrap_or_default();
        let inputs = Widened {
            words,
            total: total(words, rows.weight_bits),
        };
        let out = if part == sections.num_layers {
            let logits = logits.get_mut(super::ROWS_PER_QUAD * blocks.start..);
            Out::Logits(must_cast_slice_mut(logits.unwrap_or_default()))
        } else {
            let (h, c) = self.split_state(stream.state);
            let of = |size: usize| size * part + blocks.start..size * part + blocks.end;
            let c = c.get_mut(of(sections.hidden_size)).unwrap_or_default();
            Out::Cells {
                c: must_cast_slice_mut(c),
                h: h.get_mut(of(sections.padded_hidden)).unwrap_or_default(),
            }
        };
        rows.compute(inputs, out);
    }
}

impl Rows<'_> {
    /// How many blocks have about so many bytes of weights.
    fn blocks_of(&self, bytes: usize) -> usize {
        let blocks = bytes.checked_div(self.quads * QUAD_BYTES).unwrap_or(0);
        (blocks / BLOCKS_AT_ONCE).max(1) * BLOCKS_AT_ONCE
    }

    /// Some of the blocks.
    #[inline(always)]
    fn of(&self, blocks: Range<usize>) -> Self {
        let quads = blocks.start * self.quads..blocks.end * self.quads;
        Self {
            scales: self.scales.get(blocks.clone()).unwrap_or_default(),
            start: self.start.get(blocks).unwrap_or_default(),
            weights: self.weights.get(quads).unwrap_or_default(),
            ..*self
        }
    }
}
