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

pub mod average;
pub mod batch;
pub mod budget;
pub mod checkpoint;
pub mod compare;
mod conclude;
pub mod config;
pub mod corpus;
pub mod dashboard;
pub mod export;
pub mod files;
pub mod lstm;
pub mod matmul;
pub mod network;
pub mod novelty;
pub mod optimizer;
mod page;
pub mod preset;
pub mod progress;
mod quantize;
pub mod report;
pub mod request;
pub mod rng;
mod run;
pub mod schedule;
pub mod speak;
mod summary;
pub mod sweep;
mod tensorboard;
pub mod train;
pub mod transfer;
