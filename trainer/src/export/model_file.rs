//! From a trained network to the bytes of a model file.

use anyhow::{Context, Result, bail, ensure};
use charlet::format::layout::{IntegerSections, Place, ROWS, Sections, gate_row, head_row};
use charlet::format::{self, Cell, Header, Precision};

use super::form::Form;
use super::quantize::quantize;
use crate::data::alphabet::Alphabet;
use crate::model::network::Network;
use crate::model::shape::Shape;

const TOO_LARGE: &str = "the network is too large for a model file";

/// The header of a network's model file.
///
/// # Errors
/// If a size doesn't fit the format.
pub fn header(shape: Shape, alphabet: &Alphabet, form: Form) -> Result<Header<'_>> {
    let size = |value: usize| u16::try_from(value).context("a size exceeds the format's 65,535");
    Ok(Header {
        cell: Cell::Lstm,
        precision: form.precision,
        chars: alphabet.chars(),
        vocab_size: size(alphabet.size())?,
        start: alphabet.start(),
        end: alphabet.end(),
        embedding_size: size(shape.embedding_size)?,
        hidden_size: size(shape.hidden_size)?,
        num_layers: size(shape.num_layers)?,
        has_unknown: alphabet.unknown().is_some(),
        input: form.input,
        head_bits: form.head_bits,
    })
}

/// The model file of a network.
///
/// # Errors
/// If the network exceeds what the format can hold, or a weight is infinite or not a number.
pub fn model_file(
    network: &Network,
    alphabet: &Alphabet,
    form: impl Into<Form>,
) -> Result<Vec<u8>> {
    with_header(network, &header(network.shape(), alphabet, form.into())?)
}

/// The same with a header that says more than the network does: the size of an embedding that was folded into
/// one-hot inputs before.
///
/// # Errors
/// As [`model_file`].
pub fn with_header(network: &Network, header: &Header<'_>) -> Result<Vec<u8>> {
    let mut file = vec![0; format::file_len(header).context(TOO_LARGE)?];
    let weights = PlainWeights::of(network)?;
    match header.precision {
        Precision::F32 => {
            let sections = Sections::of(header).context(TOO_LARGE)?;
            format::write(header, &mut file, |bytes| place(&weights, sections, bytes))?;
        }
        Precision::I8 | Precision::I4 => {
            let sections = IntegerSections::of(header).context(TOO_LARGE)?;
            let quantized = quantize(&weights, &sections);
            format::write(header, &mut file, |bytes| bytes.copy_from_slice(&quantized))?;
        }
        precision => bail!("{precision} can't be exported"),
    }
    Ok(file)
}

/// A matrix in row order.
pub(crate) struct Matrix {
    pub(crate) columns: usize,
    values: Vec<f32>,
}

impl Matrix {
    pub(crate) fn at(&self, row: usize, column: usize) -> f32 {
        self.values[row * self.columns + column]
    }

    /// A row's values.
    pub(crate) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..][..self.columns]
    }

    /// All values, row after row.
    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }

    /// A matrix of zeros.
    pub(crate) fn zeros(rows: usize, columns: usize) -> Self {
        Self {
            columns,
            values: vec![0.0; rows * columns],
        }
    }

    pub(crate) fn set(&mut self, row: usize, column: usize, value: f32) {
        self.values[row * self.columns + column] = value;
    }
}

/// A network's weights as plain `f32` matrices.
pub(crate) struct PlainWeights {
    pub(crate) shape: Shape,
    pub(crate) embedding: Matrix,
    /// weight_ih, weight_hh and bias of each layer.
    pub(crate) layers: Vec<[Matrix; 3]>,
    pub(crate) head: Matrix,
    pub(crate) head_bias: Matrix,
}

impl PlainWeights {
    pub(crate) fn of(network: &Network) -> Result<Self> {
        let tensors = network.tensors()?;
        let mut matrices = tensors.iter().map(|(name, tensor)| -> Result<Matrix> {
            // A vector is a matrix of one column.
            let columns = if tensor.rank() == 1 {
                1
            } else {
                tensor.dim(1)?
            };
            let values: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
            ensure!(
                values.iter().all(|value| value.is_finite()),
                "{name} has a weight that is infinite or not a number"
            );
            Ok(Matrix { columns, values })
        });
        let mut next = || matrices.next().context("a parameter is missing")?;
        let shape = network.shape();
        Ok(Self {
            shape,
            embedding: next()?,
            layers: (0..shape.num_layers)
                .map(|_| Ok([next()?, next()?, next()?]))
                .collect::<Result<_>>()?,
            head: next()?,
            head_bias: next()?,
        })
    }

    /// What a token adds to a gate row of the first layer: `bias + weight_ih embedding`, rounded
    /// once.
    pub(crate) fn input(&self, token: usize, row: usize) -> f32 {
        let [weight_ih, _, bias] = &self.layers[0];
        let products = (0..self.shape.embedding_size)
            .map(|at| f64::from(weight_ih.at(row, at)) * f64::from(self.embedding.at(token, at)));
        (f64::from(bias.at(row, 0)) + products.sum::<f64>()) as f32
    }
}

/// The weights' bytes of a section, written by column and row.
struct Columns<'b>(&'b mut [u8]);

impl Columns<'_> {
    fn put(&mut self, column: usize, row: usize, value: f32) {
        let at = 4 * (column * ROWS + row);
        self.0[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
}

/// Writes every weight to its place in [`charlet::format::layout`].
fn place(weights: &PlainWeights, sections: Sections, bytes: &mut [u8]) {
    let mut columns = Columns(bytes);
    each_place(weights.shape, sections, |part, at, [column, row]| {
        let [of, input] = at;
        let value = match part {
            Part::WeightIh(0) => weights.input(input, of),
            Part::WeightIh(layer) => weights.layers[layer][0].at(of, input),
            Part::WeightHh(layer) => weights.layers[layer][1].at(of, input),
            Part::Bias(layer) => weights.layers[layer][2].at(of, input),
            Part::Head => weights.head.at(of, input),
            Part::HeadBias => weights.head_bias.at(of, input),
        };
        columns.put(column, row, value);
    });
}

/// The matrix that a weight of a file belongs to, by its layer.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// Of layer 0 it is the input table, with a column for each token.
    WeightIh(usize),
    WeightHh(usize),
    /// Layer 0 has none: it is in the table.
    Bias(usize),
    Head,
    HeadBias,
}

/// Tells of each weight in single precision its matrix, its row and column there, and its column and row in the file.
pub(super) fn each_place(
    shape: Shape,
    sections: Sections,
    mut tell: impl FnMut(Part, [usize; 2], [usize; 2]),
) {
    let Shape {
        vocab_size,
        hidden_size,
        num_layers,
        ..
    } = shape;
    let blocks = sections.layer_blocks;
    let gate_rows = || (0..4).flat_map(|gate| (0..hidden_size).map(move |unit| (gate, unit)));

    for token in 0..vocab_size {
        for (gate, unit) in gate_rows() {
            let Place { block, row } = gate_row(gate, unit);
            let at = [gate * hidden_size + unit, token];
            tell(Part::WeightIh(0), at, [token * blocks + block, row]);
        }
    }
    let mut from = sections.table;
    for layer in 0..num_layers {
        // The first layer's input and bias are in the table.
        let (inputs, biases) = if layer == 0 {
            (0, 0)
        } else {
            (hidden_size, blocks)
        };
        for (gate, unit) in gate_rows() {
            let Place { block, row } = gate_row(gate, unit);
            let of = gate * hidden_size + unit;
            if layer > 0 {
                tell(Part::Bias(layer), [of, 0], [from + block, row]);
            }
            let first = from + biases + block * (inputs + hidden_size);
            for column in 0..inputs {
                tell(Part::WeightIh(layer), [of, column], [first + column, row]);
            }
            for column in 0..hidden_size {
                let to = [first + inputs + column, row];
                tell(Part::WeightHh(layer), [of, column], to);
            }
        }
        from += biases + blocks * (inputs + hidden_size);
    }
    for token in 0..vocab_size {
        let Place { block, row } = head_row(token);
        tell(Part::HeadBias, [token, 0], [from + block, row]);
        let first = from + sections.head_blocks + block * hidden_size;
        for column in 0..hidden_size {
            tell(Part::Head, [token, column], [first + column, row]);
        }
    }
}
