//! The `charlet` command.

mod cmd;

use std::any::TypeId;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;

use charlet_trainer::util::shown::{Shown, escaped};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

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
    Compress(cmd::compress::Args),
    Decompress(cmd::decompress::Args),
    Info(cmd::info::Args),
    Import(cmd::import::Args),
    Quantize(cmd::quantize::Args),
    Export(cmd::export::Args),
    Compare(cmd::compare::Args),
    Bench(cmd::bench::Args),
    Completions(cmd::completions::Args),
    Man(cmd::man::Args),
}

/// Lets every option that takes a number take a negative one, so that the answer is about the option and its
/// range.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| {
            let value = arg.get_value_parser().type_id();
            let numbers = [
                TypeId::of::<usize>(),
                TypeId::of::<u64>(),
                TypeId::of::<f32>(),
                TypeId::of::<f64>(),
            ];
            if arg.is_positional() || !numbers.iter().any(|number| value == *number) {
                return arg;
            }
            // Where the number may be missing, another option may follow.
            let is_optional = arg
                .get_num_args()
                .is_some_and(|range| range.min_values() == 0);
            // -1e-3 is no number to clap.
            arg.allow_negative_numbers(true)
                .allow_hyphen_values(!is_optional)
        })
        .mut_subcommands(with_negative_numbers)
}

fn main() -> ExitCode {
    let result = match command_line().command {
        Command::Train(args) => cmd::train::run(&args),
        Command::Generate(args) => cmd::generate::run(*args),
        Command::Eval(args) => cmd::eval::run(args),
        Command::Score(args) => cmd::score::run(args),
        Command::Compress(args) => cmd::compress::run(args),
        Command::Decompress(args) => cmd::decompress::run(args),
        Command::Info(args) => cmd::info::run(args),
        Command::Import(args) => cmd::import::run(&args),
        Command::Quantize(args) => cmd::quantize::run(args),
        Command::Export(args) => cmd::export::run(args),
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
    let parse = |arguments: &mut dyn Iterator<Item = OsString>| {
        let mut command = with_negative_numbers(Cli::command());
        let mut matches = command.try_get_matches_from_mut(arguments)?;
        Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
    };
    parse(&mut std::env::args_os()).unwrap_or_else(|error| {
        if error.use_stderr() && std::io::stderr().is_terminal() {
            // The error repeats arguments. With these escaped it is the same, and keeps its colours.
            let arguments = std::env::args_os();
            let mut shown = arguments
                .map(|argument| OsString::from(escaped(&argument.to_string_lossy()).into_owned()));
            if let Err(shown) = parse(&mut shown) {
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
