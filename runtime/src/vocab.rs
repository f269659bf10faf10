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
    unknown: Option<Token>,
}

impl<'a> Vocab<'a> {
    /// Checks and takes an alphabet of `size` tokens: `chars` and then the marks.
    ///
    /// # Errors
    /// [`Error::InvalidVocabulary`] if `chars` is not strictly ascending or has more characters than there
    /// are tokens, if `start` is no token, or if `end` or `unknown` is no mark, or both are the same.
    pub const fn new(
        chars: &'a str,
        size: u16,
        start: Token,
        end: Option<Token>,
        unknown: Option<Token>,
    ) -> Result<Self, Error> {
        Self::read(chars.as_bytes(), size, start, end, unknown)
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
        unknown: Option<Token>,
    ) -> Result<Self, Error> {
        let mut rest = Chars(chars);
        let mut count = 0;
        let mut last = None;
        while let Some(char) = rest.take_char() {
            if count == size || matches!(last, Some(last) if last >= char as u32) {
                return Err(Error::InvalidVocabulary);
            }
            last = Some(char as u32);
            count += 1;
        }
        if !rest.0.is_empty() {
            return Err(Error::InvalidHeader);
        }
        let are_marks = is_mark(end, count, size) && is_mark(unknown, count, size);
        let are_same = matches!((end, unknown), (Some(end), Some(unknown)) if end.0 == unknown.0);
        if start.0 >= size || !are_marks || are_same {
            return Err(Error::InvalidVocabulary);
        }
        Ok(Self {
            chars,
            size,
            start,
            end,
            unknown,
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
        self.unknown
    }

    /// The token of a character, or the mark for unknown ones.
    ///
    /// # Errors
    /// [`Error::UnknownChar`] if there is neither.
    pub fn token_or_unknown(&self, char: char) -> Result<Token, Error> {
        let token = self.token(char).or(self.unknown);
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

/// Whether a token follows the characters, if there is one.
const fn is_mark(token: Option<Token>, chars: u16, size: u16) -> bool {
    match token {
        Some(token) => token.0 >= chars && token.0 < size,
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_and_tokens_map_both_ways() {
        let vocab = Vocab::new("aeéж🦀", 6, Token(5), Some(Token(5)), None).unwrap();
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
            Vocab::new(chars, size, Token(start), end, None) == Err(Error::InvalidVocabulary)
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
        let vocab = |end: u16, unknown| {
            Vocab::new("ab", 4, Token(0), Some(Token(end)), Some(Token(unknown)))
        };
        let valid = vocab(2, 3).unwrap();
        assert_eq!(valid.token('x'), None);
        assert_eq!(valid.token_or_unknown('x'), Ok(Token(3)));
        assert_eq!(valid.token_or_unknown('b'), Ok(Token(1)));
        for (end, unknown) in [(2, 1), (2, 4), (2, 2), (1, 3)] {
            assert_eq!(vocab(end, unknown), Err(Error::InvalidVocabulary));
        }
        let without = Vocab::new("ab", 3, Token(0), Some(Token(2)), None).unwrap();
        assert_eq!(without.token_or_unknown('x'), Err(Error::UnknownChar('x')));
    }
}
