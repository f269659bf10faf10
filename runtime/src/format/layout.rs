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
//! four weights of a row, or eight of half a byte, in the order that makes pairs of them with one
//! instruction each.

use super::header::{Header, Input, Precision};

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
    pub const fn of(header: &Header<'_>) -> Option<Self> {
        let hidden = header.hidden_size as u64;
        let vocab = header.vocab_size as u64;
        let layer_blocks = hidden.div_ceil(UNITS as u64);
        let head_blocks = vocab.div_ceil(ROWS as u64);
        let Some(deeper) = (header.num_layers as u64).checked_sub(1) else {
            return None;
        };
        // 64 bits hold the sum whatever the sizes are.
        let table = vocab * layer_blocks;
        let layers = layer_blocks * hidden + layer_blocks * (1 + 2 * hidden) * deeper;
        let head = head_blocks * (1 + hidden);
        if table + layers + head > (usize::MAX / (4 * ROWS)) as u64 {
            return None;
        }
        Some(Self {
            layer_blocks: layer_blocks as usize,
            head_blocks: head_blocks as usize,
            table: table as usize,
            layers: layers as usize,
            head: head as usize,
        })
    }

    /// Bytes of all sections.
    pub const fn bytes(&self) -> usize {
        (self.table + self.layers + self.head) * 4 * ROWS
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
/// Bytes of a quad: [`COLUMNS`] for each row.
pub const QUAD_BYTES: usize = COLUMNS * ROWS_PER_QUAD;
/// Bytes of a block's scales: for each row a multiplier of its sum and one of its start value.
pub const SCALE_BYTES: usize = 4 * ROWS_PER_QUAD;
/// Sections of integer models have multiples of this many bytes.
pub const SECTION_ALIGN: usize = 16;

/// How large a weight of an integer model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "write", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum WeightBits {
    /// A byte, of which weights use seven bits, stored plus 64.
    Eight,
    /// Half a byte, stored plus 8.
    Four,
}

impl WeightBits {
    /// Inputs whose weights stand in one quad.
    pub const fn columns(self) -> usize {
        match self {
            Self::Four => NIBBLE_COLUMNS,
            Self::Eight => COLUMNS,
        }
    }

    /// Quads of so many inputs.
    // The compiler sees a shift, where a division would need a function on small chips.
    pub const fn quads(self, columns: usize) -> usize {
        match self {
            Self::Four => columns / NIBBLE_COLUMNS,
            Self::Eight => columns / COLUMNS,
        }
    }

    /// What a weight is stored plus.
    pub const fn bias(self) -> u8 {
        match self {
            Self::Four => 8,
            Self::Eight => 64,
        }
    }
}

/// What the sections of an integer model have. Parts are numbered: the layers, then the head.
///
/// Lengths are in units of 16 bytes, a quad or a block's scales, of which every section has a whole
/// number. None of a part's overflows 32 bits: it is at most 65,535 blocks of 2^15 quads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntegerSections {
    /// Weights of the layers.
    pub weight_bits: WeightBits,
    /// Weights of the head.
    pub head_bits: WeightBits,
    /// Size of the embedding, padded to whole quads; 0 if it is folded into the input table.
    pub padded_embedding: usize,
    /// Hidden units of each layer.
    pub hidden_size: usize,
    /// The same, padded to whole quads.
    pub padded_hidden: usize,
    /// Layers.
    pub num_layers: usize,
    /// Tokens.
    pub vocab_size: usize,
    /// Blocks of the head.
    pub head_blocks: usize,
}

const _: () = assert!(QUAD_BYTES == SECTION_ALIGN && SCALE_BYTES == SECTION_ALIGN);
const _: () = assert!(usize::BITS >= 32, "lengths would overflow");

impl IntegerSections {
    /// The sections of a model with these sizes; `None` if it is none of integers.
    pub const fn of(header: &Header<'_>) -> Option<Self> {
        let weight_bits = match header.precision {
            Precision::F32 => return None,
            Precision::I8 => WeightBits::Eight,
            Precision::I4 => WeightBits::Four,
        };
        let hidden_size = header.hidden_size as usize;
        let vocab_size = header.vocab_size as usize;
        let embedding_size = match header.input {
            Input::Table => 0,
            Input::Embedding => header.embedding_size as usize,
        };
        Some(Self {
            weight_bits,
            head_bits: header.head_bits,
            padded_embedding: embedding_size.next_multiple_of(weight_bits.columns()),
            hidden_size,
            padded_hidden: hidden_size.next_multiple_of(weight_bits.columns()),
            num_layers: header.num_layers as usize,
            vocab_size,
            head_blocks: vocab_size.div_ceil(ROWS_PER_QUAD),
        })
    }

    /// Inputs of the layer that has most.
    pub const fn most_columns(&self) -> usize {
        let (first, last) = (
            self.columns(0),
            self.columns(self.num_layers.saturating_sub(1)),
        );
        if first > last { first } else { last }
    }

    /// Inputs of a part, padded: an embedding or h of the layer below, and h of its own.
    pub const fn columns(&self, part: usize) -> usize {
        if part == 0 {
            self.padded_embedding + self.padded_hidden
        } else if part == self.num_layers {
            self.padded_hidden
        } else {
            2 * self.padded_hidden
        }
    }

    /// How large a part's weights are.
    pub const fn bits(&self, part: usize) -> WeightBits {
        if part == self.num_layers {
            self.head_bits
        } else {
            self.weight_bits
        }
    }

    /// Blocks of a part, each with four rows and 16 bytes of scales.
    pub const fn blocks(&self, part: usize) -> usize {
        if part == self.num_layers {
            self.head_blocks
        } else {
            self.hidden_size
        }
    }

    /// Quads of each block of a part.
    pub const fn quads(&self, part: usize) -> usize {
        self.bits(part).quads(self.columns(part))
    }

    /// Length of the shifts of layers and head.
    pub const fn shifts(&self) -> usize {
        (2 * (self.num_layers + 1)).div_ceil(SECTION_ALIGN)
    }

    /// Length of what a token has in the input table, or as its embedding, in units of 4 bytes.
    pub const fn input_row(&self) -> usize {
        if self.padded_embedding == 0 {
            self.hidden_size
        } else {
            self.padded_embedding / 4
        }
    }

    /// Length of the input table, or of the embedding.
    pub const fn input(&self) -> usize {
        (self.vocab_size * self.input_row()).div_ceil(SECTION_ALIGN / 4)
    }

    /// Length of the start values of a part, which the first layer may have in the input table.
    pub const fn start(&self, part: usize) -> usize {
        if part == 0 && self.padded_embedding == 0 {
            0
        } else {
            self.blocks(part).div_ceil(SECTION_ALIGN / ROWS_PER_QUAD)
        }
    }

    /// Bytes of all sections; `None` if they exceed the memory that has addresses.
    pub const fn bytes(&self) -> Option<usize> {
        let Some(deeper) = self.num_layers.checked_sub(1) else {
            return None;
        };
        // 64 bits hold the sum whatever the sizes are.
        let shared = (self.shifts() + self.input()) as u64;
        let parts = self.part(0) + deeper as u64 * self.part(1) + self.part(self.num_layers);
        let bytes = SECTION_ALIGN as u64 * (shared + parts);
        if bytes > usize::MAX as u64 {
            return None;
        }
        Some(bytes as usize)
    }

    /// Length of a part: its scales, start values and weights.
    const fn part(&self, part: usize) -> u64 {
        let weights = self.blocks(part) as u64 * self.quads(part) as u64;
        (self.blocks(part) + self.start(part)) as u64 + weights
    }
}
