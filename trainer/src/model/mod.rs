//! The network: its sizes and parameters, the fused LSTM, and the matrix product.

pub mod device;
pub mod fake_quant;
pub mod gemm;
pub mod layers;
pub mod lstm;
pub mod network;
pub(crate) mod parameters;
pub mod shape;
