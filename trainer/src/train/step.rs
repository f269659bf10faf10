//! One training step.

use std::time::{Duration, Instant};

use anyhow::Result;
use candle_core::Tensor;

use crate::data::batch::Batch;
use crate::model::lstm::dropout::Dropout;
use crate::model::network::Network;
use crate::optim::optimizer::Optimizer;

/// The result of a training step.
#[derive(Clone, Debug)]
pub struct TrainStep {
    /// The summed cross-entropy before the update, in nats.
    pub loss_sum: f64,
    /// The norm of the gradients before clipping.
    pub norm: f64,
    /// The state after the batch, for the next one.
    pub state: Tensor,
    /// Time of the forward and backward pass.
    pub network: Duration,
    /// Time of the optimizer.
    pub optimizer: Duration,
}

impl TrainStep {
    /// Updates the weights from the gradients of a batch's mean loss.
    ///
    /// # Errors
    /// If the state has another batch size, or the device no memory left.
    pub fn on_batch(
        network: &Network,
        optimizer: &mut Optimizer,
        batch: &Batch,
        state: &Tensor,
        dropout: Option<Dropout>,
        learning_rate: f64,
    ) -> Result<Self> {
        let start = Instant::now();
        let gradient = network.gradient(batch, state, dropout)?;
        let network = start.elapsed();
        let norm = optimizer.step(&gradient.grads, learning_rate)?;
        Ok(Self {
            loss_sum: gradient.loss_sum,
            norm,
            state: gradient.state,
            network,
            optimizer: start.elapsed() - network,
        })
    }
}
