//! Optimizers, learning-rate schedules and the EMA of the weights.

pub mod ema;
pub mod optimizer;
mod rule;
pub mod schedule;
