//! Novelty: the share of samples not found in the training data.

use anyhow::Result;
use charlet::{Model, Rng, Sampler};

use super::text_model::{TextModel, line_limit};
use crate::data::corpus::{Corpus, Sequences};
use crate::util::stop::{IsStopping, unless};

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
/// If it was stopped, or the model file is not valid, which would be our mistake.
pub fn novelty(model: &[u8], corpus: &Corpus, is_stopping: IsStopping<'_>) -> Result<Novelty> {
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
                unless(is_stopping)?;
                let line = text_model.line(sampler, &mut rng, limit)?;
                known += usize::from(line.is_copy(&corpus.known));
            }
            Ok(Novelty::KnownLines(known as f64 / LINES as f64))
        }
        Sequences::Text(text) => {
            let sample = text_model.generate(sampler, &mut rng, "")?.take(CHARS);
            let sample: Vec<char> = sample.take_while(|_| !is_stopping()).collect();
            unless(is_stopping)?;
            let tokens = corpus.alphabet.encode(&sample.iter().collect::<String>());
            let copied = Suffixes::of(&tokens).longest_common(text);
            Ok(Novelty::Copied(sample[copied].iter().collect()))
        }
    }
}

/// All parts of a sample: its suffix automaton (Blumer et al., 1985). A text is searched in time of its own length, not
/// of that times the sample's.
///
/// A state stands for parts that end in the same places of the sample: one of each length from its link's to its own.
struct Suffixes {
    states: Vec<State>,
    /// The state after each token, a row per state; 0 is none, for nothing leads back to the first state.
    next: Vec<u32>,
    /// The column of each token, from 1. Tokens that the sample hasn't have the first, which leads nowhere.
    columns: Vec<u32>,
    width: usize,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// Length of its longest part.
    length: usize,
    /// The state of its longest part's longest end that stands in more places. The first state has none.
    link: Option<usize>,
    /// Where its parts end last in the sample.
    end: usize,
}

impl Suffixes {
    fn of(sample: &[u32]) -> Self {
        let mut columns = vec![0; sample.iter().max().map_or(0, |&most| most as usize + 1)];
        let mut width = 1;
        for &token in sample {
            if columns[token as usize] == 0 {
                columns[token as usize] = width;
                width += 1;
            }
        }
        let mut suffixes = Self {
            states: Vec::new(),
            next: Vec::new(),
            columns,
            width: width as usize,
        };
        suffixes.add(State::default());
        let mut last = 0;
        for (at, &token) in sample.iter().enumerate() {
            last = suffixes.append(last, at + 1, suffixes.columns[token as usize] as usize);
        }
        suffixes.find_last_ends();
        suffixes
    }

    fn add(&mut self, state: State) -> usize {
        self.states.push(state);
        self.next.resize(self.states.len() * self.width, 0);
        self.states.len() - 1
    }

    fn next(&mut self, state: usize, column: usize) -> &mut u32 {
        &mut self.next[state * self.width + column]
    }

    /// Adds a token behind the sample so far, which is in state `last`; gives the state of the whole.
    fn append(&mut self, last: usize, length: usize, column: usize) -> usize {
        let whole = self.add(State {
            length,
            link: Some(0),
            end: length,
        });
        let mut state = Some(last);
        while let Some(at) = state.filter(|&at| *self.next(at, column) == 0) {
            *self.next(at, column) = whole as u32;
            state = self.states[at].link;
        }
        if let Some(at) = state {
            let known = *self.next(at, column) as usize;
            self.states[whole].link = Some(self.split(at, known, column));
        }
        whole
    }

    /// The state of the parts of `at` and a token behind them, which so far are in state `known` with longer ones.
    fn split(&mut self, at: usize, known: usize, column: usize) -> usize {
        let length = self.states[at].length + 1;
        if self.states[known].length == length {
            return known;
        }
        let copy = self.add(State {
            length,
            ..self.states[known]
        });
        let row = known * self.width..(known + 1) * self.width;
        self.next.copy_within(row, copy * self.width);
        self.states[known].link = Some(copy);
        let mut state = Some(at);
        while let Some(at) = state.filter(|&at| *self.next(at, column) as usize == known) {
            *self.next(at, column) = copy as u32;
            state = self.states[at].link;
        }
        copy
    }

    /// Where a longer part ends, its own ends do, too.
    fn find_last_ends(&mut self) {
        let mut by_length: Vec<usize> = (0..self.states.len()).collect();
        by_length.sort_by_key(|&state| std::cmp::Reverse(self.states[state].length));
        for state in by_length {
            let State { link, end, .. } = self.states[state];
            if let Some(link) = link {
                let link = &mut self.states[link];
                link.end = link.end.max(end);
            }
        }
    }

    /// The place in the sample of its longest part that `text` has: of the first in the text, the last in the sample.
    fn longest_common(&self, text: &[u32]) -> std::ops::Range<usize> {
        let mut longest = 0..0;
        let (mut state, mut length) = (0, 0);
        for &token in text {
            let column = self
                .columns
                .get(token as usize)
                .map_or(0, |&column| column as usize);
            let next = |state: usize| self.next[state * self.width + column] as usize;
            while next(state) == 0
                && let Some(link) = self.states[state].link
            {
                (state, length) = (link, self.states[link].length);
            }
            if next(state) == 0 {
                continue;
            }
            (state, length) = (next(state), length + 1);
            if length > longest.len() {
                let end = self.states[state].end;
                longest = end - length..end;
            }
        }
        longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_common_part_is_found() {
        let find = |sample: &str, text: &str| {
            let tokens = |text: &str| text.bytes().map(u32::from).collect::<Vec<u32>>();
            sample[Suffixes::of(&tokens(sample)).longest_common(&tokens(text))].to_owned()
        };
        assert_eq!(find("the cat sat", "a cat sits on the mat"), " cat s");
        assert_eq!(find("aaaa", "baab"), "aa");
        assert_eq!(find("abc", "xyz"), "");
        assert_eq!(find("abc", "abc"), "abc");
        assert_eq!(find("", "abc"), "");
    }

    /// In time of the one length by the other.
    fn longest_common_naively(sample: &[u32], text: &[u32]) -> std::ops::Range<usize> {
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

    proptest::proptest! {
        #[test]
        fn the_automaton_finds_the_place_that_comparing_all_finds(
            sample in proptest::collection::vec(0u32..4, 0..40),
            text in proptest::collection::vec(0u32..5, 0..120),
        ) {
            proptest::prop_assert_eq!(
                Suffixes::of(&sample).longest_common(&text),
                longest_common_naively(&sample, &text)
            );
        }
    }
}
