//! Surprisal of each line of a text: -log2 of its probability.

use serde::Serialize;

use super::text_model::TextModel;

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

/// Scores lines one after the other.
#[derive(Debug)]
pub struct Surprisals<'s, 'm> {
    text_model: &'s mut TextModel<'m>,
    /// Whether h and c are carried from line to line.
    is_carried: bool,
}

impl<'s, 'm> Surprisals<'s, 'm> {
    /// Scores each line by itself, or carries the state from line to line. A list model always scores
    /// lines by themselves.
    pub fn new(text_model: &'s mut TextModel<'m>, carried: bool) -> Self {
        text_model.session.start_text();
        Self {
            is_carried: carried && text_model.model().vocab().end().is_none(),
            text_model,
        }
    }

    /// Whether h and c are carried from line to line, so that empty lines count as well.
    pub fn is_carried(&self) -> bool {
        self.is_carried
    }

    /// The surprisal of the next line, and of its end: the model's mark, or the line break of a
    /// running text if the line has one and the model knows it.
    pub fn line(&mut self, line: &str, has_break: bool) -> Surprisal {
        let session = &mut self.text_model.session;
        if !self.is_carried {
            session.start_text();
        }
        let knows_break = session.model().vocab().token('\n').is_some();
        let mark = session.model().vocab().unknown();
        let line_break = (has_break && knows_break).then_some('\n');
        let mut surprisal = Surprisal::default();
        for (at, char) in (1..).zip(line.chars().chain(line_break)) {
            let (bits, is_unknown) = match session.score_char(char) {
                Ok(log_prob) => (bits(log_prob), mark == Some(session.next_input())),
                // It is passed over, so that what follows is judged by what came before.
                Err(_) => (f64::INFINITY, true),
            };
            surprisal.chars.push(bits);
            if is_unknown {
                surprisal.unknown.get_or_insert(Unknown { char, at });
                surprisal.unknown_count += 1;
            }
        }
        surprisal.chars.extend(session.score_end().map(bits));
        surprisal
    }
}

fn bits(log_prob: f32) -> f64 {
    // Of 0, not of -0.
    (-f64::from(log_prob) / std::f64::consts::LN_2).max(0.0)
}
