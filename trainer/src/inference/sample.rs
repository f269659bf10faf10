//! Samples shown during training.

use anyhow::Result;
use charlet::{Model, Rng, Sampler};

use super::novelty::{Novelty, novelty};
use super::text_model::{Line, TextModel, line_limit};
use crate::data::corpus::Corpus;
use crate::util::rng::Random;
use crate::util::stop::{IsStopping, unless};

/// The temperatures of the samples shown while training.
pub const TEMPERATURES: [f32; 4] = [0.2, 0.5, 1.0, 1.2];
/// Lines shown at each temperature, and the length of other texts.
const SAMPLE_LINES: usize = 6;
const SAMPLE_LENGTH: usize = 120;

/// Samples at several temperatures, and how new they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Text at several temperatures.
    pub texts: Vec<Text>,
    /// Comparison with the training data.
    pub novelty: Novelty,
}

/// Samples at one temperature.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// The temperature.
    pub temperature: f32,
    /// The text; lines of a list stand beside each other.
    pub text: String,
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.text.replace('\n', "\n         ");
        write!(f, "    {:.1}  {text}", self.temperature)
    }
}

impl std::fmt::Display for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for text in &self.texts {
            writeln!(f, "{text}")?;
        }
        write!(f, "    new  {}", self.novelty)
    }
}

impl Sample {
    /// Samples from a model.
    ///
    /// # Errors
    /// If it was stopped, or the model file is not valid, which would be our mistake.
    pub fn of(
        model: &[u8],
        corpus: &Corpus,
        random: &mut Random,
        is_stopping: IsStopping<'_>,
    ) -> Result<Self> {
        Ok(Self {
            texts: texts(model, random, line_limit(corpus), is_stopping)?,
            novelty: novelty(model, corpus, is_stopping)?,
        })
    }
}

/// Samples from a model at several temperatures; lines of a list are cut off after `limit` characters.
///
/// # Errors
/// If it was stopped, or the model file is not valid, which would be our mistake.
pub fn texts(
    model: &[u8],
    random: &mut Random,
    limit: usize,
    is_stopping: IsStopping<'_>,
) -> Result<Vec<Text>> {
    let model = Model::from_bytes(model)?;
    let mut text_model = TextModel::new(&model);
    let is_list = model.vocab().end().is_some();
    let mut rng = Rng::from_seed(random.seed());
    let mut sample = |temperature: f32| -> Result<Text> {
        let sampler = Sampler::with_temperature(temperature)?;
        let text = if is_list {
            let lines = (0..SAMPLE_LINES).map(|_| {
                unless(is_stopping)?;
                Ok(text_model.line(sampler, &mut rng, limit)?.to_string())
            });
            lines.collect::<Result<Vec<_>>>()?.join("  ")
        } else {
            let text = text_model
                .generate(sampler, &mut rng, "")?
                .take(SAMPLE_LENGTH);
            text.take_while(|_| !is_stopping()).collect()
        };
        unless(is_stopping)?;
        Ok(Text { temperature, text })
    };
    TEMPERATURES.into_iter().map(&mut sample).collect()
}

/// Sampled lines, split into new ones and those found in the training data.
///
/// # Errors
/// If it was stopped, or the model file is not valid, which would be our mistake.
pub(crate) fn sorted_samples(
    model: &[u8],
    corpus: &Corpus,
    random: &mut Random,
    is_stopping: IsStopping<'_>,
) -> Result<String> {
    const COUNT: usize = 30;
    let model = Model::from_bytes(model)?;
    let mut text_model = TextModel::new(&model);
    let mut rng = Rng::from_seed(random.seed());
    let sampler = Sampler::with_temperature(0.8)?;
    let limit = line_limit(corpus);
    let mut lines = Vec::new();
    for _ in 0..COUNT {
        unless(is_stopping)?;
        lines.push(text_model.line(sampler, &mut rng, limit)?);
    }
    lines.sort();
    lines.dedup();
    let (known, new): (Vec<Line>, Vec<Line>) = lines
        .into_iter()
        .partition(|line| line.is_copy(&corpus.known));
    let parts = [("new", new), ("already in the list", known)];
    let parts = parts.into_iter().filter(|(_, lines)| !lines.is_empty());
    let parts = parts.map(|(what, lines)| format!("{what}:\n{}", wrapped(&lines)));
    Ok(format!(
        "at temperature 0.8, {}",
        parts.collect::<Vec<_>>().join("\n")
    ))
}

/// Words in indented lines of at most 64 characters.
fn wrapped(words: &[Line]) -> String {
    let mut text = String::from("   ");
    let mut width = 0;
    for word in words.iter().map(Line::to_string) {
        if width + word.len() > 64 {
            text.push_str("\n   ");
            width = 0;
        }
        text.push(' ');
        text.push_str(&word);
        width += word.len() + 1;
    }
    text
}
