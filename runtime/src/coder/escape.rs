//! Characters that the model doesn't know, and the end of a text whose model knows none.

use super::range::{Part, RangeDecoder, RangeEncoder};
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
/// Unicode has so many planes; one more stands for the end of the text.
const PLANES: u32 = 17;

/// A plane out of all and the end.
const fn plane(plane: u32) -> Part {
    Part {
        start: plane,
        frequency: 1,
        total: PLANES + 1,
    }
}

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

    pub(super) fn encode(
        &mut self,
        char: char,
        range: &mut RangeEncoder,
        out: &mut impl FnMut(u8) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let code = u32::from(char);
        let block = code >> BLOCK_BITS;
        let (class, bits) = match code {
            _ if block == self.block => (SAME_BLOCK, BLOCK_BITS),
            ..0x800 => (BELOW_0800, 11),
            0x800..0x1_0000 => (BELOW_10000, PLANE_BITS),
            _ => (ANY_PLANE, PLANE_BITS),
        };
        self.block = block;
        range.encode(Part::of_bits(class, CLASS_BITS), out)?;
        if class == ANY_PLANE {
            range.encode(plane(code >> PLANE_BITS), out)?;
        }
        range.encode(Part::of_bits(code & ((1 << bits) - 1), bits), out)
    }

    pub(super) fn encode_end(
        range: &mut RangeEncoder,
        out: &mut impl FnMut(u8) -> Result<(), Error>,
    ) -> Result<(), Error> {
        range.encode(Part::of_bits(ANY_PLANE, CLASS_BITS), out)?;
        range.encode(plane(PLANES), out)
    }

    /// The character, or `None` for the end of the text.
    pub(super) fn decode(
        &mut self,
        range: &mut RangeDecoder,
        bytes: &mut impl Iterator<Item = u8>,
    ) -> Result<Option<char>, Error> {
        let code = match range.decode_bits(CLASS_BITS, bytes)? {
            SAME_BLOCK => self.block << BLOCK_BITS | range.decode_bits(BLOCK_BITS, bytes)?,
            BELOW_0800 => range.decode_bits(11, bytes)?,
            BELOW_10000 => range.decode_bits(PLANE_BITS, bytes)?,
            _ => {
                let number = range.position(PLANES + 1)?;
                range.decode(plane(number), bytes);
                if number == PLANES {
                    return Ok(None);
                }
                number << PLANE_BITS | range.decode_bits(PLANE_BITS, bytes)?
            }
        };
        self.block = code >> BLOCK_BITS;
        match char::from_u32(code) {
            Some(char) => Ok(Some(char)),
            None => Err(Error::CorruptMessage),
        }
    }
}
