//! Which character is which token, and which tokens mark the start and the end of a text.

use crate::Error;

/// The number of a character or mark: its row in the model's input table and its logit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    chars: &'a str,
    size: u16,
    start: Token,
    end: Option<Token>,
}

impl<'a> Vocab<'a> {
    /// Checks and takes an alphabet of `size` tokens: `chars` and then the marks.
    ///
    /// # Errors
    /// [`Error::Vocabulary`] if `chars` is not strictly ascending or has more characters than there
    /// are tokens, if `start` is no token, or if `end` is no mark.
    pub fn new(chars: &'a str, size: u16, start: Token, end: Option<Token>) -> Result<Self, Error> {
        let mut count = 0;
        let mut last = None;
        for char in chars.chars() {
            if last >= Some(char) || count == size {
                return Err(Error::Vocabulary);
            }
            last = Some(char);
            count += 1;
        }
        let marks = count..size;
        if start.0 >= size || end.is_some_and(|end| !marks.contains(&end.0)) {
            return Err(Error::Vocabulary);
        }
        Ok(Self {
            chars,
            size,
            start,
            end,
        })
    }

    /// Number of tokens: characters and marks.
    pub const fn size(&self) -> usize {
        self.size as usize
    }

    /// The characters in the order of their tokens.
    pub const fn chars(&self) -> &'a str {
        self.chars
    }

    /// The token that is fed before a text's first character.
    pub const fn start(&self) -> Token {
        self.start
    }

    /// The mark that ends a text; models of running text have none.
    pub const fn end(&self) -> Option<Token> {
        self.end
    }

    /// The token of a character, if the model knows it.
    pub fn token(&self, char: char) -> Option<Token> {
        // Counted in u16: the constructor made sure that there are no more characters than tokens.
        let mut tokens = self.tokens();
        tokens.find_map(|(known, token)| (known == char).then_some(token))
    }

    /// The character of a token; marks have none.
    pub fn char(&self, token: Token) -> Option<char> {
        let mut tokens = self.tokens();
        tokens.find_map(|(char, known)| (known == token).then_some(char))
    }

    /// The characters with their tokens.
    fn tokens(&self) -> impl Iterator<Item = (char, Token)> {
        // The constructor made sure that there are no more characters than tokens.
        self.chars.chars().zip((0..self.size).map(Token))
    }

    /// Whether a token belongs to this vocabulary.
    pub const fn contains(&self, token: Token) -> bool {
        token.0 < self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_and_tokens_map_both_ways() {
        let vocab = Vocab::new("aeéж🦀", 6, Token(5), Some(Token(5))).unwrap();
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
            Vocab::new(chars, size, Token(start), end) == Err(Error::Vocabulary)
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
}
