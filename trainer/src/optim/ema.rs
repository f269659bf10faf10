//! Exponential moving average (EMA) of the weights, which often predicts better than the weights of any
//! one step (Polyak and Juditsky, 1992).

use std::collections::HashMap;

use anyhow::Result;
use candle_core::{Device, Tensor};
use rayon::prelude::*;

use crate::model::network::Network;

/// Weights per parallel job.
const PIECE: usize = 1 << 14;

/// Exponential moving average of a network's weights.
#[derive(Clone, Debug)]
pub struct Ema {
    decay: f64,
    values: Vec<f32>,
}

impl Ema {
    /// Starts from the network's weights.
    ///
    /// # Errors
    /// If the device can't be read.
    pub fn new(decay: f64, network: &Network) -> Result<Self> {
        let values = network.parameters().to_vec1()?;
        Ok(Self { decay, values })
    }

    /// Adds the weights after `steps` updates. The decay starts low, so that the initial random weights
    /// are forgotten soon.
    ///
    /// # Errors
    /// If the device can't be read.
    pub fn observe(&mut self, network: &Network, steps: usize) -> Result<()> {
        let steps = steps as f64;
        let decay = self.decay.min((1.0 + steps) / (10.0 + steps));
        let rest = (1.0 - decay) as f32;
        let weights: Vec<f32> = network.parameters().to_vec1()?;
        let pieces = self.values.par_chunks_mut(PIECE);
        pieces
            .zip(weights.par_chunks(PIECE))
            .for_each(|(averages, weights)| {
                for (average, weight) in averages.iter_mut().zip(weights) {
                    *average += (weight - *average) * rest;
                }
            });
        Ok(())
    }

    /// The network of the average weights, on the device of `network`.
    ///
    /// # Errors
    /// If the device has no memory left.
    pub fn network(&self, network: &Network) -> Result<Network> {
        let device = network.parameters().device();
        let flat = Tensor::from_slice(&self.values, self.values.len(), device)?;
        let tensors: HashMap<_, _> = network.shape().split(&flat)?.into_iter().collect();
        Network::from_tensors(network.shape(), &tensors)
    }

    /// Restores the average from a saved network.
    ///
    /// # Errors
    /// If its weights can't be read.
    pub fn restore(&mut self, saved: &Network) -> Result<()> {
        self.values = saved.parameters().to_device(&Device::Cpu)?.to_vec1()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::shape::Shape;
    use crate::util::rng::Streams;

    #[test]
    fn the_average_follows_its_formula() {
        let shape = Shape {
            vocab_size: 3,
            embedding_size: 2,
            hidden_size: 2,
            num_layers: 1,
        };
        let network =
            |seed| Network::new(shape, &mut Streams::new(seed).weights, &Device::Cpu).unwrap();
        let values = |network: &Network| network.parameters().to_vec1::<f32>().unwrap();
        let mut ema = Ema::new(0.5, &network(0)).unwrap();
        let mut expected: Vec<f64> = values(&network(0)).into_iter().map(f64::from).collect();
        for step in 1..=9 {
            ema.observe(&network(step), step as usize).unwrap();
            let decay = ((1.0 + step as f64) / (10.0 + step as f64)).min(0.5);
            for (expected, weight) in expected.iter_mut().zip(values(&network(step))) {
                *expected = decay * *expected + (1.0 - decay) * f64::from(weight);
            }
        }
        let averaged = ema.network(&network(0)).unwrap();
        for (value, expected) in values(&averaged).iter().zip(expected) {
            assert!((f64::from(*value) - expected).abs() < 1e-6);
        }
        let mut other = Ema::new(0.5, &network(1)).unwrap();
        other.restore(&averaged).unwrap();
        assert_eq!(other.values, ema.values);
    }
}
