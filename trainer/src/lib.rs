//! Trains character-level LSTM models and exports them for the `charlet` runtime.
//!
//! The way of the data, one module a step:
//!
//! ```text
//! corpus -> batch -> network + optimizer (train) -> checkpoint -> export -> .charlet file
//! ```
//!
//! The exported file is run and scored by the runtime itself ([`speak`]), so that what a run
//! reports is what a chip will do. The binary `charlet` is a thin shell around this library.

pub mod batch;
pub mod checkpoint;
pub mod config;
pub mod corpus;
pub mod export;
pub mod files;
pub mod lstm;
pub mod matmul;
pub mod network;
pub mod optimizer;
mod quantize;
pub mod report;
pub mod rng;
pub mod speak;
pub mod train;
