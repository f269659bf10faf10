//! Interactive mode: prompts typed in a terminal, or lines from a pipe.

mod command;
mod keys;
mod session;
mod terminal;

use std::io::{BufRead, IsTerminal, Read, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use charlet::{Model, Rng};
use charlet_trainer::inference::text_model::TextModel;
use charlet_trainer::inference::unknown::{count_unknown, read_as_mark};
use charlet_trainer::util::memory::{amount, available};
use charlet_trainer::util::shown::Shown;

use self::session::Repl;
use super::{Args, clock, text, with_hint};
use crate::cmd::note;

/// How many times a line has to fit into memory: as a prompt, and in an error.
const COPIES: u64 = 32;

pub(super) fn run(args: Args, model: &Model<'_>) -> Result<ExitCode> {
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        Repl::new(args, model)?.run()
    } else {
        pipe(&args, model)
    }
}

/// Continues each line of standard input. A line that can't be continued is told, and those after it are continued.
fn pipe(args: &Args, model: &Model<'_>) -> Result<ExitCode> {
    let is_list = model.vocab().end().is_some();
    let mut rng = Rng::from_seed(args.sampling.seed.unwrap_or_else(clock));
    let mut text_model = TextModel::new(model);
    let mut out = std::io::stdout().lock();
    let (mut cut, mut code) = (0, ExitCode::SUCCESS);
    let (mut input, most) = (std::io::stdin().lock(), available().bytes / COPIES);
    for number in 1.. {
        let mut line = Vec::new();
        let mut bounded = (&mut input).take(most.saturating_add(1));
        let read = bounded.read_until(b'\n', &mut line);
        if read.context("can't read standard input")? == 0 {
            break;
        }
        ensure!(
            line.len() as u64 <= most,
            "line {number} of standard input has more than {}: is it a text?",
            amount(most as f64)
        );
        let Ok(line) = String::from_utf8(line) else {
            eprintln!("error: can't continue line {number}, which is not UTF-8");
            code = ExitCode::FAILURE;
            continue;
        };
        let prompt = line.strip_suffix('\n').unwrap_or(&line);
        let prompt = prompt.strip_suffix('\r').unwrap_or(prompt);
        let vocab = model.vocab();
        if vocab.unknown().is_some()
            && let Some(told) = read_as_mark(count_unknown(vocab, prompt))
        {
            note(&format!("line {number}: {told}"));
        }
        for (_, sampler) in args.sampling.samplers(text_model.model().vocab().size())? {
            let generated = text_model.generate(sampler, &mut rng, prompt);
            let mut generator = match with_hint(generated, prompt, model.vocab()) {
                Ok(generator) => generator,
                Err(error) => {
                    let message = format!("{error:#}");
                    let message = Shown::on(&std::io::stderr()).line(&message);
                    eprintln!("error: line {number}: {message}");
                    code = ExitCode::FAILURE;
                    break;
                }
            };
            if number > 1 && !is_list {
                writeln!(out)?;
            }
            let is_cut = text::print(&mut out, args, prompt, is_list, &mut generator)?;
            cut += usize::from(is_cut && args.length.is_none());
        }
    }
    text::tell_of_cuts(cut);
    Ok(code)
}
