//! Commands of interactive mode.

use std::str::FromStr;

use anyhow::{Context, Result, bail};

use crate::cmd::generate::{pace, unescaped};

/// The help of interactive mode.
pub(super) const HELP: &str = "\
Type a prompt and press Enter. An empty prompt starts a new text. A prompt that begins with a colon
needs two: ::

  keys while the model writes
    up, down or +, -   raise, lower the temperature
    right, left        faster, slower
    space              pause, resume
    Enter or Esc       stop
    Ctrl-C or Ctrl-D   quit

  commands
  :temp 0.8          softmax temperature
  :argmax            always the most probable character
  :top-k 10          sample from the 10 most probable characters; :top-k for all
  :top-p 0.9         sample from the fewest that add up to 0.9; :top-p for all
  :length 200        maximum number of characters
  :until TEXT        stop after this string; :until for none
  :pace 60           characters per second; 0 for no delay
  :seed 3            restart the random-number generator
  :top 10            the 10 most probable characters after the last prompt
  :help              this help
  :quit              quit";

/// A command.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Command {
    Temperature(f32),
    Argmax,
    TopK(Option<usize>),
    TopP(Option<f32>),
    Length(usize),
    Until(Option<String>),
    Pace(f64),
    Seed(u64),
    Top(usize),
    Help,
    Quit,
}

impl Command {
    /// Reads what follows the colon.
    pub(super) fn parse(line: &str) -> Result<Self> {
        let (name, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        // Blanks belong to what a text ends with, and to no number.
        let given = value.trim();
        let command = match name {
            "temp" | "temperature" => Self::Temperature(number(given, ":temp 0.8")?),
            "argmax" | "greedy" => Self::Argmax,
            "top-k" => Self::TopK(optional(given, ":top-k 10")?),
            "top-p" => Self::TopP(optional(given, ":top-p 0.9")?),
            "length" => Self::Length(number(given, ":length 200")?),
            "until" if value.is_empty() => Self::Until(None),
            "until" => Self::Until(Some(unescaped(value)?)),
            "pace" => Self::Pace(pace(given).context(":pace takes a number, as in :pace 60")?),
            "seed" => Self::Seed(number(given, ":seed 3")?),
            "top" => Self::Top(optional(given, ":top 10")?.unwrap_or(10)),
            "help" | "h" | "?" => Self::Help,
            "quit" | "q" | "exit" => Self::Quit,
            _ => bail!("there is no command :{name}; :help shows them"),
        };
        Ok(command)
    }
}

fn number<T: FromStr>(value: &str, example: &str) -> Result<T> {
    let number = value.parse().ok();
    number.with_context(|| format!("a number is needed, as in {example}"))
}

fn optional<T: FromStr>(value: &str, example: &str) -> Result<Option<T>> {
    if value.is_empty() {
        return Ok(None);
    }
    number(value, example).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_take_what_their_help_shows() {
        let parse = |line| Command::parse(line).unwrap();
        assert_eq!(parse("temp 0.8"), Command::Temperature(0.8));
        assert_eq!(parse("top-k 10"), Command::TopK(Some(10)));
        assert_eq!(parse("top-k"), Command::TopK(None));
        assert_eq!(parse("top-p  0.9 "), Command::TopP(Some(0.9)));
        assert_eq!(parse("until . "), Command::Until(Some(". ".to_owned())));
        assert_eq!(parse("until \\n"), Command::Until(Some("\n".to_owned())));
        assert_eq!(parse("until"), Command::Until(None));
        assert_eq!(parse("top"), Command::Top(10));
        assert_eq!(parse("pace 0"), Command::Pace(0.0));
        for line in HELP.lines().filter_map(|line| line.strip_prefix("  :")) {
            let shown = line.split("  ").next().unwrap_or_default();
            assert!(Command::parse(shown).is_ok(), "{shown}");
        }
    }

    #[test]
    fn what_is_no_command_is_refused_with_a_remedy() {
        let refuse = |line, word: &str| {
            let error = format!("{:#}", Command::parse(line).unwrap_err());
            assert!(error.contains(word), "{line}: {error}");
        };
        refuse("sing", ":help");
        refuse("temp", ":temp 0.8");
        refuse("temp warm", ":temp 0.8");
        refuse("length -3", ":length 200");
        refuse("pace -3", ":pace 60");
    }
}
