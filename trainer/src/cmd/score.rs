//! `charlet score`

mod lines;
mod printer;

use std::cmp::Ordering;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::Receiver;

use anyhow::{Result, ensure};
use charlet::Vocab;
use charlet_trainer::config::Encoding;
use charlet_trainer::data::source::is_blank;
use charlet_trainer::inference::reader::chars_of_piece;
use charlet_trainer::inference::surprisal::{Surprisals, Unknown};
use charlet_trainer::inference::unknown::hint;
use charlet_trainer::util::in_order::in_order;
use charlet_trainer::util::shown::Shown;
use charlet_trainer::util::stop::IsStopping;
use charlet_trainer::util::style::Styles;
use clap::{Parser, ValueEnum};

use self::lines::{Line, Piece};
use self::printer::{Printer, Scored};
use super::threads::Threads;
use super::{ENCODING, check_model, read_model, refuse_second_stdin, with_default};

/// Score each line of a text by its surprisal, for example to find anomalies in a log
///
/// Surprisal is -log2(probability), in bits. Each line gets two numbers: the bits of the whole line,
/// end of line included, and the bits per character.
///
/// A list model scores each line on its own and skips blank lines. A text model carries its state from
/// line to line, unless --each is given. A character unknown to the model has the bits of its mark for
/// such; without a mark the line scores infinity (null in JSON). Lines are printed as they arrive, so that `tail -f` can be piped in.
#[derive(Debug, Parser)]
#[command(mut_args(|option| with_default(option, default_of)), after_help = "\
Examples:
  charlet score names.charlet people.txt --top 20
  charlet score names.charlet people.txt --sort --explain
  tail -f log | charlet score log.charlet --threshold 4
  charlet score names.charlet people.txt --json | jq 'select(.unknown)'")]
pub(crate) struct Args {
    /// Model file, - for standard input
    model: PathBuf,
    /// Text file to score, - for standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Encoding of the file, such as windows-1252, utf-16le or shift_jis
    #[arg(long, value_name = "NAME")]
    encoding: Option<Encoding>,
    /// Convert the file to lower case first, as `train --lowercase` does
    #[arg(long)]
    lowercase: bool,
    /// Reset the state of a text model at each line
    #[arg(long)]
    each: bool,
    /// Sort by surprisal, highest first
    #[arg(long)]
    sort: bool,
    /// Sort by this number; implies --sort
    #[arg(long, value_enum, value_name = "WHAT")]
    by: Option<By>,
    /// Print only lines above this many bits per character
    #[arg(long, value_name = "BITS", value_parser = bits)]
    threshold: Option<f64>,
    /// Print only the N lines with the highest surprisal; implies --sort
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    top: Option<u64>,
    /// Show the bits of each character: as colours in a terminal, else as numbers
    #[arg(long)]
    explain: bool,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    threads: Threads,
}

/// A number of bits to compare with.
fn bits(text: &str) -> Result<f64> {
    let bits: f64 = text.parse()?;
    ensure!(!bits.is_nan(), "it must be a number");
    Ok(bits)
}

/// What lines are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// Bits of the whole line
    Total,
    /// Bits per character
    PerChar,
}

/// What lines are sorted by unless --by is given.
const BY: By = By::PerChar;

/// The default of an option by its id, for the help.
fn default_of(id: &str) -> Option<String> {
    let default = BY.to_possible_value()?.get_name().to_owned();
    match id {
        "by" => Some(default),
        "encoding" => Some(ENCODING.to_owned()),
        _ => None,
    }
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    refuse_second_stdin(&[("the model", &args.model), ("the text", &args.file)])?;
    args.threads.start()?;
    let bytes = read_model(&args.model)?;
    let model = check_model(&args.model, &bytes)?;
    let mut out = std::io::stdout().lock();
    let printer = Printer {
        styles: Styles::of_stdout(),
        shown: Shown::on(&std::io::stdout()),
        has_mark: model.vocab().unknown().is_some(),
        explains: args.explain,
        is_json: args.json,
    };
    if std::io::stdout().is_terminal() && !args.json {
        printer.header(&mut out)?;
    }
    let lines = lines::open(&args.file, args.encoding, chars_of_piece(&model))?;
    let scorer = Scorer {
        args: &args,
        vocab: *model.vocab(),
        surprisals: Surprisals::new(&model, !args.each),
    };
    if args.sort || args.by.is_some() || args.top.is_some() {
        for scored in scorer.sorted(&lines)? {
            printer.print(&mut out, &scored)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let print = |scored: Vec<Scored>| {
        let mut printed = Vec::new();
        for scored in &scored {
            printer.print(&mut printed, scored)?;
        }
        Ok(printed)
    };
    scorer.each_piece(&lines, print, |printed| {
        out.write_all(&printed)?;
        Ok(out.flush()?)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Scores lines on all threads.
struct Scorer<'a, 'm> {
    args: &'a Args,
    vocab: Vocab<'m>,
    surprisals: Surprisals<'m>,
}

impl Scorer<'_, '_> {
    /// The lines to print, the most surprising first.
    fn sorted(&self, lines: &Receiver<Piece>) -> Result<Vec<Scored>> {
        let by = self.args.by.unwrap_or(BY);
        let top = self.args.top.and_then(|top| usize::try_from(top).ok());
        let mut all = Vec::new();
        let sort = |all: &mut Vec<Scored>| {
            all.sort_by(|a, b| most_surprising_first(a, b, by));
            all.truncate(top.unwrap_or(all.len()));
        };
        self.each_piece(lines, Ok, |scored| {
            all.extend(scored);
            // What can't be printed any more is dropped now and then.
            if top.is_some_and(|top| all.len() / 2 > top) {
                sort(&mut all);
            }
            Ok(())
        })?;
        sort(&mut all);
        Ok(all)
    }

    /// Scores pieces of a text as they arrive, makes something of each on all threads, and takes that in order.
    fn each_piece<T: Send>(
        &self,
        lines: &Receiver<Piece>,
        make: impl Fn(Vec<Scored>) -> Result<T> + Sync,
        mut take: impl FnMut(T) -> Result<()>,
    ) -> Result<()> {
        let threads = if self.surprisals.is_carried() {
            1
        } else {
            rayon::current_num_threads()
        };
        let work = |piece: Piece, is_stopping: IsStopping<'_>| {
            let lines = self.score(piece.lines, is_stopping)?;
            anyhow::Ok((make(lines)?, piece.end))
        };
        in_order(threads, lines, work, |result| {
            let Some(result) = result else {
                return Ok(());
            };
            let (made, end) = result?;
            take(made)?;
            end
        })
    }

    /// Those of some lines that are to be printed, with their surprisal.
    fn score(&self, mut lines: Vec<Line>, is_stopping: IsStopping<'_>) -> Result<Vec<Scored>> {
        if self.args.lowercase {
            for line in &mut lines {
                line.text = line.text.to_lowercase();
            }
        }
        if !self.surprisals.is_carried() {
            lines.retain(|line| !is_blank(&line.text));
        }
        let texts = lines
            .iter()
            .map(|line| (line.text.as_str(), line.has_break));
        let surprisals = self.surprisals.of(texts, is_stopping)?;
        let scored = lines.into_iter().zip(surprisals);
        let threshold = self.args.threshold.unwrap_or(f64::NEG_INFINITY);
        Ok(scored
            .filter(|(_, surprisal)| surprisal.bits_per_char() > threshold)
            .map(|(line, surprisal)| Scored {
                number: line.number,
                hint: self.hint(&line.text, surprisal.unknown),
                line: line.text,
                surprisal,
            })
            .collect())
    }

    /// What the model may know in place of an unknown character, or has for it.
    fn hint(&self, line: &str, unknown: Option<Unknown>) -> &'static str {
        match unknown {
            Some(_) if self.vocab.unknown().is_some() => ": priced as its mark for such",
            Some(unknown) => hint(&self.vocab, line, unknown.char),
            None => "",
        }
    }
}

fn most_surprising_first(a: &Scored, b: &Scored, by: By) -> Ordering {
    let bits = |scored: &Scored| match by {
        By::Total => scored.surprisal.bits(),
        By::PerChar => scored.surprisal.bits_per_char(),
    };
    bits(b).total_cmp(&bits(a))
}
