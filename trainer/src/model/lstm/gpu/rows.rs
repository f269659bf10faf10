//! A batch on the device, without padding.

use candle_core::{DType, Device, Tensor};

use crate::data::batch::Batch;
use crate::model::lstm::dropout::OutputDropout;
use crate::model::lstm::shard::Shard;

/// All lanes of a batch as one shard, and what to look up for each row.
pub(super) struct Rows {
    pub(super) shard: Shard,
    /// The token of each row.
    pub(super) inputs: Tensor,
    /// The token to predict in each row, `[rows, 1]`.
    pub(super) targets: Tensor,
    /// Where h before each row stands, among the starts of all lanes and then h after all rows.
    pub(super) before: Tensor,
    /// Where h after the last row of each lane stands there.
    pub(super) ends: Tensor,
}

impl Rows {
    pub(super) fn new(batch: &Batch, device: &Device) -> candle_core::Result<Self> {
        let shard = Shard::of_lanes(batch, 0..batch.size);
        let before = |step: usize| {
            let first = row_before(&shard, step);
            (first..first + shard.active(step)).map(|row| row as u32)
        };
        let before: Vec<u32> = (0..shard.steps()).flat_map(before).collect();
        let mut ends = vec![0u32; batch.size];
        shard.at_ends(1, |lane, row| {
            ends[lane.start] = (batch.size + row.start) as u32
        });
        Ok(Self {
            inputs: Tensor::from_slice(&shard.inputs, shard.rows(), device)?,
            targets: Tensor::from_slice(&shard.targets, (shard.rows(), 1), device)?,
            before: Tensor::from_vec(before, shard.rows(), device)?,
            ends: Tensor::from_vec(ends, batch.size, device)?,
            shard,
        })
    }

    /// Number of rows.
    pub(super) fn count(&self) -> usize {
        self.shard.rows()
    }

    /// Dropout factors of a layer's outputs, `[rows, width]`.
    pub(super) fn mask(
        &self,
        dropout: OutputDropout,
        layer: usize,
        width: usize,
    ) -> candle_core::Result<Tensor> {
        let mut mask = vec![1.0f32; self.count() * width];
        dropout.mask(&self.shard, layer, width, &mut mask);
        Tensor::from_vec(mask, (self.count(), width), self.inputs.device())
    }

    /// 1 where a row has the token, `[vocab_size, rows]`.
    pub(super) fn one_hot(&self, vocab_size: usize) -> candle_core::Result<Tensor> {
        let device = self.inputs.device();
        let tokens = Tensor::arange(0, vocab_size as u32, device)?.unsqueeze(1)?;
        tokens
            .broadcast_eq(&self.inputs.unsqueeze(0)?)?
            .to_dtype(DType::F32)
    }
}

/// The first row of h before a step, as in [`Rows::before`].
pub(super) fn row_before(shard: &Shard, step: usize) -> usize {
    match step {
        0 => 0,
        _ => shard.lanes.len() + shard.first_row[step - 1],
    }
}
