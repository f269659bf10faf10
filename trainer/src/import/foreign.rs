//! A network of another program, whatever its format.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};

use super::tokens::Tokens;
use super::weight::Weight;
use crate::export::exported::{Description, METADATA_KEY};
use crate::model::network::Network;
use crate::model::shape::Shape;

/// The logit of a token that is fed and never predicted: its probability is nothing beside the others'.
const NEVER: f32 = -32.0;
/// The most layers of a model.
const MAX_LAYERS: usize = 16;
/// The largest size of a model: tokens, units, or numbers of an embedding.
pub(super) const MAX_SIZE: usize = u16::MAX as usize;

/// A matrix in row order.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    values: Vec<f32>,
}

impl Matrix {
    /// A matrix with these values.
    ///
    /// # Errors
    /// If it has no rows or columns, or another number of values.
    pub fn new(rows: usize, columns: usize, values: Vec<f32>) -> Result<Self> {
        let count = rows.checked_mul(columns);
        ensure!(
            count == Some(values.len()) && count != Some(0),
            "a matrix of {rows} x {columns} has {} numbers",
            values.len()
        );
        Ok(Self {
            rows,
            columns,
            values,
        })
    }

    /// A matrix whose values are computed from row and column.
    fn of(rows: usize, columns: usize, value: impl Fn(usize, usize) -> f32) -> Self {
        let at = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        Self {
            rows,
            columns,
            values: at.map(|(row, column)| value(row, column)).collect(),
        }
    }

    /// A value.
    pub fn at(&self, row: usize, column: usize) -> f32 {
        self.values[row * self.columns + column]
    }

    /// A row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..][..self.columns]
    }

    /// All values, row after row.
    pub(super) fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// As a weight of a file.
    pub(super) fn into_weight(self, name: &str) -> Weight {
        Weight {
            name: name.to_owned(),
            dims: vec![self.rows, self.columns],
            values: self.values,
            unreadable: None,
        }
    }

    /// Rows as columns.
    #[must_use]
    pub fn transposed(&self) -> Self {
        Self::of(self.columns, self.rows, |row, column| self.at(column, row))
    }

    /// With its four equal parts of rows in another order: the first is what was part `order[0]`.
    #[must_use]
    pub fn with_gates(&self, order: [usize; 4]) -> Self {
        let size = self.rows / 4;
        Self::of(self.rows, self.columns, |row, column| {
            self.at(order[row / size] * size + row % size, column)
        })
    }
}

/// An LSTM layer; the rows of its gates in the order i, f, g, o.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// `[4 hidden, inputs]`
    pub weight_ih: Matrix,
    /// `[4 hidden, hidden]`
    pub weight_hh: Matrix,
    /// `[4 hidden]`, the sum of all biases that it has.
    pub bias: Vec<f32>,
}

impl Layer {
    fn hidden(&self) -> usize {
        self.weight_hh.columns
    }
}

/// What makes logits of the last layer's h.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// `[tokens, hidden]`
    pub weight: Matrix,
    /// `[tokens]`
    pub bias: Vec<f32>,
}

/// A network of another program.
#[derive(Clone, Debug)]
pub struct Foreign {
    /// `[tokens, size]`; `None` if a token is fed as a vector with a single 1.
    pub embedding: Option<Matrix>,
    /// The first layer first.
    pub layers: Vec<Layer>,
    /// What makes logits.
    pub head: Dense,
    /// Lists of tokens that came with it, each with its name.
    pub vocabularies: Vec<(String, super::tokens::Names)>,
    /// Whether token 0 is padding that it passes over.
    pub masks_first: bool,
    /// Its alphabet, and the size that its embedding had, if it is a network of ours that comes back.
    pub own: Option<Description>,
    /// What its user should know.
    pub notes: Vec<String>,
}

impl Foreign {
    /// Checks that the parts fit together, and makes what is fed an embedding where it isn't a vector with a
    /// single 1.
    ///
    /// # Errors
    /// Names the parts that don't fit.
    pub(super) fn checked(mut self) -> Result<Self> {
        let tokens = self.head.weight.rows;
        let first = self.layers.first().context("it has no LSTM layer")?;
        ensure!(
            self.layers.len() <= MAX_LAYERS,
            "it has {} LSTM layers, and a charlet model {MAX_LAYERS} at most",
            self.layers.len()
        );
        let inputs = first.weight_ih.columns;
        if self.embedding.is_none() && inputs == 1 && tokens > 1 {
            // As the write-ups do that feed a character as one number.
            self.embedding = Some(Matrix::of(tokens, 1, |row, _| row as f32 / tokens as f32));
            self.notes.push(format!(
                "it takes one number per character, which is taken for the token's number divided by {tokens}"
            ));
        }
        let (what, size) = match &self.embedding {
            Some(embedding) => {
                ensure!(
                    embedding.rows == tokens,
                    "its embedding has {} tokens and its head {tokens}: what a charlet model reads and \
                     what it predicts are the same tokens",
                    embedding.rows
                );
                ("its embedding has", embedding.columns)
            }
            None => ("its head has", tokens),
        };
        ensure!(
            inputs == size,
            "its first LSTM layer takes {inputs} numbers, and {what} {size}{}",
            if self.embedding.is_none() {
                ": without an embedding it should take one for each token"
            } else {
                ""
            }
        );
        let mut before = inputs;
        for (at, layer) in self.layers.iter().enumerate() {
            let hidden = layer.hidden();
            ensure!(
                layer.weight_ih.columns == before,
                "LSTM layer {at} takes {} numbers, and the one before it gives {before}",
                layer.weight_ih.columns
            );
            ensure!(
                layer.weight_ih.rows == 4 * hidden
                    && layer.weight_hh.rows == 4 * hidden
                    && layer.bias.len() == 4 * hidden,
                "LSTM layer {at} has weights of {} and {} rows and {} biases for {hidden} units",
                layer.weight_ih.rows,
                layer.weight_hh.rows,
                layer.bias.len()
            );
            // It may be the sum of two.
            ensure!(
                layer.bias.iter().all(|value| value.is_finite()),
                "the biases of LSTM layer {at} have sums that are infinite or not a number"
            );
            before = hidden;
        }
        ensure!(
            self.head.weight.columns == before && self.head.bias.len() == tokens,
            "its head takes {} numbers, and the LSTM layer before it gives {before}",
            self.head.weight.columns
        );
        let widths = self.layers.iter().map(Layer::hidden);
        let widest = widths.clone().max().unwrap_or(0);
        let largest = tokens.max(inputs).max(widest);
        ensure!(
            largest <= MAX_SIZE,
            "it has a size of {largest}, and a charlet model's tokens, embedding and units are {MAX_SIZE} at most"
        );
        if widths.clone().any(|width| width < widest) {
            let widths: Vec<_> = widths.map(|width| width.to_string()).collect();
            self.notes.push(format!(
                "its layers have {} units; charlet's are all alike, so the narrower get units that do nothing",
                widths.join(" and ")
            ));
        }
        Ok(self)
    }

    /// With what `charlet export` has said of it, in the metadata of its file.
    pub(super) fn with_own(mut self, entry: Option<&str>) -> Result<Self> {
        self.own = entry.map(Description::read).transpose()?;
        if let Some(own) = &self.own {
            let count = own.alphabet.size();
            ensure!(
                (1..=MAX_SIZE).contains(&own.embedding_size),
                "its {METADATA_KEY} is damaged: its embedding_size is {}",
                own.embedding_size
            );
            ensure!(
                count == self.tokens(),
                "its {METADATA_KEY} has {count} tokens, and its head {}",
                self.tokens()
            );
        }
        Ok(self)
    }

    /// Number of tokens.
    pub fn tokens(&self) -> usize {
        self.head.weight.rows
    }

    /// The sizes of the network with these tokens.
    pub fn shape(&self, tokens: &Tokens) -> Shape {
        Shape {
            vocab_size: tokens.order().len(),
            embedding_size: match &self.embedding {
                Some(embedding) => embedding.columns,
                None => self.tokens(),
            },
            hidden_size: self.layers.iter().map(Layer::hidden).max().unwrap_or(0),
            num_layers: self.layers.len(),
        }
    }

    /// The network with these tokens.
    ///
    /// # Errors
    /// If it passes over a token, or there is no memory left.
    pub fn network(&self, tokens: &Tokens) -> Result<Network> {
        let order = tokens.order();
        ensure!(
            !self.masks_first || !order.contains(&Some(0)),
            "its embedding passes over token 0 (mask_zero=True), and a charlet model feeds each of its tokens: call \
             token 0 <pad> in --chars if it is padding, or train without mask_zero"
        );
        let shape = self.shape(tokens);
        let (columns, widest) = (shape.embedding_size, shape.hidden_size);
        let mut tensors: HashMap<String, Tensor> = HashMap::new();
        let mut put = |name: String, matrix: Matrix| -> Result<()> {
            let Matrix {
                rows,
                columns,
                values,
            } = matrix;
            let tensor = Tensor::from_vec(values, (rows, columns), &Device::Cpu)?;
            let tensor = if name.ends_with("bias") {
                tensor.flatten_all()?
            } else {
                tensor
            };
            tensors.insert(name, tensor);
            Ok(())
        };
        put(
            "embedding.weight".to_owned(),
            Matrix::of(order.len(), columns, |row, column| {
                let Some(token) = order[row] else {
                    return 0.0;
                };
                match &self.embedding {
                    Some(embedding) => embedding.at(token, column),
                    None => f32::from(u8::from(column == token)),
                }
            }),
        )?;
        for (at, layer) in self.layers.iter().enumerate() {
            let hidden = layer.hidden();
            // Units with weights of 0 have c and h of 0.
            let padded = |matrix: &Matrix, columns: usize| {
                Matrix::of(4 * widest, columns, |row, column| {
                    let (gate, unit) = (row / widest, row % widest);
                    if unit < hidden && column < matrix.columns {
                        matrix.at(gate * hidden + unit, column)
                    } else {
                        0.0
                    }
                })
            };
            let inputs = if at == 0 { columns } else { widest };
            let bias = Matrix::new(layer.bias.len(), 1, layer.bias.clone())?;
            put(
                format!("lstm.{at}.weight_ih"),
                padded(&layer.weight_ih, inputs),
            )?;
            put(
                format!("lstm.{at}.weight_hh"),
                padded(&layer.weight_hh, widest),
            )?;
            put(format!("lstm.{at}.bias"), padded(&bias, 1))?;
        }
        let head = &self.head;
        put(
            "head.weight".to_owned(),
            Matrix::of(order.len(), widest, |row, column| match order[row] {
                Some(token) if column < head.weight.columns => head.weight.at(token, column),
                _ => 0.0,
            }),
        )?;
        put(
            "head.bias".to_owned(),
            Matrix::of(order.len(), 1, |row, _| match order[row] {
                Some(token) => head.bias[token],
                None => NEVER,
            }),
        )?;
        Network::from_tensors(shape, &tensors)
    }
}
