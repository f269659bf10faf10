//! An interactive session in a terminal: prompts, commands and keys.

use std::io::{Stdout, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use charlet::{Model, Rng, Sampler};
use charlet_trainer::inference::text_model::{CUT, TextModel};
use charlet_trainer::inference::unknown::{count_unknown, read_as_mark};
use charlet_trainer::util::shown::Shown;
use charlet_trainer::util::style::Styles;
use crossterm::event;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Editor};

use super::command::{Command, HELP};
use super::keys::{Action, changed, paced};
use super::terminal::{Raw, Terminal};
use crate::cmd::generate::{Args, INTERACTIVE_PACE, clock, interval, text, top::Top, with_hint};

/// How often a pause looks for keys.
const PAUSE: Duration = Duration::from_secs(60);

/// A session and its settings, which are the options as commands and keys have changed them.
pub(super) struct Repl<'m> {
    args: Args,
    pace: f64,
    text_model: TextModel<'m>,
    rng: Rng,
    /// The last prompt.
    last: String,
    out: Stdout,
    styles: Styles,
    /// Dropped at last.
    _terminal: Terminal,
}

impl<'m> Repl<'m> {
    pub(super) fn new(args: Args, model: &'m Model<'m>) -> Result<Self> {
        args.sampling.samplers(model.vocab().size())?;
        Ok(Self {
            pace: args.pace.unwrap_or(INTERACTIVE_PACE),
            rng: Rng::from_seed(args.sampling.seed.unwrap_or_else(clock)),
            text_model: TextModel::new(model),
            last: String::new(),
            out: std::io::stdout(),
            styles: Styles::of_stdout(),
            _terminal: Terminal::found()?,
            args,
        })
    }

    pub(super) fn run(mut self) -> Result<ExitCode> {
        self.note("Type a prompt and press Enter. :help lists keys and commands; Ctrl-D quits.")?;
        let config = Config::builder().auto_add_history(true).build();
        let mut editor: Editor<(), MemHistory> =
            Editor::with_history(config, MemHistory::new()).context("can't use the terminal")?;
        loop {
            let line = match editor.readline("> ") {
                Ok(line) => line,
                Err(ReadlineError::Eof | ReadlineError::Interrupted) => break,
                Err(error) => return Err(error).context("can't read from the terminal"),
            };
            match self.line(&line) {
                Ok(Next::Prompt) => {}
                Ok(Next::Leave) => break,
                Err(error) => {
                    let alarm = self.styles.alarm();
                    let message = format!("{error:#}");
                    let message = Shown::on(&self.out).text(&message);
                    writeln!(self.out, "{alarm}{message}{alarm:#}")?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn line(&mut self, line: &str) -> Result<Next> {
        match line.strip_prefix(':') {
            Some(rest) if !rest.starts_with(':') => self.command(Command::parse(rest)?),
            // Of two colons one is meant.
            Some(rest) => self.continue_text(rest),
            None => self.continue_text(line),
        }
    }

    fn command(&mut self, command: Command) -> Result<Next> {
        let mut args = self.args.clone();
        match command {
            Command::Help => writeln!(self.out, "{HELP}")?,
            Command::Quit => return Ok(Next::Leave),
            Command::Top(count) => {
                let (temperature, sampler) = self.sampler()?;
                let top = Top::new(
                    &mut self.text_model,
                    temperature,
                    sampler,
                    &self.last,
                    count,
                )?;
                top.print(&mut self.out, self.styles)?;
            }
            Command::Seed(seed) => self.rng = Rng::from_seed(seed),
            Command::Pace(pace) => self.pace = pace,
            Command::Length(length) => args.length = Some(length),
            Command::Until(stop) => args.until = stop.into_iter().collect(),
            Command::TopK(top_k) => args.sampling.top_k = top_k,
            Command::TopP(top_p) => args.sampling.top_p = top_p,
            Command::Argmax => args.sampling.argmax = true,
            Command::Temperature(temperature) => {
                args.sampling.argmax = false;
                args.sampling.temperature = vec![temperature];
            }
        }
        // Settings that can't be are forgotten.
        let model = self.text_model.model();
        args.check(model)?;
        args.sampling.samplers(model.vocab().size())?;
        self.args = args;
        Ok(Next::Prompt)
    }

    /// Continues a prompt, and handles keys meanwhile.
    fn continue_text(&mut self, prompt: &str) -> Result<Next> {
        let (_, sampler) = self.sampler()?;
        let model = self.text_model.model();
        let generated = self.text_model.generate(sampler, &mut self.rng, prompt);
        drop(with_hint(generated, prompt, model.vocab())?);
        let vocab = model.vocab();
        // Without a mark such a prompt was refused.
        if let Some(told) = read_as_mark(count_unknown(vocab, prompt)) {
            self.note(&told)?;
        }
        self.last = prompt.to_owned();
        let mut stops = text::stops(&self.args, prompt);
        let mut next = Next::Prompt;
        let _raw = Raw::begin()?;
        self.echo(prompt)?;
        let mut due = Instant::now();
        let is_list = model.vocab().end().is_some();
        let mut has_ended = false;
        for _ in 0..self.args.length(is_list) {
            if let Some(action) = self.wait(due)? {
                if action == Action::Leave {
                    next = Next::Leave;
                }
                has_ended = true;
                break;
            }
            due = due.max(Instant::now()) + interval(self.pace);
            let (_, sampler) = self.sampler()?;
            let char = self.text_model.next_char(sampler, &mut self.rng);
            if let Some(char) = char {
                self.print(char)?;
            }
            has_ended = char.is_none_or(|char| stops.is_complete(char));
            if has_ended {
                break;
            }
        }
        if is_list && !has_ended {
            let dim = self.styles.dim();
            write!(self.out, "{dim}{CUT}{dim:#}")?;
        }
        // In raw mode a line feed doesn't go back to the line's beginning.
        write!(self.out, "\r\n")?;
        self.out.flush()?;
        Ok(next)
    }

    /// Handles keys until the next character is due; returns the action that ends the text.
    fn wait(&mut self, due: Instant) -> Result<Option<Action>> {
        let mut is_paused = false;
        loop {
            let rest = due.saturating_duration_since(Instant::now());
            if !event::poll(if is_paused { PAUSE } else { rest })? {
                if is_paused {
                    continue;
                }
                return Ok(None);
            }
            match Action::of(&event::read()?) {
                Some(action @ (Action::Stop | Action::Leave)) => return Ok(Some(action)),
                Some(Action::Pause) => {
                    is_paused = !is_paused;
                    if is_paused {
                        self.mark("paused")?;
                    }
                }
                Some(action @ (Action::Warmer | Action::Cooler)) => {
                    let sampling = &mut self.args.sampling;
                    let temperature = changed(
                        sampling.temperatures().first().copied().unwrap_or(1.0),
                        action,
                    );
                    sampling.argmax = false;
                    sampling.temperature = vec![temperature];
                    self.mark(&temperature.to_string())?;
                }
                Some(action) => self.pace = paced(self.pace, action),
                None => {}
            }
        }
    }

    /// The only sampler that there is.
    fn sampler(&self) -> Result<(Option<f32>, Sampler)> {
        let vocab_size = self.text_model.model().vocab().size();
        let samplers = self.args.sampling.samplers(vocab_size)?;
        samplers.first().copied().context("no temperature is set")
    }

    /// Shows what is continued.
    fn echo(&mut self, prompt: &str) -> std::io::Result<()> {
        let dim = self.styles.dim();
        write!(self.out, "{dim}")?;
        prompt.chars().try_for_each(|char| self.print(char))?;
        write!(self.out, "{dim:#}")
    }

    fn print(&mut self, char: char) -> std::io::Result<()> {
        match char {
            '\n' => write!(self.out, "\r\n")?,
            _ => write!(self.out, "{}", Shown::on(&self.out).char(char))?,
        }
        self.out.flush()
    }

    /// Shows within the text what a key has changed.
    fn mark(&mut self, what: &str) -> std::io::Result<()> {
        let style = self.styles.bar();
        write!(self.out, "{style}[{what}]{style:#}")?;
        self.out.flush()
    }

    fn note(&mut self, note: &str) -> std::io::Result<()> {
        let dim = self.styles.dim();
        writeln!(self.out, "{dim}{note}{dim:#}")
    }
}

/// What comes after a line.
enum Next {
    Prompt,
    Leave,
}
