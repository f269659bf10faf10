//! Non-interactive generation: texts for each temperature.

use std::collections::HashSet;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use charlet::{Model, Rng, Sampler};
use charlet_trainer::data::source::Source;
use charlet_trainer::inference::random_prompt::RandomPrompts;
use charlet_trainer::inference::saved_state::Saved;
use charlet_trainer::inference::stop::StopStrings;
use charlet_trainer::inference::text_model::{CUT, LINE_LIMIT, Line, TextModel};
use charlet_trainer::inference::unknown::{count_unknown, read_as_mark};
use charlet_trainer::util::shown::Shown;
use charlet_trainer::util::style::Styles;

use super::{Args, LINES, TEXTS, clock, interval, with_hint};
use crate::cmd::note;

/// Characters of a random prompt.
pub(super) const PROMPT_LENGTH: usize = 40;
pub(super) const PROMPT_LENGTH_OF_LINE: usize = 2;

/// Lines that may be left out by --new one after the other.
const TRIES: usize = 1000;

pub(super) fn run(args: &Args, model: &Model<'_>, model_file: &[u8]) -> Result<ExitCode> {
    let vocab = *model.vocab();
    let samplers = args.sampling.samplers(vocab.size())?;
    let read = |path: &Option<PathBuf>| {
        let path = path.as_deref();
        path.map(|path| Source::read_as(path, args.encoding))
            .transpose()
    };
    let mut texts = Texts::new(args, model, model_file, read(&args.new)?)?;
    let source = read(&args.prompt_from)?;
    let is_alone = samplers.len() == 1;
    for (at, (temperature, sampler)) in samplers.into_iter().enumerate() {
        if let (Some(temperature), false) = (temperature, is_alone) {
            texts.heading(at, temperature)?;
        }
        // Each temperature continues the same prompts with the same random numbers.
        let pieces = source.as_ref().map(|source| {
            let length = args.prompt_length.unwrap_or(match vocab.end() {
                Some(_) => PROMPT_LENGTH_OF_LINE,
                None => PROMPT_LENGTH,
            });
            RandomPrompts::new(source, &vocab, length, texts.seed)
        });
        let pieces = pieces.transpose().context("can't continue --prompt-from")?;
        texts.make(sampler, pieces)?;
    }
    tell_of_cuts(texts.cut);
    // Those of --prompt were told before.
    if let Some(told) = read_as_mark(texts.unknown) {
        note(&told);
    }
    Ok(if texts.are_missing {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Says how many lines a limit has cut off that the user has not set.
pub(super) fn tell_of_cuts(count: usize) {
    if count > 0 {
        let lines = if count == 1 { "line was" } else { "lines were" };
        eprintln!(
            "note: {count} {lines} cut off after {LINE_LIMIT} characters; --length sets the limit"
        );
    }
}

/// The texts of one command.
struct Texts<'a, 'm> {
    args: &'a Args,
    model_file: &'a [u8],
    text_model: TextModel<'m>,
    /// The random numbers that each temperature starts with.
    rng: Rng,
    seed: u64,
    /// The lines that are left out.
    known: HashSet<String>,
    /// Lines that were cut off.
    cut: usize,
    /// Characters of the excerpts continued that the model doesn't know.
    unknown: usize,
    /// Whether nothing new came any more.
    are_missing: bool,
    out: std::io::StdoutLock<'static>,
    styles: Styles,
}

impl<'a, 'm> Texts<'a, 'm> {
    fn new(
        args: &'a Args,
        model: &'m Model<'m>,
        model_file: &'a [u8],
        known: Option<Source>,
    ) -> Result<Self> {
        let saved = args
            .state_in
            .as_deref()
            .map(|path| Saved::read(path, model_file))
            .transpose()?;
        let seed = args.sampling.seed.unwrap_or_else(clock);
        let mut text_model = TextModel::new(model);
        let mut rng = Rng::from_seed(seed);
        if let Some(saved) = saved {
            text_model.start_from(saved.session(model)?);
            if args.sampling.seed.is_none() {
                rng = saved.rng();
            }
        }
        Ok(Self {
            args,
            model_file,
            text_model,
            rng,
            seed,
            known: known
                .iter()
                .flat_map(Source::lines)
                .map(str::to_owned)
                .collect(),
            cut: 0,
            unknown: 0,
            are_missing: false,
            out: std::io::stdout().lock(),
            styles: Styles::of_stdout(),
        })
    }

    fn heading(&mut self, at: usize, temperature: f32) -> std::io::Result<()> {
        let style = self.styles.heading();
        let gap = if at > 0 { "\n" } else { "" };
        writeln!(
            self.out,
            "{gap}{style}--- temperature {temperature}{style:#}"
        )
    }

    fn make(&mut self, sampler: Sampler, mut pieces: Option<RandomPrompts<'_>>) -> Result<()> {
        let is_list = self.text_model.model().vocab().end().is_some();
        let is_one = !is_list || self.args.state_in.is_some() || self.args.state_out.is_some();
        let (args, mut rng) = (self.args, self.rng.clone());
        let count = args.count.unwrap_or(if is_one { TEXTS } else { LINES });
        let mut tries = 0;
        let mut text = 0;
        while text < count {
            if text > 0 && !is_list {
                writeln!(self.out)?;
            }
            let prompt = match &mut pieces {
                Some(pieces) => pieces.draw(),
                None => &args.prompt,
            };
            if self.text(sampler, &mut rng, prompt)? {
                if pieces.is_some() {
                    self.unknown += count_unknown(self.text_model.model().vocab(), prompt);
                }
                (text, tries) = (text + 1, 0);
                continue;
            }
            tries += 1;
            if tries == TRIES {
                let lines = if text == 1 { "line" } else { "lines" };
                eprintln!(
                    "error: {text} new {lines} instead of {count}: the last {TRIES} that the model made are \
                     all in the file of --new; a higher --temperature makes more new ones"
                );
                self.are_missing = true;
                break;
            }
        }
        Ok(())
    }

    /// Makes a text; tells whether it was printed, and is not one of those that are left out.
    fn text(&mut self, sampler: Sampler, rng: &mut Rng, prompt: &str) -> Result<bool> {
        let (args, model) = (self.args, self.text_model.model());
        let generated = self.text_model.generate(sampler, rng, prompt);
        let mut generator = with_hint(generated, prompt, model.vocab())?;
        let is_list = model.vocab().end().is_some();
        let is_cut = if self.known.is_empty() {
            print(&mut self.out, args, prompt, is_list, &mut generator)?
        } else {
            // What is left out is known at its end only.
            let mut made = String::new();
            let is_cut = limited(args, prompt, is_list, &mut generator, |char| {
                made.push(char);
                Ok(())
            })?;
            let line = Line {
                text: format!("{prompt}{made}"),
                is_cut,
            };
            if line.is_copy(&self.known) {
                return Ok(false);
            }
            print(&mut self.out, args, prompt, is_list, &mut made.chars())?
        };
        drop(generator);
        self.cut += usize::from(is_cut && args.length.is_none());
        if let Some(path) = &args.state_out {
            Saved::new(self.model_file, self.text_model.session(), rng).write(path)?;
        }
        Ok(true)
    }
}

/// Prints a text while it is made, up to a limit or a stop string; tells whether a line was cut off.
pub(super) fn print(
    out: &mut impl Write,
    args: &Args,
    prompt: &str,
    is_list: bool,
    chars: &mut impl Iterator<Item = char>,
) -> std::io::Result<bool> {
    let (dim, shown) = (Styles::of_stdout().dim(), Shown::on(&std::io::stdout()));
    write!(out, "{dim}{}{dim:#}", shown.text(prompt))?;
    out.flush()?;
    let interval = interval(args.pace.unwrap_or(0.0));
    let is_cut = limited(args, prompt, is_list, chars, |char| {
        if interval > Duration::ZERO {
            std::thread::sleep(interval);
        }
        write!(out, "{}", shown.char(char))?;
        out.flush()
    })?;
    if is_cut && std::io::stdout().is_terminal() {
        write!(out, "{dim}{CUT}{dim:#}")?;
    }
    writeln!(out)?;
    Ok(is_cut)
}

/// Takes the characters of a text, up to a limit or a stop string; tells whether a line was cut off.
fn limited(
    args: &Args,
    prompt: &str,
    is_list: bool,
    chars: &mut impl Iterator<Item = char>,
    mut take: impl FnMut(char) -> std::io::Result<()>,
) -> std::io::Result<bool> {
    let mut stops = stops(args, prompt);
    for _ in 0..args.length(is_list) {
        let Some(char) = chars.next() else {
            return Ok(false);
        };
        take(char)?;
        if stops.is_complete(char) {
            return Ok(false);
        }
    }
    Ok(is_list)
}

/// The strings that end a text, which may begin in what was given.
pub(super) fn stops(args: &Args, prompt: &str) -> StopStrings {
    let mut stops = StopStrings::new(&args.until);
    for char in prompt.chars() {
        stops.is_complete(char);
    }
    stops
}
