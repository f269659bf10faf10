//! How a network is written: its precision, and what the first layer and the head have.

use anyhow::Result;
use charlet::format::{Input, Precision, WeightBits};
use indicatif::HumanCount;

use super::footprint::needs;
use crate::config::{InputKind, TrainingConfig};
use crate::data::alphabet::Alphabet;
use crate::model::shape::Shape;

/// The smallest input table, in bytes, that an embedding may take the place of unasked; the least share of
/// the file that it must save; and the most operations for which it may, beside those with a table.
const LEAST_TABLE: usize = 16 * 1024;
const LEAST_SAVING: f64 = 0.1;
const MOST_OPERATIONS: f64 = 1.2;

/// How a network is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// The number format.
    pub precision: Precision,
    /// What the first layer makes of a token.
    pub input: Input,
    /// How large the head's weights are.
    pub head_bits: WeightBits,
}

/// With a table and a head of eight bits, as every precision can have.
impl From<Precision> for Form {
    fn from(precision: Precision) -> Self {
        Self {
            precision,
            input: Input::Table,
            head_bits: WeightBits::Eight,
        }
    }
}

impl Form {
    /// What is written in a precision with these settings. Weights that were trained for it are written as
    /// they were trained.
    ///
    /// # Errors
    /// If the network exceeds what a model file can hold.
    pub fn of(
        training: &TrainingConfig,
        shape: Shape,
        alphabet: &Alphabet,
        precision: Precision,
    ) -> Result<Self> {
        // Runs that were begun before there was a choice have a table.
        let trained = (training.precision() == precision).then_some(InputKind::Table);
        let small_head = training.small_head && precision == Precision::I4;
        Self::chosen(
            training.input.or(trained),
            small_head,
            shape,
            alphabet,
            precision,
        )
    }

    /// What a new run can be trained for: first what it is without a budget, then what else there is unless
    /// the settings say which.
    ///
    /// # Errors
    /// If the network exceeds what a model file can hold.
    pub fn choices(
        training: &TrainingConfig,
        shape: Shape,
        alphabet: &Alphabet,
    ) -> Result<Vec<Self>> {
        let precision = training.precision();
        let small_head = training.head_bits() == WeightBits::Four;
        let first = Self::chosen(training.input, small_head, shape, alphabet, precision)?;
        let is_open = precision != Precision::F32 && training.input.is_none();
        let other = is_open.then(|| first.with_other_input());
        Ok([first].into_iter().chain(other).collect())
    }

    /// What is asked for; an embedding too where it saves much of the file for few operations. Single
    /// precision has no choice.
    ///
    /// # Errors
    /// If the network exceeds what a model file can hold.
    pub fn chosen(
        input: Option<InputKind>,
        small_head: bool,
        shape: Shape,
        alphabet: &Alphabet,
        precision: Precision,
    ) -> Result<Self> {
        if precision == Precision::F32 {
            return Ok(precision.into());
        }
        let table = Self {
            head_bits: if small_head {
                WeightBits::Four
            } else {
                WeightBits::Eight
            },
            ..precision.into()
        };
        let embedding = Self {
            input: Input::Embedding,
            ..table
        };
        Ok(match input {
            Some(InputKind::Table) => table,
            Some(InputKind::Embedding) => embedding,
            None if embedding.is_worth_it(table, shape, alphabet)? => embedding,
            None => table,
        })
    }

    fn is_worth_it(self, table: Self, shape: Shape, alphabet: &Alphabet) -> Result<bool> {
        if 4 * shape.vocab_size * shape.hidden_size <= LEAST_TABLE {
            return Ok(false);
        }
        let bytes = |form| needs(shape, alphabet, form).map(|needs| needs.flash as f64);
        Ok(bytes(self)? <= (1.0 - LEAST_SAVING) * bytes(table)?
            && self.operations(shape) as f64 <= MOST_OPERATIONS * table.operations(shape) as f64)
    }

    /// The same with the other kind of input.
    #[must_use]
    pub fn with_other_input(self) -> Self {
        let input = match self.input {
            Input::Embedding => Input::Table,
            _ => Input::Embedding,
        };
        Self { input, ..self }
    }

    /// Multiplications of a weight by an input per character.
    pub fn operations(self, shape: Shape) -> usize {
        shape.macs_per_char()
            + match self.input {
                Input::Embedding => 4 * shape.hidden_size * shape.embedding_size,
                _ => 0,
            }
    }

    /// What the first layer has, and what the other choice would cost or save.
    ///
    /// # Errors
    /// If the network exceeds what a model file can hold.
    pub fn explained(self, shape: Shape, alphabet: &Alphabet) -> Result<String> {
        let other = self.with_other_input();
        let bytes = |form| needs(shape, alphabet, form).map(|needs| needs.flash);
        let (this, that) = (bytes(self)?, bytes(other)?);
        let operations = 100.0 * self.operations(shape) as f64 / other.operations(shape) as f64;
        let more = |is_more| if is_more { "more" } else { "fewer" };
        let (name, other) = match self.input {
            Input::Embedding => ("embedding", "a table"),
            _ => ("table", "an embedding"),
        };
        Ok(format!(
            "{name}: {} bytes {}, and {:.0} % {} multiply-accumulates, than with {other}",
            HumanCount(this.abs_diff(that) as u64),
            more(this > that),
            (operations - 100.0).abs(),
            more(operations > 100.0)
        ))
    }
}
