//! A model with its memory: generates and evaluates text with the runtime.

use anyhow::{Context, Result};
use charlet::{Generator, Model, Sampler, Scorer, State, Token, Workspace};
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro128PlusPlus;
use serde::Serialize;

use crate::data::source::Source;

/// The generator of random numbers for text: small and fast on 32-bit chips as well.
pub type TextRng = Xoshiro128PlusPlus;

/// A generator of random numbers for text, from a seed.
pub fn text_rng(seed: u64) -> TextRng {
    TextRng::seed_from_u64(seed)
}

/// Characters after which a model of lines that won't end a line is stopped.
pub const LINE_LIMIT: usize = 64;

/// Where in a text a model is: h and c, and the token that comes to them next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub(super) words: Vec<u32>,
    pub(super) token: Token,
}

impl Position {
    /// Before a text's first character.
    pub fn start(model: &Model<'_>) -> Self {
        Self {
            words: vec![0; model.sizes().state],
            token: model.vocab().start(),
        }
    }
}

/// A model with its state and workspace.
#[derive(Clone, Debug)]
pub struct TextModel<'m> {
    pub(super) model: Model<'m>,
    pub(super) state: State<Vec<u32>>,
    pub(super) workspace: Workspace<Vec<u32>>,
    /// Where each text starts.
    start: Position,
}

impl<'m> TextModel<'m> {
    /// Makes memory for a model.
    pub fn new(model: Model<'m>) -> Self {
        let sizes = model.sizes();
        Self {
            model,
            state: State::from_words(vec![0; sizes.state]),
            workspace: Workspace::from_words(vec![0; sizes.workspace]),
            start: Position::start(&model),
        }
    }

    /// The model.
    pub fn model(&self) -> &Model<'m> {
        &self.model
    }

    /// Lets every text that is generated from now on start here.
    ///
    /// # Errors
    /// If it is no position of this model.
    pub fn start_from(&mut self, start: Position) -> Result<(), charlet::Error> {
        let (expected, actual) = (self.model.sizes().state, start.words.len());
        if actual != expected {
            return Err(charlet::Error::StateSize { expected, actual });
        }
        if !self.model.vocab().contains(start.token) {
            return Err(charlet::Error::UnknownToken(start.token.0));
        }
        self.start = start;
        Ok(())
    }

    /// Where a text is whose generator was left with this
    /// [`pending`](charlet::Generator::pending) token. Behind the end of a text the next one starts.
    pub fn position(&self, pending: Option<Token>) -> Position {
        match pending {
            Some(token) => Position {
                words: self.state.as_words().to_vec(),
                token,
            },
            None => Position::start(&self.model),
        }
    }

    /// Starts a new text after `prime`.
    ///
    /// # Errors
    /// If the model doesn't know a character of `prime`, or the sampler asks for more tokens than
    /// there are.
    pub fn generate<'s>(
        &'s mut self,
        sampler: Sampler,
        rng: &'s mut TextRng,
        prime: &str,
    ) -> Result<Generator<'s, &'s mut TextRng>, charlet::Error> {
        self.state.as_words_mut().copy_from_slice(&self.start.words);
        let mut generator = self.continue_from(sampler, rng, self.start.token)?;
        generator.prime(prime)?;
        Ok(generator)
    }

    /// Continues the last text with another sampler. `pending` is what its generator
    /// [returned](charlet::Generator::pending).
    ///
    /// # Errors
    /// If the sampler asks for more tokens than there are, or there is no such token.
    pub fn continue_from<'s>(
        &'s mut self,
        sampler: Sampler,
        rng: &'s mut TextRng,
        pending: Token,
    ) -> Result<Generator<'s, &'s mut TextRng>, charlet::Error> {
        Generator::new(
            &self.model,
            &mut self.state,
            &mut self.workspace,
            sampler,
            rng,
        )?
        .start_from(pending)
    }

    /// The probability with which the sampler would choose each token after `prime`, in the order
    /// of the tokens.
    ///
    /// # Errors
    /// If the model doesn't know a character of `prime`.
    pub fn probabilities(
        &mut self,
        sampler: Sampler,
        prime: &str,
    ) -> Result<Vec<f32>, charlet::Error> {
        // Priming draws nothing: any numbers will do.
        let pending = self
            .generate(sampler, &mut text_rng(0), prime)?
            .pending()
            .unwrap_or(self.start.token);
        let logits = self
            .model
            .step(pending, &mut self.state, &mut self.workspace)?;
        Ok(sampler.probabilities(logits).collect())
    }

    /// One line, at most [`LINE_LIMIT`] characters long.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn line(&mut self, sampler: Sampler, rng: &mut TextRng) -> Result<String, charlet::Error> {
        Ok(self.generate(sampler, rng, "")?.take(LINE_LIMIT).collect())
    }

    /// The negative log-probability of a text, in nats: of each line by itself for a model of
    /// lines, else of the whole with h and c carried through.
    ///
    /// # Errors
    /// If the model doesn't know a character; the message names it and its place.
    pub fn evaluate(&mut self, source: &Source) -> Result<Evaluation> {
        let mut evaluation = Evaluation::default();
        if self.model.vocab().end().is_none() {
            self.score(&source.text, 1, &mut evaluation)?;
            return Ok(evaluation);
        }
        let mut lines = 0;
        for (number, line) in (1..)
            .zip(source.text.lines())
            .filter(|(_, line)| !line.is_empty())
        {
            self.score(line, number, &mut evaluation)?;
            lines += 1;
        }
        evaluation.lines = Some(lines);
        Ok(evaluation)
    }

    /// Adds a text that starts in this line of its file.
    fn score(&mut self, text: &str, line: usize, evaluation: &mut Evaluation) -> Result<()> {
        self.state.reset();
        let mut scorer = Scorer::new(&self.model, &mut self.state, &mut self.workspace)?;
        for (at, char) in text.char_indices() {
            let log_prob = scorer.char(char).with_context(|| {
                let before = &text[..at];
                let line = line + before.matches('\n').count();
                let column = before
                    .chars()
                    .rev()
                    .take_while(|&char| char != '\n')
                    .count()
                    + 1;
                format!("can't score line {line}, character {column}")
            })?;
            evaluation.add(log_prob);
        }
        if let Some(log_prob) = scorer.end() {
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
        }
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
}
