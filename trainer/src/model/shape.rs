//! The sizes of a network, and the parameters that follow from them.

use anyhow::Result;
use candle_core::Tensor;

use crate::config::NetworkConfig;

/// The sizes of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Tokens: characters and marks.
    pub vocab_size: usize,
    /// Size of the vector that a token is turned into.
    pub embedding_size: usize,
    /// Hidden units of each layer.
    pub hidden_size: usize,
    /// Stacked layers.
    pub num_layers: usize,
}

/// A parameter's name and dimensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// `embedding.weight`, `lstm.0.weight_ih`, and so on.
    pub name: String,
    /// Rows, and columns if it is a matrix.
    pub dims: Vec<usize>,
}

impl Parameter {
    /// Whether it is a matrix, and not a bias.
    pub fn is_matrix(&self) -> bool {
        self.dims.len() > 1
    }

    /// Whether it has a row per token that is fed.
    pub fn is_embedding(&self) -> bool {
        self.name == "embedding.weight"
    }

    /// Whether it takes h from step to step.
    pub fn is_recurrent(&self) -> bool {
        self.name.ends_with(".weight_hh")
    }
}

impl Shape {
    /// The shape of a configured network.
    pub fn new(vocab_size: usize, config: &NetworkConfig) -> Self {
        Self {
            vocab_size,
            embedding_size: config.embedding_size,
            hidden_size: config.hidden_size,
            num_layers: config.num_layers,
        }
    }

    /// Size of the input of a layer.
    pub fn input_size(&self, layer: usize) -> usize {
        if layer == 0 {
            self.embedding_size
        } else {
            self.hidden_size
        }
    }

    /// All parameters, in the order in which they are drawn, saved, and stand in the flat vector.
    ///
    /// The rows of an LSTM layer's parameters are those of its gates i, f, g, o.
    pub fn parameters(&self) -> Vec<Parameter> {
        let Self {
            vocab_size,
            embedding_size,
            hidden_size,
            num_layers,
        } = *self;
        let parameter = |name: String, dims: &[usize]| Parameter {
            name,
            dims: dims.to_vec(),
        };
        let mut parameters = vec![parameter(
            "embedding.weight".to_owned(),
            &[vocab_size, embedding_size],
        )];
        for layer in 0..num_layers {
            let rows = 4 * hidden_size;
            let weight_ih = [rows, self.input_size(layer)];
            parameters.push(parameter(format!("lstm.{layer}.weight_ih"), &weight_ih));
            parameters.push(parameter(
                format!("lstm.{layer}.weight_hh"),
                &[rows, hidden_size],
            ));
            parameters.push(parameter(format!("lstm.{layer}.bias"), &[rows]));
        }
        parameters.push(parameter(
            "head.weight".to_owned(),
            &[vocab_size, hidden_size],
        ));
        parameters.push(parameter("head.bias".to_owned(), &[vocab_size]));
        parameters
    }

    /// Number of trained weights.
    pub fn parameter_count(&self) -> usize {
        self.parameters()
            .iter()
            .map(|parameter| parameter.dims.iter().product::<usize>())
            .sum()
    }

    /// Multiplications of a weight by an input per character, with the embedding folded.
    pub fn macs_per_char(&self) -> usize {
        let Self {
            vocab_size,
            hidden_size,
            num_layers,
            ..
        } = *self;
        4 * hidden_size * hidden_size * (2 * num_layers - 1) + vocab_size * hidden_size
    }

    /// The parameters in a flat vector, by name.
    pub(crate) fn split(&self, flat: &Tensor) -> Result<Vec<(String, Tensor)>> {
        let mut from = 0;
        let mut cut = |parameter: Parameter| {
            let count = parameter.dims.iter().product();
            let tensor = flat.narrow(0, from, count)?.reshape(parameter.dims)?;
            from += count;
            Ok((parameter.name, tensor))
        };
        self.parameters().into_iter().map(&mut cut).collect()
    }
}
