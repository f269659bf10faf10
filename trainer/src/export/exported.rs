//! A network as other frameworks take it, from a checkpoint or a model file.

use anyhow::{Context, Result};
use charlet::Model;
use charlet::format::layout::{IntegerSections, Sections};
use charlet::format::{Header, Input, Precision};
use serde::{Deserialize, Serialize};

use super::model_file::{Matrix, PlainWeights};
use super::unpack;
use crate::data::alphabet::Alphabet;
use crate::model::network::Network;
use crate::model::shape::Shape;

/// The name of our entry in the metadata of a file for another framework, [`Description`] in JSON.
pub const METADATA_KEY: &str = "charlet.model";

/// What weights alone don't say, so that a network that comes back is the same model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The characters and marks.
    #[serde(flatten)]
    pub alphabet: Alphabet,
    /// The size of the embedding, also where it is folded into the first layer.
    pub embedding_size: usize,
}

impl Description {
    /// Reads the entry of a file's metadata.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn read(entry: &str) -> Result<Self> {
        let read = || -> Result<Self> {
            let description: Self = serde_json::from_str(entry)?;
            description.alphabet.vocab()?;
            Ok(description)
        };
        read().with_context(|| format!("its {METADATA_KEY} is damaged"))
    }
}

/// A network with its weights in single precision, row by row, gates in the order i, f, g, o.
pub struct Exported {
    /// What the weights don't say.
    pub description: Description,
    /// `[vocab_size, embedding_size]`; without it the first layer's inputs are one-hot.
    pub(super) embedding: Option<Matrix>,
    /// weight_ih `[4 hidden_size, inputs]`, weight_hh `[4 hidden_size, hidden_size]` and bias of each layer.
    pub(super) layers: Vec<[Matrix; 3]>,
    /// `[vocab_size, hidden_size]`
    pub(super) head: Matrix,
    pub(super) head_bias: Matrix,
}

impl Exported {
    /// The weights of a trained network, with its embedding.
    ///
    /// # Errors
    /// If a weight is infinite or not a number.
    pub fn of_network(network: &Network, alphabet: &Alphabet) -> Result<Self> {
        let weights = PlainWeights::of(network)?;
        Ok(Self {
            description: Description {
                alphabet: alphabet.clone(),
                embedding_size: weights.shape.embedding_size,
            },
            embedding: Some(weights.embedding),
            layers: weights.layers,
            head: weights.head,
            head_bias: weights.head_bias,
        })
    }

    /// The weights in a model file: one-hot inputs where it has a table. Integers become what they are
    /// worth.
    ///
    /// # Errors
    /// If the bytes are no model.
    pub fn of_model(bytes: &[u8]) -> Result<Self> {
        let model = Model::from_bytes(bytes)?;
        let header = model.header();
        let mut exported = Self::zeros(&header);
        // The weights are the end of the file.
        let weights = |len| bytes.len().checked_sub(len).map(|from| &bytes[from..]);
        let sizes = "its sizes are wrong";
        if header.precision == Precision::F32 {
            let sections = Sections::of(&header).context(sizes)?;
            let weights = weights(sections.bytes()).context(sizes)?;
            unpack::floats(&mut exported, sections, weights);
        } else {
            let sections = IntegerSections::of(&header).context(sizes)?;
            let weights = sections.bytes().and_then(weights).context(sizes)?;
            unpack::integers(&mut exported, &sections, weights);
        }
        Ok(exported)
    }

    /// What a model's weights are put into.
    fn zeros(header: &Header<'_>) -> Self {
        let [vocab_size, embedding_size, hidden_size] =
            [header.vocab_size, header.embedding_size, header.hidden_size].map(usize::from);
        let has_embedding = header.input == Input::Embedding;
        let inputs = |layer| match layer {
            0 if has_embedding => embedding_size,
            0 => vocab_size,
            _ => hidden_size,
        };
        let rows = 4 * hidden_size;
        let layer = |layer| {
            [
                Matrix::zeros(rows, inputs(layer)),
                Matrix::zeros(rows, hidden_size),
                Matrix::zeros(rows, 1),
            ]
        };
        Self {
            description: Description {
                alphabet: Alphabet::of_model(header),
                embedding_size,
            },
            embedding: has_embedding.then(|| Matrix::zeros(vocab_size, embedding_size)),
            layers: (0..header.num_layers.into()).map(layer).collect(),
            head: Matrix::zeros(vocab_size, hidden_size),
            head_bias: Matrix::zeros(vocab_size, 1),
        }
    }

    /// The sizes of the network.
    pub fn shape(&self) -> Shape {
        Shape {
            vocab_size: self.description.alphabet.size(),
            embedding_size: self.description.embedding_size,
            hidden_size: self.head.columns,
            num_layers: self.layers.len(),
        }
    }

    /// Whether the first layer's inputs are one-hot, and not an embedding.
    pub fn is_one_hot(&self) -> bool {
        self.embedding.is_none()
    }

    /// Size of the first layer's input.
    pub(super) fn input_size(&self) -> usize {
        self.embedding
            .as_ref()
            .map_or(self.shape().vocab_size, |embedding| embedding.columns)
    }

    /// The description in JSON.
    pub(super) fn metadata(&self) -> Result<String> {
        Ok(serde_json::to_string(&self.description)?)
    }
}
