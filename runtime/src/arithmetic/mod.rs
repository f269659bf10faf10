//! sigmoid, tanh and the LSTM cell, in floats and in integers. `ARITHMETIC.md` defines them.

pub mod activation;
pub(crate) mod cell;
pub(crate) mod fixed;
