//! `charlet man`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use charlet_trainer::util::atomic_file::atomic_write;
use clap::{Command, CommandFactory, Parser};
use clap_mangen::Man;

/// Print the manual page, or write the pages of all commands
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  charlet man | man -l -
  charlet man --out ~/.local/share/man/man1")]
pub(crate) struct Args {
    /// Write charlet.1 and a page per command into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let mut command = crate::Cli::command().disable_help_subcommand(true);
    // Gives each command the name of its page.
    command.build();
    let Some(folder) = args.out else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page)?;
        std::io::stdout().write_all(&page)?;
        return Ok(ExitCode::SUCCESS);
    };
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("can't make the folder {}", folder.display()))?;
    write_pages(command, &folder)?;
    Ok(ExitCode::SUCCESS)
}

/// The page of a command, and those of the commands below it.
fn write_pages(command: Command, folder: &Path) -> Result<()> {
    for below in command.get_subcommands() {
        write_pages(below.clone(), folder)?;
    }
    let man = Man::new(command);
    let mut page = Vec::new();
    man.render(&mut page)?;
    atomic_write(&folder.join(man.get_filename()), &page)
}
