//! `charlet completions`

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser};
use clap_complete::Shell;

/// Print a completion script for a shell
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  charlet completions bash > ~/.local/share/bash-completion/completions/charlet
  charlet completions zsh > ~/.zfunc/_charlet
  charlet completions fish > ~/.config/fish/completions/charlet.fish")]
pub(crate) struct Args {
    /// Shell to write the script for
    shell: Shell,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut crate::Cli::command(),
        "charlet",
        &mut script,
    );
    std::io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
