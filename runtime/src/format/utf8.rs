//! Characters from bytes that may be no UTF-8.

/// The characters at the front of some bytes; what is left after them is no UTF-8.
///
/// It checks as strictly as the standard library, whose check and whose iterators would take 800
/// bytes more of a firmware.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chars<'a>(pub(crate) &'a [u8]);

impl Chars<'_> {
    /// Takes the next character.
    // Loops over it in constant functions can't call an iterator.
    pub(crate) const fn take_char(&mut self) -> Option<char> {
        let [first, rest @ ..] = self.0 else {
            return None;
        };
        let first = *first;
        let mut rest = rest;
        // How many bytes follow, the bits of the first, and the least code that needs so many.
        let (mut following, bits, least) = match first {
            ..0x80 => (0, first, 0),
            0xc0..0xe0 => (1, first & 0x1f, 0x80),
            0xe0..0xf0 => (2, first & 0x0f, 0x800),
            0xf0..0xf8 => (3, first & 0x07, 0x1_0000),
            _ => return None,
        };
        let mut code = bits as u32;
        while following > 0 {
            let [byte, others @ ..] = rest else {
                return None;
            };
            if *byte & 0xc0 != 0x80 {
                return None;
            }
            code = code << 6 | (*byte & 0x3f) as u32;
            rest = others;
            following -= 1;
        }
        // Neither half of a surrogate nor beyond the last character.
        let Some(char) = char::from_u32(code) else {
            return None;
        };
        if code < least {
            return None;
        }
        self.0 = rest;
        Some(char)
    }
}

impl Iterator for Chars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        self.take_char()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    /// What the standard library finds at the front of the bytes.
    fn defined(bytes: &[u8]) -> (Vec<char>, &[u8]) {
        let valid = match str::from_utf8(bytes) {
            Ok(chars) => chars.len(),
            Err(error) => error.valid_up_to(),
        };
        let (chars, rest) = bytes.split_at(valid);
        (str::from_utf8(chars).unwrap().chars().collect(), rest)
    }

    fn check(bytes: &[u8]) {
        let mut chars = Chars(bytes);
        let found: Vec<char> = chars.by_ref().collect();
        assert_eq!((found, chars.0), defined(bytes), "{bytes:x?}");
    }

    #[test]
    fn every_character_is_decoded() {
        for char in '\0'..=char::MAX {
            check(char.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    #[test]
    fn what_is_no_utf8_is_refused_as_by_the_standard_library() {
        for bytes in 0..=u16::MAX {
            let [first, second] = bytes.to_be_bytes();
            check(&[first, second]);
            // Bytes at the limits of what may follow.
            for third in [0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff] {
                check(&[first, second, third]);
                check(&[first, second, third, 0x80]);
                check(&[b'a', first, second, 0xbf, third]);
            }
        }
    }
}
