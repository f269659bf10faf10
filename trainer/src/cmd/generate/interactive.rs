//! Interactive mode: prompts typed in a terminal, or lines from a pipe.

mod command;
mod keys;
mod session;
mod terminal;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use charlet::{Model, Rng};
use charlet_trainer::inference::text_model::TextModel;

use self::session::Repl;
use super::{Args, clock, text};

pub(super) fn run(args: Args, model: &Model<'_>) -> Result<ExitCode> {
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        Repl::new(args, model)?.run()
    } else {
        pipe(&args, model)
    }
}

/// Continues each line of standard input.
fn pipe(args: &Args, model: &Model<'_>) -> Result<ExitCode> {
    let is_list = model.vocab().end().is_some();
    let mut rng = Rng::from_seed(args.sampling.seed.unwrap_or_else(clock));
    let mut text_model = TextModel::new(model);
    let mut out = std::io::stdout().lock();
    let mut cut = 0;
    for (number, line) in (1..).zip(std::io::stdin().lines()) {
        let prompt = line.with_context(|| format!("can't read line {number} of standard input"))?;
        for (_, sampler) in args.sampling.samplers(text_model.model().vocab().size())? {
            if number > 1 && !is_list {
                writeln!(out)?;
            }
            let mut generator = text_model
                .generate(sampler, &mut rng, &prompt)
                .with_context(|| format!("can't continue line {number}, {prompt:?}"))?;
            let is_cut = text::print(&mut out, args, &prompt, is_list, &mut generator)?;
            cut += usize::from(is_cut && args.length.is_none());
        }
    }
    text::tell_of_cuts(cut);
    Ok(ExitCode::SUCCESS)
}
