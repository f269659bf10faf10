//! The most probable next characters.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use charlet::{Model, Sampler, Token};
use charlet_trainer::inference::saved_state::Saved;
use charlet_trainer::inference::text_model::TextModel;
use charlet_trainer::util::shown::Shown;
use charlet_trainer::util::style::Styles;
use serde::Serialize;

use super::{Args, with_hint};
use crate::cmd::names::token_name;

/// Columns of the longest bar.
const BAR: f32 = 40.0;

/// What may come next after a text.
#[derive(Serialize)]
pub(super) struct Top<'p> {
    /// The first name of this field stays: scripts read it.
    #[serde(rename = "prime")]
    prompt: &'p str,
    /// Null for the most probable character only.
    temperature: Option<f32>,
    /// The most probable first.
    next: Vec<Next>,
    /// The probability of all others together, and how many of them there are.
    others: f32,
    other_tokens: usize,
}

/// A token that may come next.
#[derive(Serialize)]
struct Next {
    /// Null for a mark.
    char: Option<char>,
    /// The character, or what it is called where it can't be seen.
    name: String,
    probability: f32,
}

pub(super) fn run(
    args: &Args,
    count: usize,
    model: &Model<'_>,
    model_file: &[u8],
) -> Result<ExitCode> {
    let mut sampling = args.sampling.clone();
    if sampling.temperature.is_empty() {
        // What the model itself expects, not what is usually made of it.
        sampling.temperature.push(1.0);
    }
    let samplers = sampling.samplers(model.vocab().size())?;
    let mut text_model = TextModel::new(model);
    if let Some(path) = &args.state_in {
        text_model.start_from(Saved::read(path, model_file)?.session(model)?);
    }
    let styles = Styles::of_stdout();
    let mut out = std::io::stdout().lock();
    let is_alone = samplers.len() == 1;
    for (at, &(temperature, sampler)) in samplers.iter().enumerate() {
        let top = with_hint(
            Top::new(&mut text_model, temperature, sampler, &args.prompt, count),
            &args.prompt,
            model.vocab(),
        )?;
        if args.json {
            let json = serde_json::to_string(&top)?;
            writeln!(out, "{}", Shown::on(&std::io::stdout()).json(&json))?;
            continue;
        }
        if let (Some(temperature), false) = (temperature, is_alone) {
            let (style, gap) = (styles.heading(), if at > 0 { "\n" } else { "" });
            writeln!(out, "{gap}{style}--- temperature {temperature}{style:#}")?;
        }
        top.print(&mut out, styles)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl<'p> Top<'p> {
    /// The `count` tokens that the sampler would most probably choose after a text.
    pub(super) fn new(
        text_model: &mut TextModel<'_>,
        temperature: Option<f32>,
        sampler: Sampler,
        prompt: &'p str,
        count: usize,
    ) -> Result<Self, charlet::Error> {
        let probabilities = text_model.probabilities(sampler, prompt)?;
        let vocab = text_model.model().vocab();
        let mut ranked: Vec<(Token, f32)> = (0..).map(Token).zip(probabilities).collect();
        // It is never made.
        ranked.retain(|&(token, _)| Some(token) != vocab.unknown());
        // Stable: of equals the first.
        ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let others = ranked.split_off(count.min(ranked.len()));
        // Only these: the alphabet is searched for each.
        let named = ranked.into_iter().map(|(token, probability)| Next {
            char: vocab.char(token),
            name: token_name(vocab, token),
            probability,
        });
        Ok(Self {
            prompt,
            temperature,
            next: named.collect(),
            others: others.iter().map(|(_, probability)| probability).sum(),
            other_tokens: others.len(),
        })
    }

    /// A line for each, with bars in a terminal. What is never chosen is left out.
    pub(super) fn print(&self, out: &mut impl Write, styles: Styles) -> std::io::Result<()> {
        let possible = || self.next.iter().filter(|next| next.probability > 0.0);
        let width = possible().map(|next| next.name.chars().count()).max();
        let width = width.unwrap_or(0);
        let largest = possible().map(|next| next.probability).fold(0.0, f32::max);
        for next in possible() {
            write!(
                out,
                "{:>width$}  {:>6.2} %",
                next.name,
                100.0 * next.probability
            )?;
            if styles.is_styled() {
                let style = styles.bar();
                write!(out, "  {style}{}{style:#}", bar(next.probability / largest))?;
            }
            writeln!(out)?;
        }
        if self.others > 0.0 {
            let (dim, percent) = (styles.dim(), 100.0 * self.others);
            let others = self.other_tokens;
            writeln!(
                out,
                "{dim}{:>width$}  {percent:>6.2} %  {others} others{dim:#}",
                ""
            )?;
        }
        Ok(())
    }
}

/// A bar in eighths of a column; what is more than nothing is seen.
fn bar(share: f32) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = ((share * BAR * 8.0).round() as usize).max(1);
    let rest = EIGHTHS.get(eighths % 8).copied().unwrap_or_default();
    "█".repeat(eighths / 8) + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_shares() {
        assert_eq!(bar(1.0), "█".repeat(40));
        assert_eq!(bar(0.5), "█".repeat(20));
        assert_eq!(bar(0.05 + 0.0125), "██▌");
        assert_eq!(bar(1e-9), "▏");
    }
}
