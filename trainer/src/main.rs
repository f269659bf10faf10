//! The `charlet` command.

mod cmd;

use std::io::IsTerminal;
use std::process::ExitCode;

use charlet_trainer::util::shown::{Shown, escaped};
use clap::{Parser, Subcommand};

/// Train character-level LSTM models, and run them exactly as a microcontroller does
#[derive(Debug, Parser)]
#[command(
    name = "charlet",
    version,
    max_term_width = 100,
    args_override_self = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(Box<cmd::train::Args>),
    Generate(Box<cmd::generate::Args>),
    Eval(cmd::eval::Args),
    Score(cmd::score::Args),
    Info(cmd::info::Args),
    Quantize(cmd::quantize::Args),
    Compare(cmd::compare::Args),
    Bench(cmd::bench::Args),
    Completions(cmd::completions::Args),
    Man(cmd::man::Args),
}

fn main() -> ExitCode {
    let result = match command_line().command {
        Command::Train(args) => cmd::train::run(&args),
        Command::Generate(args) => cmd::generate::run(*args),
        Command::Eval(args) => cmd::eval::run(args),
        Command::Score(args) => cmd::score::run(args),
        Command::Info(args) => cmd::info::run(args),
        Command::Quantize(args) => cmd::quantize::run(args),
        Command::Compare(args) => cmd::compare::run(args),
        Command::Bench(args) => cmd::bench::run(args),
        Command::Completions(args) => cmd::completions::run(args),
        Command::Man(args) => cmd::man::run(args),
    };
    match result {
        Ok(code) => code,
        // Whoever read our output has had enough, as in `charlet generate ... | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let message = format!("{error:#}");
            eprintln!("error: {}", Shown::on(&std::io::stderr()).line(&message));
            ExitCode::FAILURE
        }
    }
}

/// The arguments; where they are wrong, says so and ends the program.
fn command_line() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| {
        if error.use_stderr() && std::io::stderr().is_terminal() {
            // The error repeats arguments. With these escaped it is the same, and keeps its colours.
            let arguments = std::env::args_os();
            let shown = arguments.map(|argument| escaped(&argument.to_string_lossy()).into_owned());
            if let Err(shown) = Cli::try_parse_from(shown) {
                shown.exit();
            }
        }
        error.exit()
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}
