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

/// Turns symbols into bytes.
#[derive(Clone, Debug)]
pub(super) struct RangeEncoder<O> {
    out: O,
    /// What `out` said: after an error it gets nothing more.
    pub(super) result: Result<(), Error>,
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

impl<O: FnMut(u8) -> Result<(), Error>> RangeEncoder<O> {
    pub(super) const fn new(out: O) -> Self {
        Self {
            out,
            result: Ok(()),
            low: 0,
            range: WHOLE,
            pending: 0,
            bits: 1,
            zeros: 0,
        }
    }

    /// Narrows the interval to a symbol's part: it starts at `start / total` and is `frequency / total`
    /// wide, with a frequency of at least 1 and a total of at most 2^22.
    pub(super) fn encode(&mut self, start: u32, frequency: u32, total: u32) {
        let unit = self.range.checked_div(total).unwrap_or(0);
        self.low = self.low.wrapping_add(unit.wrapping_mul(start));
        self.range = unit.wrapping_mul(frequency);
        // An empty part, which no symbol has, would never grow.
        while self.range <= QUARTER && self.range > 0 {
            let highest = self.low >> 31;
            if highest == 1 || self.range <= HALF - self.low {
                self.bit(highest);
            } else {
                // The middle: the next bit decides which of both it was.
                self.low = self.low.wrapping_sub(QUARTER);
                self.pending = self.pending.wrapping_add(1);
            }
            self.low <<= 1;
            self.range <<= 1;
        }
    }

    /// One of `2^bits` symbols with equal frequencies.
    pub(super) fn encode_bits(&mut self, value: u32, bits: u32) {
        self.encode(value, 1, 1 << bits);
    }

    /// Writes the fewest bits that lie in the interval, whatever zeros follow them. Those of the last
    /// byte, and bytes of zero at the end, are left out.
    pub(super) fn finish(&mut self) {
        if self.low > 0 || self.pending > 0 {
            // The bits below those that are written.
            let mut below = HALF - 1;
            let mut value = self.rounded_up(below);
            while below > 0 && value.wrapping_sub(self.low) >= self.range {
                below >>= 1;
                value = self.rounded_up(below);
            }
            while below < u32::MAX {
                self.bit(value >> 31);
                value <<= 1;
                below = below << 1 | 1;
            }
        }
        while self.bits > 1 {
            self.bit(0);
        }
    }

    /// The next number whose bits `below` are 0; below `low` if there is none.
    fn rounded_up(&self, below: u32) -> u32 {
        self.low.saturating_add(below) & !below
    }

    /// Writes a bit and those that were pending.
    fn bit(&mut self, bit: u32) {
        let mut next = bit;
        loop {
            self.bits = self.bits << 1 | next;
            if self.bits >> 8 > 0 {
                self.byte(self.bits as u8);
                self.bits = 1;
            }
            if self.pending == 0 {
                return;
            }
            self.pending -= 1;
            next = bit ^ 1;
        }
    }

    fn byte(&mut self, byte: u8) {
        if byte == 0 {
            self.zeros = self.zeros.wrapping_add(1);
            return;
        }
        while self.result.is_ok() {
            let zero = self.zeros > 0;
            self.result = (self.out)(if zero { 0 } else { byte });
            if !zero {
                return;
            }
            self.zeros -= 1;
        }
    }
}

/// Finds the symbols again, from bits behind which there are zeros without end.
#[derive(Clone, Debug)]
pub(super) struct RangeDecoder<I> {
    pub(super) bytes: I,
    /// How far in the interval the message lies.
    offset: u32,
    range: u32,
    /// How wide a frequency of 1 is.
    unit: u32,
    /// What is left of a byte, above a 1; with nothing left, it is the highest bit.
    bits: u32,
}

impl<I: Iterator<Item = u8>> RangeDecoder<I> {
    pub(super) const fn new(bytes: I) -> Self {
        Self {
            bytes,
            offset: 0,
            range: WHOLE,
            unit: 0,
            bits: HALF,
        }
    }

    /// Takes the first bytes, the very first of which was taken already.
    pub(super) fn start(&mut self, first: u8) {
        self.offset = first.into();
        for _ in 0..3 {
            self.offset = self.offset << 8 | self.byte();
        }
    }

    /// Where in `total` the message lies: in the part of the symbol that comes next, to which
    /// [`narrow`](Self::narrow) then goes. `None` if it lies behind all parts.
    pub(super) fn position(&mut self, total: u32) -> Option<u32> {
        self.unit = self.range.checked_div(total)?;
        let position = self.offset.checked_div(self.unit)?;
        (position < total).then_some(position)
    }

    /// Narrows the interval to the part in which the message lies.
    pub(super) fn narrow(&mut self, start: u32, frequency: u32) {
        self.offset = self.offset.wrapping_sub(self.unit.wrapping_mul(start));
        self.range = self.unit.wrapping_mul(frequency);
        while self.range <= QUARTER && self.range > 0 {
            if self.bits == HALF {
                self.bits = self.byte() << 24 | 1 << 23;
            }
            self.offset = self.offset << 1 | self.bits >> 31;
            self.bits <<= 1;
            self.range <<= 1;
        }
    }

    /// One of `total` symbols with equal frequencies.
    pub(super) fn decode(&mut self, total: u32) -> Option<u32> {
        let symbol = self.position(total)?;
        self.narrow(symbol, 1);
        Some(symbol)
    }

    fn byte(&mut self) -> u32 {
        self.bytes.next().unwrap_or(0).into()
    }
}
