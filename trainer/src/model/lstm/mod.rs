//! The LSTM over whole sequences, forward and backward: fused for the processor, in large tensor
//! operations for a GPU, and composed of small ones as the reference of both.

pub(crate) mod cpu;
pub mod dropout;
pub(crate) mod gpu;
mod pointwise;
pub mod profile;
pub mod reference;
mod shard;

use candle_core::{CpuStorage, Layout};

/// The elements of a tensor that lies in one piece.
pub(crate) fn contiguous<'s>(
    storage: &'s CpuStorage,
    layout: &Layout,
) -> candle_core::Result<&'s [f32]> {
    let Some((from, to)) = layout.contiguous_offsets() else {
        candle_core::bail!("the fused network needs contiguous tensors");
    };
    Ok(&storage.as_slice::<f32>()?[from..to])
}
