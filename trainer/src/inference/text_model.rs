//! A model with its memory: generates text with the runtime.

use std::collections::HashSet;

use charlet::{BoxedSession, Model, Rng, Sampler, Session};

use crate::data::corpus::{Corpus, Sequences};

/// Characters after which a line that won't end is cut off, where nothing is known of the lines that the
/// model has learnt.
pub const LINE_LIMIT: usize = 1000;
/// Lines may become as long while training, however short those are that are learnt.
const MIN_LINE_LIMIT: usize = 64;

/// Characters after which a line is cut off while this is learnt: more than its longest line has, so that
/// every copy is whole, up to [`LINE_LIMIT`].
pub fn line_limit(corpus: &Corpus) -> usize {
    let longest = match &corpus.train {
        Sequences::Lines(lines) => lines.iter().map(Vec::len).max(),
        Sequences::Text(_) => None,
    };
    (longest.unwrap_or(0) + 1).clamp(MIN_LINE_LIMIT, LINE_LIMIT)
}

/// A line that a model has made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// Its characters.
    pub text: String,
    /// Whether a limit came before its end.
    pub is_cut: bool,
}

impl Line {
    /// Whether it is one of these lines or, cut off, the beginning of one.
    pub fn is_copy(&self, known: &HashSet<String>) -> bool {
        if self.is_cut {
            return known.iter().any(|line| line.starts_with(&self.text));
        }
        known.contains(&self.text)
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cut = if self.is_cut { CUT } else { "" };
        write!(f, "{}{cut}", self.text)
    }
}

/// Stands where a line was cut off.
pub const CUT: &str = "\u{2026}";

/// A model, with the text that it is in.
#[derive(Clone, Debug)]
pub struct TextModel<'m> {
    pub(super) session: BoxedSession<'m>,
    /// Where each generated text starts.
    start: BoxedSession<'m>,
}

impl<'m> TextModel<'m> {
    /// Makes memory for a model.
    pub fn new(model: &'m Model<'m>) -> Self {
        let session = Session::boxed(model);
        Self {
            start: session.clone(),
            session,
        }
    }

    /// The model.
    pub fn model(&self) -> &'m Model<'m> {
        self.session.model()
    }

    /// The text that the model is in. Behind the end of a text the next one starts.
    pub fn session(&self) -> &BoxedSession<'m> {
        &self.session
    }

    /// Lets every text that is generated from now on start here.
    pub fn start_from(&mut self, start: BoxedSession<'m>) {
        self.start = start;
    }

    /// Starts a new text after `prompt`.
    ///
    /// # Errors
    /// If the model doesn't know a character of `prompt`, and has no mark for such.
    pub fn generate<'s>(
        &'s mut self,
        sampler: Sampler,
        rng: &'s mut Rng,
        prompt: &str,
    ) -> Result<impl Iterator<Item = char> + use<'s, 'm>, charlet::Error> {
        self.session = self.start.clone();
        self.session.prompt(prompt)?;
        Ok(self.session.generate(sampler, || rng.next_u32()))
    }

    /// The next character of the text, or `None` where it ends.
    pub fn next_char(&mut self, sampler: Sampler, rng: &mut Rng) -> Option<char> {
        self.session.next_char(sampler, || rng.next_u32())
    }

    /// The probability with which the sampler would choose each token after `prompt`, in the order
    /// of the tokens. That of the mark for unknown characters is 0.
    ///
    /// # Errors
    /// If the model doesn't know a character of `prompt`, and has no mark for such.
    pub fn probabilities(
        &mut self,
        sampler: Sampler,
        prompt: &str,
    ) -> Result<Vec<f32>, charlet::Error> {
        let mut session = self.start.clone();
        session.prompt(prompt)?;
        let mut probabilities = Vec::new();
        let unknown = session.model().vocab().unknown();
        session.step_with(|mut logits| {
            if let Some(unknown) = unknown {
                logits.exclude(unknown);
            }
            let argmax = logits.argmax();
            probabilities.extend(sampler.probabilities(logits));
            argmax
        });
        Ok(probabilities)
    }

    /// One line, cut off after `limit` characters.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn line(
        &mut self,
        sampler: Sampler,
        rng: &mut Rng,
        limit: usize,
    ) -> Result<Line, charlet::Error> {
        let text: String = self.generate(sampler, rng, "")?.take(limit).collect();
        Ok(Line {
            is_cut: text.chars().count() == limit,
            text,
        })
    }
}
