//! Novelty: the share of samples not found in the training data.

use anyhow::Result;
use charlet::{Model, Rng, Sampler};

use super::text_model::{TextModel, line_limit};
use crate::data::corpus::{Corpus, Sequences};

/// Size of the sample: lines, or characters of a text.
const LINES: usize = 100;
const CHARS: usize = 400;
/// Temperature of the sample.
const TEMPERATURE: f32 = 0.8;

/// How much of a sample is copied from the training data.
#[derive(Clone, Debug, PartialEq)]
pub enum Novelty {
    /// List: share of sampled lines found in the training data.
    KnownLines(f64),
    /// Text: the longest part found in the training data.
    Copied(String),
}

impl Novelty {
    /// The share of known lines, for a list.
    pub fn known_lines(&self) -> Option<f64> {
        match self {
            Self::KnownLines(share) => Some(*share),
            Self::Copied(_) => None,
        }
    }

    /// The length of the longest copied part, for a text.
    pub fn longest_copy(&self) -> Option<usize> {
        match self {
            Self::KnownLines(_) => None,
            Self::Copied(part) => Some(part.chars().count()),
        }
    }
}

impl std::fmt::Display for Novelty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::KnownLines(share) => {
                let new = LINES as f64 * (1.0 - share);
                write!(f, "{new:.0} of {LINES} lines, at temperature {TEMPERATURE}")
            }
            Self::Copied(part) => write!(
                f,
                "all but parts of up to {} characters, in {CHARS} at temperature {TEMPERATURE}: {part:?}",
                part.chars().count()
            ),
        }
    }
}

/// Samples from a model and compares with the training data.
///
/// # Errors
/// If the model file is not valid, which would be our mistake.
pub fn novelty(model: &[u8], corpus: &Corpus) -> Result<Novelty> {
    let model = Model::from_bytes(model)?;
    let mut text_model = TextModel::new(&model);
    // The same draws every time, so that one epoch compares with another.
    let mut rng = Rng::from_seed(0);
    let sampler = Sampler::with_temperature(TEMPERATURE)?;
    match &corpus.train {
        Sequences::Lines(_) => {
            let limit = line_limit(corpus);
            let mut known = 0;
            for _ in 0..LINES {
                let line = text_model.line(sampler, &mut rng, limit)?;
                known += usize::from(line.is_copy(&corpus.known));
            }
            Ok(Novelty::KnownLines(known as f64 / LINES as f64))
        }
        Sequences::Text(text) => {
            let sample = text_model.generate(sampler, &mut rng, "")?.take(CHARS);
            let sample: Vec<char> = sample.collect();
            let tokens = corpus.alphabet.encode(&sample.iter().collect::<String>());
            let copied = longest_common(&tokens, text);
            Ok(Novelty::Copied(sample[copied].iter().collect()))
        }
    }
}

/// The place in `sample` of its longest part that `text` has.
///
/// In time of the one length by the other, which is little beside an epoch.
fn longest_common(sample: &[u32], text: &[u32]) -> std::ops::Range<usize> {
    let mut longest = 0..0;
    // How many tokens before each place of the sample are those before the place in the text.
    let mut common = vec![0; sample.len() + 1];
    for token in text {
        for (at, other) in sample.iter().enumerate().rev() {
            let length = if token == other { common[at] + 1 } else { 0 };
            common[at + 1] = length;
            if length > longest.len() {
                longest = at + 1 - length..at + 1;
            }
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_common_part_is_found() {
        let find = |sample: &str, text: &str| {
            let tokens = |text: &str| text.bytes().map(u32::from).collect::<Vec<u32>>();
            sample[longest_common(&tokens(sample), &tokens(text))].to_owned()
        };
        assert_eq!(find("the cat sat", "a cat sits on the mat"), " cat s");
        assert_eq!(find("aaaa", "baab"), "aa");
        assert_eq!(find("abc", "xyz"), "");
        assert_eq!(find("abc", "abc"), "abc");
        assert_eq!(find("", "abc"), "");
    }
}
