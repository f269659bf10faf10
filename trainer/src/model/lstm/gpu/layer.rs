//! The recurrent part of a layer over a whole batch: a product and a kernel for each step.

use candle_core::{DType, Tensor};

use super::pointwise::{Backward, Forward, Step};
use super::rows::{Rows, row_before};

/// What the gradient of a layer needs of the forward pass, in one buffer of rows of `hidden_size` values:
/// the activated gates of all rows, four here for each; then h, and then c, each before the first step of
/// all lanes, and after the step of each row.
pub(super) struct GpuTape {
    buffer: Tensor,
    hidden_size: usize,
    lanes: usize,
    rows: usize,
}

/// Gradients of a layer.
pub(super) struct LayerGrads {
    /// Of the gates' sums, `[rows, 4 hidden_size]`.
    pub(super) sums: Tensor,
    /// Of the recurrent weights.
    pub(super) weight_hh: Tensor,
    /// Of h and c before the first step, each `[lanes, hidden_size]`.
    pub(super) start: [Tensor; 2],
}

impl GpuTape {
    /// Runs a layer from the input's share of the gates' sums, `[rows, 4 hidden_size]`, and from h and c,
    /// `[2, lanes, hidden_size]`.
    pub(super) fn record(
        rows: &Rows,
        sums: &Tensor,
        weight_hh: &Tensor,
        start: &Tensor,
    ) -> candle_core::Result<Self> {
        let (_, lanes, hidden_size) = start.dims3()?;
        let rows_of_h = lanes + rows.count();
        let height = 4 * rows.count() + 2 * rows_of_h;
        let tape = Self {
            buffer: Tensor::zeros((height, hidden_size), DType::F32, sums.device())?,
            hidden_size,
            lanes,
            rows: rows.count(),
        };
        let sums = sums.reshape((4 * rows.count(), hidden_size))?;
        tape.buffer.slice_set(&sums, 0, 0)?;
        for (kind, first) in [tape.first_h(), tape.first_c()].into_iter().enumerate() {
            let start = start.get(kind)?.contiguous()?;
            tape.buffer.slice_set(&start, 0, first)?;
        }
        let weight_hh = weight_hh.t()?;
        for step in 0..rows.shard.steps() {
            let first = tape.first_h() + row_before(&rows.shard, step);
            let h_before = tape.buffer.narrow(0, first, rows.shard.active(step))?;
            let product = h_before.matmul(&weight_hh)?;
            let forward = Forward(tape.step(rows, step));
            tape.buffer.inplace_op2(&product, &forward)?;
        }
        Ok(tape)
    }

    /// h after each row, `[rows, hidden_size]`.
    pub(super) fn output(&self) -> candle_core::Result<Tensor> {
        self.buffer
            .narrow(0, self.first_h() + self.lanes, self.rows)
    }

    /// h and c after the last step of each lane, each `[lanes, hidden_size]`.
    pub(super) fn last(&self, rows: &Rows) -> candle_core::Result<[Tensor; 2]> {
        let height = self.lanes + self.rows;
        let last = |first| {
            let values = self.buffer.narrow(0, first, height)?;
            values.index_select(&rows.ends, 0)
        };
        Ok([last(self.first_h())?, last(self.first_c())?])
    }

    /// Goes back from the gradients of the layer's output, and of the last h and c.
    pub(super) fn gradient(
        &self,
        rows: &Rows,
        weight_hh: &Tensor,
        output: &Tensor,
        last: &Tensor,
    ) -> candle_core::Result<LayerGrads> {
        let [dh, dh_last] = [4 * self.rows, 5 * self.rows];
        let dc = dh_last + self.lanes;
        let height = dc + self.lanes;
        let grads = Tensor::zeros((height, self.hidden_size), DType::F32, output.device())?;
        grads.slice_set(output, 0, dh)?;
        grads.slice_set(&last.flatten_to(1)?, 0, dh_last)?;
        // No lane continues after the last step: nothing of this product is read.
        let mut product = Tensor::zeros(1, DType::F32, output.device())?;
        let mut going_on = 0;
        for step in (0..rows.shard.steps()).rev() {
            let (first, active) = (rows.shard.first_row[step], rows.shard.active(step));
            let backward = Backward {
                step: self.step(rows, step),
                dh: (dh + first) * self.hidden_size,
                dh_last: dh_last * self.hidden_size,
                dc: dc * self.hidden_size,
                going_on: going_on * self.hidden_size,
            };
            grads.inplace_op3(&self.buffer, &product, &backward)?;
            let sums = grads.narrow(0, 4 * first, 4 * active)?;
            product = sums
                .reshape((active, 4 * self.hidden_size))?
                .matmul(weight_hh)?;
            going_on = active;
        }
        let sums = grads.narrow(0, 0, 4 * self.rows)?;
        let sums = sums.reshape((self.rows, 4 * self.hidden_size))?;
        let all_h = self
            .buffer
            .narrow(0, self.first_h(), self.lanes + self.rows)?;
        let h_before = all_h.index_select(&rows.before, 0)?;
        Ok(LayerGrads {
            weight_hh: sums.t()?.matmul(&h_before)?,
            sums,
            start: [product, grads.narrow(0, dc, self.lanes)?],
        })
    }

    fn first_h(&self) -> usize {
        4 * self.rows
    }

    fn first_c(&self) -> usize {
        self.first_h() + self.lanes + self.rows
    }

    /// Where a step's values stand.
    fn step(&self, rows: &Rows, step: usize) -> Step {
        let size = self.hidden_size;
        let first = rows.shard.first_row[step];
        let before = row_before(&rows.shard, step);
        Step {
            units: rows.shard.active(step) * size,
            hidden_size: size,
            gates: 4 * first * size,
            c_before: (self.first_c() + before) * size,
            c: (self.first_c() + self.lanes + first) * size,
            h: (self.first_h() + self.lanes + first) * size,
        }
    }
}
