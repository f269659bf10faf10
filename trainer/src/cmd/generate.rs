//! `charlet generate`

mod interactive;
mod prompt;
mod sampling;
mod text;
mod top;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use charlet::{Model, Vocab};
use charlet_trainer::config::Encoding;
use charlet_trainer::inference::saved_state::Saved;
use charlet_trainer::inference::text_model::LINE_LIMIT;
use charlet_trainer::inference::unknown::{count_unknown, hint, read_as_mark};
use charlet_trainer::util::distinct::refuse_overwriting;
use charlet_trainer::util::memory::STDIN;
use charlet_trainer::util::replace::refuse_replacing;
use clap::Parser;

use self::sampling::Sampling;
use super::{ENCODING, check_model, note, read_model, refuse_second_stdin, with_default};

/// Characters per second with --interactive: slow enough to read along.
const INTERACTIVE_PACE: f64 = 60.0;
/// Length of a text that has no end mark.
const TEXT_LENGTH: usize = 400;

/// Number of texts, where nothing is said.
const LINES: usize = 10;
const TEXTS: usize = 1;

/// Generate text with a model, exactly as the chip does
///
/// A model trained on a list writes lines; a model trained on running text writes one text. The same
/// model, options and seed give the same text on every machine.
#[derive(Clone, Debug, Parser)]
#[command(
    mut_args(|option| with_default(option, default_of)),
    after_help = "\
Examples:
  charlet generate names.charlet -n 20 --temperature 0.8 --seed 1
  charlet generate names.charlet --prompt ma
  charlet generate names.charlet --prompt ma --top
  charlet generate names.charlet -n 20 --new names.txt
  charlet generate alice.charlet --prompt \"alice \" --length 1000 --top-p 0.9
  charlet generate alice.charlet --prompt-from alice.txt --temperature 0.2,0.5,1.0,1.2
  charlet generate alice.charlet --until '\\n\\n' --length 5000 --state-out chapter.json
  charlet generate alice.charlet --state-in chapter.json
  charlet generate alice.charlet --interactive"
)]
pub(crate) struct Args {
    /// Model file, - for standard input
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// Number of texts
    #[arg(short = 'n', long = "count", value_name = "N")]
    count: Option<usize>,
    /// Leave out lines that are in this file, such as the list that the model has learnt; - for standard
    /// input
    #[arg(long, value_name = "FILE")]
    new: Option<PathBuf>,
    #[command(flatten)]
    sampling: Sampling,
    /// Text to continue; \n is a line break, \t a tab, \\ a backslash
    #[arg(
        long,
        alias = "prime",
        value_name = "TEXT",
        value_parser = |text: &str| anyhow::Ok(prompt::unescaped(text)),
        default_value = "",
        hide_default_value = true,
        help_heading = "Prompt"
    )]
    prompt: String,
    /// Continue the text in this file, - for standard input. A line break at its end counts, unless
    /// the model makes lines
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["prompt", "prompt_from"],
        help_heading = "Prompt"
    )]
    prompt_file: Option<PathBuf>,
    /// Continue random excerpts of this file, - for standard input: of a list, the beginnings of lines
    #[arg(
        long,
        alias = "random-seed-text",
        value_name = "FILE",
        conflicts_with = "prompt",
        help_heading = "Prompt"
    )]
    prompt_from: Option<PathBuf>,
    /// Encoding of the files that prompts and --new come from, such as windows-1252, utf-16le or shift_jis
    #[arg(long, value_name = "NAME", help_heading = "Prompt")]
    encoding: Option<Encoding>,
    /// Characters per excerpt
    #[arg(
        long,
        alias = "seed-length",
        value_name = "N",
        requires = "prompt_from",
        help_heading = "Prompt"
    )]
    prompt_length: Option<usize>,
    /// Maximum number of characters per text, not counting the prompt
    #[arg(long, value_name = "N", help_heading = "Length")]
    length: Option<usize>,
    /// Stop after this string; \n is a line break, \t a tab. Can be repeated
    #[arg(long, value_name = "TEXT", value_parser = unescaped, help_heading = "Length")]
    until: Vec<String>,
    /// Load hidden state, cell state and random-number generator from this file; --seed overrides the
    /// generator
    #[arg(long, value_name = "FILE", help_heading = "State")]
    state_in: Option<PathBuf>,
    /// Save hidden state, cell state and random-number generator after the text
    #[arg(long, value_name = "FILE", help_heading = "State")]
    state_out: Option<PathBuf>,
    /// Instead of generating, show the K most probable next characters; at temperature 1 unless one is
    /// given
    #[arg(
        long,
        value_name = "K",
        num_args = 0..=1,
        default_missing_value = "10",
        conflicts_with_all = ["count", "new", "length", "until", "prompt_from", "state_out", "pace"],
        help_heading = "Output"
    )]
    top: Option<usize>,
    /// With --top: print JSON, one line per temperature
    #[arg(long, requires = "top", help_heading = "Output")]
    json: bool,
    /// Characters printed per second; 0 prints without delay
    #[arg(long, value_name = "N", value_parser = pace, help_heading = "Output")]
    pace: Option<f64>,
    /// Type prompts and watch the model continue them; keys change temperature and speed. From a
    /// pipe: continue each line
    #[arg(
        short,
        long,
        conflicts_with_all = [
            "count", "new", "prompt", "prompt_file", "prompt_from", "state_in", "state_out", "top"
        ],
        help_heading = "Output"
    )]
    interactive: bool,
}

/// The default of an option by its id, for the help.
fn default_of(id: &str) -> Option<String> {
    Some(match id {
        "count" => format!("{LINES} for a list, {TEXTS} for running text"),
        "temperature" => sampling::TEMPERATURE.to_string(),
        "seed" => "from the clock".to_owned(),
        "encoding" => ENCODING.to_owned(),
        "prompt_length" => {
            let (line, text) = (text::PROMPT_LENGTH_OF_LINE, text::PROMPT_LENGTH);
            format!("{line} for a list, {text} for running text")
        }
        "length" => format!("{LINE_LIMIT} for a list, {TEXT_LENGTH} for running text"),
        "pace" => format!("0; {} with --interactive", INTERACTIVE_PACE),
        _ => return None,
    })
}

impl Args {
    /// Refuses what the model can't do.
    fn check(&self, model: &Model<'_>) -> Result<()> {
        let vocab = model.vocab();
        for stop in &self.until {
            let unknown = stop.chars().find(|&char| vocab.token(char).is_none());
            if let Some(unknown) = unknown {
                let lines = if unknown == '\n' && vocab.end().is_some() {
                    ": each of its texts is a line, and ends by itself"
                } else {
                    ""
                };
                anyhow::bail!("--until {stop:?} never comes: the model has no {unknown:?}{lines}");
            }
        }
        ensure!(
            self.prompt_length != Some(0),
            "--prompt-length must be at least 1"
        );
        ensure!(self.top != Some(0), "--top must be at least 1");
        ensure!(
            self.new.is_none() || vocab.end().is_some(),
            "--new leaves out lines, and this model makes running text"
        );
        let is_one = self.sampling.temperatures().len() < 2;
        ensure!(
            is_one || !self.interactive,
            "--interactive takes one --temperature: change it with the arrow keys"
        );
        ensure!(
            self.state_out.is_none() || (is_one && self.count.is_none_or(|count| count == 1)),
            "--state-out saves the state of one text: leave out -n, and give one --temperature"
        );
        Ok(())
    }

    /// Refuses files that can't be used as they are named, before any is read.
    fn check_files(&self) -> Result<()> {
        let mut inputs = vec![("the model", self.model.as_path())];
        let more = [
            ("--prompt-file", &self.prompt_file),
            ("--prompt-from", &self.prompt_from),
            ("--new", &self.new),
        ];
        for (option, path) in more {
            inputs.extend(path.as_deref().map(|path| (option, path)));
        }
        if let Some(output) = &self.state_out {
            // --state-in is none of them: it is read whole before.
            refuse_overwriting(output, &inputs)?;
            refuse_replacing(output, "saved state", Saved::BEGINNING)?;
        }
        if self.interactive {
            inputs.push(("--interactive", Path::new(STDIN)));
        }
        refuse_second_stdin(&inputs)
    }

    fn length(&self, is_list: bool) -> usize {
        let default = if is_list { LINE_LIMIT } else { TEXT_LENGTH };
        self.length.unwrap_or(default)
    }
}

pub(crate) fn run(mut args: Args) -> Result<ExitCode> {
    args.check_files()?;
    let bytes = read_model(&args.model)?;
    let model = check_model(&args.model, &bytes)?;
    args.check(&model)?;
    if let Some(path) = &args.prompt_file {
        args.prompt = prompt::read(path, args.encoding, model.vocab().end().is_some())?;
    }
    tell_of_unknown(model.vocab(), &args.prompt);
    if args.interactive {
        interactive::run(args, &model)
    } else if let Some(count) = args.top {
        top::run(&args, count, &model, &bytes)
    } else {
        text::run(&args, &model, &bytes)
    }
}

/// A seed that differs from run to run.
fn clock() -> u64 {
    // A clock before 1970 gives the same seed every time: a nuisance, no error.
    SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |since| since.as_nanos() as u64)
}

/// A text with `\n`, `\t` and `\\` for what is hard to type.
fn unescaped(text: &str) -> Result<String> {
    ensure!(
        !text.is_empty(),
        "it is empty, and would end every text at once"
    );
    let mut chars = text.chars();
    let mut plain = String::new();
    while let Some(char) = chars.next() {
        plain.push(match char {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('\\') => '\\',
                _ => anyhow::bail!("a backslash is followed by n, t or another backslash"),
            },
            _ => char,
        });
    }
    Ok(plain)
}

/// Characters in a second, or 0.
fn pace(text: &str) -> Result<f64> {
    let pace: f64 = text.parse()?;
    ensure!(
        pace == 0.0 || (0.1..=1e6).contains(&pace),
        "0.1 to 1000000 characters in a second will do, or 0 for all at once"
    );
    Ok(pace)
}

/// The time from one character to the next.
fn interval(pace: f64) -> Duration {
    if pace > 0.0 {
        Duration::from_secs_f64(1.0 / pace)
    } else {
        Duration::ZERO
    }
}

/// Tells on stderr that unknown characters of a prompt are read as the mark, if the model has one.
fn tell_of_unknown(vocab: &Vocab<'_>, prompt: &str) {
    if vocab.unknown().is_some()
        && let Some(told) = read_as_mark(count_unknown(vocab, prompt))
    {
        note(&told);
    }
}

/// Adds the prompt and a remedy to an error.
fn with_hint<T>(result: Result<T, charlet::Error>, prompt: &str, vocab: &Vocab<'_>) -> Result<T> {
    let hint = match result {
        Err(charlet::Error::UnknownChar(char)) => hint(vocab, prompt, char),
        _ => "",
    };
    result.with_context(|| format!("can't continue {prompt:?} with this model{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_string_is_written_with_escapes() {
        assert_eq!(unescaped("a\\n\\tb\\\\n").unwrap(), "a\n\tb\\n");
        assert_eq!(unescaped("ß.").unwrap(), "ß.");
        for wrong in ["", "\\", "\\x"] {
            assert!(unescaped(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_pace_is_a_number_of_characters_in_a_second() {
        assert_eq!(interval(pace("50").unwrap()), Duration::from_millis(20));
        assert_eq!(interval(pace("0").unwrap()), Duration::ZERO);
        for wrong in ["-1", "NaN", "inf", "0.001", "fast"] {
            assert!(pace(wrong).is_err(), "{wrong}");
        }
    }
}
