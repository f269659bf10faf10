//! The check byte: CRC-8/ROHC of a text's UTF-8.

/// Polynomial 0x07, reflected; starts with all bits set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crc8(u8);

impl Crc8 {
    pub(super) const fn new() -> Self {
        Self(0xff)
    }

    pub(super) fn update(self, char: char) -> Self {
        self.of(char.encode_utf8(&mut [0; 4]))
    }

    pub(super) fn of(mut self, text: &str) -> Self {
        for byte in text.bytes() {
            self.0 ^= byte;
            for _ in 0..8 {
                let low = self.0 & 1;
                self.0 = (self.0 >> 1) ^ (0xe0 * low);
            }
        }
        self
    }

    pub(super) const fn finish(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_crc_of_the_catalogue() {
        assert_eq!(Crc8::new().of("123456789").finish(), 0xd0);
    }
}
