//! The options of sampling.

use std::slice;

use anyhow::{Context, Result, ensure};
use charlet::Sampler;
use clap::Args;

/// The default temperature.
pub(super) const TEMPERATURE: f32 = 0.8;

#[derive(Clone, Debug, PartialEq, Args)]
#[command(next_help_heading = "Sampling")]
pub(super) struct Sampling {
    /// Softmax temperature: below 1 is more predictable, above 1 more random. Several values, separated by
    /// commas, are compared
    #[arg(long, value_name = "T", value_delimiter = ',')]
    pub(super) temperature: Vec<f32>,
    /// Sample from the K most probable characters only
    #[arg(long, value_name = "K")]
    pub(super) top_k: Option<usize>,
    /// Sample from the fewest characters whose probabilities add up to P (nucleus sampling)
    #[arg(long, value_name = "P")]
    pub(super) top_p: Option<f32>,
    /// Always take the most probable character
    #[arg(long, alias = "greedy", conflicts_with_all = ["temperature", "top_k", "top_p"])]
    pub(super) argmax: bool,
    /// Seed of the random-number generator
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
}

impl Sampling {
    /// The temperatures that were given, or else the usual one.
    pub(super) fn temperatures(&self) -> &[f32] {
        match self.temperature.as_slice() {
            [] => slice::from_ref(&TEMPERATURE),
            given => given,
        }
    }

    /// A sampler for each temperature; one without for the most probable character.
    pub(super) fn samplers(&self, vocab_size: usize) -> Result<Vec<(Option<f32>, Sampler)>> {
        if self.argmax {
            return Ok(vec![(None, Sampler::argmax())]);
        }
        let temperatures = self.temperatures().iter();
        temperatures
            .map(|&temperature| Ok((Some(temperature), self.sampler(temperature, vocab_size)?)))
            .collect()
    }

    fn sampler(&self, temperature: f32, vocab_size: usize) -> Result<Sampler> {
        let mut sampler = Sampler::with_temperature(temperature)
            .with_context(|| format!("--temperature {temperature} won't do; see also --argmax"))?;
        if let Some(top_k) = self.top_k {
            ensure!(
                (1..=vocab_size).contains(&top_k),
                "--top-k {top_k} must be from 1 to {vocab_size}, the size of the model's vocabulary"
            );
            sampler = sampler.top_k(top_k)?;
        }
        if let Some(top_p) = self.top_p {
            sampler = sampler
                .top_p(top_p)
                .with_context(|| format!("--top-p {top_p} won't do"))?;
        }
        Ok(sampler)
    }
}
