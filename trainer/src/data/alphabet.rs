//! The alphabet: characters and their tokens.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use charlet::format::Header;
use charlet::{Token, Vocab};
use serde::{Deserialize, Serialize};

use crate::config::Mode;

/// The characters and marks of a model; owned, where [`Vocab`] is borrowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alphabet {
    chars: String,
    size: u16,
    start: u16,
    end: Option<u16>,
    /// Absent in the checkpoints of the first versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<u16>,
}

impl Alphabet {
    /// The alphabet of these texts.
    ///
    /// For lines one mark both starts and ends a line. A running text starts as if after a line
    /// break, or after its first character where it has none.
    ///
    /// # Errors
    /// If there are more characters than tokens can count.
    pub fn of<'t>(texts: impl IntoIterator<Item = &'t str>, mode: Mode) -> Result<Self> {
        let mut chars = BTreeSet::new();
        let mut first = None;
        for char in texts.into_iter().flat_map(str::chars) {
            first.get_or_insert(char);
            chars.insert(char);
        }
        Self::new(chars, first, mode, false)
    }

    /// The alphabet of these characters, for a text that begins with `first`. The mark for unknown
    /// characters is the last token.
    pub(super) fn new(
        mut chars: BTreeSet<char>,
        first: Option<char>,
        mode: Mode,
        has_unknown: bool,
    ) -> Result<Self> {
        if mode == Mode::Lines {
            chars.remove(&'\n');
        }
        let marks = usize::from(mode == Mode::Lines) + usize::from(has_unknown);
        let size = u16::try_from(chars.len() + marks)
            .context("more than 65,534 distinct characters: is it a text file?")?;
        let place = |char| {
            chars
                .iter()
                .position(|&known| known == char)
                .map(|at| at as u16)
        };
        let (start, end) = match mode {
            Mode::Lines => {
                let end = chars.len() as u16;
                (end, Some(end))
            }
            Mode::Text => {
                let start = place('\n').or_else(|| place(first?));
                (start.context("the text is empty")?, None)
            }
        };
        Ok(Self {
            chars: chars.into_iter().collect(),
            size,
            start,
            end,
            unknown: has_unknown.then(|| size - 1),
        })
    }

    /// An alphabet of these characters, in ascending order, with marks behind them.
    ///
    /// # Errors
    /// If they are in another order, or a mark is none.
    pub fn with_marks(
        chars: String,
        size: u16,
        start: u16,
        end: Option<u16>,
        unknown: Option<u16>,
    ) -> Result<Self> {
        let alphabet = Self {
            chars,
            size,
            start,
            end,
            unknown,
        };
        alphabet.vocab()?;
        Ok(alphabet)
    }

    /// The alphabet of a model file.
    pub fn of_model(header: &Header<'_>) -> Self {
        Self {
            chars: header.chars.to_owned(),
            size: header.vocab_size,
            start: header.start,
            end: header.end,
            unknown: header
                .has_unknown
                .then(|| header.vocab_size.saturating_sub(1)),
        }
    }

    /// The runtime's view of it.
    ///
    /// # Errors
    /// If it was read from a file that was tampered with.
    pub fn vocab(&self) -> Result<Vocab<'_>, charlet::Error> {
        let last = self.size.checked_sub(1);
        if self.unknown.is_some() && self.unknown != last {
            return Err(charlet::Error::InvalidVocabulary);
        }
        Vocab::new(
            &self.chars,
            self.size,
            Token(self.start),
            self.end.map(Token),
            self.unknown.is_some(),
        )
    }

    /// Number of tokens.
    pub fn size(&self) -> usize {
        usize::from(self.size)
    }

    /// The characters in the order of their tokens.
    pub fn chars(&self) -> &str {
        &self.chars
    }

    /// The token that is fed first.
    pub fn start(&self) -> u16 {
        self.start
    }

    /// The mark that ends a line.
    pub fn end(&self) -> Option<u16> {
        self.end
    }

    /// The mark for unknown characters.
    pub fn unknown(&self) -> Option<u16> {
        self.unknown
    }

    /// The tokens of a text; its unknown characters are the mark.
    pub(crate) fn encode(&self, text: &str) -> Vec<u32> {
        self.encoder().encode(text)
    }

    /// For many texts: a large alphabet isn't laid out for each of them.
    pub(crate) fn encoder(&self) -> Encoder {
        Encoder {
            chars: self.chars.chars().collect(),
            unknown: self.unknown.map(u32::from),
        }
    }
}

/// Turns texts into tokens.
pub(crate) struct Encoder {
    chars: Vec<char>,
    unknown: Option<u32>,
}

impl Encoder {
    /// The tokens of a text; its unknown characters are the mark.
    pub(crate) fn encode(&self, text: &str) -> Vec<u32> {
        // As many as there will be: growing by the way would take twice the memory.
        let mut tokens = Vec::with_capacity(text.chars().count());
        let token = |char| match self.chars.binary_search(&char) {
            Ok(at) => Some(at as u32),
            // Without a mark the alphabet was made from all of the text.
            Err(_) => self.unknown,
        };
        tokens.extend(text.chars().filter_map(token));
        tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_share_one_mark_and_text_starts_after_a_line_break() {
        let lines = Alphabet::of(["ba", "ca"], Mode::Lines).unwrap();
        assert_eq!((lines.chars(), lines.size()), ("abc", 4));
        assert_eq!((lines.start(), lines.end()), (3, Some(3)));
        let text = Alphabet::of(["b\na"], Mode::Text).unwrap();
        assert_eq!((text.chars(), text.size()), ("\nab", 3));
        assert_eq!((text.start(), text.end()), (0, None));
        assert_eq!(Alphabet::of(["ba"], Mode::Text).unwrap().start(), 1);
    }
}
