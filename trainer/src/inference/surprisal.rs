//! Surprisal of each line of a text: -log2 of its probability.

use std::sync::{Mutex, PoisonError};

use charlet::{BoxedSession, Model, Session};
use serde::Serialize;

use super::reader::{Readings, log_prob_of_next};
use super::token_table::TokenTable;
use crate::util::stop::{IsStopping, Stopped, unless};

/// The surprisal of a line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Surprisal {
    /// Bits of each character and, where the model predicts it, of the line's end: the negative
    /// logarithm of its probability. A character that the model doesn't know has those of the mark for
    /// such or, without one, infinitely many.
    pub chars: Vec<f64>,
    /// The first character that the model doesn't know.
    pub unknown: Option<Unknown>,
    /// How many characters the model doesn't know.
    pub unknown_count: usize,
}

/// A character that a model doesn't know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// The character.
    pub char: char,
    /// Its place in the line, from 1.
    pub at: usize,
}

impl Surprisal {
    /// Bits of the whole line.
    pub fn bits(&self) -> f64 {
        self.chars.iter().sum()
    }

    /// Bits per character, the end of the line included; 0 for a line without any.
    pub fn bits_per_char(&self) -> f64 {
        self.bits() / self.chars.len().max(1) as f64
    }
}

/// A line without its end, and whether it has one.
pub type LineAndBreak<'l> = (&'l str, bool);

/// Scores lines.
#[derive(Debug)]
pub struct Surprisals<'m> {
    model: &'m Model<'m>,
    table: TokenTable,
    /// The text, if h and c are carried from line to line.
    carried: Option<Mutex<BoxedSession<'m>>>,
}

impl<'m> Surprisals<'m> {
    /// Scores each line by itself, or carries the state from line to line. A list model always scores
    /// lines by themselves.
    pub fn new(model: &'m Model<'m>, carried: bool) -> Self {
        let is_carried = carried && model.vocab().end().is_none();
        Self {
            model,
            table: TokenTable::new(model.vocab()),
            carried: is_carried.then(|| Mutex::new(Session::boxed(model))),
        }
    }

    /// Whether h and c are carried from line to line, so that empty lines count as well, and lines are scored in
    /// their order.
    pub fn is_carried(&self) -> bool {
        self.carried.is_some()
    }

    /// The surprisal of each of these lines, and of its end: the model's mark, or the line break of a
    /// running text if the line has one and the model knows it.
    ///
    /// # Errors
    /// If it was [stopped](Stopped).
    pub fn of<'l>(
        &self,
        lines: impl Iterator<Item = LineAndBreak<'l>>,
        is_stopping: IsStopping<'_>,
    ) -> Result<Vec<Surprisal>, Stopped> {
        let knows_break = self.table.token('\n').is_some();
        let chars = lines.map(|(line, has_break)| {
            let line_break = (has_break && knows_break).then_some('\n');
            line.chars().chain(line_break)
        });
        match &self.carried {
            None => self.each(chars, is_stopping),
            Some(session) => {
                let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
                let next = |chars| {
                    unless(is_stopping)?;
                    Ok(self.next(&mut session, chars))
                };
                chars.map(next).collect()
            }
        }
    }

    /// The surprisal of texts, each by itself.
    fn each(
        &self,
        texts: impl Iterator<Item = impl Iterator<Item = char>>,
        is_stopping: IsStopping<'_>,
    ) -> Result<Vec<Surprisal>, Stopped> {
        let mut readings = Readings::default();
        let unknown: Vec<_> = texts
            .map(|chars| readings.push(&self.table, chars))
            .collect();
        readings.read(self.model, |_| !is_stopping())?;
        let read = readings.log_probs().zip(unknown);
        Ok(read
            .map(|(log_probs, unknown)| Surprisal {
                chars: log_probs.map(bits).collect(),
                unknown: unknown.first.map(|(char, at)| Unknown { char, at }),
                unknown_count: unknown.count,
            })
            .collect())
    }

    /// The surprisal of what comes next in a text.
    fn next(&self, session: &mut BoxedSession<'_>, chars: impl Iterator<Item = char>) -> Surprisal {
        let mut surprisal = Surprisal::default();
        for (at, char) in (1..).zip(chars) {
            let known = self.table.token(char);
            // Without a mark it is passed over, so that what follows is judged by what came before.
            let token = known.or(self.table.unknown());
            let log_prob = token.map(|token| log_prob_of_next(session, token));
            surprisal.chars.push(bits(log_prob));
            if known.is_none() {
                surprisal.unknown.get_or_insert(Unknown { char, at });
                surprisal.unknown_count += 1;
            }
        }
        surprisal
    }
}

fn bits(log_prob: Option<f32>) -> f64 {
    let nats = log_prob.map_or(f64::INFINITY, |log_prob| -f64::from(log_prob));
    // Of 0, not of -0.
    (nats / std::f64::consts::LN_2).max(0.0)
}
