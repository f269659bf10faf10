//! Saved networks: weights and what is needed to use them, in one safetensors file.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::corpus::Alphabet;
use crate::files::write_whole;
use crate::network::{Network, Shape};

/// The key of our entry in the file's metadata.
const METADATA_KEY: &str = "charlet";

/// What a checkpoint says beside its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The run's settings.
    pub config: Config,
    /// The characters and marks.
    pub alphabet: Alphabet,
    /// Epochs completed.
    pub epoch: usize,
    /// Updates made.
    pub steps: usize,
    /// Held-out loss in nats per prediction, when it was last measured.
    pub validation_loss: Option<f64>,
}

/// A network as it was at some moment of its training.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// What it says of itself.
    pub description: Description,
    /// Weights by name, and the optimizer's averages if they were saved.
    pub tensors: HashMap<String, Tensor>,
}

impl Checkpoint {
    /// Writes the checkpoint.
    ///
    /// # Errors
    /// If the file can't be written; the one it would replace stays then.
    pub fn save(&self, path: &Path) -> Result<()> {
        let description = serde_json::to_string(&self.description)?;
        let metadata = HashMap::from([(METADATA_KEY.to_owned(), description)]);
        write_whole(
            path,
            &safetensors::serialize(&self.tensors, Some(metadata))?,
        )
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// If the file can't be read or is no checkpoint of ours.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        let read = || -> Result<Self> {
            let bytes = std::fs::read(path)?;
            let (_, header) = SafeTensors::read_metadata(&bytes)?;
            let metadata = header.metadata().as_ref();
            let description = metadata
                .and_then(|metadata| metadata.get(METADATA_KEY))
                .context("it was not written by charlet")?;
            Ok(Self {
                description: serde_json::from_str(description)?,
                tensors: candle_core::safetensors::load_buffer(&bytes, device)?,
            })
        };
        read().with_context(|| format!("can't use the checkpoint {}", path.display()))
    }

    /// The network that was saved.
    ///
    /// # Errors
    /// If a weight is missing or has other dimensions than the settings say.
    pub fn network(&self) -> Result<Network> {
        let Description {
            config, alphabet, ..
        } = &self.description;
        Network::from_tensors(Shape::new(alphabet.size(), &config.network), &self.tensors)
    }
}
