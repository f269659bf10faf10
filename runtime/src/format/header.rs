//! What a model says of itself: its alphabet, shape and precision.

#[cfg(feature = "write")]
use serde::{Deserialize, Serialize};

use super::layout::WeightBits;

/// The kind of recurrent cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "write", derive(Serialize, Deserialize))]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Cell {
    /// Long short-term memory with gates i, f, g, o and no peepholes, as PyTorch's `nn.LSTM`.
    Lstm,
}

/// The number format of weights, states and arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "write", derive(Serialize, Deserialize))]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Precision {
    /// 32-bit floating point.
    F32,
    /// Integers only, with weights of 8 bits.
    I8,
    /// Integers only, with weights of 4 bits in the layers and, unless the header says otherwise, 8 in
    /// the head.
    I4,
}

impl core::fmt::Display for Precision {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::F32 => f.pad("f32"),
            Self::I8 => f.pad("i8"),
            Self::I4 => f.pad("i4"),
        }
    }
}

/// What the first layer makes of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "write", derive(Serialize, Deserialize))]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Input {
    /// A row of a table, into which embedding, input weights and bias are folded: fewer operations.
    Table,
    /// Its embedding, which meets input weights: fewer bytes, for large alphabets.
    Embedding,
}

/// What a model is: its alphabet, shape and precision. Encoded as postcard does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "write", derive(Serialize, Deserialize))]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Header<'a> {
    /// The kind of recurrent cell.
    pub cell: Cell,
    /// The number format.
    pub precision: Precision,
    /// The characters in ascending order; their tokens are `0, 1, 2, ...`.
    pub chars: &'a str,
    /// Number of tokens: the characters, then the marks.
    pub vocab_size: u16,
    /// The token that is fed before a text's first character.
    pub start: u16,
    /// The mark that ends a text; `None` for models of running text.
    pub end: Option<u16>,
    /// Size of the embedding.
    pub embedding_size: u16,
    /// Hidden units per layer.
    pub hidden_size: u16,
    /// Number of LSTM layers.
    pub num_layers: u16,
    /// Whether the last token is the mark for characters that the model doesn't know.
    #[cfg_attr(feature = "write", serde(skip))]
    pub has_unknown: bool,
    /// What the first layer makes of a token; always a table in `f32`.
    #[cfg_attr(feature = "write", serde(skip, default = "table"))]
    pub input: Input,
    /// How large the head's weights are: eight bits, or four in `i4`.
    #[cfg_attr(feature = "write", serde(skip, default = "eight"))]
    pub head_bits: WeightBits,
}

#[cfg(feature = "write")]
fn table() -> Input {
    Input::Table
}

#[cfg(feature = "write")]
fn eight() -> WeightBits {
    WeightBits::Eight
}

impl Header<'_> {
    /// The format version of a file with this header: the first that can say it.
    pub const fn version(&self) -> u16 {
        match self.flags() {
            0 => 1,
            _ => 2,
        }
    }

    /// What version 2 adds, a bit each.
    pub(crate) const fn flags(&self) -> u8 {
        self.has_unknown as u8 | (self.input as u8) << 1 | (self.head_bits as u8) << 2
    }
}

/// Takes a header apart, which must fill the bytes, and its characters, which may be no UTF-8.
///
/// It is what postcard writes; with postcard, reading it would take 900 bytes more of a firmware.
pub(crate) const fn read_header(version: u16, bytes: &[u8]) -> Option<(Header<'_>, &[u8])> {
    let mut fields = Fields {
        rest: bytes,
        is_valid: true,
    };
    // The only one.
    fields.up_to(0);
    let cell = Cell::Lstm;
    let number = fields.up_to(2);
    let precision = match number {
        0 => Precision::F32,
        1 => Precision::I8,
        _ => Precision::I4,
    };
    let len = fields.up_to(usize::MAX);
    let Some((chars, rest)) = fields.rest.split_at_checked(len) else {
        return None;
    };
    fields.rest = rest;
    let (vocab_size, start) = (fields.size(), fields.size());
    let end = match fields.up_to(1) {
        0 => None,
        _ => Some(fields.size()),
    };
    let (embedding_size, hidden_size, num_layers) = (fields.size(), fields.size(), fields.size());
    // The mark in every precision, an embedding in i8 and i4, a head of four bits in i4 only.
    let flags = if version == 1 {
        0
    } else {
        fields.up_to((2 << number) - 1)
    };
    // One model, one file: none has a later version than it needs.
    if !fields.is_valid || !fields.rest.is_empty() || (flags == 0) != (version == 1) {
        return None;
    }
    let header = Header {
        cell,
        precision,
        chars: "",
        vocab_size,
        start,
        end,
        embedding_size,
        hidden_size,
        num_layers,
        has_unknown: flags & 1 != 0,
        input: match flags & 2 {
            0 => Input::Table,
            _ => Input::Embedding,
        },
        head_bits: match flags & 4 {
            0 => WeightBits::Eight,
            _ => WeightBits::Four,
        },
    };
    Some((header, chars))
}

/// The fields that are left to read.
struct Fields<'a> {
    rest: &'a [u8],
    /// Whether all so far were what they must be: looked at once, which is less code than after each.
    is_valid: bool,
}

impl Fields<'_> {
    /// Takes a varint of at most three bytes: the length of 65,535 characters needs no more. One whose
    /// last byte adds nothing is invalid, so that every number has one form; 0 then, as for one beyond
    /// `max`.
    #[inline(never)]
    const fn up_to(&mut self, max: usize) -> usize {
        let mut value = 0;
        let mut shift = 0;
        while let [byte, rest @ ..] = self.rest {
            self.rest = rest;
            value |= ((*byte & 0x7f) as usize) << shift;
            if *byte & 0x80 == 0 {
                if *byte == 0 && shift > 0 || value > max {
                    break;
                }
                return value;
            }
            if shift == 14 {
                break;
            }
            shift += 7;
        }
        self.is_valid = false;
        0
    }

    /// Takes a varint of 16 bits.
    #[inline(never)]
    const fn size(&mut self) -> u16 {
        self.up_to(u16::MAX as usize) as u16
    }
}
