//! Where each weight stands in the file: shared by the runtime, which reads it, and the exporter.
//! `FORMAT.md` describes it.
//!
//! In single precision rows are stored in blocks of [`ROWS`], column by column, so that a kernel
//! reads memory in one direction and keeps a block's sums in registers. A block of gate rows holds
//! all four gates of [`UNITS`] hidden units, so that a unit's c and h follow as soon as its block is
//! summed. The last block is padded with zeros.
//!
//! In integers a block has the four gates of one unit, or four rows of the head, and its weights
//! stand in quads: [`COLUMNS`] bytes of each of its [`ROWS_PER_QUAD`] rows. One 32-bit load brings
//! four weights of a row, in the order that makes two pairs of them with one instruction each.

use crate::format::Header;

/// Hidden units in a block.
pub const UNITS: usize = 4;
/// Rows in a block: the four gates of each unit, or as many rows of the head.
pub const ROWS: usize = 4 * UNITS;

/// The place of a row: which block, and which row of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index of the block.
    pub block: usize,
    /// Row within the block.
    pub row: usize,
}

/// Where a unit's row of a gate stands; gates are numbered i, f, g, o.
pub const fn gate_row(gate: usize, unit: usize) -> Place {
    Place {
        block: unit / UNITS,
        row: gate * UNITS + unit % UNITS,
    }
}

/// Where a token's row of the head stands.
pub const fn head_row(token: usize) -> Place {
    Place {
        block: token / ROWS,
        row: token % ROWS,
    }
}

/// How many columns each section has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sections {
    /// Blocks in a layer.
    pub layer_blocks: usize,
    /// Blocks in the head.
    pub head_blocks: usize,
    /// Columns of the input table.
    pub table: usize,
    /// Columns of all layers.
    pub layers: usize,
    /// Columns of the head.
    pub head: usize,
}

impl Sections {
    /// The sections of a model with these sizes; `None` if they overflow.
    pub fn of(header: &Header<'_>) -> Option<Self> {
        let hidden = usize::from(header.hidden_size);
        let vocab = usize::from(header.vocab_size);
        let layer_blocks = hidden.div_ceil(UNITS);
        let head_blocks = vocab.div_ceil(ROWS);
        let first = layer_blocks.checked_mul(hidden)?;
        let deeper = layer_blocks.checked_mul(1 + 2 * hidden)?;
        let sections = Self {
            layer_blocks,
            head_blocks,
            table: vocab.checked_mul(layer_blocks)?,
            layers: deeper
                .checked_mul(usize::from(header.num_layers).checked_sub(1)?)?
                .checked_add(first)?,
            head: head_blocks.checked_mul(1 + hidden)?,
        };
        Some(sections)
    }

    /// Bytes of all sections; `None` if they overflow.
    pub fn bytes(&self) -> Option<usize> {
        self.table
            .checked_add(self.layers)?
            .checked_add(self.head)?
            .checked_mul(4 * ROWS)
    }
}

/// Rows of a block in integers: the gates i, f, g, o of a unit, or tokens of the head.
pub const ROWS_PER_QUAD: usize = 4;
/// Inputs whose weights stand together.
pub const COLUMNS: usize = 4;
/// Which of its four columns each byte of a row's word belongs to.
pub const COLUMN_ORDER: [usize; COLUMNS] = [0, 2, 1, 3];
/// Inputs whose weights stand together when a weight is half a byte: the lower halves of a row's
/// bytes belong to the first four columns, the upper halves to the others, both in [`COLUMN_ORDER`].
pub const NIBBLE_COLUMNS: usize = 2 * COLUMNS;

/// How many bytes each section of an integer model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntegerSections {
    /// Hidden units of each layer.
    pub hidden_size: usize,
    /// The same, padded to whole quads.
    pub padded_hidden: usize,
    /// Layers.
    pub num_layers: usize,
    /// Blocks of the head.
    pub head_blocks: usize,
    /// Bytes of the shifts of layers and head.
    pub shifts: usize,
    /// Bytes of the input table.
    pub table: usize,
    /// Bytes of all layers.
    pub layers: usize,
    /// Bytes of the head.
    pub head: usize,
}

impl IntegerSections {
    /// The sections of a model with these sizes; `None` if they overflow.
    pub fn of(header: &Header<'_>) -> Option<Self> {
        let hidden_size = usize::from(header.hidden_size);
        let vocab_size = usize::from(header.vocab_size);
        let num_layers = usize::from(header.num_layers);
        let padded_hidden = hidden_size.next_multiple_of(COLUMNS);
        let head_blocks = vocab_size.div_ceil(ROWS_PER_QUAD);
        // Multipliers and biases have eight bytes a block.
        let weights =
            |blocks: usize, columns: usize| blocks.checked_mul(columns.checked_mul(ROWS_PER_QUAD)?);
        let first = weights(hidden_size, padded_hidden)?.checked_add(8 * hidden_size)?;
        let deeper = weights(hidden_size, 2 * padded_hidden)?.checked_add(16 * hidden_size)?;
        Some(Self {
            hidden_size,
            padded_hidden,
            num_layers,
            head_blocks,
            shifts: (2 * (num_layers + 1)).next_multiple_of(16),
            table: vocab_size.checked_mul(8 * hidden_size)?,
            layers: deeper
                .checked_mul(num_layers.checked_sub(1)?)?
                .checked_add(first)?,
            head: weights(head_blocks, padded_hidden)?.checked_add(16 * head_blocks)?,
        })
    }

    /// Inputs of a layer, padded: h, or x and h.
    pub const fn columns(&self, layer: usize) -> usize {
        if layer == 0 {
            self.padded_hidden
        } else {
            2 * self.padded_hidden
        }
    }

    /// Bytes of all sections; `None` if they overflow.
    pub fn bytes(&self) -> Option<usize> {
        let sections = [self.shifts, self.table, self.layers, self.head];
        sections.into_iter().try_fold(0usize, usize::checked_add)
    }
}
