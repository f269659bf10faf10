//! A model with its memory: generates and evaluates text with the runtime.

use std::collections::HashSet;

use anyhow::{Result, ensure};
use charlet::{BoxedSession, Model, Rng, Sampler, Session, Vocab};
use serde::Serialize;

use super::unknown::hint;
use crate::data::corpus::{Corpus, Sequences};
use crate::data::source::{Source, counted};
use crate::util::stop::Stopped;

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

    /// The negative log-probability of a text, in nats: of each line by itself for a model of
    /// lines, else of the whole with h and c carried through.
    ///
    /// A character that the model doesn't know has the price of the mark for such. Without one it is passed
    /// over: what follows is judged by what came before.
    ///
    /// # Errors
    /// If the model knows no character of the text.
    pub fn evaluate(&mut self, source: &Source) -> Result<Evaluation> {
        self.evaluate_while(source, |_| true)
    }

    /// The same while `goes_on` says so, which gets the number of predictions so far before each of them.
    ///
    /// # Errors
    /// If it was [stopped](Stopped), and as [`evaluate`](Self::evaluate).
    pub fn evaluate_while(
        &mut self,
        source: &Source,
        mut goes_on: impl FnMut(usize) -> bool,
    ) -> Result<Evaluation> {
        let mut evaluation = Evaluation::default();
        if self.model().vocab().end().is_none() {
            self.score(&source.text, 1, &mut evaluation, &mut goes_on)?;
        } else {
            let mut lines = 0;
            for (number, line) in source.numbered_lines() {
                self.score(line, number, &mut evaluation, &mut goes_on)?;
                lines += 1;
            }
            evaluation.lines = Some(lines);
        }
        let known = evaluation.chars - evaluation.lines.unwrap_or(0);
        ensure!(
            known > 0,
            "the model knows none of the characters of the text{}",
            match evaluation.first_unknown {
                Some(unknown) => format!(", such as {:?}", unknown.char),
                None => String::new(),
            }
        );
        Ok(evaluation)
    }

    /// Adds a text that starts in this line of its file.
    fn score(
        &mut self,
        text: &str,
        mut line: usize,
        evaluation: &mut Evaluation,
        goes_on: &mut impl FnMut(usize) -> bool,
    ) -> Result<()> {
        self.session.start_text();
        let mark = self.model().vocab().unknown();
        let mut at = 0;
        for char in text.chars() {
            if !goes_on(evaluation.chars) {
                return Err(Stopped.into());
            }
            at += 1;
            let is_unknown = match self.session.score_char(char) {
                Ok(log_prob) => {
                    evaluation.add(log_prob);
                    mark == Some(self.session.next_input())
                }
                Err(_) => true,
            };
            if is_unknown {
                evaluation.unknown += 1;
                let unknown = UnknownChar { char, line, at };
                evaluation.first_unknown.get_or_insert(unknown);
            }
            if char == '\n' {
                line += 1;
                at = 0;
            }
        }
        if let Some(log_prob) = self.session.score_end() {
            evaluation.add(log_prob);
        }
        Ok(())
    }
}

/// How well a model predicts a text.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Negative log-likelihood of the text, in nats.
    pub nll: f64,
    /// Characters predicted, the end of each line included.
    pub chars: usize,
    /// Lines, for a model of lines.
    pub lines: Option<usize>,
    /// Characters that the model doesn't know: priced as its mark for such or, without one, left out.
    pub unknown: usize,
    /// The first of them.
    pub first_unknown: Option<UnknownChar>,
}

/// A character that a model doesn't know, and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownChar {
    /// The character.
    pub char: char,
    /// Its line in the file, from 1.
    pub line: usize,
    /// Its place in the line, from 1.
    pub at: usize,
}

impl Evaluation {
    fn add(&mut self, log_prob: f32) {
        self.nll -= f64::from(log_prob);
        self.chars += 1;
    }

    /// The mean per character, in nats.
    pub fn nats_per_char(&self) -> f64 {
        self.nll / self.chars as f64
    }

    /// The summary for scripts.
    pub fn summary(&self) -> EvaluationSummary {
        let bits = |nats: f64| nats / std::f64::consts::LN_2;
        EvaluationSummary {
            nats: self.nll,
            nats_per_char: self.nats_per_char(),
            bits_per_char: bits(self.nats_per_char()),
            bits_per_line: self.lines.map(|lines| bits(self.nll) / lines as f64),
            chars: self.chars,
            lines: self.lines,
            unknown: self.unknown,
        }
    }

    /// Says that characters were priced as the mark; or that they were left out, and what the model may know
    /// in their place.
    pub fn unknown_note(&self, vocab: &Vocab<'_>, source: &Source) -> Option<String> {
        let UnknownChar { char, line, at } = self.first_unknown?;
        let text = source.text.lines().nth(line - 1).unwrap_or_default();
        let (what, hint) = match vocab.unknown() {
            Some(_) => ("priced as its mark for such", ""),
            None => ("left out of the loss", hint(vocab, text, char)),
        };
        Some(format!(
            "{} that the model does not know {} {what}, first {char:?} in line {line}, character {at}{hint}",
            counted(self.unknown, "character"),
            if self.unknown == 1 { "is" } else { "are" },
        ))
    }
}

/// An [`Evaluation`] in the usual units; what concerns lines is null for running text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EvaluationSummary {
    /// Total loss in nats.
    pub nats: f64,
    /// Mean loss in nats.
    pub nats_per_char: f64,
    /// Mean loss in bits.
    pub bits_per_char: f64,
    /// Mean loss of a line in bits.
    pub bits_per_line: Option<f64>,
    /// Characters predicted, the end of each line included.
    pub chars: usize,
    /// Lines.
    pub lines: Option<usize>,
    /// Characters that the model doesn't know: priced as its mark for such or, without one, left out.
    pub unknown: usize,
}
