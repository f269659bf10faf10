//! Tokens of characters, found at once: the runtime searches its alphabet for each.

use std::collections::HashMap;

use charlet::{Token, Vocab};

/// The tokens of a model's characters.
#[derive(Clone, Debug)]
pub struct TokenTable {
    ascii: [Option<Token>; 128],
    others: HashMap<char, Token>,
    unknown: Option<Token>,
    end: Option<Token>,
}

impl TokenTable {
    /// The tokens of an alphabet.
    pub fn new(vocab: &Vocab<'_>) -> Self {
        let mut table = Self {
            ascii: [None; 128],
            others: HashMap::new(),
            unknown: vocab.unknown(),
            end: vocab.end(),
        };
        for (char, token) in vocab.chars().chars().zip(0..) {
            match table.ascii.get_mut(char as usize) {
                Some(place) => *place = Some(Token(token)),
                None => {
                    table.others.insert(char, Token(token));
                }
            }
        }
        table
    }

    /// The token of a character, if the model knows it.
    pub fn token(&self, char: char) -> Option<Token> {
        match self.ascii.get(char as usize) {
            Some(token) => *token,
            None => self.others.get(&char).copied(),
        }
    }

    /// The mark for characters that the model doesn't know, if it has one.
    pub fn unknown(&self) -> Option<Token> {
        self.unknown
    }

    /// The mark that ends a text; models of running text have none.
    pub fn end(&self) -> Option<Token> {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_what_the_alphabet_has() {
        let vocab =
            Vocab::new("\n a\u{7f}\u{80}é日🦀", 10, Token(8), Some(Token(8)), true).unwrap();
        let table = TokenTable::new(&vocab);
        for char in ('\0'..'\u{3000}').chain("日本🦀🦞".chars()) {
            assert_eq!(table.token(char), vocab.token(char), "{char:?}");
        }
        assert_eq!(
            (table.unknown(), table.end()),
            (vocab.unknown(), vocab.end())
        );
    }
}
