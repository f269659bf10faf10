//! The subcommands, one file or folder each.

pub(crate) mod bench;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod compress;
pub(crate) mod decompress;
pub(crate) mod eval;
pub(crate) mod export;
pub(crate) mod generate;
pub(crate) mod import;
pub(crate) mod info;
pub(crate) mod man;
mod messages;
mod names;
pub(crate) mod quantize;
pub(crate) mod score;
mod threads;
pub(crate) mod train;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use charlet::Model;
use charlet_trainer::util::file_kind::{self, Kind};
use charlet_trainer::util::memory::{self, STDIN};
use charlet_trainer::util::shown::Shown;
use clap::Arg;
use clap::builder::StyledStr;

/// The encoding of a text where no option names one, for the help.
const ENCODING: &str = "utf-8, or what a byte order mark says";

/// How many times a model file has to fit into memory: its weights stay where they are.
const COPIES: u64 = 2;

/// An option whose help ends with its default. Defaults are looked up by id where they are used, so that
/// no help text repeats them.
fn with_default(option: Arg, default_of: impl Fn(&str) -> Option<String>) -> Arg {
    let Some(default) = default_of(option.get_id().as_str()) else {
        return option;
    };
    let help = option.get_help().map(StyledStr::to_string);
    option.help(format!("{} [default: {default}]", help.unwrap_or_default()))
}

/// The bytes of a model file, or of standard input.
fn read_model(path: &Path) -> Result<Vec<u8>> {
    file_kind::read(path, Kind::Model, COPIES)
}

/// Refuses a second input from standard input, which can be read only once. Each comes with what it is.
fn refuse_second_stdin(inputs: &[(&str, &Path)]) -> Result<()> {
    let from_stdin = inputs.iter().filter(|(_, path)| *path == Path::new(STDIN));
    let names: Vec<&str> = from_stdin.map(|(name, _)| *name).collect();
    ensure!(
        names.len() < 2,
        "standard input can be read only once, not for {}: give the name of a file for all but one",
        names.join(" and ")
    );
    Ok(())
}

/// Prints a note on standard error.
fn note(text: &str) {
    eprintln!("note: {}", Shown::on(&std::io::stderr()).line(text));
}

/// The model in a file's bytes.
fn check_model<'b>(path: &Path, bytes: &'b [u8]) -> Result<Model<'b>> {
    Model::from_bytes(bytes).with_context(|| format!("can't use the model {}", memory::name(path)))
}
