//! Where each weight stands in the file: shared by the runtime, which reads it, and the exporter.
//!
//! Rows are stored in blocks of [`ROWS`], column by column, so that a kernel reads memory in one
//! direction and keeps a block's sums in registers. A block of gate rows holds all four gates of
//! [`UNITS`] hidden units, so that a unit's c and h follow as soon as its block is summed. The last
//! block is padded with zeros.
//!
//! The sections follow each other in this order, `B = ceil(hidden_size / UNITS)`:
//!
//! | section | columns of `ROWS` weights |
//! | --- | --- |
//! | input table: what each token adds to the first layer's gates, bias included | `vocab_size * B` |
//! | layer 0: recurrent weights | `B * hidden_size` |
//! | each layer after it: bias, then weights for `[x, h]` | `B`, then `B * 2 * hidden_size` |
//! | head: bias, then weights | `ceil(vocab_size / ROWS)`, then that times `hidden_size` |

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
