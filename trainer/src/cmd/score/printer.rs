//! How scored lines are printed.

use std::io::Write;

use anyhow::Result;
use charlet_trainer::inference::surprisal::{Surprisal, Unknown};
use charlet_trainer::util::shown::Shown;
use charlet_trainer::util::style::Styles;
use serde::Serialize;

use crate::cmd::names::char_name;

/// A line and its surprisal.
pub(super) struct Scored {
    pub(super) number: usize,
    pub(super) line: String,
    pub(super) surprisal: Surprisal,
    /// What the model may know in place of the unknown character, or has for it.
    pub(super) hint: &'static str,
}

/// How a line is printed.
pub(super) struct Printer {
    pub(super) styles: Styles,
    pub(super) shown: Shown,
    /// Whether the model has a mark for unknown characters.
    pub(super) has_mark: bool,
    pub(super) explains: bool,
    pub(super) is_json: bool,
}

/// What scripts read; what is infinite is null.
#[derive(Serialize)]
struct Json<'s> {
    number: usize,
    line: &'s str,
    bits: f64,
    bits_per_char: f64,
    /// Characters predicted, the end of the line included.
    chars: usize,
    unknown: Option<Unknown>,
    /// How many the mark stands for, in a model with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bits_of_chars: Option<&'s [f64]>,
}

impl Printer {
    pub(super) fn header(&self, out: &mut impl Write) -> std::io::Result<()> {
        let style = self.styles.heading();
        writeln!(out, "{style}    bits  bits/char  line{style:#}")
    }

    pub(super) fn print(&self, out: &mut impl Write, scored: &Scored) -> Result<()> {
        let surprisal = &scored.surprisal;
        if self.is_json {
            let json = Json {
                number: scored.number,
                line: &scored.line,
                bits: surprisal.bits(),
                bits_per_char: surprisal.bits_per_char(),
                chars: surprisal.chars.len(),
                unknown: surprisal.unknown,
                unknown_count: self.has_mark.then_some(surprisal.unknown_count),
                bits_of_chars: self.explains.then_some(&surprisal.chars),
            };
            writeln!(out, "{}", self.shown.json(&serde_json::to_string(&json)?))?;
            return Ok(());
        }
        let (bits, per_char) = (surprisal.bits(), surprisal.bits_per_char());
        write!(out, "{bits:>8.2}  {per_char:>9.2}  ")?;
        if self.explains && self.styles.is_styled() {
            self.coloured(out, scored)?;
        } else {
            write!(out, "{}", self.shown.line(&scored.line))?;
        }
        if let Some(unknown) = surprisal.unknown {
            let (alarm, char, at) = (self.styles.alarm(), unknown.char, unknown.at);
            let hint = scored.hint;
            let others = match surprisal.unknown_count {
                count if self.has_mark && count > 1 => format!(", and {} more", count - 1),
                _ => String::new(),
            };
            write!(
                out,
                "  {alarm}[the model does not know {char:?}, character {at}{others}{hint}]{alarm:#}"
            )?;
        }
        writeln!(out)?;
        if self.explains && !self.styles.is_styled() {
            self.listed(out, scored)?;
        }
        Ok(())
    }

    /// The line, each character on the colour of its surprisal.
    fn coloured(&self, out: &mut impl Write, scored: &Scored) -> std::io::Result<()> {
        let mut bits = scored.surprisal.chars.iter();
        for (char, &bits) in scored.line.chars().zip(bits.by_ref()) {
            let style = self.styles.heat(bits);
            let char = self.shown.char(char);
            write!(out, "{style}{char}{style:#}")?;
        }
        if let Some(&end) = bits.next() {
            let style = self.styles.heat(end);
            write!(out, "{style}¶{style:#}")?;
        }
        Ok(())
    }

    /// A line below it with each character and its bits.
    fn listed(&self, out: &mut impl Write, scored: &Scored) -> std::io::Result<()> {
        let names = scored.line.chars().map(char_name).chain(["end".to_owned()]);
        write!(out, "       ")?;
        for (name, bits) in names.zip(&scored.surprisal.chars) {
            write!(out, " {name} {bits:.2}")?;
        }
        writeln!(out)
    }
}
