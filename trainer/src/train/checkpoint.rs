//! Checkpoints: weights, settings and progress in one safetensors file.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::check;
use super::progress::Progress;
use crate::config::{Config, Mode};
use crate::data::alphabet::Alphabet;
use crate::data::corpus::Fingerprints;
use crate::model::network::Network;
use crate::model::shape::Shape;
use crate::util::file_kind::{self, Kind};
use crate::util::rng::Streams;

/// How many times a checkpoint has to fit into memory: as a file, and as tensors.
const COPIES: u64 = 2;
/// The key of our entry in the file's metadata.
const METADATA_KEY: &str = "charlet";

/// Name of the trained weights, where the network holds their EMA.
pub const WEIGHTS: &str = "training.weights";
/// The name of h and c after the last batch.
pub const STATE: &str = "training.state";

/// The metadata of a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The run's settings.
    pub config: Config,
    /// The characters and marks.
    pub alphabet: Alphabet,
    /// What it learns.
    pub fingerprints: Fingerprints,
    /// How far it is.
    pub progress: Progress,
}

impl Description {
    /// Reads the metadata of a checkpoint without its tensors.
    ///
    /// # Errors
    /// If the file can't be read or is no checkpoint of ours.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = file_kind::read(path, Kind::Checkpoint, COPIES)?;
        Self::of(&bytes).with_context(|| format!("can't use the checkpoint {}", path.display()))
    }

    fn of(bytes: &[u8]) -> Result<Self> {
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let metadata = header.metadata().as_ref();
        let description = metadata
            .and_then(|metadata| metadata.get(METADATA_KEY))
            .context(
                "it was not written by charlet; charlet import reads networks of other programs",
            )?;
        let description: Self = serde_json::from_str(description)?;
        description.check()?;
        Ok(description)
    }
}

/// A network as it was at some moment of its training.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The metadata.
    pub description: Description,
    /// The weights by name: their average, if the run makes one. A run goes on from a checkpoint that
    /// has the optimizer's averages too, and those of the next two that there are.
    pub tensors: HashMap<String, Tensor>,
}

impl Checkpoint {
    /// A network that another program has trained, as a run begins with it.
    ///
    /// # Errors
    /// If a run can't have such sizes.
    pub fn imported(network: &Network, alphabet: &Alphabet) -> Result<Self> {
        let mode = match alphabet.end() {
            Some(_) => Mode::Lines,
            None => Mode::Text,
        };
        let mut config = Config::defaults(mode);
        let shape = network.shape();
        config.network.embedding_size = shape.embedding_size;
        config.network.hidden_size = shape.hidden_size;
        config.network.num_layers = shape.num_layers;
        let description = Description {
            progress: Progress::new(Streams::new(config.training.seed)),
            config,
            alphabet: alphabet.clone(),
            fingerprints: Fingerprints::default(),
        };
        description.check()?;
        Ok(Self {
            description,
            tensors: network.tensors()?.into_iter().collect(),
        })
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// If there is no memory left.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let description = serde_json::to_string(&self.description)?;
        let metadata = HashMap::from([(METADATA_KEY.to_owned(), description)]);
        Ok(safetensors::serialize(&self.tensors, Some(metadata))?)
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// If the file can't be read or is no checkpoint of ours.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        Self::of(
            path,
            &file_kind::read(path, Kind::Checkpoint, COPIES)?,
            device,
        )
    }

    /// The checkpoint that was read from a path.
    ///
    /// # Errors
    /// If it is no checkpoint of ours.
    pub fn of(path: &Path, bytes: &[u8], device: &Device) -> Result<Self> {
        let read = || -> Result<Self> {
            let checkpoint = Self {
                description: Description::of(bytes)?,
                tensors: candle_core::safetensors::load_buffer(bytes, device)?,
            };
            check::tensors(&checkpoint.tensors, checkpoint.shape())?;
            Ok(checkpoint)
        };
        read().with_context(|| format!("can't use the checkpoint {}", path.display()))
    }

    /// The network that was saved.
    ///
    /// # Errors
    /// If a weight is missing or has other dimensions than the settings say.
    pub fn network(&self) -> Result<Network> {
        Network::from_tensors(self.shape(), &self.tensors)
    }

    fn shape(&self) -> Shape {
        let Description {
            config, alphabet, ..
        } = &self.description;
        Shape::new(alphabet.size(), &config.network)
    }
}
