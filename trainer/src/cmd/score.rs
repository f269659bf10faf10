//! `charlet score`

use std::cmp::Ordering;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use charlet_trainer::config::Encoding;
use charlet_trainer::data::lines::LineReader;
use charlet_trainer::data::source::is_blank;
use charlet_trainer::inference::surprisal::{Surprisal, Surprisals, Unknown};
use charlet_trainer::inference::text_model::TextModel;
use charlet_trainer::inference::unknown::hint;
use charlet_trainer::util::file_kind::{self, Kind};
use charlet_trainer::util::memory::available;
use charlet_trainer::util::shown::Shown;
use charlet_trainer::util::style::Styles;
use clap::{Parser, ValueEnum};
use serde::Serialize;

use super::names::char_name;
use super::{ENCODING, check_model, note, read_model, refuse_second_stdin, with_default};

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

/// A line and its surprisal.
struct Scored {
    number: usize,
    line: String,
    surprisal: Surprisal,
    /// What the model may know in place of the unknown character, or has for it.
    hint: &'static str,
}

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
    let bytes = read_model(&args.model)?;
    let model = check_model(&args.model, &bytes)?;
    let mut text_model = TextModel::new(&model);
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
    let lines = Lines::open(&args.file, args.encoding)?;
    let mut scored = score(&mut text_model, lines, &args);
    if args.sort || args.by.is_some() || args.top.is_some() {
        let mut all = scored.collect::<Result<Vec<_>>>()?;
        all.sort_by(|a, b| most_surprising_first(a, b, args.by.unwrap_or(BY)));
        let most = args.top.and_then(|top| usize::try_from(top).ok());
        all.truncate(most.unwrap_or(all.len()));
        return all
            .iter()
            .try_for_each(|scored| printer.print(&mut out, scored))
            .map(|()| ExitCode::SUCCESS);
    }
    scored.try_for_each(|scored| printer.print(&mut out, &scored?))?;
    Ok(ExitCode::SUCCESS)
}

/// The lines to print, each with its surprisal.
fn score(
    text_model: &mut TextModel<'_>,
    lines: Lines,
    args: &Args,
) -> impl Iterator<Item = Result<Scored>> {
    let vocab = *text_model.model().vocab();
    let mut surprisals = Surprisals::new(text_model, !args.each);
    let threshold = args.threshold.unwrap_or(f64::NEG_INFINITY);
    (1..).zip(lines).filter_map(move |(number, line)| {
        let scored = || -> Result<Option<Scored>> {
            let (mut line, has_break) = line?;
            if args.lowercase {
                line = line.to_lowercase();
            }
            if is_blank(&line) && !surprisals.is_carried() {
                return Ok(None);
            }
            let surprisal = surprisals.line(&line, has_break);
            let is_seen = surprisal.bits_per_char() > threshold;
            let unknown = surprisal.unknown;
            let hint = match unknown {
                Some(_) if vocab.unknown().is_some() => ": priced as its mark for such",
                Some(unknown) => hint(&vocab, &line, unknown.char),
                None => "",
            };
            Ok(is_seen.then_some(Scored {
                number,
                line,
                surprisal,
                hint,
            }))
        };
        scored().transpose()
    })
}

fn most_surprising_first(a: &Scored, b: &Scored, by: By) -> Ordering {
    let bits = |scored: &Scored| match by {
        By::Total => scored.surprisal.bits(),
        By::PerChar => scored.surprisal.bits_per_char(),
    };
    bits(b).total_cmp(&bits(a))
}

/// Lines without their ends, and whether there was one.
struct Lines {
    reader: LineReader<Box<dyn BufRead>>,
    encoding: String,
    /// Whether it was told that something is malformed.
    is_told: bool,
    name: String,
}

/// How many times a line has to fit into memory: as text, and with a number for each character.
const COPIES: u64 = 32;

impl Lines {
    fn open(path: &Path, encoding: Option<Encoding>) -> Result<Self> {
        let (input, name): (Box<dyn BufRead>, _) = if path == Path::new("-") {
            (
                Box::new(std::io::stdin().lock()),
                "standard input".to_owned(),
            )
        } else {
            let name = path.display().to_string();
            let file = file_kind::open(path, Kind::Text)?;
            (Box::new(BufReader::new(file)), name)
        };
        Ok(Self {
            encoding: encoding.map_or("UTF-8".to_owned(), |encoding| encoding.to_string()),
            is_told: false,
            reader: LineReader::new(input, encoding, available().bytes / COPIES),
            name,
        })
    }
}

impl Iterator for Lines {
    type Item = Result<(String, bool)>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.reader.next_line();
        if self.reader.is_malformed() && !std::mem::replace(&mut self.is_told, true) {
            note(&format!(
                "{} is not {} everywhere: what is malformed is shown as \u{fffd}; --encoding names another",
                self.name, self.encoding
            ));
        }
        let line = line.with_context(|| format!("can't read {}", self.name));
        line.transpose()
    }
}

/// How a line is printed.
struct Printer {
    styles: Styles,
    shown: Shown,
    /// Whether the model has a mark for unknown characters.
    has_mark: bool,
    explains: bool,
    is_json: bool,
}

/// What scripts read; what is infinite is null.
#[derive(Serialize)]
struct Json<'s> {
    number: usize,
    line: &'s str,
    bits: f64,
    bits_per_char: f64,
    /// Characters predicted, the end of the line included.
    chars: usize,
    unknown: Option<Unknown>,
    /// How many the mark stands for, in a model with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bits_of_chars: Option<&'s [f64]>,
}

impl Printer {
    fn header(&self, out: &mut impl Write) -> std::io::Result<()> {
        let style = self.styles.heading();
        writeln!(out, "{style}    bits  bits/char  line{style:#}")
    }

    fn print(&self, out: &mut impl Write, scored: &Scored) -> Result<()> {
        let surprisal = &scored.surprisal;
        if self.is_json {
            let json = Json {
                number: scored.number,
                line: &scored.line,
                bits: surprisal.bits(),
                bits_per_char: surprisal.bits_per_char(),
                chars: surprisal.chars.len(),
                unknown: surprisal.unknown,
                unknown_count: self.has_mark.then_some(surprisal.unknown_count),
                bits_of_chars: self.explains.then_some(&surprisal.chars),
            };
            writeln!(out, "{}", self.shown.json(&serde_json::to_string(&json)?))?;
            return Ok(());
        }
        let (bits, per_char) = (surprisal.bits(), surprisal.bits_per_char());
        write!(out, "{bits:>8.2}  {per_char:>9.2}  ")?;
        if self.explains && self.styles.is_styled() {
            self.coloured(out, scored)?;
        } else {
            write!(out, "{}", self.shown.line(&scored.line))?;
        }
        if let Some(unknown) = surprisal.unknown {
            let (alarm, char, at) = (self.styles.alarm(), unknown.char, unknown.at);
            let hint = scored.hint;
            let others = match surprisal.unknown_count {
                count if self.has_mark && count > 1 => format!(", and {} more", count - 1),
                _ => String::new(),
            };
            write!(
                out,
                "  {alarm}[the model does not know {char:?}, character {at}{others}{hint}]{alarm:#}"
            )?;
        }
        writeln!(out)?;
        if self.explains && !self.styles.is_styled() {
            self.listed(out, scored)?;
        }
        Ok(())
    }

    /// The line, each character on the colour of its surprisal.
    fn coloured(&self, out: &mut impl Write, scored: &Scored) -> std::io::Result<()> {
        let mut bits = scored.surprisal.chars.iter();
        for (char, &bits) in scored.line.chars().zip(bits.by_ref()) {
            let style = self.styles.heat(bits);
            let char = self.shown.char(char);
            write!(out, "{style}{char}{style:#}")?;
        }
        if let Some(&end) = bits.next() {
            let style = self.styles.heat(end);
            write!(out, "{style}¶{style:#}")?;
        }
        Ok(())
    }

    /// A line below it with each character and its bits.
    fn listed(&self, out: &mut impl Write, scored: &Scored) -> std::io::Result<()> {
        let names = scored.line.chars().map(char_name).chain(["end".to_owned()]);
        write!(out, "       ")?;
        for (name, bits) in names.zip(&scored.surprisal.chars) {
            write!(out, " {name} {bits:.2}")?;
        }
        writeln!(out)
    }
}
