//! The network on a GPU: products over whole sequences by the tensor library, and for each step one
//! product and one kernel of ours.
//!
//! It goes the way of the fused network, with all lanes in one shard: a folded table for the first layer,
//! no padding, and gradients by hand, so that no step leaves a trace of small operations. Only the kernel
//! knows the device; all else runs on the processor too, where it is tested.

#[cfg(feature = "cuda")]
mod cuda;
mod layer;
mod pointwise;
mod rows;

use anyhow::{Context, Result, bail};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp2, D, DType, Layout, Storage, Tensor};

use super::dropout::OutputDropout;
use super::reference::log_softmax;
use crate::data::batch::Batch;
use crate::model::shape::Shape;
use layer::GpuTape;
use rows::Rows;

/// A pass of a batch to the loss, and what its gradient needs.
///
/// The result is one vector, as that of the fused network: the summed cross-entropy in nats, then the
/// state after the last step of each lane.
pub(crate) struct GpuPass {
    shape: Shape,
    /// In the order of [`Shape::parameters`].
    weights: Vec<Tensor>,
    rows: Rows,
    layers: Vec<RecordedLayer>,
    /// Logarithms of the predicted probabilities, `[rows, vocab_size]`.
    log_probs: Tensor,
    result: Tensor,
}

/// A layer's part of a pass.
struct RecordedLayer {
    tape: GpuTape,
    /// What its output was multiplied with; `None` without dropout.
    mask: Option<Tensor>,
    /// h after each row, without what was dropped, `[rows, hidden_size]`.
    output: Tensor,
}

impl GpuPass {
    /// Runs a batch from a state `[2, layers, batch, hidden_size]`, h first, with flat parameters.
    pub(crate) fn new(
        shape: Shape,
        parameters: &Tensor,
        batch: &Batch,
        state: &Tensor,
        dropout: Option<OutputDropout>,
    ) -> Result<Self> {
        let weights = shape.split(&parameters.detach())?;
        let weights: Vec<Tensor> = weights.into_iter().map(|(_, tensor)| tensor).collect();
        let [embedding, of_layers @ .., head_weight, head_bias] = &weights[..] else {
            bail!("the network has no layers");
        };
        let (state, rows) = (state.detach(), Rows::new(batch, parameters.device())?);
        let mut layers: Vec<RecordedLayer> = Vec::new();
        for (index, [weight_ih, weight_hh, bias]) in of_layers.as_chunks().0.iter().enumerate() {
            let input = layers.last().map_or(embedding, |below| &below.output);
            let mut sums = linear(input, weight_ih, bias)?;
            if index == 0 {
                // A character's share of the gates is a row of a table: no product for each character.
                sums = sums.index_select(&rows.inputs, 0)?;
            }
            let start = state.get_on_dim(1, index)?;
            let tape = GpuTape::record(&rows, &sums, weight_hh, &start)?;
            let mask = dropout.map(|dropout| rows.mask(dropout, index, shape.hidden_size));
            layers.push(RecordedLayer::new(tape, mask.transpose()?)?);
        }
        let output = &layers.last().context("the network has no layers")?.output;
        let log_probs = log_softmax(&linear(output, head_weight, head_bias)?)?;
        let loss_sum = log_probs
            .gather(&rows.targets, D::Minus1)?
            .sum_all()?
            .neg()?;
        let mut result = vec![loss_sum.reshape(1)?];
        let last = layers.iter().map(|layer| layer.tape.last(&rows));
        let last: Vec<[Tensor; 2]> = last.collect::<candle_core::Result<_>>()?;
        for kind in 0..2 {
            for state in &last {
                result.push(state[kind].flatten_all()?);
            }
        }
        Ok(Self {
            shape,
            rows,
            layers,
            log_probs,
            result: Tensor::cat(&result, 0)?,
            weights,
        })
    }

    /// The gradients of parameters and state, from that of the result.
    fn gradient(&self, result: &Tensor) -> Result<[Tensor; 2]> {
        let [embedding, of_layers @ .., head_weight, _] = &self.weights[..] else {
            bail!("the network has no layers");
        };
        let Shape {
            hidden_size,
            num_layers,
            vocab_size,
            ..
        } = self.shape;
        let last = result.narrow(0, 1, result.elem_count() - 1)?;
        let last = last.reshape((2, num_layers, (), hidden_size))?;
        let top = &self
            .layers
            .last()
            .context("the network has no layers")?
            .output;
        let head = LinearGradient::new(&self.of_logits(&result.get(0)?)?, top, head_weight)?;
        // From the last parameter to the first.
        let mut of_parameters = vec![head.bias, head.weight];
        let (mut of_h, mut of_c) = (Vec::new(), Vec::new());
        let mut of_output = head.input;
        for (index, [weight_ih, weight_hh, _]) in of_layers.as_chunks().0.iter().enumerate().rev() {
            let layer = &self.layers[index];
            if let Some(mask) = &layer.mask {
                of_output = (of_output * mask)?;
            }
            let last = last.get_on_dim(1, index)?;
            let gradient = layer
                .tape
                .gradient(&self.rows, weight_hh, &of_output, &last)?;
            let (sums, input) = match index {
                0 => (
                    self.rows.one_hot(vocab_size)?.matmul(&gradient.sums)?,
                    embedding,
                ),
                _ => (gradient.sums, &self.layers[index - 1].output),
            };
            let linear = LinearGradient::new(&sums, input, weight_ih)?;
            of_parameters.extend([linear.bias, gradient.weight_hh, linear.weight]);
            of_output = linear.input;
            let [h, c] = gradient.start;
            of_h.push(h);
            of_c.push(c);
        }
        of_parameters.push(of_output);
        let flat = of_parameters.iter().rev().map(Tensor::flatten_all);
        let flat = flat.collect::<candle_core::Result<Vec<_>>>()?;
        of_h.reverse();
        of_c.reverse();
        let of_state = [Tensor::stack(&of_h, 0)?, Tensor::stack(&of_c, 0)?];
        Ok([Tensor::cat(&flat, 0)?, Tensor::stack(&of_state, 0)?])
    }

    /// The gradient of the logits, `softmax - one-hot`, scaled by that of the loss.
    fn of_logits(&self, of_loss: &Tensor) -> candle_core::Result<Tensor> {
        let targets = &self.rows.targets;
        let ones = Tensor::ones(targets.shape(), DType::F32, targets.device())?;
        let difference = self
            .log_probs
            .exp()?
            .scatter_add(targets, &ones.neg()?, 1)?;
        difference.broadcast_mul(of_loss)
    }
}

impl RecordedLayer {
    fn new(tape: GpuTape, mask: Option<Tensor>) -> candle_core::Result<Self> {
        let output = tape.output()?;
        let output = match &mask {
            Some(mask) => (output * mask)?,
            None => output,
        };
        Ok(Self { tape, mask, output })
    }
}

/// `input weight' + bias`
fn linear(input: &Tensor, weight: &Tensor, bias: &Tensor) -> candle_core::Result<Tensor> {
    input.matmul(&weight.t()?)?.broadcast_add(bias)
}

/// The gradients of [`linear`].
struct LinearGradient {
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
}

impl LinearGradient {
    fn new(gradient: &Tensor, input: &Tensor, weight: &Tensor) -> candle_core::Result<Self> {
        let transposed = gradient.t()?;
        // As a product, since the library's sum over rows reads columns.
        let ones = Tensor::ones((gradient.dim(0)?, 1), DType::F32, gradient.device())?;
        Ok(Self {
            input: gradient.matmul(weight)?,
            weight: transposed.matmul(input)?,
            bias: transposed.matmul(&ones)?,
        })
    }
}

/// On parameters and state, whose result has been computed already.
impl CustomOp2 for GpuPass {
    fn name(&self) -> &'static str {
        "charlet-pass"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> candle_core::Result<(CpuStorage, candle_core::Shape)> {
        match &*self.result.storage_and_layout().0 {
            Storage::Cpu(storage) => Ok((storage.clone(), self.result.shape().clone())),
            _ => candle_core::bail!("the pass was made on another device"),
        }
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> candle_core::Result<(CudaStorage, candle_core::Shape)> {
        let (storage, layout) = self.result.storage_and_layout();
        match &*storage {
            Storage::Cuda(storage) => Ok((storage.try_clone(layout)?, layout.shape().clone())),
            _ => candle_core::bail!("the pass was made on another device"),
        }
    }

    fn bwd(
        &self,
        _parameters: &Tensor,
        _state: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let gradients = self
            .gradient(&gradient.detach())
            .map_err(candle_core::Error::msg)?;
        let [of_parameters, of_state] = gradients;
        Ok((Some(of_parameters), Some(of_state)))
    }
}
