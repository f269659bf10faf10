//! Characters that the model doesn't know, and the end of a text whose model knows none.

use super::Corrupt;
use super::range::{RangeDecoder, RangeEncoder};
use crate::error::Error;

/// How a code point is written, from the fewest bits to the most. Each class has a quarter of the
/// interval.
const SAME_BLOCK: u32 = 0;
const BELOW_0800: u32 = 1;
const BELOW_10000: u32 = 2;
const ANY_PLANE: u32 = 3;

const CLASS_BITS: u32 = 2;
/// Characters of a block share all but so many bits: scripts have one or few of them.
const BLOCK_BITS: u32 = 7;
const PLANE_BITS: u32 = 16;
/// Unicode has 17 planes; one more stands for the end of the text.
const PLANES: u32 = 18;
const END: u32 = 17 << PLANE_BITS;

/// Code points, which follow the symbol for an unknown character.
#[derive(Clone, Debug)]
pub(super) struct Escape {
    /// The block of the last one.
    block: u32,
}

impl Escape {
    pub(super) const fn new() -> Self {
        Self { block: 0 }
    }

    /// A character, or the end of the text.
    pub(super) fn encode<O>(&mut self, char: Option<char>, range: &mut RangeEncoder<O>)
    where
        O: FnMut(u8) -> Result<(), Error>,
    {
        let code = char.map_or(END, u32::from);
        let block = code >> BLOCK_BITS;
        let (class, bits) = match code {
            _ if block == self.block => (SAME_BLOCK, BLOCK_BITS),
            ..0x800 => (BELOW_0800, 11),
            0x800..0x1_0000 => (BELOW_10000, PLANE_BITS),
            _ => (ANY_PLANE, PLANE_BITS),
        };
        self.block = block;
        range.encode_bits(class, CLASS_BITS);
        if class == ANY_PLANE {
            range.encode(code >> PLANE_BITS, 1, PLANES);
        }
        if code != END {
            range.encode_bits(code & ((1 << bits) - 1), bits);
        }
    }

    /// The character, or `None` for the end of the text.
    pub(super) fn decode<I>(&mut self, range: &mut RangeDecoder<I>) -> Result<Option<char>, Corrupt>
    where
        I: Iterator<Item = u8>,
    {
        let (above, bits) = match range.decode(1 << CLASS_BITS).ok_or(Corrupt)? {
            SAME_BLOCK => (self.block << BLOCK_BITS, BLOCK_BITS),
            BELOW_0800 => (0, 11),
            BELOW_10000 => (0, PLANE_BITS),
            _ => (
                range.decode(PLANES).ok_or(Corrupt)? << PLANE_BITS,
                PLANE_BITS,
            ),
        };
        if above == END {
            return Ok(None);
        }
        let code = above | range.decode(1 << bits).ok_or(Corrupt)?;
        self.block = code >> BLOCK_BITS;
        char::from_u32(code).map(Some).ok_or(Corrupt)
    }
}
