//! How well a model predicts a text.

use std::sync::mpsc::{Receiver, channel};

use anyhow::{Result, ensure};
use charlet::{Model, Session, Vocab};
use serde::Serialize;

use super::reader::{Readings, Unknowns, chars_of_piece, log_prob_of_next};
use super::token_table::TokenTable;
use super::unknown::hint;
use crate::data::source::{Source, counted};
use crate::util::in_order::in_order;
use crate::util::stop::{IsStopping, Stopped};

/// The negative log-probability of a text, in nats: of each line by itself for a model of lines, on all
/// threads, else of the whole with h and c carried through.
///
/// A character that the model doesn't know has the price of the mark for such. Without one it is passed
/// over: what follows is judged by what came before.
///
/// # Errors
/// If the model knows no character of the text.
pub fn evaluate(model: &Model<'_>, source: &Source) -> Result<Evaluation> {
    evaluate_while(model, source, |_| true)
}

/// The same while `goes_on` says so, which gets the number of predictions so far, now and then.
///
/// # Errors
/// If it was [stopped](Stopped), and as [`evaluate`].
pub fn evaluate_while(
    model: &Model<'_>,
    source: &Source,
    goes_on: impl FnMut(usize) -> bool,
) -> Result<Evaluation> {
    let table = TokenTable::new(model.vocab());
    let evaluation = match table.end() {
        Some(_) => evaluate_lines(model, &table, source, goes_on)?,
        None => evaluate_text(model, &table, source, goes_on)?,
    };
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

/// Reads a text from its start to its end.
fn evaluate_text(
    model: &Model<'_>,
    table: &TokenTable,
    source: &Source,
    mut goes_on: impl FnMut(usize) -> bool,
) -> Result<Evaluation> {
    let mut evaluation = Evaluation::default();
    let mut session = Session::boxed(model);
    let (mut line, mut at) = (1, 0);
    for char in source.text.chars() {
        if !goes_on(evaluation.chars) {
            return Err(Stopped.into());
        }
        at += 1;
        let known = table.token(char);
        if let Some(token) = known.or(table.unknown()) {
            evaluation.add(log_prob_of_next(&mut session, token));
        }
        if known.is_none() {
            evaluation.add_unknown(1, UnknownChar { char, line, at });
        }
        if char == '\n' {
            (line, at) = (line + 1, 0);
        }
    }
    Ok(evaluation)
}

/// Reads many lines together. Their sum is taken in their order.
fn evaluate_lines(
    model: &Model<'_>,
    table: &TokenTable,
    source: &Source,
    mut goes_on: impl FnMut(usize) -> bool,
) -> Result<Evaluation> {
    let work =
        |lines, is_stopping: IsStopping<'_>| ReadLines::new(model, table, lines, is_stopping);
    let mut evaluation = Evaluation {
        lines: Some(0),
        ..Evaluation::default()
    };
    let pieces = pieces(source, chars_of_piece(model));
    in_order(rayon::current_num_threads(), &pieces, work, |result| {
        if let Some(result) = result {
            evaluation.add_lines(result?);
        }
        if goes_on(evaluation.chars) {
            Ok(())
        } else {
            Err(Stopped.into())
        }
    })?;
    Ok(evaluation)
}

/// A line of a list and its number.
type Numbered<'l> = (usize, &'l str);

/// Lines that a model has read.
struct ReadLines<'l> {
    lines: Vec<Numbered<'l>>,
    readings: Readings,
    unknown: Vec<Unknowns>,
}

impl<'l> ReadLines<'l> {
    fn new(
        model: &Model<'_>,
        table: &TokenTable,
        lines: Vec<Numbered<'l>>,
        is_stopping: IsStopping<'_>,
    ) -> Result<Self, Stopped> {
        let mut readings = Readings::default();
        let texts = lines.iter();
        let unknown = texts
            .map(|(_, line)| readings.push(table, line.chars()))
            .collect();
        readings.read(model, |_| !is_stopping())?;
        Ok(Self {
            lines,
            readings,
            unknown,
        })
    }
}

/// The lines of a list, with their numbers, in pieces of about so many bytes.
fn pieces(source: &Source, most: usize) -> Receiver<Vec<Numbered<'_>>> {
    let (sender, pieces) = channel();
    let (mut piece, mut bytes) = (Vec::new(), 0);
    for (number, line) in source.numbered_lines() {
        piece.push((number, line));
        bytes += line.len() + 1;
        if bytes >= most {
            // The receiver is at hand.
            let _ = sender.send(std::mem::take(&mut piece));
            bytes = 0;
        }
    }
    let _ = sender.send(piece);
    pieces
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

    /// Counts unknown characters, of which this is the first.
    fn add_unknown(&mut self, count: usize, first: UnknownChar) {
        self.unknown += count;
        self.first_unknown.get_or_insert(first);
    }

    fn add_lines(&mut self, read: ReadLines<'_>) {
        let texts = read.lines.iter().zip(read.readings.log_probs());
        for ((&(line, _), log_probs), unknown) in texts.zip(read.unknown) {
            log_probs.flatten().for_each(|log_prob| self.add(log_prob));
            if let Some((char, at)) = unknown.first {
                self.add_unknown(unknown.count, UnknownChar { char, line, at });
            }
        }
        self.lines = self.lines.map(|lines| lines + read.lines.len());
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
