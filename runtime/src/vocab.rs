//! Which character is which token, and which tokens mark the start and the end of a text.

use crate::error::Error;
use crate::format::utf8::Chars;

/// The number of a character or mark: its row in the model's input table and its logit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Token(pub u16);

impl Token {
    /// The token's place in a list of logits.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A model's alphabet, borrowed from its file.
///
/// Tokens `0..chars().count()` are the characters in ascending order; marks follow them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vocab<'a> {
    /// Checked, but no `str`: its characters are decoded as they were checked, with the same code.
    chars: &'a [u8],
    size: u16,
    start: Token,
    end: Option<Token>,
    has_unknown: bool,
}

impl<'a> Vocab<'a> {
    /// Checks and takes an alphabet of `size` tokens: `chars` and then the marks, the last of which may be
    /// that for unknown characters.
    ///
    /// # Errors
    /// [`Error::InvalidVocabulary`] if `chars` is not strictly ascending or has more characters than there
    /// are other tokens, if `start` is no token, or if `end` is no mark, or that for unknown characters.
    pub const fn new(
        chars: &'a str,
        size: u16,
        start: Token,
        end: Option<Token>,
        has_unknown: bool,
    ) -> Result<Self, Error> {
        Self::read(chars.as_bytes(), size, start, end, has_unknown)
    }

    /// The same from bytes, which are refused with [`Error::InvalidHeader`] if they are no UTF-8.
    // Out of line it would cost a firmware 500 bytes: a model that is put together in pieces is copied by
    // memcpy.
    #[inline(always)]
    pub(crate) const fn read(
        chars: &'a [u8],
        size: u16,
        start: Token,
        end: Option<Token>,
        has_unknown: bool,
    ) -> Result<Self, Error> {
        // Without the mark for unknown characters; no start is less than a size of zero.
        let known = size.wrapping_sub(has_unknown as u16);
        let mut rest = Chars(chars);
        let mut count = 0;
        let mut least = 0;
        while let Some(char) = rest.take_char() {
            if count == known || (char as u32) < least {
                return Err(Error::InvalidVocabulary);
            }
            least = char as u32 + 1;
            count += 1;
        }
        if !rest.0.is_empty() {
            return Err(Error::InvalidHeader);
        }
        let is_mark = match end {
            Some(end) => end.0 >= count && end.0 < known,
            None => true,
        };
        if start.0 >= size || !is_mark {
            return Err(Error::InvalidVocabulary);
        }
        Ok(Self {
            chars,
            size,
            start,
            end,
            has_unknown,
        })
    }

    /// Number of tokens: characters and marks.
    pub const fn size(&self) -> usize {
        self.size as usize
    }

    /// The characters in the order of their tokens.
    pub const fn chars(&self) -> &'a str {
        match str::from_utf8(self.chars) {
            Ok(chars) => chars,
            // Never: the constructor made sure.
            Err(_) => "",
        }
    }

    /// The token that is fed before a text's first character.
    pub const fn start(&self) -> Token {
        self.start
    }

    /// The mark that ends a text; models of running text have none.
    pub const fn end(&self) -> Option<Token> {
        self.end
    }

    /// The mark for characters that the model doesn't know, if it has learnt one.
    pub const fn unknown(&self) -> Option<Token> {
        if self.has_unknown {
            // The constructor made sure that there is a token.
            Some(Token(self.size.wrapping_sub(1)))
        } else {
            None
        }
    }

    /// The token of a character, or the mark for unknown ones.
    ///
    /// # Errors
    /// [`Error::UnknownChar`] if there is neither.
    pub fn token_or_unknown(&self, char: char) -> Result<Token, Error> {
        let token = self.token(char).or(self.unknown());
        token.ok_or(Error::UnknownChar(char))
    }

    /// The token of a character, if the model knows it.
    pub fn token(&self, char: char) -> Option<Token> {
        let at = Chars(self.chars).position(|known| known == char)?;
        // The constructor made sure that there are no more characters than tokens.
        Some(Token(at as u16))
    }

    /// Whether every character of a text has a token, or there is a mark for those without.
    pub(crate) fn check(&self, text: &str) -> Result<(), Error> {
        for char in Chars(text.as_bytes()) {
            self.token_or_unknown(char)?;
        }
        Ok(())
    }

    /// The character of a token; marks have none.
    pub fn char(&self, token: Token) -> Option<char> {
        Chars(self.chars).nth(token.index())
    }

    /// Whether a token belongs to this vocabulary.
    pub const fn contains(&self, token: Token) -> bool {
        token.0 < self.size
    }
}

/// Whether bytes are UTF-8: what `str::from_utf8` finds, whose check would take 600 bytes more of a
/// firmware.
///
/// ```
/// assert!(charlet::is_utf8("é".as_bytes()));
/// assert!(!charlet::is_utf8(b"\xff"));
/// ```
pub fn is_utf8(bytes: &[u8]) -> bool {
    let mut chars = Chars(bytes);
    while chars.take_char().is_some() {}
    chars.0.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_and_tokens_map_both_ways() {
        let vocab = Vocab::new("aeéж🦀", 6, Token(5), Some(Token(5)), false).unwrap();
        for (id, char) in "aeéж🦀".chars().enumerate() {
            assert_eq!(vocab.token(char), Some(Token(id as u16)));
            assert_eq!(vocab.char(Token(id as u16)), Some(char));
        }
        assert_eq!(vocab.token('b'), None);
        assert_eq!(vocab.char(Token(5)), None);
        assert!(vocab.contains(Token(5)) && !vocab.contains(Token(6)));
    }

    #[test]
    fn invalid_alphabets_are_refused() {
        let invalid = |chars, size, start, end| {
            Vocab::new(chars, size, Token(start), end, false) == Err(Error::InvalidVocabulary)
        };
        assert!(invalid("ba", 3, 0, None), "unsorted");
        assert!(invalid("aa", 3, 0, None), "repeated");
        assert!(invalid("abc", 2, 0, None), "more characters than tokens");
        assert!(invalid("", 0, 0, None), "empty");
        assert!(invalid("ab", 3, 3, None), "start beyond the end");
        assert!(
            invalid("ab", 3, 0, Some(Token(1))),
            "an end that is a character"
        );
        assert!(invalid("ab", 3, 0, Some(Token(3))), "an end beyond the end");
    }

    #[test]
    fn the_mark_for_unknown_characters_is_no_character_and_not_the_end() {
        let vocab = |size, end| Vocab::new("ab", size, Token(0), end, true);
        let valid = vocab(4, Some(Token(2))).unwrap();
        assert_eq!(valid.token('x'), None);
        assert_eq!(valid.token_or_unknown('x'), Ok(Token(3)));
        assert_eq!(valid.token_or_unknown('b'), Ok(Token(1)));
        assert_eq!(vocab(3, None).unwrap().unknown(), Some(Token(2)));
        let nothing = Vocab::new("", 1, Token(0), None, true).unwrap();
        assert_eq!(nothing.token_or_unknown('x'), Ok(Token(0)));
        for (size, end) in [
            (4, Some(1)),
            (4, Some(3)),
            (4, Some(4)),
            (2, None),
            (0, None),
        ] {
            let refused = vocab(size, end.map(Token));
            assert_eq!(refused, Err(Error::InvalidVocabulary), "{size} {end:?}");
        }
        let empty = Vocab::new("", 0, Token(0), None, true);
        assert_eq!(empty, Err(Error::InvalidVocabulary));
        let without = Vocab::new("ab", 3, Token(0), Some(Token(2)), false).unwrap();
        assert_eq!(without.token_or_unknown('x'), Err(Error::UnknownChar('x')));
    }
}
