//! Gates, c and h of a step as operations on tensors: on the processor as in the fused network, on a
//! GPU by the kernels in `pointwise.cu`.

use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result};

use crate::model::lstm::{contiguous, pointwise};

/// A step, and where its values stand in the tape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// Values of c or h in all active lanes.
    pub(super) units: usize,
    /// Values of each lane.
    pub(super) hidden_size: usize,
    pub(super) gates: usize,
    pub(super) c_before: usize,
    pub(super) c: usize,
    pub(super) h: usize,
}

/// `gates += product`, then as [`pointwise::forward`]; on the tape and the product of h before the step
/// with the recurrent weights.
pub(super) struct Forward(pub(super) Step);

impl InplaceOp2 for Forward {
    fn name(&self) -> &'static str {
        "charlet-lstm-forward"
    }

    fn cpu_fwd(
        &self,
        tape: &mut CpuStorage,
        tape_layout: &Layout,
        product: &CpuStorage,
        product_layout: &Layout,
    ) -> Result<()> {
        let Step {
            units,
            hidden_size,
            gates,
            c_before,
            c,
            h,
        } = self.0;
        let places = [gates, c_before, c, h];
        let lengths = [4 * units, units, units, units];
        let [gates, c_before, c, h] = pieces(whole(tape, tape_layout)?, places, lengths)?;
        for (sum, product) in gates.iter_mut().zip(contiguous(product, product_layout)?) {
            *sum += product;
        }
        let step = pointwise::Forward {
            gates,
            c_before,
            c,
            h,
        };
        pointwise::forward(step, hidden_size);
        Ok(())
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        tape: &mut candle_core::CudaStorage,
        tape_layout: &Layout,
        product: &candle_core::CudaStorage,
        product_layout: &Layout,
    ) -> Result<()> {
        super::cuda::forward(&self.0, (tape, tape_layout), (product, product_layout))
    }
}

/// As [`pointwise::backward`], on the gradients, the tape, and the product of the gates' gradients of the
/// step after with the recurrent weights.
pub(super) struct Backward {
    /// The gates' gradients stand where the tape has the gates.
    pub(super) step: Step,
    /// Where the gradient of h stands, but for what comes from later steps.
    pub(super) dh: usize,
    /// Where the gradients of the last h and c stand. The latter becomes that of c before the step.
    pub(super) dh_last: usize,
    pub(super) dc: usize,
    /// Units of lanes that continue: they take the product, others the gradient of the last h.
    pub(super) going_on: usize,
}

impl InplaceOp3 for Backward {
    fn name(&self) -> &'static str {
        "charlet-lstm-backward"
    }

    fn cpu_fwd(
        &self,
        grads: &mut CpuStorage,
        grads_layout: &Layout,
        tape: &CpuStorage,
        tape_layout: &Layout,
        product: &CpuStorage,
        product_layout: &Layout,
    ) -> Result<()> {
        let Step {
            units,
            hidden_size,
            gates: gates_at,
            c_before,
            c,
            ..
        } = self.step;
        let tape = contiguous(tape, tape_layout)?;
        let places = [gates_at, self.dh, self.dh_last, self.dc];
        let lengths = [4 * units, units, units, units];
        let [gates, dh, dh_last, dc] = pieces(whole(grads, grads_layout)?, places, lengths)?;
        gates.copy_from_slice(&tape[gates_at..gates_at + 4 * units]);
        let product = &contiguous(product, product_layout)?[..self.going_on];
        let later = product.iter().chain(&dh_last[self.going_on..]);
        let dh: Vec<f32> = dh.iter().zip(later).map(|(dh, later)| dh + later).collect();
        let step = pointwise::Backward {
            gates,
            c_before: &tape[c_before..c_before + units],
            c: &tape[c..c + units],
            dh: &dh,
            dc,
        };
        pointwise::backward(step, hidden_size);
        Ok(())
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        grads: &mut candle_core::CudaStorage,
        grads_layout: &Layout,
        tape: &candle_core::CudaStorage,
        tape_layout: &Layout,
        product: &candle_core::CudaStorage,
        product_layout: &Layout,
    ) -> Result<()> {
        super::cuda::backward(
            self,
            (grads, grads_layout),
            (tape, tape_layout),
            (product, product_layout),
        )
    }
}

/// All values of a buffer.
fn whole<'s>(storage: &'s mut CpuStorage, layout: &Layout) -> Result<&'s mut [f32]> {
    match (layout.contiguous_offsets(), storage) {
        (Some((from, to)), CpuStorage::F32(values)) => Ok(&mut values[from..to]),
        _ => candle_core::bail!("a step needs contiguous floats"),
    }
}

/// Pieces of a buffer at these places and of these lengths, which must not overlap.
fn pieces<const N: usize>(
    buffer: &mut [f32],
    places: [usize; N],
    lengths: [usize; N],
) -> Result<[&mut [f32]; N]> {
    let ranges = std::array::from_fn(|at| places[at]..places[at] + lengths[at]);
    let pieces = buffer.get_disjoint_mut::<std::ops::Range<usize>, N>(ranges);
    pieces.map_err(|error| candle_core::Error::Msg(format!("a step's places: {error}")))
}
