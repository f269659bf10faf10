//! How weights are updated: optimizers, the learning rate's schedule, and the weights' average.

pub mod ema;
pub mod optimizer;
mod rule;
pub mod schedule;
