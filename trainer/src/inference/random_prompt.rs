//! Random excerpts of a text as prompts.

use std::collections::HashSet;

use anyhow::{Result, ensure};
use charlet::Vocab;

use crate::data::source::Source;
use crate::util::rng::{Random, Streams};

/// Draws excerpts of a text that consist of characters a model knows, or of any if it has a mark for others.
///
/// An excerpt of running text starts anywhere; one of a list is the beginning of a line.
#[derive(Clone, Debug)]
pub struct RandomPrompts<'t> {
    /// Parts of the text, and how many pieces start in each.
    parts: Vec<(&'t str, usize)>,
    /// Characters of a piece.
    length: usize,
    random: Random,
}

impl<'t> RandomPrompts<'t> {
    /// Takes pieces of this length, or shorter ones where a line or the text is shorter.
    ///
    /// # Errors
    /// If every piece has a character that the model doesn't know; the message names one.
    pub fn new(source: &'t Source, vocab: &Vocab<'_>, length: usize, seed: u64) -> Result<Self> {
        let known: HashSet<char> = vocab.chars().chars().collect();
        // With a mark for the others none keeps a piece from being read.
        let is_readable = |char| vocab.unknown().is_some() || known.contains(&char);
        let is_known = |text: &str| text.chars().all(is_readable);
        let parts: Vec<(&str, usize)> = if vocab.end().is_some() {
            let lines = source.lines().into_iter();
            let beginnings = lines.map(|line| beginning(line, length));
            beginnings
                .filter(|line| is_known(line))
                .map(|line| (line, 1))
                .collect()
        } else if is_known(beginning(&source.text, length)) && is_shorter(&source.text, length) {
            vec![(&source.text, 1)]
        } else {
            let runs = source.text.split(|char| !is_readable(char));
            runs.map(|run| (run, (run.chars().count() + 1).saturating_sub(length)))
                .filter(|&(_, pieces)| pieces > 0)
                .collect()
        };
        let unknown = source.text.chars().find(|char| !known.contains(char));
        ensure!(
            !parts.is_empty(),
            "every piece of {length} characters has one that the model does not know, such as {:?}: \
             choose shorter pieces, or a text like the one that it learnt",
            unknown.unwrap_or_default()
        );
        Ok(Self {
            parts,
            length,
            random: Streams::new(seed).samples,
        })
    }

    /// A random piece.
    pub fn draw(&mut self) -> &'t str {
        let all = self.parts.iter().map(|&(_, pieces)| pieces).sum();
        let mut at = self.random.below(all);
        for &(part, pieces) in &self.parts {
            if at < pieces {
                let (_, rest) = part.split_at(beginning(part, at).len());
                return beginning(rest, self.length);
            }
            at -= pieces;
        }
        // Never: the number was below the sum.
        ""
    }
}

/// The first characters of a text.
fn beginning(text: &str, length: usize) -> &str {
    let end = text.char_indices().nth(length);
    end.map_or(text, |(end, _)| text.split_at(end).0)
}

fn is_shorter(text: &str, length: usize) -> bool {
    beginning(text, length).len() == text.len()
}

#[cfg(test)]
mod tests {
    use charlet::Token;

    use super::*;

    fn source(text: &str) -> Source {
        Source::from_bytes(text.into()).unwrap()
    }

    fn all(text: &str, vocab: &Vocab<'_>, length: usize) -> HashSet<String> {
        let source = source(text);
        let mut pieces = RandomPrompts::new(&source, vocab, length, 1).unwrap();
        (0..200).map(|_| pieces.draw().to_owned()).collect()
    }

    fn set(pieces: &[&str]) -> HashSet<String> {
        pieces.iter().map(|&piece| piece.to_owned()).collect()
    }

    #[test]
    fn every_piece_of_a_text_that_the_model_knows_may_come() {
        let text = Vocab::new(" aßé", 4, Token(0), None, false).unwrap();
        assert_eq!(all("aßé a", &text, 3), set(&["aßé", "ßé ", "é a"]));
        assert_eq!(all("aßéxa a", &text, 3), set(&["aßé", "a a"]));
        assert_eq!(all("aß", &text, 3), set(&["aß"]));
    }

    #[test]
    fn with_a_mark_for_unknown_characters_every_piece_may_come() {
        let text = Vocab::new("ab", 3, Token(0), None, true).unwrap();
        assert_eq!(all("aXbX", &text, 2), set(&["aX", "Xb", "bX"]));
        let list = Vocab::new("ab", 4, Token(2), Some(Token(2)), true).unwrap();
        assert_eq!(all("XYa\nb\n", &list, 2), set(&["XY", "b"]));
    }

    #[test]
    fn of_a_list_beginnings_come() {
        let list = Vocab::new("abn", 4, Token(3), Some(Token(3)), false).unwrap();
        assert_eq!(
            all("anna\n\nban\nb\nxa\n", &list, 2),
            set(&["an", "ba", "b"])
        );
    }

    #[test]
    fn the_seed_chooses_and_a_text_of_unknown_characters_is_refused() {
        let vocab = Vocab::new("ab", 2, Token(0), None, false).unwrap();
        let text = source(&"abbabaab".repeat(50));
        let draws = |seed| {
            let mut pieces = RandomPrompts::new(&text, &vocab, 12, seed).unwrap();
            [(); 5].map(|()| pieces.draw())
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
        let refused = RandomPrompts::new(&source("aXbX"), &vocab, 2, 1).unwrap_err();
        assert!(refused.to_string().contains("'X'"), "{refused}");
    }
}
