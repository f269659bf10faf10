//! The arithmetic coder: symbols with frequencies to bits and back, in 32-bit integers.
//!
//! After A. Moffat, R. Neal and I. Witten, "Arithmetic coding revisited", ACM TOIS 16 (1998). A message is
//! a binary fraction in [0, 1), and each symbol narrows the interval in which it lies. No carry ever
//! goes back into bits that were written.

use crate::error::Error;

const HALF: u32 = 1 << 31;
const QUARTER: u32 = 1 << 30;

/// The first interval: 255/256 of all. So no message starts with a byte of 255.
const WHOLE: u32 = 255 << 24;

/// A symbol's part of the interval: it starts at `start / total` and is `frequency / total` wide.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) start: u32,
    pub(super) frequency: u32,
    pub(super) total: u32,
}

impl Part {
    /// One of `2^bits` symbols with equal frequencies.
    pub(super) const fn of_bits(value: u32, bits: u32) -> Self {
        Self {
            start: value,
            frequency: 1,
            total: 1 << bits,
        }
    }
}

/// Turns the parts of symbols into bytes.
#[derive(Clone, Debug)]
pub(super) struct RangeEncoder {
    low: u32,
    /// More than a quarter, so that totals of up to 2^22 lose little.
    range: u32,
    /// Bits that are the opposite of the next one.
    pending: u32,
    /// The bits of the next byte, below a 1 that reaches the ninth place when all are there.
    bits: u32,
    /// Bytes of zero that are written only if another byte follows.
    zeros: u32,
}

impl RangeEncoder {
    pub(super) const fn new() -> Self {
        Self {
            low: 0,
            range: WHOLE,
            pending: 0,
            bits: 1,
            zeros: 0,
        }
    }

    /// Narrows the interval to a part with a frequency of at least 1 and a total of at most 2^22.
    pub(super) fn encode(
        &mut self,
        part: Part,
        out: &mut impl FnMut(u8) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let unit = self.range.checked_div(part.total).unwrap_or(0);
        self.low = self.low.wrapping_add(unit.wrapping_mul(part.start));
        self.range = unit.wrapping_mul(part.frequency);
        // An empty part, which no symbol has, would never grow.
        while self.range <= QUARTER && self.range > 0 {
            if self.low >= HALF {
                self.low -= HALF;
                self.bit(1, out)?;
            } else if self.range <= HALF - self.low {
                self.bit(0, out)?;
            } else {
                // The middle: the next bit decides which of both it was.
                self.low = self.low.wrapping_sub(QUARTER);
                self.pending = self.pending.wrapping_add(1);
            }
            self.low <<= 1;
            self.range <<= 1;
        }
        Ok(())
    }

    /// Writes the fewest bits that lie in the interval, whatever zeros follow them. Those of the last
    /// byte, and bytes of zero at the end, are left out.
    pub(super) fn finish(
        mut self,
        out: &mut impl FnMut(u8) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.low == 0 && self.pending == 0 {
            return self.flush(out);
        }
        let rounded_up = |below| self.low.saturating_add(below) & !below;
        let lies_in = |value| value >= self.low && value - self.low < self.range;
        // The bits below those that are written.
        let mut below = HALF - 1;
        while below > 0 && !lies_in(rounded_up(below)) {
            below >>= 1;
        }
        let value = rounded_up(below);
        let mut place = HALF;
        while place > below {
            self.bit(u32::from(value & place != 0), out)?;
            place >>= 1;
        }
        self.flush(out)
    }

    /// Writes what is begun of a byte.
    fn flush(&mut self, out: &mut impl FnMut(u8) -> Result<(), Error>) -> Result<(), Error> {
        while self.bits > 1 {
            self.single_bit(0, out)?;
        }
        Ok(())
    }

    /// Writes a bit and those that were pending.
    fn bit(
        &mut self,
        bit: u32,
        out: &mut impl FnMut(u8) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.single_bit(bit, out)?;
        while self.pending > 0 {
            self.pending -= 1;
            self.single_bit(bit ^ 1, out)?;
        }
        Ok(())
    }

    fn single_bit(
        &mut self,
        bit: u32,
        out: &mut impl FnMut(u8) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.bits = self.bits << 1 | bit;
        if self.bits < 1 << 8 {
            return Ok(());
        }
        let byte = self.bits as u8;
        self.bits = 1;
        if byte == 0 {
            self.zeros = self.zeros.wrapping_add(1);
            return Ok(());
        }
        while self.zeros > 0 {
            self.zeros -= 1;
            out(0)?;
        }
        out(byte)
    }
}

/// Finds the parts again, from bits behind which there are zeros without end.
#[derive(Clone, Debug)]
pub(super) struct RangeDecoder {
    /// How far in the interval the message lies.
    offset: u32,
    range: u32,
    /// What is left of a byte, above a 1; with nothing left, it is the highest bit.
    bits: u32,
}

impl RangeDecoder {
    /// Takes the first bytes.
    pub(super) fn new(first: u8, bytes: &mut impl Iterator<Item = u8>) -> Self {
        let mut decoder = Self {
            offset: first.into(),
            range: WHOLE,
            bits: HALF,
        };
        for _ in 0..24 {
            decoder.take_bit(bytes);
        }
        decoder
    }

    /// Where in `total` the message lies: in the part of the symbol that comes next.
    ///
    /// # Errors
    /// [`Error::CorruptMessage`] if it lies behind all parts.
    pub(super) fn position(&self, total: u32) -> Result<u32, Error> {
        let unit = self.range.checked_div(total).unwrap_or(0);
        match self.offset.checked_div(unit) {
            Some(position) if position < total => Ok(position),
            _ => Err(Error::CorruptMessage),
        }
    }

    /// Narrows the interval to the part in which the message lies.
    pub(super) fn decode(&mut self, part: Part, bytes: &mut impl Iterator<Item = u8>) {
        let unit = self.range.checked_div(part.total).unwrap_or(0);
        self.offset = self.offset.wrapping_sub(unit.wrapping_mul(part.start));
        self.range = unit.wrapping_mul(part.frequency);
        while self.range <= QUARTER && self.range > 0 {
            self.take_bit(bytes);
            self.range <<= 1;
        }
    }

    /// One of `2^bits` symbols with equal frequencies.
    pub(super) fn decode_bits(
        &mut self,
        bits: u32,
        bytes: &mut impl Iterator<Item = u8>,
    ) -> Result<u32, Error> {
        let value = self.position(1 << bits)?;
        self.decode(Part::of_bits(value, bits), bytes);
        Ok(value)
    }

    fn take_bit(&mut self, bytes: &mut impl Iterator<Item = u8>) {
        if self.bits == HALF {
            let byte = bytes.next().unwrap_or(0);
            self.bits = u32::from(byte) << 24 | 1 << 23;
        }
        self.offset = self.offset << 1 | self.bits >> 31;
        self.bits <<= 1;
    }
}
