//! Non-interactive generation: texts for each temperature.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use charlet::{Model, Rng, Sampler};
use charlet_trainer::data::source::Source;
use charlet_trainer::inference::random_prompt::RandomPrompts;
use charlet_trainer::inference::saved_state::Saved;
use charlet_trainer::inference::stop::{StopStrings, Until};
use charlet_trainer::inference::text_model::TextModel;
use charlet_trainer::util::style::Styles;

use super::{Args, LINES, TEXTS, clock, interval, with_hint};

/// Characters of a random prompt.
pub(super) const PROMPT_LENGTH: usize = 40;
pub(super) const PROMPT_LENGTH_OF_LINE: usize = 2;

pub(super) fn run(args: &Args, model: &Model<'_>, model_file: &[u8]) -> Result<ExitCode> {
    let vocab = *model.vocab();
    let samplers = args.sampling.samplers(vocab.size())?;
    let mut texts = Texts::new(args, model, model_file)?;
    let source = args.prompt_from.as_deref();
    let source = source.map(|path| Source::read_as(path, args.encoding));
    let source = source.transpose()?;
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
    Ok(ExitCode::SUCCESS)
}

/// The texts of one command.
struct Texts<'a, 'm> {
    args: &'a Args,
    model_file: &'a [u8],
    text_model: TextModel<'m>,
    /// The random numbers that each temperature starts with.
    rng: Rng,
    seed: u64,
    out: std::io::StdoutLock<'static>,
    styles: Styles,
}

impl<'a, 'm> Texts<'a, 'm> {
    fn new(args: &'a Args, model: &'m Model<'m>, model_file: &'a [u8]) -> Result<Self> {
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
        for text in 0..args.count.unwrap_or(if is_one { TEXTS } else { LINES }) {
            if text > 0 && !is_list {
                writeln!(self.out)?;
            }
            let prompt = match &mut pieces {
                Some(pieces) => pieces.draw(),
                None => &args.prompt,
            };
            self.text(sampler, &mut rng, prompt)?;
        }
        Ok(())
    }

    fn text(&mut self, sampler: Sampler, rng: &mut Rng, prompt: &str) -> Result<()> {
        let model = self.text_model.model();
        let generated = self.text_model.generate(sampler, rng, prompt);
        let mut generator = with_hint(generated, prompt, model.vocab())?;
        let length = self.args.length(model.vocab().end().is_some());
        print(&mut self.out, self.args, prompt, length, &mut generator)?;
        drop(generator);
        if let Some(path) = &self.args.state_out {
            Saved::new(self.model_file, self.text_model.session(), rng).write(path)?;
        }
        Ok(())
    }
}

/// Prints a text while it is made, up to a limit or a stop string.
pub(super) fn print(
    out: &mut impl Write,
    args: &Args,
    prompt: &str,
    length: usize,
    chars: &mut impl Iterator<Item = char>,
) -> std::io::Result<()> {
    let mut stops = stops(args, prompt);
    let chars = Until::new(chars, |char| stops.is_complete(char)).take(length);
    let dim = Styles::of_stdout().dim();
    write!(out, "{dim}{prompt}{dim:#}")?;
    out.flush()?;
    let interval = interval(args.pace.unwrap_or(0.0));
    for char in chars {
        if interval > Duration::ZERO {
            std::thread::sleep(interval);
        }
        write!(out, "{char}")?;
        out.flush()?;
    }
    writeln!(out)
}

/// The strings that end a text, which may begin in what was given.
pub(super) fn stops(args: &Args, prompt: &str) -> StopStrings {
    let mut stops = StopStrings::new(&args.until);
    for char in prompt.chars() {
        stops.is_complete(char);
    }
    stops
}
