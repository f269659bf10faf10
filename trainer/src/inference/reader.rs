//! Many texts that a model reads together.

use std::ops::Range;

use charlet::{Batch, BoxedSession, Model, Session, Token};

use super::token_table::TokenTable;
use crate::util::stop::Stopped;

/// Multiplications of a piece of many texts: some tenths of a second.
const PRODUCTS_OF_PIECE: usize = 4 << 30;

/// Characters of many texts that make a piece of work, after which results are given: fewer of a larger model.
pub fn chars_of_piece(model: &Model<'_>) -> usize {
    let header = model.header();
    let [hidden, layers, tokens] =
        [header.hidden_size, header.num_layers, header.vocab_size].map(usize::from);
    let products = hidden * (4 * hidden * (2 * layers - 1) + tokens);
    (PRODUCTS_OF_PIECE / products).clamp(1 << 9, 1 << 16)
}

/// Texts that are read together: enough to use weights often that are at hand, few enough that what belongs to
/// them stays there as well.
const LANES: usize = 16;

/// Texts as tokens, to be read from their starts, and what a model then says of each token.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    /// The characters of all texts and, where the model marks it, the end of each; `None` for what the model
    /// doesn't know, which is passed over.
    tokens: Vec<Option<Token>>,
    /// Where each text ends, and the next starts.
    ends: Vec<usize>,
    /// As many as tokens.
    log_probs: Vec<f32>,
}

/// How many of a text's characters are unknown, and the first of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unknowns {
    /// The first character, and its place from 1.
    pub first: Option<(char, usize)>,
    /// All of them.
    pub count: usize,
}

impl Readings {
    /// Adds a text.
    pub fn push(&mut self, table: &TokenTable, chars: impl Iterator<Item = char>) -> Unknowns {
        let mut unknowns = Unknowns::default();
        for (at, char) in (1..).zip(chars) {
            let known = table.token(char);
            if known.is_none() {
                unknowns.first.get_or_insert((char, at));
                unknowns.count += 1;
            }
            self.tokens.push(known.or(table.unknown()));
        }
        if let Some(end) = table.end() {
            self.tokens.push(Some(end));
        }
        self.ends.push(self.tokens.len());
        unknowns
    }

    /// For each text the log-probabilities of its characters and of its end; `None` for what was passed over.
    pub fn log_probs(&self) -> impl Iterator<Item = impl Iterator<Item = Option<f32>>> {
        self.ranges().map(|range| {
            let read = self.tokens[range.clone()]
                .iter()
                .zip(&self.log_probs[range]);
            read.map(|(token, &log_prob)| token.map(|_| log_prob))
        })
    }

    fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| start..end)
    }

    /// Lets a model read all texts, while `goes_on` says so, which gets the number of predictions since it was
    /// asked last.
    ///
    /// # Errors
    /// If it was [stopped](Stopped).
    pub fn read(
        &mut self,
        model: &Model<'_>,
        goes_on: impl FnMut(usize) -> bool,
    ) -> Result<(), Stopped> {
        self.log_probs = vec![0.0; self.tokens.len()];
        let mut waiting: Vec<_> = self.ranges().collect();
        // The longest first: at the end, when nothing is left for some lanes, the shortest are read.
        waiting.sort_by_key(Range::len);
        let mut lanes = Lanes {
            tokens: &self.tokens,
            waiting,
            reading: Vec::new(),
        };
        lanes.fill();
        let session = Session::boxed(model);
        let mut sessions = vec![session; lanes.reading.len()];
        lanes.read(&mut sessions, &mut self.log_probs, goes_on)
    }
}

/// Places in the texts that are being read.
struct Lanes<'t> {
    tokens: &'t [Option<Token>],
    /// Texts that nobody reads yet, taken from the end.
    waiting: Vec<Range<usize>>,
    /// What is left of each text, from the token that is predicted next.
    reading: Vec<Range<usize>>,
}

impl Lanes<'_> {
    /// Starts as many texts as are read together.
    fn fill(&mut self) {
        while self.reading.len() < LANES {
            match self.next_text() {
                Some(text) => self.reading.push(text),
                None => break,
            }
        }
    }

    /// The next text that has something to predict.
    fn next_text(&mut self) -> Option<Range<usize>> {
        loop {
            let text = self.waiting.pop()?;
            let text = self.to_next_token(text);
            if !text.is_empty() {
                return Some(text);
            }
        }
    }

    /// Passes over what the model doesn't know.
    fn to_next_token(&self, text: Range<usize>) -> Range<usize> {
        let tokens = self.tokens.get(text.clone()).unwrap_or_default();
        let unknown = tokens.iter().take_while(|token| token.is_none()).count();
        text.start + unknown..text.end
    }

    /// Reads on until nothing is left, with a session for each text that is being read.
    fn read(
        mut self,
        sessions: &mut [BoxedSession<'_>],
        log_probs: &mut [f32],
        mut goes_on: impl FnMut(usize) -> bool,
    ) -> Result<(), Stopped> {
        while !self.reading.is_empty() {
            let count = self.reading.len();
            let Ok(mut batch) = Batch::new(&mut sessions[..count]) else {
                break;
            };
            batch.step(|lane, logits| {
                let text = self.reading[lane].clone();
                let token = self.tokens[text.start]?;
                log_probs[text.start] = logits.log_prob(token).unwrap_or(f32::NEG_INFINITY);
                let rest = self.to_next_token(text.start + 1..text.end);
                if rest.is_empty() {
                    self.reading[lane] = self.next_text().unwrap_or_default();
                    return None;
                }
                self.reading[lane] = rest;
                Some(token)
            });
            if !goes_on(count) {
                return Err(Stopped);
            }
            for lane in (0..count).rev() {
                if self.reading[lane].is_empty() {
                    self.reading.swap_remove(lane);
                    sessions.swap(lane, self.reading.len());
                }
            }
        }
        Ok(())
    }
}

/// The log-probability that a token comes next in a text, which becomes its next input.
pub fn log_prob_of_next(session: &mut BoxedSession<'_>, token: Token) -> f32 {
    let input = session.next_input();
    let log_prob = session
        .feed(input)
        .ok()
        .and_then(|logits| logits.log_prob(token));
    // Tokens come from the vocabulary.
    let _ = session.set_next(token);
    log_prob.unwrap_or(f32::NEG_INFINITY)
}
